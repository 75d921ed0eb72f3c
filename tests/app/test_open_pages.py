"""Of the page as it is served: by what it knows that somebody has it open, and what it answers to nobody."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from gradio_client import Client

from pipeline.engine import Engine
from pipeline.ui.sessions import Sessions


def test_the_page_knows_that_a_client_has_it_open(serve, engine: Engine, monkeypatch):
    opened, page = [], Sessions.page
    monkeypatch.setattr(Sessions, "page", lambda self, session: opened.append(session) or page(self, session))
    client = Client(serve(engine), verbose=False)
    assert client.predict(api_name="/stop") == {"stopped": 0}
    assert client.session_hash in opened  # beside those of a page that had this port before and keep calling for it


def test_what_the_page_has_no_use_for_is_not_there(serve, engine: Engine):
    """Also where Gradio would write to the disk for whoever asks, or ask another machine for them."""
    url = serve(engine)
    for path in ("deep_link?session_hash=me", "dev/reload", "file=https://example.com/", "proxy=https://x.hf.space/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}gradio_api/{path}", timeout=30)
        assert refused.value.code == 404
