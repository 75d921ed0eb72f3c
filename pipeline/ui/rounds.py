"""How far a measurement of several runs is: in which round, and about how long all of it will still take.

Knows the order in which the models take turns (pipeline.work); knows no component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.events import Step
from pipeline.wording import duration


@dataclass(frozen=True)
class RoundsLeft:
    """``repeat``: how many there are. ``hosted``: by lane, whether a provider draws it; those come first, and take no
    turns with ours. ``throughput``: whether that is measured after them."""

    repeat: int
    hosted: Sequence[bool]
    throughput: bool = False

    def done(self, lane: int, step: Step) -> int:
        """How many runs of a lane are whole when this step of any lane is told."""
        if step.batch is not None:
            return self.repeat
        if lane == step.lane:
            return step.run - 1
        if self.hosted[lane] != self.hosted[step.lane]:
            return self.repeat if self.hosted[lane] else 0
        first = (lane < step.lane) == bool(step.run % 2)
        return step.run if first else step.run - 1

    def left_s(self, step: Step, seconds: Sequence[float]) -> float:
        """Until the last round ends. ``seconds``: by lane, what one picture takes."""
        whole = sum((self.repeat - self.done(lane, step)) * each for lane, each in enumerate(seconds))
        return whole - (step.i / step.n * seconds[step.lane] if step.n else 0.0)

    def text(self, step: Step, seconds: Sequence[float]) -> str:
        """Round 4 of 10, about 35.0 s left in all."""
        if step.batch is not None:
            return "Measuring the throughput."
        left = self.left_s(step, seconds)
        said = [f"round {step.run} of {self.repeat}"] if self.repeat > 1 else []
        said += [f"about {duration(left)} left{'' if self.throughput else ' in all'}"] if left >= 1 else []
        said += ["then the throughput"] if self.throughput else []
        return f"{', '.join(said).capitalize()}."
