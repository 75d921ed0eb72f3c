"""Who runs what: so that a visitor stops their own run and never anybody else's."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.errors import BusyError
from pipeline.ui.unfinished import Unfinished

RUNS_MAX = 10
ASKED_MAX = 10_000
"""Runs that are asked for and have not begun. A browser that goes away at once never has its own begun."""


@dataclass(frozen=True, eq=False)
class _Run:
    owners: list[tuple[str, str]]
    flag: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """Stop flags by owner. An owner is a page's or client's session, or a name that a caller gave their run, for
    callers without a session (plain HTTP, MCP)."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], set[_Run]] = {}
        self._asked: OrderedDict[str, _Run] = OrderedDict()
        self.unfinished = Unfinished()

    @contextmanager
    def running(self, session: str | None, run: str | None = None) -> Iterator[threading.Event]:
        """A flag for one run, known under its owners until the block ends.

        Raises BusyError if the session has ``RUNS_MAX`` runs already: the line is for others, too.
        """
        with self._lock:
            entered = self._enter(session, run)
        try:
            yield entered.flag
        finally:
            with self._lock:
                self._leave(entered)

    def ask(self, session: str | None, run: str) -> str | None:
        """A ticket for a run that may have to wait until it can begin; from now on it is known under its owners. None
        if a run of this name is on or asked for already. Raises BusyError as :meth:`running`."""
        with self._lock:
            if ("run", run) in self._running:
                return None
            ticket = secrets.token_urlsafe(16)
            self._asked[ticket] = self._enter(session, run)
            if len(self._asked) > ASKED_MAX:
                self._leave(self._asked.popitem(last=False)[1])
            return ticket

    @contextmanager
    def begun(self, ticket: object) -> Iterator[threading.Event | None]:
        """The flag of the run that was asked for, until the block ends. None if it was withdrawn meanwhile, and for a
        ticket that was used already."""
        with self._lock:
            asked = self._asked.pop(ticket, None) if isinstance(ticket, str) else None
        try:
            yield asked and asked.flag
        finally:
            if asked:
                with self._lock:
                    self._leave(asked)

    def withdraw(self, run: str) -> bool:
        """Have a run that was asked for never begin; False if there is none, or if it has begun."""
        with self._lock:
            tickets = [ticket for ticket, asked in self._asked.items() if ("run", run) in asked.owners]
            for ticket in tickets:
                self._leave(self._asked.pop(ticket))
        return bool(tickets)

    def busy(self, session: str | None, run: str | None = None) -> bool:
        """Whether a run of this session, or of this name, is on or asked for."""
        with self._lock:
            return any(owner in self._running for owner in _owners(session, run))

    def stop(self, session: str | None, run: str | None = None) -> int:
        """Set the flags of the named run, or without a name of all the session's runs; returns how many."""
        with self._lock:
            owners = _owners(None, run) if run is not None else _owners(session, None)
            runs = set().union(*(self._running.get(owner, set()) for owner in owners))
        for each in runs:
            each.flag.set()
        return len(runs)

    def _enter(self, session: str | None, run: str | None) -> _Run:
        if session is not None and len(self._running.get(("session", session), ())) >= RUNS_MAX:
            raise BusyError(f"{RUNS_MAX} runs of yours are waiting already; wait for one to end, or stop them.")
        entered = _Run(_owners(session, run))
        for owner in entered.owners:
            self._running.setdefault(owner, set()).add(entered)
        return entered

    def _leave(self, entered: _Run) -> None:
        for owner in entered.owners:
            self._running[owner].discard(entered)
            if not self._running[owner]:
                del self._running[owner]


def _owners(session: str | None, run: str | None) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name in (("session", session), ("run", run)) if name is not None]
