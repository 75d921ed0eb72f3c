"""What a screen reader hears of a comparison: what begins, ends or fails, each once."""

from __future__ import annotations

import re

import pytest

from pipeline import stored
from pipeline.ui import markup

LIVE = re.compile(r'aria-live="|role="(?:status|alert|log)"')


@pytest.mark.parametrize(
    "html",
    [
        markup.message("Running"),
        markup.message("No such model", "error"),
        markup.verdict(stored.load()[0]),
        markup.verdict(stored.load()[0], refused="No such model"),
    ],
    ids=["message", "error", "verdict", "refused"],
)
def test_no_live_region_lies_in_another(html):
    assert len(LIVE.findall(html)) == 1


def test_progress_can_be_asked_for_and_is_not_read_out_every_second():
    html = markup.progress("step 3 of 4 · 1.20 s", 0.75, "efficient")
    assert not LIVE.search(html)
    for said in ("progressbar", "Progress of the efficient", "75", "step 3 of 4 · 1.20 s"):
        assert f'"{said}"' in html
    assert markup.progress("") == ""
