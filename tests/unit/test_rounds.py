"""How far a measurement is said to be: of the whole, not of the picture that is being drawn."""

from __future__ import annotations

import pytest

from pipeline.events import Step
from pipeline.ui.rounds import RoundsLeft

SECONDS = (1.0, 10.0)
OURS = RoundsLeft(10, (False, False))


def step(lane: int, run: int, i: int = 0, batch: int | None = None) -> Step:
    return Step(lane, run, i, 4, 0.0, batch=batch)


@pytest.mark.parametrize(
    ("said", "done"),
    [
        (step(0, 1), [0, 0]),
        (step(1, 1), [1, 0]),
        (step(1, 2), [1, 1]),  # the second model begins every other round
        (step(0, 2), [1, 2]),
        (step(1, 1, batch=4), [10, 10]),
    ],
)
def test_models_take_turns_to_be_first(said, done):
    assert [OURS.done(lane, said) for lane in range(2)] == done


def test_all_that_is_to_come_is_counted_and_the_step_that_is_done_is_not():
    assert OURS.left_s(step(0, 1), SECONDS) == 110
    assert OURS.left_s(step(1, 1, 2), SECONDS) == 9 + 95
    assert OURS.left_s(step(0, 10, 4), SECONDS) == 0
    assert OURS.text(step(1, 4, 2), SECONDS) == "Round 4 of 10, about 72.0 s left in all."
    assert OURS.text(step(0, 10, 4), SECONDS) == "Round 10 of 10."


def test_a_providers_rounds_come_before_ours():
    mixed = RoundsLeft(5, (False, True))
    assert mixed.left_s(step(1, 2), SECONDS) == 5 + 40
    assert mixed.left_s(step(0, 2), SECONDS) == 4


def test_what_the_throughput_takes_is_not_foretold():
    both = RoundsLeft(5, (False, False), throughput=True)
    assert both.text(step(1, 5), SECONDS) == "Round 5 of 5, about 10.0 s left, then the throughput."
    assert RoundsLeft(1, (False, False), throughput=True).text(step(0, 1), SECONDS) == (
        "About 11.0 s left, then the throughput."
    )
    assert both.text(step(0, 1, batch=2), SECONDS) == "Measuring the throughput."
