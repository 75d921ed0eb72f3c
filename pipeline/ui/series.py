"""When a page is told of a series of runs, such as a sweep's: between two of them, and within one only where it is long
or waits in line."""

from __future__ import annotations

import time

from pipeline.events import Event, Queued
from pipeline.ui.pace import QUICK_S, SETTLE_S, STILL_EVERY_S, TELL_S


class Pace:
    """Of one series. ``event``: what the engine tells of the run that is on; None between two runs."""

    def __init__(self):
        self._told, self._place = 0.0, 0
        self._alone_from = time.monotonic()

    def due(self, event: Event | None) -> bool:
        """Whether to tell the page now, also with nothing new: that its reader has gone, a generator learns only when
        it yields."""
        now, place = time.monotonic(), _place(event)
        if event is None or place:
            self._alone_from = now
        elif now - self._alone_from < QUICK_S:
            return False
        return now - self._told >= (STILL_EVERY_S if place and place == self._place else TELL_S)

    def told(self, event: Event | None) -> None:
        """The page was told just now. Before the next run a browser on the same machine gets time to redraw."""
        if event is None:
            time.sleep(SETTLE_S)
        self._told = self._alone_from = time.monotonic()
        self._place = _place(event)


def _place(event: Event | None) -> int:
    return event.place if isinstance(event, Queued) else 0


def in_line(event: Event | None) -> str:
    """How many are before us and for how long; empty where nobody is."""
    if not _place(event):
        return ""
    wait = f"about {event.expected_wait_s:.0f} s" if event.expected_wait_s >= 1 else "a moment"
    return f"{event.place} before you in the line, {wait}"
