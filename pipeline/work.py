"""What one hold of the device does: load, warm and run every lane's pictures. Knows no lock, no cache and no reader.

An order is plain data, so that it can be carried out in another process too (see zerogpu.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from pipeline.backends import Backend, How, Made, key_of
from pipeline.catalog import Catalog
from pipeline.errors import BatchTooLarge, Cancelled
from pipeline.events import Done, Event, Loading, Result, Step
from pipeline.request import ImageRequest
from pipeline.throughput import ROUNDS, SIZES, Batch, pays
from pipeline.timing import Timings

Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Order:
    """``lanes`` of ``requests`` that are to be made, each ``repeat`` times; 0: only loaded and warmed.

    ``throughput``: then find out how many pictures a minute each lane makes. ``joined``: time.monotonic() when it was
    asked for; what passes until the device begins is waiting.
    """

    requests: tuple[ImageRequest, ...]
    lanes: tuple[int, ...]
    repeat: int
    previews: bool
    throughput: bool
    joined: float

    @property
    def measurement(self) -> bool:
        """Measure everything, every time: nothing is reused."""
        return self.repeat > 1 or self.throughput


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
            for lane in self._turn(lanes, run):
                self._picture(lane, run)
        if self._order.throughput:
            self._throughput()
            for lane in lanes:
                self._tell(Done(lane, self._results[lane], True))

    @staticmethod
    def _turn(lanes: Sequence[int], run: int) -> Sequence[int]:
        """Lanes take turns to be first, so that a machine that slows down slows both."""
        return lanes if run % 2 else lanes[::-1]

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

    def _make(self, lane: int, run: int, request: ImageRequest, how: How, batch: int | None = None) -> Made:
        """One call of the backend, its steps told."""
        self._prepare(lane)
        begin = time.perf_counter()

        def on_step(i: int, n: int, preview: Image.Image | None) -> None:
            self._tell(Step(lane, run, i, n, time.perf_counter() - begin, preview, batch))

        return self._backend.make(self._catalog.model(request.model), request, how, on_step, self._stop)

    def _picture(self, lane: int, run: int) -> None:
        order = self._order
        request, card = order.requests[lane], self._catalog.model(order.requests[lane].model)
        made = self._make(lane, run, request, How(order.previews, reuse=not order.measurement))
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
            previews=order.previews,
            peak_memory_bytes=made.peak_memory_bytes,
        )
        self._results[lane] = result
        self._tell(Done(lane, result, run == order.repeat and not order.throughput))

    def _throughput(self) -> None:
        """Batches of growing size, lanes in turn, until a larger one does not pay or does not fit."""
        going = self._order.lanes
        for size in SIZES:
            calls: dict[int, list[Made]] = {}
            for lane in going:
                # Where not even the first of a size can be made, the lane's sizes end with the one before.
                with contextlib.suppress(BatchTooLarge):
                    short = self._order.requests[lane].model_copy(update={"steps": 2})
                    self._make(lane, 0, short, How(batch=size), size)
                    calls[lane] = []
            for turn in range(1, ROUNDS + 1):
                for lane in self._turn(tuple(calls), turn):
                    with contextlib.suppress(BatchTooLarge):
                        request = self._order.requests[lane]
                        calls[lane].append(self._make(lane, turn, request, How(reuse=False, batch=size), size))
            for lane, made in calls.items():
                if len(made) == ROUNDS:
                    before = self._results[lane]
                    self._results[lane] = replace(before, batches=(*before.batches, _batch(size, made)))
            going = tuple(lane for lane in calls if len(calls[lane]) == ROUNDS and pays(self._results[lane].batches))


def _batch(size: int, made: Sequence[Made]) -> Batch:
    seconds = tuple(size * each.seconds["encode"] + each.seconds["denoise"] + each.seconds["decode"] for each in made)
    peaks = [each.peak_memory_bytes for each in made if each.peak_memory_bytes is not None]
    return Batch(size, seconds, max(peaks, default=None))
