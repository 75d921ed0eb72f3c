"""The Pareto front: against its definition by brute force, and against known cases of others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pareto import ALIKE, ALIKE_FEW, pareto_front

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


@given(
    st.lists(st.tuples(st.one_of(st.integers(1, 9).map(float), st.floats(1e-3, 1e3)), COORDINATE), max_size=30),
    st.sampled_from([ALIKE, ALIKE_FEW, 1.0]),
)
def test_with_a_margin_only_what_is_further_left_by_it_dominates(points, margin):
    front = pareto_front(points, margin)
    beaten = {i for i, b in enumerate(points) if any(a[0] * (1 + margin) <= b[0] and a[1] >= b[1] for a in points)}
    assert set(front) == set(range(len(points))) - beaten and set(pareto_front(points)) <= set(front)
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


def test_a_difference_of_noise_beats_nobody():
    steps = [(1.23, 22.0), (1.21, 25.0), (1.6, 28.0), (1.7, 27.0)]
    assert pareto_front(steps) == [1, 2]
    assert pareto_front(steps, ALIKE_FEW) == [1, 0, 2] and pareto_front(steps, ALIKE) == [1, 2]


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
