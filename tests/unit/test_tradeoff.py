"""What each cell of a sweep is compared with."""

from __future__ import annotations

from pipeline.catalog import load_catalog
from pipeline.cost import load_prices
from pipeline.history import History
from pipeline.request import make_request
from pipeline.sweep import plan_sweep
from pipeline.sweep_run import Sweeps
from pipeline.tradeoff import best, compare_cells, tradeoff
from tests.fakes import CATALOG
from tests.provider import CARDS


def test_the_reference_has_no_switch_whatever_comes_first(catalog, engine, tmp_path):
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    given = {"models": "old, new", "switches": "fp8-weights, none", "prompts": "a fox", "seeds": "7"}
    entry = sweeps.history.get(sweeps.start(plan_sweep(catalog, given), load_prices().profile("36")))
    list(sweeps.run(entry))
    entry = sweeps.history.get(entry.id)
    list(compare_cells(sweeps, entry))
    found = tradeoff(sweeps, entry)
    documents = {cell.place: cell.document for cell in sweeps.cells.of(entry.id)}
    [reference] = found.references
    assert (documents[reference]["model"], documents[reference]["switches"]) == ("old", [])
    assert found.chosen == "the picture with the most steps, then the fewest switches"
    assert found.models == ("Old", "New")
    assert {(point.model, point.runs) for point in found.points} == {("New", 1)}  # no pair says that Old shares its own


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
