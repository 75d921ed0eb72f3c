"""Where a line is served: one thread that does the work of one job after the other, and the jobs. Knows nothing of
models, of caches or of what is learned from what was made.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pipeline.errors import Cancelled, PlaygroundError
from pipeline.events import Event, Loading, Queued, Step
from pipeline.lock import Line, Ticket
from pipeline.work import CarryOut, Order, failure

HEARTBEAT_S = 0.5
"""Longest silence of a run: then the last event comes again, so that a reader can show time passing or go away."""

SETTLE_S = 1.0
"""At most, between two orders: a reader who is gone, or slow, holds nobody up for longer."""


class Desk:
    """A line, and the one thread that serves it: torch keeps a pool of helpers for every thread that calls it."""

    def __init__(self, name: str, line: Line, carry_out: CarryOut):
        self.line = line
        self.carry_out = carry_out
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.before: Job | None = None
        """The last one that was served; known to the thread only."""


class Job:
    """One hold of the lock. ``work`` runs in the device thread, ``events`` in the reader's."""

    def __init__(
        self,
        desk: Desk,
        order: Order,
        ticket: Ticket,
        stop: threading.Event,
        settled: threading.Event,
        told: Callable[[Event], Event],
    ):
        """``settled``: set when its reader is done with the pictures. ``told``: is handed every event in the device
        thread, and gives what the reader gets."""
        self.settled = settled
        self._desk, self._order, self._ticket, self._stop, self._told = desk, order, ticket, stop, told
        self._begin = threading.Lock()
        self._begun = self._left = False
        self._queue: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()

    def events(self) -> Iterator[Event]:
        """Events as they come, until None. In a silence a sign of life: the place in the line, or the last step with
        its time running on; never a finished picture or a preview a second time."""
        last: Event | Exception | None = Queued(0, 0.0)
        heard = time.monotonic()
        while True:
            try:
                last = self._queue.get(timeout=HEARTBEAT_S)
                heard = time.monotonic()
            except queue.Empty:
                if self._stop.is_set() and self.abandon():
                    raise Cancelled("The run was stopped.") from None
                yield self._sign_of_life(last, time.monotonic() - heard)
                continue
            if last is None:
                return
            if isinstance(last, Exception):
                raise last
            yield last

    def _sign_of_life(self, last: Event, silent_s: float) -> Event:
        if isinstance(last, Step):
            return replace(last, preview=None, elapsed_s=last.elapsed_s + silent_s)
        if isinstance(last, Loading):
            return last
        return Queued(max(0, self._ticket.place()), self._ticket.expected_wait_s())

    def stop(self) -> None:
        """As whoever asked for it can do."""
        self._stop.set()

    def abandon(self) -> bool:
        """Leave the line if the work has not begun; True if so. A job that has begun is only given back by itself."""
        with self._begin:
            if not self._begun:
                self._left = True
                self._ticket.leave()
            return not self._begun

    def work(self) -> None:
        """All device work of this job. Whatever happens, its end is told and the ticket given back."""
        while not self._stop.is_set() and not self._ticket.wait(HEARTBEAT_S):
            pass  # somebody outside this engine holds the front of the line
        with self._begin:
            if self._stop.is_set() or self._left:
                self._ticket.leave()
                self._queue.put(Cancelled("The run was stopped."))
                return
            self._begun = True
        if self._desk.before is not None:
            self._desk.before.settled.wait(SETTLE_S)
        self._desk.before = self
        end: Exception | None = None
        try:
            self._desk.carry_out(self._order, lambda event: self._queue.put(self._told(event)), self._stop)
        except PlaygroundError as error:
            end = error
        except Exception:  # a library's fault
            end = failure()
        finally:
            self._ticket.leave()
            self._queue.put(end)
