"""Who runs what: so that a visitor stops his own run and never anybody else's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import BusyError

RUNS_MAX = 10


class Jobs:
    """Stop flags by owner. An owner is a page's or client's session, or a name that a caller gave his run, for
    callers without a session (plain HTTP, MCP)."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], set[threading.Event]] = {}

    @contextmanager
    def running(self, session: str | None, run: str | None = None) -> Iterator[threading.Event]:
        """A flag for one run, known under its owners until the block ends.

        Raises BusyError if the session has ``RUNS_MAX`` runs already: the line is for others, too.
        """
        flag = threading.Event()
        owners = _owners(session, run)
        with self._lock:
            if session is not None and len(self._running.get(("session", session), ())) >= RUNS_MAX:
                raise BusyError(f"{RUNS_MAX} runs of yours are waiting already; wait for one to end, or stop them.")
            for owner in owners:
                self._running.setdefault(owner, set()).add(flag)
        try:
            yield flag
        finally:
            with self._lock:
                for owner in owners:
                    self._running[owner].discard(flag)
                    if not self._running[owner]:
                        del self._running[owner]

    def busy(self, session: str | None) -> bool:
        """Whether a run of this session is on."""
        with self._lock:
            return ("session", session) in self._running

    def stop(self, session: str | None, run: str | None = None) -> int:
        """Set the flags of the named run, or without a name of all the session's runs; returns how many."""
        with self._lock:
            owners = _owners(None, run) if run is not None else _owners(session, None)
            flags = set().union(*(self._running.get(owner, set()) for owner in owners))
        for flag in flags:
            flag.set()
        return len(flags)


def _owners(session: str | None, run: str | None) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name in (("session", session), ("run", run)) if name is not None]
