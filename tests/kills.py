"""kill -9 at random moments, again and again: whatever a child process had told before its end must be found kept."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from pipeline.cards import ASSETS
from tests.fakes import CATALOG

KILLS = 50
LONGEST_S = 0.25


def catalog_file(folder: Path) -> Path:
    """The fakes' catalogue, for a process of its own."""
    path = folder / "catalog.toml"
    path.write_text(CATALOG, encoding="utf-8")
    return path


def killed(patch: pytest.MonkeyPatch, child: Callable[..., None], *args: Any) -> Iterator[list[Any]]:
    """Run ``child(*args, told)`` and kill it within a moment of its first word, :data:`KILLS` times. Yields after each
    what it had told, which is never nothing."""
    # A server that has imported everything once and forks: fifty children start in the time of one.
    patch.setenv("PYTHONPATH", str(ASSETS.parent))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.history", "pipeline.engine", "pipeline.playground", "tests.fakes"])
    chance = random.Random(7)
    for _ in range(KILLS):
        listening, telling = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(*args, telling), daemon=True)
        process.start()
        telling.close()
        assert listening.poll(60), "it never told anything"
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(process.pid, signal.SIGKILL)
        told = _heard(listening)
        process.join()
        assert told
        yield told


def _heard(told: Connection) -> list[Any]:
    found = []
    while True:
        try:
            found.append(told.recv())
        except EOFError:
            return found
