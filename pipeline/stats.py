"""Statistics of few numbers: shares of votes, and repeated times.

Pure functions of numbers; knows nothing of votes, models or pages, and says nothing where the numbers say nothing.
scipy is imported where it is needed: it takes longer to import than the page to answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
RUNS_NEEDED = next(n for n in range(2, 100) if 2 / math.comb(2 * n, n) < 1 - CONFIDENCE)
"""Fewest times a side with which any difference of theirs can be significant, by the rank test."""
ALIKE, ALIKE_FEW = 0.005, 0.05
"""Two times, or costs, that differ by a smaller share are told as alike: rounded they would be; and of few runs,
another try might turn them round."""
NARROW = 0.05
"""A share that is within five points of one half, its whole interval, is called even."""


@dataclass(frozen=True)
class Interval:
    """A share with its confidence interval, all from 0 to 1."""

    share: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """True where one half lies outside, so that one side is really ahead."""
        return self.low > 0.5 or self.high < 0.5


def wilson(successes: float, n: int) -> Interval | None:
    """Wilson's 95 % score interval without continuity correction (Wilson 1927, JASA 22); None of no observations.

    Unlike the usual p ± z·s it stays inside 0 and 1 and is sound for small ``n`` and for shares near the ends. An
    observation may be half a success: such a mean varies less than that of wholes, so the interval is then on the wide
    side. Raises ValueError for more successes than observations.
    """
    if n == 0:
        return None
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be from 0 to {n}; got {successes}")
    share, squared = successes / n, NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    reach = math.sqrt(squared * (share * (1 - share) + squared / (4 * n)) / n) / (1 + squared / n)
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def votes_needed(successes: int, n: int) -> int | None:
    """About how many more votes until the interval tells who is ahead, or lies so near to one half that they are even,
    if the share stays what it is. 0: it tells already. None of no votes, where nothing can be foretold."""
    if n == 0:
        return None

    def tells(total: int) -> bool:
        interval = wilson(round(successes / n * total), total)
        return interval.decided or (interval.low >= 0.5 - NARROW and interval.high <= 0.5 + NARROW)

    if tells(n):
        return 0
    low, high = n, 2 * n
    while not tells(high):  # ends: an interval around one half narrows, and one around another share leaves it
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high - n


@dataclass(frozen=True)
class Significance:
    """Whether two rows of times differ by more than chance. ``p``: two-sided, Mann and Whitney's rank test."""

    p: float
    significant: bool
    runs_needed: int
    """Fewest runs a side with which any difference could be significant."""
    runs: int
    """Runs of the side that has fewer."""
    low: float | None
    high: float | None
    """95 % interval of left over right (:func:`ratio_interval`)."""


def significance(left: Sequence[float], right: Sequence[float]) -> Significance | None:
    """Rank test of two samples: no normality is assumed, and one slow outlier counts as one run. None below two runs.

    With few runs nothing can be significant: of 3 and 3 the clearest order has p = 0.1.
    """
    if min(len(left), len(right)) < 2:
        return None
    from scipy.stats import mannwhitneyu

    level = 1 - CONFIDENCE
    # "exact" also with ties: the normal approximation that scipy would then take is far too bold for a few runs.
    p = float(mannwhitneyu(left, right, alternative="two-sided", method="exact").pvalue)
    low, high = (min(left) > 0 < min(right) and ratio_interval(left, right)) or (None, None)
    return Significance(p, p < level, RUNS_NEEDED, min(len(left), len(right)), low, high)


def ratio_interval(left: Sequence[float], right: Sequence[float]) -> tuple[float, float] | None:
    """How many times as large ``left`` is, in general, as ``right``: the 95 % interval that belongs to the rank test.

    The ratios of all pairs in order, less so many at both ends as the test's exact distribution allows (Hodges and
    Lehmann 1963, Annals of Mathematical Statistics 34, with logarithms). Both samples positive. None where so few
    runs have no such interval.
    """
    ways = _rank_sums(len(left), len(right))
    outside, cut = 0, 0
    while outside + ways[cut] <= (1 - CONFIDENCE) / 2 * sum(ways):
        outside += ways[cut]
        cut += 1
    ratios = sorted(one / other for one in left for other in right)
    return (ratios[cut - 1], ratios[-cut]) if cut else None


def _rank_sums(n: int, m: int) -> list[int]:
    """In how many orders of n + m different numbers Mann and Whitney's U is 0, 1, 2, …: the coefficients of the
    Gaussian binomial."""
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return ways
