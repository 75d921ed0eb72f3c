"""What of a run reaches the page while it goes on: little, and nothing of a quick one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pipeline.errors import Cancelled
from pipeline.estimate import Estimate
from pipeline.events import Done, Event, Loading, Queued, Step
from pipeline.ui import pace
from pipeline.ui.pace import is_quick, worth_showing

QUEUED, LOADING = Queued(0, 0.0), Loading(1, "weights", 0, 1)


def step(i: int, preview=None) -> Step:
    return Step(0, 1, i, 9, 0.1 * i, preview)


def done(lane: int, runs: int = 1, final: bool = True) -> Done:
    return Done(lane, SimpleNamespace(runs=(0.1,) * runs), final)


@pytest.fixture
def run(monkeypatch):
    """A run's events, each after so many seconds of a clock that is ours, and when which of them is shown."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock.now)

    def played(*events: tuple[float, Event | Exception]) -> Iterator[Event]:
        for after, event in events:
            clock.now += after
            if isinstance(event, Exception):
                raise event
            yield event

    def shown(*events, every_s: float = 0.25, alone_s: float = 0.0) -> list[tuple[float, Event]]:
        begin, seen = clock.now, []
        try:
            for event in worth_showing(played(*events), every_s, alone_s):
                seen.append((round(clock.now - begin, 3), event))
        except Cancelled as error:
            seen.append((round(clock.now - begin, 3), error))
        return seen

    return shown


def test_steps_come_no_oftener_than_asked_but_every_preview_does(run):
    seen = run((0, QUEUED), (0.1, step(1)), (0.1, step(2, "preview")), (0.2, step(3)), (0.2, step(4)), (0.1, done(0)))
    assert seen == [(0, QUEUED), (0.2, step(2, "preview")), (0.6, step(4)), (0.7, done(0))]


def test_of_a_lanes_runs_the_first_and_the_last_are_shown(run):
    seen = run((0, done(0, 1, False)), (1, done(0, 2, False)), (1, done(0, 3)))
    assert [event.result.runs for _, event in seen] == [(0.1,), (0.1,) * 3]


def test_a_quick_run_is_left_alone_until_its_end(run):
    events = [(0, QUEUED), (0.5, step(1)), (0.5, step(2)), (0.1, done(0)), (0.1, step(1)), (0.6, done(1))]
    assert run(*events, alone_s=3.0) == [(0, QUEUED), (1.8, done(0)), (1.8, done(1))]


def test_one_that_takes_longer_than_expected_is_shown_after_all(run):
    events = [(0, step(1)), (0.5, done(0)), (2.0, step(1)), (0.6, step(2)), (0.1, step(3)), (1.0, done(1))]
    assert run(*events, alone_s=3.0) == [(3.1, done(0)), (3.1, step(2)), (4.2, done(1))]


def test_loading_is_told_at_once(run):
    events = [(0, step(1)), (0.5, done(0)), (0.1, LOADING), (0.1, step(1)), (0.6, done(1))]
    assert run(*events, alone_s=3.0) == [(0.6, done(0)), (0.6, LOADING), (1.3, done(1))]


def test_whoever_waited_in_line_is_told_that_his_run_is_on(run):
    line = Queued(2, 4.0)
    assert run((0, line), (2, step(1)), (0.3, step(2)), (0.3, done(0)), alone_s=3.0) == [
        (0, line), (2, step(1)), (2.6, done(0))
    ]  # fmt: skip


def test_whoever_waits_is_told_so_seldom(run):
    line = [(0.5, Queued(place, 8.0)) for place in (30, 30, 29, 29, 28, 28, 27, 27, 26, 26, 25, 25)]
    assert [at for at, _ in run(*line)] == [0.5, 5.5]  # far back a place more or less is no news
    assert [at for at, _ in run(*((0.5, Queued(2, 8.0)) for _ in range(12)))] == [0.5, 5.5]
    seen = run((0, Queued(2, 8.0)), (0.6, Queued(1, 4.0)), (0.6, Queued(1, 4.0)), (0.1, Queued(0, 0.0)), (0.1, LOADING))
    assert [at for at, _ in seen] == [0, 1.2, 1.3, 1.4]
    assert [at for at, _ in run(*[(0.5, LOADING)] * 12, (0.1, step(1)))] == [0.5, 5.5, 6.1]


def test_what_was_finished_comes_before_the_error_that_ended_the_run(run):
    error = Cancelled("The run was stopped.")
    assert run((0, step(1)), (0.5, done(0)), (0.2, error), alone_s=3.0) == [(0.7, done(0)), (0.7, error)]


def test_only_what_this_machine_is_known_to_draw_fast_is_quick():
    here = Estimate(1.4, "measured here, 3 runs")
    assert is_quick([here, here])
    assert not is_quick([here, here, here])
    assert not is_quick([here, Estimate(0.5, "reference: a GPU", here=False)])
