"""The Pareto front of points in the plane: those that no other point beats. Knows nothing of what the axes mean."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points (x, y) that no other one dominates, where a lower x and a higher y are better.

    One point dominates another if it is at least as good in both and better in one. So of points with the same x only
    the highest can be on the front, and equal points are on it together or not at all. Sorted by x, equal points in
    the order given. Infinite values are fine; raises ValueError for NaN, which cannot be compared.

    One pass over the sorted points, as in H. T. Kung, F. Luccio and F. P. Preparata, "On Finding the Maxima of a Set
    of Vectors", Journal of the ACM 22(4), 1975.
    """
    if any(math.isnan(x) or math.isnan(y) for x, y in points):
        raise ValueError("a point has a coordinate that is not a number")
    front: list[int] = []
    best = -math.inf
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        y = points[i][1]
        if y > best or not front or tuple(points[i]) == tuple(points[front[-1]]):
            front.append(i)
            best = y
    return front
