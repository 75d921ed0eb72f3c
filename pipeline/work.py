"""What one hold of the device does: load, warm and run every lane's pictures. Knows no lock, no cache and no reader.

An order is plain data, so that it can be carried out in another process too (see zerogpu.py).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from pipeline.backends import Backend, How, Made
from pipeline.catalog import Catalog
from pipeline.errors import BatchTooLarge, Cancelled, ModelError, PlaygroundError
from pipeline.events import Done, Event, Loading, Result, Step
from pipeline.request import ImageRequest, key_of
from pipeline.throughput import ROUNDS, SIZES, WARM_STEPS, Batch, pays
from pipeline.timing import Timings

Tell = Callable[[Event], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """``lanes`` of ``requests`` that are to be made, each ``repeat`` times; 0: only loaded and warmed.

    ``throughput``: then find out how many pictures a minute each lane makes. ``joined``: time.monotonic() when it was
    asked for; what passes until the device begins is waiting. ``anew``: no prompt embeddings that were made before.
    """

    requests: tuple[ImageRequest, ...]
    lanes: tuple[int, ...]
    repeat: int
    previews: bool
    throughput: bool
    joined: float
    anew: bool = False

    @property
    def measurement(self) -> bool:
        """Measure everything, every time: nothing is reused."""
        return self.repeat > 1 or self.throughput


CarryOut = Callable[[Order, Tell, threading.Event], None]


class Rounds:
    """What a measurement has so far. It ends with the last round in which every lane had its turn, so that all have
    equally many runs; without one, with what there is."""

    def __init__(self, lanes: Sequence[int]):
        self.latest: dict[int, Result] = {}
        self._lanes = lanes
        self._whole: dict[int, Result] = {}

    def add(self, lane: int, result: Result) -> None:
        """``result`` has the lane's runs up to now."""
        self.latest[lane] = result
        if len({len(each.runs) for each in self.latest.values()}) == 1 and len(self.latest) == len(self._lanes):
            self._whole = dict(self.latest)

    @property
    def whole(self) -> int:
        """How many rounds are whole."""
        return min((len(result.runs) for result in self._whole.values()), default=0)

    def results(self) -> dict[int, Result]:
        """By lane, what the measurement ends with."""
        return self._whole or self.latest


def failure() -> PlaygroundError:
    """Of an error in a library, while it is handled: the log gets the traceback, the page one sentence."""
    log.exception("a run failed")
    return PlaygroundError("The run failed inside the model's code; the log says where. Try other settings.")


def carry_out(catalog: Catalog, backend: Backend, order: Order, tell: Tell, stop: threading.Event) -> None:
    """Do it, and tell every event. Raises PlaygroundError; Cancelled once ``stop`` is set."""
    _Work(catalog, backend, order, tell, stop).run()


class _Work:
    def __init__(self, catalog: Catalog, backend: Backend, order: Order, tell: Tell, stop: threading.Event):
        self._catalog, self._backend, self._order = catalog, backend, order
        self._tell, self._stop = tell, stop
        self._wait_s = time.monotonic() - order.joined
        self._load_s = dict.fromkeys(order.lanes, 0.0)
        self._made = Rounds(order.lanes)
        paid = any(catalog.model(order.requests[lane].model).hosted for lane in order.lanes)
        self._paid_measurement = paid and order.repeat > 1

    def run(self) -> None:
        if not self._order.repeat:
            for lane in self._order.lanes:
                self._prepare(lane)
        ended: str | None = None
        batches: dict[int, tuple[Batch, ...]] = {}
        try:
            try:
                self._rounds()
            except ModelError as error:
                # What was drawn is paid and stays: a provider that fails in a later round ends the measurement with the
                # rounds that are whole. Nothing is asked for again, as what broke off can have been paid, too.
                if not (self._paid_measurement and self._made.whole):
                    raise
                ended = f"The measurement ended after {self._made.whole} of {self._order.repeat} runs a model: {error}"
                log.warning("%s", ended)
            if self._order.throughput:
                batches = self._throughput()
        finally:  # however a measurement ended, its whole rounds are there and can be kept
            if self._order.measurement:
                for lane, result in self._made.results().items():
                    hosted = result.hosted and result.hosted.model_copy(update={"cut_short": ended})
                    whole = replace(result, hosted=hosted, batches=batches.get(lane, ()))
                    self._tell(Done(lane, whole, True))

    def _rounds(self) -> None:
        for run in range(1, self._order.repeat + 1):
            for lane in self._turn(self._order.lanes, run):
                self._picture(lane, run)

    @staticmethod
    def _turn(lanes: Sequence[int], run: int) -> Sequence[int]:
        """Lanes take turns to be first, so that a machine that slows down slows both."""
        return lanes if run % 2 else lanes[::-1]

    def _prepare(self, lane: int) -> None:
        requests = self._order.requests
        begin = time.perf_counter()

        def on_part(part: str, done: int, total: int) -> None:
            self._end_if_stopped()
            self._tell(Loading(lane, part, done, total))

        self._end_if_stopped()
        self._backend.prepare(
            self._catalog.model(requests[lane].model),
            requests[lane],
            keep=frozenset(key_of(requests[other]) for other in self._order.lanes),
            on_part=on_part,
        )
        self._load_s[lane] += time.perf_counter() - begin

    def _end_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The run was stopped.")

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
        made = self._make(lane, run, request, How(order.previews, reuse=not (order.measurement or order.anew)))
        timings = Timings(wait=self._wait_s, load=self._load_s[lane], **made.seconds)
        identity = self._backend.identity(card)
        before = self._made.latest.get(lane)
        result = Result(
            request=request,
            image=made.image,
            runs=(*(before.runs if before else ()), timings),
            evaluations=None if card.hosted else card.evaluations(request.steps, request.guidance),
            device=identity.device,
            dtype=identity.dtype,
            revision=identity.revision,
            versions=identity.versions,
            warm=None if card.hosted else True,  # prepare() never leaves a model of ours cold
            cache="miss",
            encode_cached=made.encode_cached,
            previews=order.previews and not card.hosted,
            peak_memory_bytes=made.peak_memory_bytes,
            reading=made.reading,
            hosted=made.hosted,
        )
        self._made.add(lane, result)
        self._tell(Done(lane, result, final=not order.measurement))  # a measurement's are told as final at its end

    def _throughput(self) -> dict[int, tuple[Batch, ...]]:
        """By lane: batches of growing size, until a larger one does not pay or cannot be made."""
        found: dict[int, tuple[Batch, ...]] = dict.fromkeys(self._order.lanes, ())
        going = self._order.lanes
        for turn, size in enumerate(SIZES, 1):
            # All calls of one lane in a row: where both models have no room together, each change loads one anew.
            for lane in self._turn(going, turn):
                with contextlib.suppress(BatchTooLarge):
                    found[lane] += (self._batch(lane, size),)
            going = tuple(lane for lane in going if len(found[lane]) == turn and pays(found[lane]))
        return found

    def _batch(self, lane: int, size: int) -> Batch:
        """One size of one lane: a short call that warms, then the timed ones. Raises BatchTooLarge."""
        request = self._order.requests[lane]
        try:
            self._make(lane, 0, request.model_copy(update={"steps": WARM_STEPS}), How(batch=size, kept=False), size)
            made = [
                self._make(lane, call, request, How(reuse=False, batch=size), size) for call in range(1, ROUNDS + 1)
            ]
        except PlaygroundError:
            raise
        except Exception as error:
            if size == 1:
                raise
            log.exception("%s of %s at once failed", size, request.model)
            raise BatchTooLarge(f"{request.model} fails with {size} pictures at once; the log says how.") from error
        seconds = (_together(each.seconds, size) for each in made)
        peaks = [each.peak_memory_bytes for each in made if each.peak_memory_bytes is not None]
        return Batch(size, tuple(seconds), max(peaks, default=None))


def _together(seconds: Mapping[str, float], size: int) -> float:
    """Of one call for ``size`` pictures, each of which has a prompt of its own to encode. A class that tells no steps
    has no decode: all of its call is denoise."""
    return size * seconds.get("encode", 0.0) + seconds.get("denoise", 0.0) + seconds.get("decode", 0.0)
