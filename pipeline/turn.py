"""A short turn on the device for what no model does: on the same cores it would be charged to somebody's model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.desk import HEARTBEAT_S
from pipeline.errors import Cancelled
from pipeline.lock import Line


@contextmanager
def turn(line: Line, expected_s: float, stop: threading.Event, what: str) -> Iterator[None]:
    """In line like everybody else. ``what``: is stopped, as a noun. Raises Cancelled once ``stop`` is set, BusyError of
    a full line."""
    ticket = line.join(expected_s)
    try:
        while not stop.is_set() and not ticket.wait(HEARTBEAT_S):
            pass
        if stop.is_set():
            raise Cancelled(f"The {what} was stopped. What is done stays.")
        yield
    finally:
        ticket.leave()
