"""A blind vote drawn from prompts: each pair is kept as a comparison before the next is drawn, and the vote is on what
was kept. Knows nothing of pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from pipeline.catalog import ROLES
from pipeline.compare import compare_document, device_of
from pipeline.errors import Cancelled, Declined
from pipeline.events import Done, Event
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.prices import PriceProfile
from pipeline.settings import Settings


@dataclass(frozen=True)
class Drawing:
    """``done`` pairs are drawn or left out. ``event``: what the engine tells of the next; None between two."""

    done: int
    event: Event | None = None


@dataclass(frozen=True)
class Opened:
    """The vote is on. ``declined``: of each pair that is not in it, why its pictures are not to be had."""

    vote: Entry
    declined: tuple[Declined, ...]


def draw_vote(
    playground: Playground,
    planned: Sequence[Settings],
    price_of: Callable[[str], PriceProfile],
    owner: str,
    stop: threading.Event,
) -> Iterator[Drawing | Opened]:
    """Draw what is ``planned``, each pair in a run of its own, and open a vote of ``owner`` on it. ``price_of``: at
    what a device is reckoned.

    Closing the generator, or setting ``stop``, ends it before the next step; what was drawn stays in the history.
    Raises Cancelled, Declined where nothing is to be had, and whatever a run or the history raises.
    """
    found: list[Entry] = []
    declined: list[Declined] = []
    for done, settings in enumerate(planned, 1):
        try:
            found.append((yield from _pair(playground, done - 1, settings, price_of, owner, stop)))
        except Declined as error:  # of one prompt among many; the others are still wanted
            declined.append(error)
        yield Drawing(done)
    if not found and declined:
        raise declined[0]
    vote = playground.votes.get(playground.votes.open(found, owner))
    yield Opened(vote, tuple(declined))


def _pair(
    playground: Playground,
    done: int,
    settings: Settings,
    price_of: Callable[[str], PriceProfile],
    owner: str,
    stop: threading.Event,
) -> Generator[Drawing, None, Entry]:
    """Draw one and return it as it is kept."""
    pair, requests = settings
    roles, results, settled = list(requests), {}, threading.Event()
    try:
        # The engine sets a run's own flag at its end, so ``stop``, which is for all pairs, is not handed to it.
        with closing(playground.engine.run(list(requests.values()), settled=settled)) as events:
            for event in events:
                if stop.is_set():
                    raise Cancelled("The drawing was stopped.")
                if isinstance(event, Done):
                    results[roles[event.lane]] = event.result
                else:
                    yield Drawing(done, event)
        document = compare_document(pair, results, price_of(device_of(*results.values())))
        kept = playground.history.add("comparison", document, [results[role] for role in ROLES], owner)
        return playground.history.get(kept)
    finally:
        settled.set()
