"""What the Prices tab answers to what is typed, without a browser."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from pipeline.engine import Engine
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.ui import compare_view, prices_tab


@pytest.fixture
def weigh(engine: Engine, tmp_path: Path):
    """The tab's answer to so many images a day as a browser sends them: volume, chart and fault."""
    playground = Playground(engine.catalog, load_prices(), engine, tmp_path)
    with gr.Blocks() as page, gr.Tabs(), gr.Tab("Prices") as tab:
        prices_tab.build(playground, compare_view.build(playground, ""), tab)
    event = next(each for each in page.fns.values() if getattr(each.fn, "__name__", "") == "on_weigh")
    box = event.inputs[-1]
    return lambda sent, price="2": event.fn(None, price, box.preprocess(sent))


def test_a_refused_price_says_that_what_stands_below_is_of_the_last(weigh):
    volume, _, fault = weigh(1000, "abc")
    assert volume == gr.skip()
    assert "got &#39;abc&#39;. Below is what was reckoned last." in fault and "hf-" not in fault


def test_images_a_day_are_whole_or_refused(weigh):
    volume, _, fault = weigh(2000)
    assert "At 2,000 images a day" in volume and fault == ""
    for sent in (2.5, 0, -5, 1e10):
        volume, chart, fault = weigh(sent)
        assert volume == chart == gr.skip() and f"from 1 to 1000000000; got {sent!r}." in fault
