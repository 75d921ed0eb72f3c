"""The Pareto front: against its definition by brute force, and against known cases of others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pareto import pareto_front

COORDINATE = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False))
"""Often equal, so that ties and duplicates are met."""


def dominates(a, b) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and (a[0] < b[0] or a[1] > b[1])


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=30))
def test_the_front_is_what_nothing_dominates(points):
    front = pareto_front(points)
    assert set(front) == {i for i, b in enumerate(points) if not any(dominates(a, b) for a in points)}
    assert len(front) == len(set(front))
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=30))
def test_there_is_always_a_front_and_it_climbs(points):
    heights = [points[i][1] for i in pareto_front(points)]
    assert heights and heights == sorted(heights)


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(0, 1), (1, 1), (1, 2)], {0}),
        ([(0, 1), (0, 1), (-1, 2), (-1, 2)], {0, 1, 2, 3}),
        ([(0, 1), (11, 9), (6, 4), (2, 4), (4, 2), (1, 0)], {0, 5}),
        ([(0, 7), (1, 5), (2, 3), (4, 2), (7, 1), (10, 0), (2, 6), (4, 4), (10, 2), (6, 6), (9, 5)], set(range(6))),
    ],
)
def test_the_published_cases_of_pagmo(points, front):
    """Known cases of esa/pagmo2, tests/multi_objective.cpp (pareto_front_2d and the first front of
    fast_non_dominated_sorting); both of its objectives are minimised, so y is turned round."""
    assert set(pareto_front([(x, -y) for x, y in points])) == front


def test_infinity_is_a_value_and_nan_is_none():
    assert pareto_front([(1, 30.0), (2, math.inf), (3, math.inf)]) == [0, 1]
    assert pareto_front([(1, -math.inf)]) == [0]
    with pytest.raises(ValueError, match="not a number"):
        pareto_front([(1, math.nan)])


def test_nothing_has_no_front():
    assert pareto_front([]) == []
