"""The single-GPU lock: first come, first served; tells your place; can be left at any time.

Gradio's ``concurrency_limit=1`` does not do this: a cancelled event frees its slot while its thread still runs.
Here the place at the front is given up only by :meth:`Ticket.leave`, which the engine calls when the device is idle.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from pipeline.errors import BusyError


class Line:
    """A queue for one device. The ticket at the front is being served, the others wait in the order they came."""

    def __init__(self, max_waiting: int = 100):
        self.max_waiting = max_waiting
        self._changed = threading.Condition()
        self._tickets: deque[Ticket] = deque()

    def join(self, expected_s: float = 0.0) -> Ticket:
        """Take a ticket. ``expected_s``: how long its holder expects to need the device.

        Raises BusyError when ``max_waiting`` others wait already.
        """
        with self._changed:
            if len(self._tickets) > self.max_waiting:
                raise BusyError(f"{self.max_waiting} runs are already waiting; try again in a minute.")
            ticket = Ticket(self, expected_s)
            self._tickets.append(ticket)
            self._changed.notify_all()
            return ticket

    def __len__(self) -> int:
        """Tickets in the line, the one being served included."""
        return len(self._tickets)


class Ticket:
    """A place in a :class:`Line`. Use it once; leaving twice is harmless."""

    def __init__(self, line: Line, expected_s: float):
        self._line = line
        self.expected_s = expected_s
        self.served: float | None = None

    def place(self) -> int:
        """0 when it is this ticket's turn, else how many are before it. -1 after leaving."""
        with self._line._changed:
            return self._place()

    def _place(self) -> int:
        try:
            return self._line._tickets.index(self)
        except ValueError:
            return -1

    def expected_wait_s(self) -> float:
        """Seconds until it is this ticket's turn, by what those before it expect to need."""
        with self._line._changed:
            now, wait = time.monotonic(), 0.0
            for ticket in self._line._tickets:
                if ticket is self:
                    break
                used = now - ticket.served if ticket.served is not None else 0.0
                wait += max(0.0, ticket.expected_s - used)
            return wait

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is this ticket's turn or ``timeout`` seconds passed. True when it is its turn."""
        with self._line._changed:
            if not self._line._changed.wait_for(lambda: self._place() == 0, timeout):
                return False
            if self.served is None:
                self.served = time.monotonic()
            return True

    def leave(self) -> None:
        """Give up the place, or the device. The next in line is woken."""
        with self._line._changed:
            if self in self._line._tickets:
                self._line._tickets.remove(self)
                self._line._changed.notify_all()
