"""An efficiency switch is named wherever its doing is shown: nobody may take it for the model's."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from pipeline.caveats import method
from pipeline.cells import Cell
from pipeline.compare import compare_document, generate_document, plan
from pipeline.history import Entry
from pipeline.prices import load_prices
from pipeline.report import write_report
from pipeline.report_pictures import Item
from pipeline.sweep import cell_document, head_document, plan_sweep, sweep_document
from pipeline.terminal import tell
from pipeline.ui import history_markup, markup
from tests.fakes import results

PRICES = load_prices()
PRICE = PRICES.profiles["hf-l4"]
NAMES = "Step cache, 8-bit float weights"


@pytest.fixture
def compared(catalog, engine):
    def run(**switches: list[str]) -> dict:
        pair = catalog.pair("old:old")
        requests = plan(catalog, pair, "a fox", seed=7, switches=switches)
        made = results(engine.run(list(requests.values())))
        return compare_document(pair, dict(zip(requests, made.values(), strict=True)), PRICE)

    return run


def read(markup_or_html: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup_or_html)).split())


def shown(document: dict, catalog, folder: Path) -> dict[str, str]:
    """All that shows a comparison, as text."""
    write_report(folder / "report.html", "A report", [Item(document, pictures={})], catalog, PRICES)
    entry = Entry("id", "comparison", "me", 0.0, "a fox", ("old",), False, document, {})
    return {
        "verdict": read(markup.verdict(document)),
        "numbers": read("".join(markup.lane(lane, PRICE, 1.0, document["device"]) for lane in document["lanes"])),
        "report": read((folder / "report.html").read_text(encoding="utf-8").partition("</style>")[2]),
        "history": read(history_markup.cards([entry], catalog, lambda _: None)),
        "method": " ".join(method(document)),
    }


def test_one_lanes_are_said_as_its_own(compared, catalog, tmp_path):
    document = compared(efficient=["fp8-weights", "step-cache"])
    said = shown(document, catalog, tmp_path)
    assert "at most 12 against 12 evaluations" in said["verdict"]
    assert f"efficient: {NAMES}" in said["verdict"] and f"efficient: {NAMES}" in said["history"]
    assert f"Switched on: {NAMES}" in said["numbers"]
    assert f"Switches none {NAMES}" in said["report"] and "Network evaluations 12 at most 12" in said["report"]
    assert f"Switched on for the efficient model: {NAMES}. A step cache skips" in said["method"]


def test_where_none_is_on_none_is_spoken_of(compared, catalog, tmp_path):
    for where, text in shown(compared(), catalog, tmp_path).items():
        assert not re.search("switch|cache skips|at most", text, re.IGNORECASE), where


def test_what_both_have_is_said_once(compared):
    verdict = read(markup.verdict(compared(efficient=["compile"], predecessor=["compile"])))
    assert "both: Compiled" in verdict and "efficient: Compiled" not in verdict


def test_a_sweep_says_what_all_of_its_pictures_have(catalog, engine):
    plan = plan_sweep(catalog, {"models": "old", "prompts": "a fox", "seeds": "7, 8", "switches": "compile"})
    cells = list(results(engine.run(list(plan.requests.values()))).values())
    kept = [Cell(place, cell_document(cell, PRICE), None) for place, cell in enumerate(cells)]
    assert "Switched on: Compiled." in method(sweep_document(head_document(plan, PRICE, "CPU"), kept))


def test_the_command_line_says_it_too(catalog, engine, capsys):
    requests = plan(catalog, catalog.pair("old:old"), "a fox", seed=7, switches={"efficient": ["compile"]})
    [made] = results(engine.run([requests["efficient"]])).values()
    tell("picture", generate_document(made, PRICE))
    assert "6 steps, 12 evaluations, Compiled" in capsys.readouterr().out
