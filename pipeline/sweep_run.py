"""Sweeps: started, run cell by cell, stopped, gone on with. Each finished cell is kept before it is told of."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from pipeline.catalog import Catalog
from pipeline.cells import Cell, Cells
from pipeline.engine import Engine
from pipeline.errors import BusyError, Cancelled, Declined, InputError
from pipeline.events import Done, Event, Result
from pipeline.history import Entry, History
from pipeline.prices import PriceProfile
from pipeline.request import ImageRequest
from pipeline.sweep import Plan, cell_document, head_document, left_to_do, plan_again
from pipeline.switches import check_usable


@dataclass(frozen=True)
class Working:
    """The engine tells ``event`` of the cell at ``place``."""

    place: int
    event: Event


@dataclass(frozen=True)
class Kept:
    """A cell is finished and on the disk. ``result`` is None where another process made it."""

    cell: Cell
    result: Result | None


@dataclass(frozen=True)
class LeftOut:
    """The cell at ``place`` is not to be had, see :class:`pipeline.errors.Declined`; going on tries it again."""

    place: int
    why: str


class Sweeps:
    """The sweeps of one history on one engine. Safe to use from any thread."""

    def __init__(self, catalog: Catalog, engine: Engine, history: History):
        self.catalog = catalog
        self.engine = engine
        self.history = history
        self.cells = Cells(history)
        self._lock = threading.Lock()
        self._running: set[str] = set()

    def start(self, plan: Plan, price: PriceProfile, owner: str = "") -> str:
        """Keep the sweep as an entry without cells and return its id; :meth:`run` makes the pictures. Raises
        ModelError, with nothing kept, for an efficiency switch that a model cannot take here."""
        self._check_switches(plan.requests.values())
        return self.history.add("sweep", head_document(plan, price, self._device(plan)), [], owner)

    def _check_switches(self, requests: Iterable[ImageRequest]) -> None:
        """Only now and not while a person writes: to know it, the libraries are imported."""
        why_nots = {}
        for request in requests:
            if request.switches:
                card = self.catalog.model(request.model)
                if card.id not in why_nots:
                    why_nots[card.id] = self.engine.backend.switches(card)
                check_usable(card, request.switches, why_nots[card.id])

    def _device(self, plan: Plan) -> str:
        """This machine's, unless none of the pictures is made here."""
        cards = [self.catalog.model(model) for model in plan.values["models"]]
        providers = dict.fromkeys(card.hosted.provider for card in cards if card.hosted)
        return " and ".join(providers) if all(card.hosted for card in cards) else self.engine.backend.device().name

    def plan(self, entry: Entry) -> Plan:
        """The plan of a kept sweep. Raises InputError if the entry is none, or cannot be made here any more."""
        if entry.kind != "sweep" or "values" not in entry.document:
            raise InputError("This entry of the history is no sweep; choose one that is.")
        return plan_again(self.catalog, entry.document)

    def left(self, entry: Entry) -> list[int]:
        """Places still to be made, in the order in which they will be."""
        return left_to_do(self.plan(entry), self.cells.places(entry.id))

    def running(self, entry: str) -> bool:
        """Whether this process is at it."""
        with self._lock:
            return entry in self._running

    def run(
        self, entry: Entry, *, use_cache: bool = True, stop: threading.Event | None = None
    ) -> Iterator[Working | Kept | LeftOut]:
        """Make what is missing of a sweep; used the same to start it and to go on with it, after a kill or a restart.

        Each cell is a run of its own, so that whoever waits in the line gets their turn after one picture and not after
        hundreds; the models stay in memory in between, so it costs nothing. Closing the generator, or setting ``stop``,
        ends it before the next step; what is done stays.
        Raises Cancelled, BusyError if it is running already, InputError on another device than that of the cells that
        are there, whose times and price it has, and whatever a run raises but Declined.
        """
        stop = stop or threading.Event()
        plan = self.plan(entry)
        begun, here = entry.document["device"], self._device(plan)
        if begun != here:
            raise InputError(f"This sweep was begun on {begun} and this is {here}: start a new one to measure here.")
        with self._alone(entry.id):
            for place in left_to_do(plan, self.cells.places(entry.id)):
                if stop.is_set():
                    raise Cancelled("The sweep was stopped.")
                if place in self.cells.places(entry.id):  # another process goes on with the same sweep
                    yield Kept(self.cells.at(entry.id, place), None)
                    continue
                try:
                    yield from self._make(entry, place, plan.requests[place], use_cache, stop)
                except Declined as error:  # one of many; the others are still wanted
                    yield LeftOut(place, str(error))

    def _make(
        self, entry: Entry, place: int, request: ImageRequest, use_cache: bool, stop: threading.Event
    ) -> Iterator[Working | Kept]:
        # The engine sets a run's own flag at its end, so ``stop``, which is for all cells, is not handed to it; it
        # tells something at least every half a second.
        with closing(self.engine.run([request], use_cache=use_cache)) as events:
            for event in events:
                if isinstance(event, Done):
                    document = cell_document(event.result, PriceProfile.from_document(entry.document["price"]))
                    yield Kept(self.cells.add(entry.id, place, event.result, document), event.result)
                elif stop.is_set():
                    raise Cancelled("The sweep was stopped.")
                else:
                    yield Working(place, event)

    @contextmanager
    def _alone(self, entry: str) -> Iterator[None]:
        with self._lock:
            if entry in self._running:
                raise BusyError("This sweep is running already; stop it there, or wait for its end.")
            self._running.add(entry)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(entry)
