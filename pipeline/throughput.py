"""How many pictures a minute a model makes, which is another question than how long one picture takes.

A busy machine draws several pictures at once as long as that pays. Knows which numbers of pictures are tried and what
follows from their times; runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.cards import ModelCard
from pipeline.errors import InputError

SIZES = (1, 2, 4, 8)
"""Pictures at once, each twice as many as before while that pays and memory lasts."""
ROUNDS, WARM_STEPS = 3, 2
"""Timed calls of each size, after one of so many steps that is not."""
PAYS = 0.97
"""Share of the best rate so far below which no larger batch is tried: noise may hide a small gain, not a loss."""


@dataclass(frozen=True)
class Batch:
    """``size`` pictures made at once, several times. ``seconds``: encode, denoise and decode of all of them, a call
    each. Every picture of a batch has a prompt of its own in the sum: its encoding is counted ``size`` times."""

    size: int
    seconds: tuple[float, ...]
    peak_memory_bytes: int | None = None

    @property
    def per_minute(self) -> float:
        """Pictures a minute, by the median call."""
        return 60 * self.size / median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """Pictures a minute of the slowest and of the fastest call."""
        return 60 * self.size / max(self.seconds), 60 * self.size / min(self.seconds)


def best(batches: Sequence[Batch]) -> Batch | None:
    """The one with the most pictures a minute; None of none."""
    return max(batches, key=lambda batch: batch.per_minute, default=None)


def pays(batches: Sequence[Batch]) -> bool:
    """Whether it is worth trying a larger one than the last of ``batches``."""
    return not batches or batches[-1].per_minute >= PAYS * best(batches).per_minute


def check_local(cards: Iterable[ModelCard]) -> None:
    """Raises InputError for a model whose throughput is not this machine's to measure."""
    for card in cards:
        if card.hosted:
            raise InputError(
                f"throughput is that of this machine, and {card.name} is drawn by {card.hosted.provider}; leave it out."
            )


def pictures(steps: int, repeat: int, throughput: bool) -> float:
    """How many pictures one lane of a run draws, if the throughput is measured to its end."""
    return repeat + (most_pictures(steps) if throughput else 0)


def most_pictures(steps: int) -> float:
    """How many pictures of so many steps a measurement of one model draws if every size is tried, warm-ups counted by
    their steps."""
    return sum(SIZES) * (ROUNDS + WARM_STEPS / steps)
