"""What hosted pictures may cost in one process, at their providers' list prices. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import InputError, ModelError, shown
from pipeline.prices import sum_given
from pipeline.wording import dollars

MOST_USD = 1.0
"""Where nobody says how much: enough for some 25 comparisons, and no bill that hurts."""
LIMIT_USD = 100_000
HAIR_USD = 1e-6
"""Sums of dollars are off by less, in whatever order they are added up: fifty pictures of two cents are a dollar. On no
bill is it seen."""


class Refused(Exception):
    """A provider drew nothing, so nothing is to be paid. ``error`` says why."""

    def __init__(self, error: ModelError):
        super().__init__(str(error))
        self.error = error


class Spending:
    """``most_usd`` for everything this process asks of providers. ``visitors``: whether others than whoever sits at
    the machine may spend it."""

    def __init__(self, most_usd: float = MOST_USD, visitors: bool = False):
        self.most_usd = most_usd
        self.visitors = visitors
        self.spent_usd = 0.0
        self._lock = threading.Lock()

    @classmethod
    def of(cls, given: object) -> Spending:
        """``given`` dollars are for visitors too; None is the usual sum, for whoever sits at the machine. Raises
        InputError."""
        if given is None or given == "":
            return cls()
        usd = sum_given(given, LIMIT_USD)
        if usd is None:
            raise InputError(f"spend must be dollars from 0 to {LIMIT_USD}; got {shown(given)}.")
        return cls(usd, visitors=True)

    def check(self, expected_usd: float) -> None:
        """Raises InputError if so much more would be too much: what cannot be paid to its end is not begun.
        ``expected_usd``: the most that the whole run can cost (:meth:`pipeline.hosted.Hosted.dearest`)."""
        with self._lock:
            if not self._allows(expected_usd):
                raise InputError(
                    self._too_much(f"This costs up to {dollars(expected_usd)} at list prices", "ask for less, or ")
                )

    def _allows(self, further_usd: float) -> bool:
        return self.spent_usd + further_usd <= self.most_usd + HAIR_USD

    def _too_much(self, this: str, instead: str = "") -> str:
        left = dollars(max(0.0, self.most_usd - self.spent_usd))
        return (
            f"{this}, and {left} of the {dollars(self.most_usd)} that hosted pictures may cost here are left; "
            f"{instead}start anew with a larger --spend."
        )

    @contextmanager
    def paying(self, expected_usd: float, what: str) -> Iterator[list[float]]:
        """For one picture: set what it really cost as the only item of the list. Raises ModelError if it could be too
        much. What was asked for and given up is taken as paid, as the provider may have drawn it; see Refused.
        ``expected_usd``: the most that it can cost, held back until it is known what it did."""
        with self._lock:
            if not self._allows(expected_usd):
                raise ModelError(self._too_much(f"{what} costs up to {dollars(expected_usd)}"))
            self.spent_usd += expected_usd
        paid = [expected_usd]
        try:
            yield paid
        except Refused as refused:
            paid[0] = 0.0
            raise refused.error from None
        finally:
            with self._lock:
                self.spent_usd += paid[0] - expected_usd
