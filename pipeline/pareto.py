"""The Pareto front of points in the plane: those that no other point beats, or none beats by more than a margin. Knows
nothing of what the axes mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

ALIKE, ALIKE_FEW = 0.005, 0.05
"""Two times, or costs, that differ by a smaller share are told as alike: rounded they would be; and of few runs,
another try might turn them round."""


def pareto_front(points: Sequence[tuple[float, float]], margin: float = 0.0) -> list[int]:
    """Indices of the points (x, y) that no other one dominates, where a lower x and a higher y are better.

    One point dominates another if it is at least as good in both and better in one. So of points with the same x only
    the highest can be on the front, and equal points are on it together or not at all. Sorted by x, equal points in
    the order given. Infinite values are fine; raises ValueError for NaN, which cannot be compared.

    ``margin``: a share by which x may be off by chance, of points whose x is above zero. Then one point dominates
    another only if the other's x is larger by at least that share; so of points with about the same x all are on the
    front that nothing else dominates.

    One pass over the sorted points, as in H. T. Kung, F. Luccio and F. P. Preparata, "On Finding the Maxima of a Set
    of Vectors", Journal of the ACM 22(4), 1975.
    """
    if any(math.isnan(x) or math.isnan(y) for x, y in points):
        raise ValueError("a point has a coordinate that is not a number")
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    ahead = 0
    best: tuple[float, float] | None = None  # the highest of those ahead by the margin; of equals the one furthest left
    for i in order:
        x, y = points[i]
        while ahead < len(order) and points[order[ahead]][0] * (1 + margin) <= x:
            if best is None or points[order[ahead]][1] > best[1]:
                best = tuple(points[order[ahead]])
            ahead += 1
        if best is None or y > best[1] or (x, y) == best:
            front.append(i)
    return front
