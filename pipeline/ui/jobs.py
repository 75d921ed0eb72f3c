"""Who runs what: so that a visitor stops his own run and never anybody else's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Jobs:
    """Stop flags by visitor. A visitor without a session (plain HTTP, MCP) cannot stop anything."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running: dict[str, set[threading.Event]] = {}

    @contextmanager
    def running(self, session: str | None) -> Iterator[threading.Event]:
        """A flag for one run, known under ``session`` until the block ends."""
        flag = threading.Event()
        if session is None:
            yield flag
            return
        with self._lock:
            self._running.setdefault(session, set()).add(flag)
        try:
            yield flag
        finally:
            with self._lock:
                flags = self._running.get(session, set())
                flags.discard(flag)
                if not flags:
                    self._running.pop(session, None)

    def stop(self, session: str | None) -> int:
        """Set the flags of all this visitor's runs; returns how many."""
        with self._lock:
            flags = self._running.get(session, set()) if session is not None else set()
            for flag in flags:
                flag.set()
            return len(flags)
