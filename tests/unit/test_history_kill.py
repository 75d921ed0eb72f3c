"""kill -9 at any moment loses nothing that was told as kept, and leaves nothing half-kept: fifty times out of fifty."""

from __future__ import annotations

import os
import random
import secrets
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.engine import Engine
from pipeline.events import final_results
from pipeline.history import History
from pipeline.request import make_request
from tests.fakes import CountingBackend, draw
from tests.kills import KILLS, catalog_file, killed


def keep_on(catalog: Path, folder: Path, told: Connection) -> None:
    """A process that makes pictures and keeps them, and tells each entry when it is kept, until it is killed."""
    engine = Engine(load_catalog(catalog), CountingBackend())
    history = History(folder)
    seed = random.randrange(10**9)
    while True:
        seed += 1
        cards = [engine.catalog.model(model) for model in ("old", "new")]
        results = final_results(engine.run([make_request(card, "a red apple", seed=seed) for card in cards]))
        told.send((history.add("comparison", {"seed": seed}, results), seed))


def test_fifty_kills_lose_nothing_that_was_told_as_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "history"
    kept: dict[str, int] = {}
    for told in killed(monkeypatch, keep_on, catalog_file(tmp_path), folder):
        kept |= told
        history = History(folder)
        for entry, seed in told:
            check(history, entry, seed)
    everything = {entry.id: entry for entry in History(folder).find(limit=100_000)}
    assert kept.keys() <= everything.keys()
    assert len(everything) - len(kept) <= KILLS  # a child may die between keeping and telling
    for entry in everything.values():
        check(history, entry.id, entry.document["seed"])
    print(f"{KILLS} kills, {len(kept)} entries told, {len(everything)} kept")


def check(history: History, entry: str, seed: int) -> None:
    """The entry is there, whole, with the very pictures."""
    found = history.get(entry)
    results = history.results(found)
    assert sorted(results) == [0, 1] and found.document == {"seed": seed}
    for result in results.values():
        assert result.request.seed == seed
        assert result.image.tobytes() == draw(result.request).tobytes()


def test_what_a_kill_leaves_behind_goes_later(tmp_path: Path):
    """Files without a row are left by an end in the middle; an hour later the next start removes them."""
    history = History(tmp_path)
    draft = tmp_path / "pictures" / f"{secrets.token_hex(8)}.tmp"
    draft.write_bytes(b"\x89PNG")
    os.utime(draft, (time.time() - 7200,) * 2)
    History(tmp_path)
    assert not draft.exists() and history.find() == []
