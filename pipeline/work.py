"""What one hold of the device does: load, warm and run every lane's pictures. Knows no lock, no cache and no reader.

An order is plain data, so that it can be carried out in another process too (see zerogpu.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from pipeline.backends import Backend, key_of
from pipeline.catalog import Catalog
from pipeline.errors import Cancelled
from pipeline.events import Done, Event, Loading, Result, Step
from pipeline.request import ImageRequest
from pipeline.timing import Timings

Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Order:
    """``lanes`` of ``requests`` that are to be made, each ``repeat`` times; 0: only loaded and warmed.

    ``joined``: time.monotonic() when it was asked for; what passes until the device begins is waiting.
    """

    requests: tuple[ImageRequest, ...]
    lanes: tuple[int, ...]
    repeat: int
    previews: bool
    joined: float


def carry_out(catalog: Catalog, backend: Backend, order: Order, tell: Tell, stop: threading.Event) -> None:
    """Do it, and tell every event. Raises PlaygroundError; Cancelled once ``stop`` is set."""
    _Work(catalog, backend, order, tell, stop).run()


class _Work:
    def __init__(self, catalog: Catalog, backend: Backend, order: Order, tell: Tell, stop: threading.Event):
        self._catalog, self._backend, self._order = catalog, backend, order
        self._tell, self._stop = tell, stop
        self._wait_s = time.monotonic() - order.joined
        self._load_s = dict.fromkeys(order.lanes, 0.0)
        self._results: dict[int, Result] = {}

    def run(self) -> None:
        lanes, repeat = self._order.lanes, self._order.repeat
        if not repeat:
            for lane in lanes:
                self._prepare(lane)
        for run in range(1, repeat + 1):
            for lane in lanes if run % 2 else reversed(lanes):
                self._make(lane, run)

    def _prepare(self, lane: int) -> None:
        if self._stop.is_set():
            raise Cancelled("The run was stopped.")
        requests = self._order.requests
        begin = time.perf_counter()
        self._backend.prepare(
            self._catalog.model(requests[lane].model),
            requests[lane],
            keep=frozenset(key_of(requests[other]) for other in self._order.lanes),
            on_part=lambda part, done, total: self._tell(Loading(lane, part, done, total)),
        )
        self._load_s[lane] += time.perf_counter() - begin

    def _make(self, lane: int, run: int) -> None:
        self._prepare(lane)
        request, repeat = self._order.requests[lane], self._order.repeat
        card = self._catalog.model(request.model)
        begin = time.perf_counter()

        def on_step(i: int, n: int, preview: Image.Image | None) -> None:
            self._tell(Step(lane, run, i, n, time.perf_counter() - begin, preview))

        made = self._backend.make(
            card,
            request,
            previews=self._order.previews,
            reuse=repeat == 1,  # a measurement measures everything, every time
            on_step=on_step,
            stop=self._stop,
        )
        timings = Timings(wait=self._wait_s, load=self._load_s[lane], **made.seconds)
        identity = self._backend.identity(card)
        before = self._results.get(lane)
        result = Result(
            request=request,
            image=made.image,
            runs=(*(before.runs if before else ()), timings),
            evaluations=card.evaluations(request.steps, request.guidance),
            device=identity.device,
            dtype=identity.dtype,
            revision=identity.revision,
            versions=identity.versions,
            warm=True,  # prepare() never leaves a model cold
            cache="miss",
            encode_cached=made.encode_cached,
            previews=self._order.previews,
            peak_memory_bytes=made.peak_memory_bytes,
        )
        self._results[lane] = result
        self._tell(Done(lane, result, run == repeat))
