"""The Pareto front of a plot: known cases of others, what holds for each, and how a sweep's is drawn and told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels import work_of
from pipeline.plot import Dot, front_of
from pipeline.sweep_plot import NAMED_MAX, fidelity_front, fidelity_plot, votes_front, votes_plot
from tests.plots import called, circles, drawing, standing, tally, tradeoff

COORDINATE = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False))
"""Often equal, so that ties and duplicates are met."""


def front(points) -> list[int]:
    """Indices of those on the front, where nothing is noisy and no two do the same work."""
    return [dot.place for dot in front_of([Dot(i, "", x, y, "", "", "") for i, (x, y) in enumerate(points)])]


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=30))
def test_there_is_always_a_front_and_it_climbs(points):
    found = front(points)
    heights = [points[i][1] for i in found]
    assert heights and heights == sorted(heights)
    assert set(found) == {i for i, b in enumerate(points) if not any(dominates(a, b) for a in points)}


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


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


def test_the_front_is_filled_and_named_and_the_rest_is_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0), (2.0, 29.0), apart=3)
    svg = fidelity_plot(found)
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "0", "0"]
    assert "Fastest first: cell 1; cell 0." in svg and "3 finished pictures" in svg


def test_nobody_is_beaten_by_what_is_faster_by_noise():
    found = called(
        tradeoff((1.23, 22.0), (1.21, 25.0), (1.6, 28.0), (1.7, 27.0)), *(f"{i} steps" for i in (2, 3, 4, 5))
    )
    svg = fidelity_plot(found)
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "1", "0"]
    assert "Filled: nothing else is both faster by 5 % or more and nearer to" in svg
    assert "(by 5 % or more) and fidelity: 3 steps (1.21 s, 25.0 dB), 2 steps (1.23 s" in fidelity_front(found)
    [line] = drawing(svg).iter("polyline")
    assert len(line.attrib["points"].split()) == 2  # never down again
    assert "both cheaper by 5 % or more and nearer" in fidelity_plot(found, "cost")  # which follows from the time
    voted = standing((0.82, tally(3, 15)), (0.81, tally(12, 6)))
    assert [circle["fill-opacity"] for circle in circles(votes_plot(voted))][:2] == ["1", "1"]
    assert "both faster by 5 % or more and has a higher score" in votes_plot(voted)


def test_of_the_same_work_the_better_one_beats_the_other_whatever_the_clock_says():
    found = tradeoff((1.23, 22.0), (1.25, 25.0), (1.2, 20.0))
    work = ("new", 4, 4, ()), ("new", 4, 4, ()), ("new", 3, 3, ())
    points = [replace(point, work=each) for point, each in zip(found.points, work, strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)))
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["0", "1", "1"]
    assert "; of those that do the same work, only the best. " in svg


def test_what_is_beaten_itself_takes_nobody_of_the_same_work_from_the_front():
    found = tradeoff((1.0, 20.0), (4.0, 20.1), (2.0, 25.0))
    points = [replace(point, work=each) for point, each in zip(found.points, (("a",), ("a",), ("b",)), strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)))
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "0", "1"]


def test_what_is_noisy_gives_no_list_price_a_place_on_the_front():
    found = tradeoff((1.0, 30.0), (1.0, 20.0), (1.0, 25.0))
    costs = ((0.04, True), (0.04, True), (0.5, False))
    points = [replace(point, cost_usd=usd, listed=each) for point, (usd, each) in zip(found.points, costs, strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)), "cost")
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "0", "0"]


@pytest.mark.parametrize(
    ("changes", "work"),
    [
        ({}, ("new", 4, 4, ())),
        ({"guidance": 3.0}, ("new", 4, 4, ())),
        ({"steps": 2, "guidance": 3.0}, ("new", 2, 4, ())),
        ({"switches": ["compile"]}, ("new", 4, 4, ("compile",))),
        ({"switches": ["step-cache"]}, None),
        ({"model_evaluations": None}, None),
    ],
)
def test_what_the_same_work_is(changes, work):
    assert work_of({"model": "new", "steps": 4, "guidance": 1.0, "model_evaluations": 4, **changes}) == work


def test_a_list_price_is_off_by_nothing():
    found = tradeoff((1.23, 22.0), (1.21, 25.0))
    listed = replace(found, points=tuple(replace(point, cost_usd=0.04, listed=True) for point in found.points))
    svg = fidelity_plot(listed, "cost")
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["0", "1"] and "both cheaper and nearer" in svg
    assert "faster by 5 % or more" in fidelity_plot(listed)


def test_while_votes_are_too_few_no_setting_is_said_to_win():
    for voted in (
        standing((0.1, tally(1, 0))),
        standing((0.1, tally(0, 2)), (0.5, tally(2, 0))),
        standing((0.1, tally(0, 0)), (0.5, tally(3, 3))),
        standing((0.1, tally(0, 4)), (0.2, tally(1, 3)), (0.5, tally(0, 0, tie=4))),  # only the first is below one half
    ):
        html = votes_plot(voted)
        assert "Too few votes to tell the settings apart." in html and "<polyline" not in html
        assert "Filled" not in html and "first:" not in html and votes_front(voted) == ""
        assert {circle["fill-opacity"] for circle in circles(html)} == {"0"}


def test_two_settings_that_are_apart_make_a_front_and_so_does_one_that_is_apart_from_the_reference():
    voted = standing((0.1, tally(3, 15)), (0.5, tally(12, 6)))
    assert not voted.settings[1].tally.score.decided and "Too few" not in votes_plot(voted)
    assert "Too few" not in votes_plot(standing((0.1, tally(12, 0))))  # apart from the reference, with nothing between
    assert "<polyline" in votes_plot(voted)


def test_where_a_provider_does_not_tell_its_steps_nobody_is_said_to_have_the_most():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    assert "nearer to the picture with the most steps." in fidelity_plot(found)
    told = fidelity_plot(replace(found, chosen="the predecessor's picture"))
    assert "nearer to the predecessor&#39;s picture." in told and "most steps" not in told


def test_the_front_is_told_in_one_sentence_as_it_is_drawn():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    assert fidelity_front(found) == (
        "None of the others beats these in both time (by 5 % or more) and fidelity: cell 1 (100 ms, 20.0 dB), cell 0 "
        "(1.00 s, 30.0 dB)."
    )
    assert fidelity_front(tradeoff((1.0, 30.0), (0.1, 20.0))).startswith("None of these beats another")
    many = tradeoff(*((1.0 + i, 20.0 + i) for i in range(NAMED_MAX + 2)))
    told = fidelity_front(called(many, *(f"{i} of a long name " * 9 for i in range(len(many.points)))))
    assert told.endswith("dB), and 2 more.") and told.count("dB") == NAMED_MAX and len(told) < 700
    voted = standing((0.1, tally(1, 19)), (0.2, tally(19, 1)))
    assert votes_front(voted) == (
        "None of the others beats these in both time (by 5 % or more) and votes: setting 0 (100 ms, 5 %), setting 1 "
        "(200 ms, 95 %)."
    )
