"""kill -9 at any moment loses nothing that was told as kept, and leaves nothing half-kept: fifty times out of fifty."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.catalog import ASSETS, load_catalog
from pipeline.engine import Engine
from pipeline.events import final_results
from pipeline.history import History
from pipeline.request import make_request
from tests.fakes import CATALOG, CountingBackend, draw

KILLS = 50
LONGEST_S = 0.25


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


def heard(told: Connection) -> list[tuple[str, int]]:
    """Everything that was told before the end."""
    found = []
    while True:
        try:
            found.append(told.recv())
        except EOFError:
            return found


def test_fifty_kills_lose_nothing_that_was_told_as_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG, encoding="utf-8")
    folder = tmp_path / "history"
    # A server that has imported everything once and forks: fifty children start in the time of one.
    monkeypatch.setenv("PYTHONPATH", str(ASSETS.parent))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.history", "pipeline.engine", "tests.fakes"])
    chance = random.Random(7)
    kept: dict[str, int] = {}
    for _ in range(KILLS):
        listening, telling = context.Pipe(duplex=False)
        child = context.Process(target=keep_on, args=(catalog, folder, telling), daemon=True)
        child.start()
        telling.close()
        assert listening.poll(60)  # it has kept its first
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(child.pid, signal.SIGKILL)
        told = heard(listening)
        child.join()
        assert told
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
    draft = tmp_path / "pictures" / "half.tmp"
    draft.write_bytes(b"\x89PNG")
    os.utime(draft, (time.time() - 7200,) * 2)
    History(tmp_path)
    assert not draft.exists() and history.find() == []
