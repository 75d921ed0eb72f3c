"""The line for the device: one at a time, first come first served, whoever leaves and whenever."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing

import pytest

from pipeline.engine import Engine
from pipeline.errors import BusyError, Cancelled
from pipeline.lock import Line, Ticket
from pipeline.request import make_request
from tests.fakes import CountingBackend


def test_places_count_those_before():
    line = Line()
    first, second, third = (line.join() for _ in range(3))
    assert [first.place(), second.place(), third.place()] == [0, 1, 2]
    second.leave()
    assert [first.place(), second.place(), third.place()] == [0, -1, 1]
    assert len(line) == 2


def test_wait_is_true_only_at_the_front():
    line = Line()
    first, second = line.join(), line.join()
    assert first.wait(0)
    assert not second.wait(0.01)
    first.leave()
    assert second.wait(0)


def test_leaving_wakes_the_next_at_once():
    line = Line()
    first, second = line.join(), line.join()
    woken = threading.Event()
    waiter = threading.Thread(target=lambda: second.wait() and woken.set())
    waiter.start()
    first.leave()
    assert woken.wait(2)
    waiter.join()


def test_leaving_twice_lets_only_one_in():
    line = Line()
    first, second, third = (line.join() for _ in range(3))
    first.leave()
    first.leave()
    assert second.wait(0)
    assert not third.wait(0)


def test_expected_wait_adds_up_those_before(monkeypatch):
    now = 100.0
    monkeypatch.setattr("pipeline.lock.time.monotonic", lambda: now)
    line = Line()
    first, second, third = line.join(10), line.join(4), line.join(1)
    first.wait(0)
    assert (first.expected_wait_s(), second.expected_wait_s(), third.expected_wait_s()) == (0, 10, 14)
    now = 107.0
    assert (second.expected_wait_s(), third.expected_wait_s()) == (3, 7)
    now = 500.0  # the first takes longer than it said: the wait is unknown, but never negative
    assert (second.expected_wait_s(), third.expected_wait_s()) == (0, 4)


def test_a_full_line_says_so_and_empties_again():
    line = Line(max_waiting=2)
    served, *_ = [line.join() for _ in range(3)]
    with pytest.raises(BusyError, match="2 runs are already waiting"):
        line.join()
    served.leave()
    assert line.join().place() == 2


def test_threads_that_leave_at_random_never_overlap_and_keep_their_order():
    line, dice = Line(), random.Random(1)
    joined: list[int] = []
    served: list[int] = []
    inside, peak, guard = 0, 0, threading.Lock()
    plans = [[(dice.random() < 0.3, dice.random() * 0.003) for _ in range(25)] for _ in range(8)]

    def visit(number: int) -> None:
        nonlocal inside, peak
        for turn, (impatient, pause) in enumerate(plans[number]):
            with line._changed:  # joining and noting it must be one act, or the test's own order is wrong
                ticket = line.join()
                joined.append(number * 100 + turn)
            if impatient and not ticket.wait(pause):
                ticket.leave()
                continue
            ticket.wait()
            with guard:
                inside += 1
                peak = max(peak, inside)
                served.append(number * 100 + turn)
            time.sleep(pause)
            with guard:
                inside -= 1
            ticket.leave()

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert peak == 1
    assert len(served) > 100
    assert served == [visitor for visitor in joined if visitor in set(served)]
    assert len(line) == 0


class NotedLine(Line):
    """Remembers the order in which labelled visitors joined."""

    def __init__(self):
        super().__init__()
        self.joined: list[str] = []
        self.label = threading.local()

    def join(self, expected_s: float = 0.0) -> Ticket:
        with self._changed:
            self.joined.append(self.label.text)
            return super().join(expected_s)


def test_runs_cancelled_in_every_way_never_overlap_on_the_device(catalog):
    backend, line = CountingBackend(step_s=0.002), NotedLine()
    engine = Engine(catalog, backend, line=line)
    dice = random.Random(2)
    ways = [[dice.choice(["finish", "finish", "close", "stop"]) for _ in range(12)] for _ in range(8)]
    finished: list[str] = []

    def visit(number: int) -> None:
        for turn, way in enumerate(ways[number]):
            line.label.text = prompt = f"picture {number} {turn}"
            request = make_request(catalog.model("old"), prompt, steps=3)
            stop = threading.Event()
            seen = 0
            with closing(engine.run([request], use_cache=False, stop=stop)) as events:
                try:
                    for _ in events:
                        seen += 1
                        if way == "close" and seen == 1 + turn % 3:
                            break
                        if way == "stop" and seen == 1 + turn % 3:
                            stop.set()
                    else:
                        finished.append(prompt)
                except Cancelled:
                    assert way == "stop"

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert engine.idle(5)
    assert backend.peak == 1
    assert len(backend.threads) == 1
    assert backend.served == [prompt for prompt in line.joined if prompt in set(backend.served)]
    expected = {f"picture {n} {t}" for n in range(8) for t in range(12) if ways[n][t] == "finish"}
    assert expected <= set(finished)
    assert {request.prompt for request in backend.made} >= set(finished)
