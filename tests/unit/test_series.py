"""When a page is told of a series of runs: never in a quick one, always in line, and seldom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline.events import Queued, Step
from pipeline.ui import series
from pipeline.ui.pace import QUICK_S, SETTLE_S, STILL_EVERY_S, TELL_S
from pipeline.ui.series import Pace, in_line

STEP, OURS, WAITS = Step(0, 1, 1, 2, 0.1), Queued(0, 0.0), Queued(2, 9.6)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test, and whoever sleeps, moves on."""
    now = SimpleNamespace(at=100.0)

    def sleep(seconds: float) -> None:
        now.at += seconds

    monkeypatch.setattr(series, "time", SimpleNamespace(monotonic=lambda: now.at, sleep=sleep))
    return now


def test_a_quick_run_is_left_alone_and_between_two_the_browser_gets_time(clock):
    pace = Pace()
    assert pace.due(None)
    pace.told(None)
    assert clock.at == 100.0 + SETTLE_S
    clock.at += QUICK_S - 0.1
    assert not pace.due(STEP) and not pace.due(OURS)
    assert pace.due(None)  # it has ended
    pace.told(None)
    clock.at += TELL_S - 0.1
    assert not pace.due(None)


def test_a_long_run_is_told_of_and_whoever_waits_always(clock):
    pace = Pace()
    pace.told(STEP)
    assert clock.at == 100.0  # nobody needs to settle within a run
    clock.at += QUICK_S
    assert pace.due(STEP)
    pace.told(STEP)
    clock.at += TELL_S
    assert not pace.due(STEP) and pace.due(WAITS)
    pace.told(WAITS)
    clock.at += TELL_S
    assert not pace.due(WAITS) and pace.due(Queued(1, 9.6))  # nothing new, and a place nearer
    clock.at += STILL_EVERY_S
    assert pace.due(WAITS)
    clock.at += 1.0
    assert not pace.due(STEP)  # our turn has only begun


def test_the_place_in_the_line_is_said_and_where_there_is_none_nothing():
    assert in_line(WAITS) == "2 before you in the line, about 10 s"
    assert in_line(Queued(1, 0.2)) == "1 before you in the line, a moment"
    assert in_line(OURS) == in_line(STEP) == in_line(None) == ""
