"""What each cell of a sweep is compared with."""

from __future__ import annotations

import threading

import pytest

from pipeline import tradeoff as tradeoff_module
from pipeline.catalog import load_catalog
from pipeline.errors import Cancelled
from pipeline.events import disturbed
from pipeline.history import Entry, History
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.sweep import plan_sweep
from pipeline.sweep_run import Sweeps
from pipeline.tradeoff import best, compare_cells, left_to_compare, tradeoff
from tests.fakes import CATALOG
from tests.provider import CARDS


def drawn(sweeps: Sweeps, given: dict) -> tuple[Sweeps, Entry]:
    """A sweep that is drawn to its end, and not compared yet."""
    entry = sweeps.history.get(sweeps.start(plan_sweep(sweeps.catalog, given), load_prices().profile("36")))
    list(sweeps.run(entry))
    return sweeps, sweeps.history.get(entry.id)


def test_the_reference_has_no_switch_whatever_comes_first(catalog, engine, tmp_path):
    sweeps, entry = drawn(
        Sweeps(catalog, engine, History(tmp_path / "history")),
        {"models": "old, new", "switches": "fp8-weights, none", "prompts": "a fox", "seeds": "7"},
    )
    list(compare_cells(sweeps, entry))
    found = tradeoff(sweeps, entry)
    documents = {cell.place: cell.document for cell in sweeps.cells.of(entry.id)}
    [reference] = {cell.fidelity["reference"] for cell in sweeps.cells.of(entry.id) if cell.fidelity}
    assert (documents[reference]["model"], documents[reference]["switches"]) == ("old", [])
    assert found.chosen == "the picture with the most steps, then the fewest switches"
    assert found.models == ("Old", "New")
    assert {(point.model, point.runs) for point in found.points} == {("New", 1)}  # no pair says that Old shares its own


def test_the_settings_of_the_references_are_told_once_each(catalog, engine, tmp_path):
    sweeps, entry = drawn(
        Sweeps(catalog, engine, History(tmp_path / "history")),
        {"models": "new", "steps": "2, 4", "prompts": "a fox\na cat", "seeds": "7"},
    )
    assert tradeoff(sweeps, entry).references == ()  # nothing is compared with them yet
    list(compare_cells(sweeps, entry))
    found = tradeoff(sweeps, entry)
    assert (found.references, {point.setting for point in found.points}) == (("4 steps",), {"2 steps"})


def test_a_cell_that_was_disturbed_is_told_to_be_so(catalog, engine, backend, tmp_path):
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    given = {"models": "new", "steps": "1, 2, 3, 4", "prompts": "a fox\na cat", "seeds": "7"}
    entry = sweeps.history.get(sweeps.start(plan_sweep(catalog, given), load_prices().profile("36")))
    backend.denoise_s = [0.02, 0.04, 0.06, 0.08, 0.02, 1.0]
    list(sweeps.run(entry))
    entry = sweeps.history.get(entry.id)
    list(compare_cells(sweeps, entry))
    assert {point.place for point in tradeoff(sweeps, entry).points if point.disturbed} == {5}
    documents = [cell.document for cell in sweeps.cells.of(entry.id)]
    assert [place for place, document in enumerate(documents) if disturbed(document)] == [5]
    assert not disturbed({name: value for name, value in documents[5].items() if name != "usual_seconds"})  # older


def test_a_model_whose_steps_are_not_told_is_ranked_by_its_role(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG + CARDS.format(address="https://example.com"), encoding="utf-8")
    cards = load_catalog(path)
    grand, swift, old = (
        make_request(cards.model(model), "a fox", seed=7, width=64, height=64) for model in ("grand", "swift", "old")
    )
    assert best(cards, {0: swift, 1: grand}) == {0: 1, 1: 1}  # a predecessor, of whose steps nothing is known
    pairs = {name: pair for name, pair in cards.pairs.items() if name != "hosted"}
    without = cards.model_copy(update={"pairs": pairs})
    assert best(without, {0: grand, 1: swift}) == {0: 1, 1: 1}
    assert best(cards, {0: swift, 1: old}) == {0: 1, 1: 1}


@pytest.fixture
def swept(catalog, engine, tmp_path):
    """A sweep whose three pairs of pictures are not compared yet."""
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    given = {"models": "old, new", "prompts": "a fox\na cat\na hat", "steps": "2", "seeds": "7"}
    entry = sweeps.history.get(sweeps.start(plan_sweep(catalog, given), load_prices().profile("36")))
    list(sweeps.run(entry))
    return sweeps, sweeps.history.get(entry.id)


def test_each_comparison_takes_its_turn_in_the_line(swept, monkeypatch):
    """On the same cores it would be charged to somebody's model."""
    sweeps, entry = swept
    served = []
    monkeypatch.setattr(tradeoff_module, "fidelity", lambda *_: served.append(len(sweeps.engine.line)))
    assert len(sweeps.engine.line) == 0
    for _ in compare_cells(sweeps, entry):
        assert len(sweeps.engine.line) == 0  # whoever waits comes between
    assert served == [1, 1, 1] and len(sweeps.engine.line) == 0


def test_whoever_is_before_it_is_waited_for_and_stop_is_heard_meanwhile(swept):
    sweeps, entry = swept
    ticket, stop = sweeps.engine.line.join(), threading.Event()
    comparing = compare_cells(sweeps, entry, stop)
    assert next(comparing) == (0, 3)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Cancelled, match="What is done stays"):
        next(comparing)
    assert left_to_compare(sweeps, entry) == 3 and len(sweeps.engine.line) == 1
    ticket.leave()


def test_what_is_not_compared_yet_is_not_what_cannot_be(swept):
    sweeps, entry = swept
    comparing = compare_cells(sweeps, entry)
    assert [next(comparing), next(comparing)] == [(0, 3), (1, 3)]
    comparing.close()
    found = tradeoff(sweeps, entry)
    assert (len(found.points), found.apart, left_to_compare(sweeps, entry)) == (1, 0, 2)
    gone = next(
        place
        for place, at in tradeoff_module.references(sweeps.catalog, sweeps.plan(entry).requests).items()
        if place != at and place not in {point.place for point in found.points}
    )
    entry.files[gone].unlink()
    assert (tradeoff(sweeps, entry).apart, left_to_compare(sweeps, entry)) == (1, 1)
    assert list(compare_cells(sweeps, entry)) == [(0, 1)] and left_to_compare(sweeps, entry) == 0
