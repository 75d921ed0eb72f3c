"""Eight visitors at once on one engine, some of whom go away: does the lock cost anything, and does it hold?

Each visitor makes ``runs`` comparisons, one after another; about a third are cancelled, while waiting or while
drawing. Throughput is denoising steps per second, cancelled runs' steps included, against the same comparisons made
by one visitor to their ends. ``peak_overlap`` counts uses of the device at the same time: anything but 1 is a broken
lock. Fewer steps than usual: the subject is the line, not the models. Leaves out HTTP and Gradio's own queue.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from typing import Any

from pipeline.backends import Backend, How, Made, OnPart, OnStep
from pipeline.bench.common import DEFAULT, Subject, playground, requests, spread
from pipeline.cards import ModelCard
from pipeline.engine import Engine
from pipeline.events import Done, final_results
from pipeline.playground import Playground
from pipeline.request import ImageRequest, Key

VISITORS = 8
STEPS = {"predecessor": 6, "efficient": 4}


class Counted:
    """A backend that counts its users and their steps."""

    def __init__(self, backend: Backend):
        self._backend = backend
        self._lock = threading.Lock()
        self._using = 0
        self.peak = 0
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @contextmanager
    def _use(self):
        with self._lock:
            self._using += 1
            self.peak = max(self.peak, self._using)
        try:
            yield
        finally:
            with self._lock:
                self._using -= 1

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        with self._use():
            self._backend.prepare(card, request, keep, on_part)

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        def counted(*args: Any) -> None:
            self.steps += 1
            on_step(*args)

        with self._use():
            return self._backend.make(card, request, how, counted, stop)


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Eight visitors with random cancels: throughput, overlap, waiting."""
    with playground(subject) as opened:
        backend = Counted(opened.engine.backend)
        engine = Engine(opened.catalog, backend)
        list(engine.warm_up(list(requests(opened, steps=STEPS).values())))

        begin = time.perf_counter()
        for turn in range(runs):
            final_results(engine.run(list(requests(opened, seed=turn, steps=STEPS).values())))
        serial = backend.steps / (time.perf_counter() - begin)

        backend.steps, waits = 0, []
        threads = [
            threading.Thread(target=_visit, args=(opened, engine, random.Random(number), runs, waits))
            for number in range(VISITORS)
        ]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.idle(60)
        together = backend.steps / (time.perf_counter() - begin)
        device = backend.device().name
    return {
        "device": device,
        "visitors": VISITORS,
        "comparisons": VISITORS * runs,
        "finished": len(waits),
        "peak_overlap": backend.peak,
        "steps_per_s_serial": serial,
        "steps_per_s_together": together,
        "throughput_ratio": together / serial,
        **(spread("wait_s", waits) if waits else {}),
    }


def _visit(opened: Playground, engine: Engine, dice: random.Random, runs: int, waits: list[float]) -> None:
    """One visitor: ``runs`` comparisons, of which about a third are left at a random event."""
    for _ in range(runs):
        lanes = list(requests(opened, seed=dice.randrange(2**31), steps=STEPS).values())
        patience = dice.randrange(1, 8) if dice.random() < 1 / 3 else None
        events = engine.run(lanes)
        for seen, event in enumerate(events, 1):
            if seen == patience:
                events.close()
                break
            if isinstance(event, Done) and event.final and event.lane == len(lanes) - 1:
                waits.append(event.result.timings.wait)
