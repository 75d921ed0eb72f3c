"""Hosted models through the named endpoints: nobody spends what they were not given."""

from __future__ import annotations

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError


def test_a_visitor_spends_nothing_through_the_api(serve, hosted_engine, provider):
    url = serve(hosted_engine)
    away = Client(url, verbose=False, headers={"X-Forwarded-For": "203.0.113.7"})
    for name, asked in (("/compare", {"pair": "hosted"}), ("/generate", {"model": "swift"})):
        with pytest.raises(AppError, match="is drawn by Someone at the cost of whoever runs this page"):
            away.predict("an apple", api_name=name, **asked)
    assert not provider.asked
    assert Client(url, verbose=False).predict("an apple", model="swift", api_name="/generate")["cost_usd"] == 0.002
    with pytest.raises(AppError, match="throughput is that of this machine"):
        away.predict(pair="hosted", throughput=True, api_name="/estimate")
