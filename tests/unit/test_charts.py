"""Stage bars: one scale, drawn alike on the page and in a report."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from pipeline.charts import stage_bar, stretches
from pipeline.events import final_results
from pipeline.prices import load_prices
from pipeline.stored import load
from pipeline.timing import Timings
from pipeline.ui import markup
from pipeline.ui.compare_updates import so_far

HERE = Timings(wait=9.0, load=9.0, encode=0.5, denoise=2.0, decode=1.5)


def test_stages_follow_each_other_on_the_scale_of_the_longest():
    found = stretches(HERE.as_dict(), 8.0)
    assert [(each.stage, each.begin, each.width) for each in found] == [
        ("encode", 0.0, 0.0625),
        ("denoise", 0.0625, 0.25),
        ("decode", 0.3125, 0.1875),
    ]
    assert [each.text for each in found] == ["encode 500 ms", "denoise 2.00 s", "decode 1.50 s"]


def test_a_providers_picture_is_one_stretch():
    [call] = stretches(Timings(call=3.0).as_dict(), 3.0)
    assert (call.stage, call.begin, call.width) == ("call", 0.0, 1.0)


def test_what_took_no_time_at_all_has_no_width():
    assert {each.width for each in stretches(Timings().as_dict(), 0.0)} == {0.0}


def test_each_run_has_a_mark_at_its_total():
    svg = stage_bar(HERE.as_dict(), [HERE, Timings(encode=8.0)], 8.0)
    assert re.findall(r'class="run" x1="([\d.]+)"', svg) == ["500.00", "1000.00"]
    assert 'aria-label="encode 500 ms, denoise 2.00 s, decode 1.50 s"' in svg


def test_page_and_report_draw_the_same():
    document, _ = load()
    price, longest = load_prices().proposed("CPU"), max(lane["seconds"]["total"] for lane in document["lanes"])
    for lane in document["lanes"]:
        shares = re.findall(r"width:([\d.]+)%", markup.lane(lane, price, longest, document["device"]))
        units = re.findall(r' width="([\d.]+)"', stage_bar(lane["seconds"], (), longest))
        assert [float(share) * 10 for share in shares] == pytest.approx([float(unit) for unit in units], abs=0.02)
        assert len(shares) == 3


def test_the_first_bar_is_drawn_on_the_scale_of_the_one_that_is_still_measured(engine, requests):
    [first] = final_results(engine.run(requests[:1]))
    view = SimpleNamespace(lanes={"efficient": SimpleNamespace(numbers="under it")})
    price = load_prices().profile("hf-l4")
    for expected_s, share in ((4 * first.timings.total, 25.0), (first.timings.total / 2, 100.0)):
        under = so_far(view, {"efficient": first}, {"efficient": price}, expected_s)["under it"]
        widths = [float(width) for width in re.findall(r'class="stage [^"]*" style="width:([\d.]+)%', under)]
        assert sum(widths) == pytest.approx(share, abs=0.01)
