"""Engine: takes requests, yields events. Knows nothing of Gradio, of HTTP or of money.

``Engine.run`` is a generator, so previews, progress, cancel and the command line all have one shape. The work itself
is done by one device thread, which alone gives the lock back, when the device is really idle: closing the generator
early (a closed tab, a pressed Stop) only sets a flag that the run sees before its next step.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from pipeline import __version__, zerogpu
from pipeline.backends import Backend
from pipeline.caches import ImageCache, recipe_key
from pipeline.catalog import Catalog
from pipeline.desk import Desk, Job
from pipeline.device import on_zerogpu
from pipeline.errors import Cancelled, InputError, PlaygroundError
from pipeline.estimate import LOADED_S, Estimate, Estimator
from pipeline.events import Done, Event, Result
from pipeline.lock import Line
from pipeline.recipe import recipe_of, result_from_recipe
from pipeline.request import REPEAT_MAX, ImageRequest, key_of, whole, yes_or_no
from pipeline.throughput import check_local, pictures
from pipeline.work import Order, Tell, carry_out

DECIDE_PIXELS = {"pipeline", "call", "scheduler", "variant", "replace", "lora"}
"""Of a card, beside what its weights are."""


class Engine:
    """Runs requests on one backend, one at a time, in the order they came. Safe to use from any thread."""

    def __init__(self, catalog: Catalog, backend: Backend, images: ImageCache | None = None, line: Line | None = None):
        self.catalog = catalog
        self.backend = backend
        self.images = images
        self.line = Line() if line is None else line
        self._estimator = Estimator()
        self._joining = threading.Lock()
        self._jobs: WeakSet[Job] = WeakSet()
        lent = zerogpu.lent(self._carry_out, self._lent_seconds) if on_zerogpu() else self._carry_out
        self._device = Desk("device", self.line, lent)
        # What needs no device of ours has a line of its own: nobody shall wait for the device while a provider draws.
        self._providers = Desk("providers", Line(), self._carry_out)

    def estimate(self, request: ImageRequest) -> Estimate:
        """Seconds for one picture on a warm model, and where the figure comes from."""
        return self._estimator.estimate(self.catalog.model(request.model), request)

    def run(
        self,
        requests: Sequence[ImageRequest],
        *,
        repeat: object = 1,
        throughput: object = False,
        previews: bool = False,
        use_cache: bool = True,
        stop: threading.Event | None = None,
        settled: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Make one picture a request (a lane), each ``repeat`` times, in one hold of the lock.

        Without ``use_cache`` nothing is reused, neither pictures nor the embeddings of their prompts.
        With ``repeat`` > 1 the order alternates, the picture cache is not read and previews are off: that is a
        measurement. So is ``throughput``, which then also finds out how many pictures a minute each lane makes. Setting
        ``stop`` cancels from outside, as closing the generator does from inside; it is set anyway once the run has
        ended. ``settled``: what the caller sets when all is done that needs the pictures (fidelity, files); without
        it that is when the events are read to the end. The next in line is drawn only then, or after ``SETTLE_S``, for
        on the same cores it would be charged to the caller's model.
        A provider that fails after the first of several runs ends the measurement early: every lane then has as many
        runs as the others, and what is known of the provider's call says why (``cut_short``).
        Raises PlaygroundError (InputError at once; ModelError, BusyError, Cancelled while running).
        """
        repeat = whole("repeat", repeat, 1, REPEAT_MAX)
        throughput = yes_or_no("throughput", throughput)
        if throughput:
            check_local(self.catalog.model(request.model) for request in requests)
        single = repeat == 1 and not throughput
        how = {"repeat": repeat, "throughput": throughput, "previews": previews and single, "anew": not use_cache}
        stop = stop or threading.Event()
        return _while_heard(self._run(tuple(requests), how, use_cache and single, stop, settled), stop)

    def warm_up(self, requests: Sequence[ImageRequest]) -> Iterator[Event]:
        """Load and warm the models of ``requests``, in line like everybody else; makes no picture."""
        how = {"repeat": 0, "throughput": False, "previews": False}
        stop = threading.Event()
        return _while_heard(self._hold(self._device, tuple(requests), tuple(range(len(requests))), how, stop), stop)

    def idle(self, timeout: float) -> bool:
        """Wait until nothing runs or waits; False if that takes longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        lines = self._device.line, self._providers.line
        while any(map(len, lines)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not any(map(len, lines))

    def close(self) -> None:
        """End what runs before its next step, and what waits at once, so that the process can end: the interpreter
        waits for the device thread and for all that was handed to it."""
        with self._joining:
            for job in self._jobs:
                job.stop()
            for desk in (self._device, self._providers):
                desk.thread.shutdown(wait=False, cancel_futures=True)

    def _carry_out(self, order: Order, tell: Tell, stop: threading.Event) -> None:
        carry_out(self.catalog, self.backend, order, tell, stop)

    def _seconds(self, order: Order) -> float:
        """What an order will take of the device, about, if the throughput is measured to its end."""
        total = 0.0
        for request in (order.requests[lane] for lane in order.lanes):
            drawn = pictures(request.steps, max(1, order.repeat), order.throughput)
            total += drawn * self.estimate(request).seconds
        return total

    def _loading(self, order: Order) -> float:
        """What it will have to load before, about: pipelines that have been loaded here and are not there now."""
        known = ((key, self._estimator.loading(key)) for key in (key_of(order.requests[lane]) for lane in order.lanes))
        return sum(seconds for key, seconds in known if seconds and not self.backend.holds(key))

    def _lent_seconds(self, order: Order) -> float:
        """The same where every call begins with what was placed: all else has to be loaded in it."""
        models = {order.requests[lane].model for lane in order.lanes} - self.backend.placed
        return self._seconds(order) + zerogpu.loading(sum(self.catalog.model(each).weight_bytes for each in models))

    def _run(
        self,
        requests: tuple[ImageRequest, ...],
        how: Mapping[str, Any],
        use_cache: bool,
        stop: threading.Event,
        settled: threading.Event | None,
    ) -> Iterator[Event]:
        lanes = []
        for lane, request in enumerate(requests):
            found = self._cached(request) if use_cache else None
            if found is None:
                lanes.append(lane)
            else:
                yield Done(lane, found, final=True)
        # What runs here and what providers draw are orders of their own, each at its desk, one after the other.
        desks = list(dict.fromkeys(self._desk(requests[lane]) for lane in lanes))
        if how["repeat"] > 1:  # providers first: if one of them ends it early, this machine draws no more often
            desks.sort(key=lambda desk: desk is self._device)
        for desk in desks:
            its = tuple(lane for lane in lanes if self._desk(requests[lane]) is desk)
            with contextlib.closing(self._hold(desk, requests, its, how, stop, settled)) as events:
                for event in events:
                    if isinstance(event, Done) and event.final:
                        how = {**how, "repeat": len(event.result.runs)}
                    yield event

    def _hold(
        self,
        desk: Desk,
        requests: tuple[ImageRequest, ...],
        lanes: tuple[int, ...],
        how: Mapping[str, Any],
        stop: threading.Event,
        settled: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Join the line, hand the work to the device thread, pass its events on. ``how``: further fields of Order."""
        order = Order(requests, lanes, joined=time.monotonic(), **how)
        # The visitor's own context: on a lent GPU their quota is read out of it.
        context = contextvars.copy_context()
        # Joined and handed over in one go, so that the device thread serves in the order of the line, and no reader
        # who has stopped reading holds up those behind.
        with self._joining:
            ticket = desk.line.join(self._seconds(order) + self._loading(order))
            job = Job(desk, order, ticket, stop, settled or threading.Event(), self._learner())
            try:
                desk.thread.submit(context.run, job.work)
            except RuntimeError:  # closed
                job.abandon()
                raise Cancelled("Diptych was ended.") from None
            self._jobs.add(job)
        try:
            yield from job.events()
        finally:
            job.abandon()
            if settled is None:
                job.settled.set()

    def _desk(self, request: ImageRequest) -> Desk:
        return self._providers if self.catalog.model(request.model).hosted else self._device

    def is_cached(self, request: ImageRequest) -> bool:
        """Whether the picture cache has it, as far as can be told without reading it."""
        with contextlib.suppress(PlaygroundError):
            return self.images is not None and self._key(request) in self.images
        return False

    def _cached(self, request: ImageRequest) -> Result | None:
        if self.images is None:
            return None
        found = self.images.get(self._key(request))
        if found is None:
            return None
        with contextlib.suppress(InputError):  # written by another version: as good as absent
            return result_from_recipe(*found, cache="hit")
        return None

    def _keep(self, result: Result) -> None:
        """Put a finished picture into the cache, if there is one."""
        if self.images is not None:
            self.images.put(self._key(result.request), result.image, recipe_of(result))

    def _learner(self) -> Callable[[Event], Event]:
        """Of one order: learns from what was made, and gives every event as the reader gets it."""
        learned: dict[int, int] = {}  # by lane: of how many runs
        usual: dict[int, float | None] = {}  # by lane: what was usual before this order

        def told(event: Event) -> Event:
            if not isinstance(event, Done):
                return event
            runs = len(event.result.runs)
            if event.lane not in usual:
                usual[event.lane] = self._usual(event.result)
            event = replace(event, result=replace(event.result, usual_s=usual[event.lane]))
            if runs > learned.get(event.lane, 0):  # else told again, with its throughput or as final
                self._record(event.result)
                learned[event.lane] = runs
            if event.final and not event.result.disturbed:  # a time that was not the model's shall not come again
                self._keep(event.result)
            return event

        return told

    def _usual(self, result: Result) -> float | None:
        """What such a picture takes here. Of a provider's calls none is usual, nor of a model that was just loaded: it
        may lie elsewhere than before."""
        if result.hosted or result.runs[0].load > LOADED_S:
            return None
        return self._estimator.usual(self.catalog.model(result.request.model), result.request)

    def _record(self, result: Result) -> None:
        """Learn from a finished run how long such pictures take, and what their turn had to load."""
        self._estimator.record_loading(key_of(result.request), result.runs[-1].load)
        self._estimator.record(self.catalog.model(result.request.model), result.request, result.runs[-1])

    def _key(self, request: ImageRequest) -> str:
        card = self.catalog.model(request.model)
        identity = self.backend.identity(card)
        # A user's own card can change and keep its id; the weights' commit does not tell which of its files are taken.
        card = card.model_dump(mode="json", include=DECIDE_PIXELS)
        return recipe_key({"request": request.model_dump(), "diptych": __version__, **card, **vars(identity)})


def _while_heard(events: Iterator[Event], stop: threading.Event) -> Iterator[Event]:
    """``events``; once nobody listens any more, their work is stopped."""
    try:
        yield from events
    finally:
        stop.set()
