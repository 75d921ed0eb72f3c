"""When the page is told how a run goes: seldom enough that telling it is not charged to the model that runs.

Server, browser and model may share two cores. Then one update takes longer than a quick model's whole picture.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from pipeline.errors import PlaygroundError
from pipeline.estimate import Estimate
from pipeline.events import Done, Event, Loading, Queued, Step

STEP_EVERY_S, MEASURED_STEP_EVERY_S = 0.25, 1.0
"""Every update costs the server as much as a small model's step, on the very cores that draw the picture; so while a
measurement of several runs is on, there are fewer."""
MEASURED_ALONE_S = 10.0
"""So long a measurement goes on untold: it disturbs the longer runs of the predecessor, while the efficient model's
median is of runs that it missed, and so makes the efficient model look better than it is."""
QUICK_S = 3.0
"""A comparison expected to be over by then is left alone until it is: nobody needs previews of it, and where the
browser is on the same machine, redrawing the page would take longer than the efficient model and be charged to it."""
SETTLE_S = 0.4
"""Between an update of the page and what is timed: a browser on the same machine has redrawn it by then."""
TELL_S = 1.5
"""Between two updates of the page while a series of quick runs goes on; none comes while one of them runs."""
STILL_EVERY_S = 5.0
"""So often a page is told that nothing has changed. Ninety that are told twice a second where they stand in the line
need three and a half cores of the server."""


def is_quick(expected: Sequence[Estimate]) -> bool:
    """Whether all of it is expected to be over by ``QUICK_S``. What only another machine took says nothing of this
    one: a GPU's half second can be minutes on a processor, and nobody would see a preview of them."""
    return all(each.here for each in expected) and sum(each.seconds for each in expected) < QUICK_S


def worth_showing(events: Iterator[Event], every_s: float, alone_s: float = 0.0) -> Iterator[Event]:
    """All events but steps too soon after the last one shown, and the runs between a lane's first and last. For
    ``alone_s`` seconds from the first step on only loading is told, and the rest comes then, or when the run ends; but
    who waited in line is told that their run is on. Whoever still waits is told so now and then only."""
    shown, until, waiting = 0.0, 0.0, False
    last: Event | None = None
    held: list[Event] = []
    try:
        for event in events:
            now = time.monotonic()
            if now - shown < _apart_s(event, last):
                continue
            if isinstance(event, Step):
                until = until or now + alone_s
                if (not waiting and now < until) or (event.preview is None and now - shown < every_s):
                    continue
            if isinstance(event, Done) and not event.final and len(event.result.runs) > 1:
                continue
            held.append(event)
            last = event
            if waiting or now >= until or isinstance(event, Loading):
                shown, waiting = now, isinstance(event, Queued) and event.place > 0
                yield from held
                held.clear()
    except PlaygroundError:
        yield from held
        raise
    yield from held


def _apart_s(event: Event, last: Event | None) -> float:
    """How long after ``last`` an event is worth showing that only says how things stand. To somebody far back in a line
    that moves fast, a place more or less is no news."""
    match event, last:
        case Queued(), Queued():
            return STILL_EVERY_S if event.place == last.place else min(STILL_EVERY_S, event.place)
        case Loading(), Loading() if event == last:
            return STILL_EVERY_S
    return 0.0
