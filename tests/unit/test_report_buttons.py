"""The Compare tab's report has its pictures also when what the page hands out has been swept."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipeline.catalog import ROLES
from pipeline.compare import compare_document, plan
from pipeline.engine import Engine
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.ui import report_buttons
from pipeline.ui.price_box import AUTOMATIC_PRICE
from pipeline.ui.served import hand_out_result, new_file
from tests.fakes import results


@pytest.fixture
def playground(engine: Engine, tmp_path: Path) -> Playground:
    return Playground(engine.catalog, load_prices(), engine, tmp_path)


@pytest.fixture
def shown(playground: Playground, tmp_path: Path, monkeypatch) -> dict[str, Any]:
    """The document of a comparison as the page has it: kept in the history, its pictures handed out."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    pair = playground.catalog.pair("both")
    requests = plan(playground.catalog, pair, "a red apple", seed=7)
    made = dict(zip(requests, results(playground.engine.run(list(requests.values()))).values(), strict=True))
    document = compare_document(pair, made, load_prices().profiles["hf-l4"])
    entry = playground.history.add("comparison", document, [made[role] for role in ROLES], "m" * 22)
    lanes = [{**lane, "image": hand_out_result(made[lane["role"]])} for lane in document["lanes"]]
    return {**document, "entry": entry, "lanes": lanes}


@pytest.fixture
def press(playground: Playground) -> Callable[[dict[str, Any]], str]:
    """Press Report (HTML); the report as text."""
    with gr.Blocks() as page:
        report_buttons.attach(report_buttons.build(), playground, gr.State(), gr.Dropdown())
    on_html = next(event.fn for event in page.fns.values() if event.fn)
    return lambda document: Path(on_html(document, AUTOMATIC_PRICE)).read_text(encoding="utf-8")


def pictures(text: str) -> tuple[int, int]:
    """How many are in it, and how many are said to be gone."""
    return text.count("data:image/png;base64,"), text.count("no longer there or damaged")


def test_what_was_swept_is_taken_from_the_history(playground, shown, press):
    for lane in shown["lanes"]:
        Path(lane["image"]).unlink()
    assert pictures(press(shown)) == (2, 0)
    playground.history.delete(shown["entry"])
    assert pictures(press(shown)) == (0, 2)


@pytest.mark.parametrize("entry", ["deleted since", None])
def test_without_an_entry_it_has_what_the_page_shows(shown, press, entry):
    assert pictures(press({**shown, "entry": entry})) == (2, 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """What the page has of reports."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return tmp_path / "served" / "made" / "reports"


def pressing(make: Callable[[], Path]) -> gr.blocks.BlockFunction:
    """What happens when the button is pressed whose file ``make`` makes."""
    with gr.Blocks() as page:
        report_buttons.offer(report_buttons.build(), lambda suffix: make, [])
    return next(event for event in page.fns.values() if event.fn)


def written(text: str) -> Path:
    path = new_file("report.html")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_however_often_it_is_pressed_the_same_report_is_one_file(folder):
    press = pressing(lambda: written("the same")).fn
    assert press() == press() and len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_a_full_disk_is_told_in_a_sentence(folder):
    def full() -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(gr.Error, match=r"^'The disk is full, so the report cannot be written; make ro"):
        pressing(full).fn()


def test_all_tabs_reports_share_a_few_places(folder):
    event = pressing(lambda: written("x"))
    assert (event.concurrency_id, event.concurrency_limit) == ("report", report_buttons.AT_ONCE)


def test_the_stored_example_has_its_own(press):
    from pipeline import stored

    document, _ = stored.load()
    assert pictures(press({**document, "stored": True})) == (2, 0)
