"""kill -9 in the middle of a sweep loses no cell that was told as done: fifty times out of fifty, and it goes on."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.engine import Engine
from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.sweep import plan_sweep
from pipeline.sweep_run import Kept, Sweeps
from tests.fakes import CountingBackend, draw
from tests.kills import KILLS, catalog_file, killed

SWEEPS = 12
"""Of 400 cells each: more than all children together can make."""


def sweeps_of(catalog: Path, folder: Path) -> Sweeps:
    known = load_catalog(catalog)
    return Sweeps(known, Engine(known, CountingBackend()), History(folder))


def go_on(catalog: Path, folder: Path, entries: list[str], told: Connection) -> None:
    """A process that goes on with the sweeps and tells each cell when it is done, until it is killed."""
    sweeps = sweeps_of(catalog, folder)
    for entry in entries:
        for event in sweeps.run(sweeps.history.get(entry)):
            if isinstance(event, Kept):
                told.send((entry, event.cell.place))


def test_fifty_kills_lose_no_cell_that_was_told_as_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    catalog, folder = catalog_file(tmp_path), tmp_path / "history"
    sweeps = sweeps_of(catalog, folder)
    plan = plan_sweep(sweeps.catalog, {"models": ["new"], "prompts": "a red apple", "seeds": "1..200", "steps": "1, 2"})
    entries = [sweeps.start(plan, load_prices().profile("hf-l4")) for _ in range(SWEEPS)]
    done: list[tuple[str, int]] = []
    for told in killed(monkeypatch, go_on, catalog, folder, entries):
        done += told
        assert all(place in sweeps.cells.places(entry) for entry, place in told)
    assert len(set(done)) == len(done)  # nothing is made twice
    history = History(folder)
    kept = {entry: history.get(entry) for entry in entries}
    assert all(place in kept[entry].files for entry, place in done)
    made = sum(len(entry.files) for entry in kept.values())
    assert len(done) <= made <= len(done) + KILLS  # a child may die between keeping and telling
    for entry in kept.values():
        assert set(sweeps.left(entry)) == set(plan.requests) - set(entry.files)
        for place, result in history.results(entry).items():
            assert result.image.tobytes() == draw(plan.requests[place]).tobytes()
    print(f"{KILLS} kills, {len(done)} cells told, {made} kept")
