"""The Pareto front of a plot: known cases of others, and what holds for every front."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.plot import Dot, front_of

COORDINATE = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False))
"""Often equal, so that ties and duplicates are met."""


def front(points) -> list[int]:
    """Indices of those on the front, where nothing is noisy and no two do the same work."""
    return [dot.place for dot in front_of([Dot(i, "", x, y, "", "", "") for i, (x, y) in enumerate(points)])]


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=30))
def test_there_is_always_a_front_and_it_climbs(points):
    found = [points[i] for i in front(points)]
    assert found and found == sorted(found)


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([(0, 1), (1, 1), (1, 2)], {0}),
        ([(0, 1), (0, 1), (-1, 2), (-1, 2)], {0, 1, 2, 3}),
        ([(0, 1), (11, 9), (6, 4), (2, 4), (4, 2), (1, 0)], {0, 5}),
        ([(0, 7), (1, 5), (2, 3), (4, 2), (7, 1), (10, 0), (2, 6), (4, 4), (10, 2), (6, 6), (9, 5)], set(range(6))),
    ],
)
def test_the_published_cases_of_pagmo(points, best):
    """Known cases of esa/pagmo2, tests/multi_objective.cpp (pareto_front_2d and the first front of
    fast_non_dominated_sorting); both of its objectives are minimised, so y is turned round."""
    assert set(front([(x, -y) for x, y in points])) == best


def test_infinity_is_a_value():
    assert front([(1, 30.0), (2, math.inf), (3, math.inf)]) == [0, 1]
    assert front([(1, -math.inf)]) == [0]


def test_nothing_has_no_front():
    assert front([]) == []
