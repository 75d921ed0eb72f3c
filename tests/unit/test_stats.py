"""Intervals and tests against published values."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.stats import _rank_sums, ratio_interval, significance, votes_needed, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_bounds(successes, n, low, high):
    interval = wilson(successes, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_no_votes_say_nothing_and_no_share_is_above_one():
    assert wilson(0, 0) is None and votes_needed(0, 0) is None
    with pytest.raises(ValueError, match="from 0 to 2"):
        wilson(3, 2)


def test_halves_count_between_the_wholes_around_them():
    low, half, high = wilson(3, 10), wilson(3.5, 10), wilson(4, 10)
    assert low.low < half.low < high.low and low.high < half.high < high.high and half.share == 0.35


def test_votes_needed_is_the_first_number_that_tells():
    assert votes_needed(9, 10) == 0
    more = votes_needed(6, 10)
    total = 10 + more
    assert wilson(round(0.6 * total), total).decided
    assert not wilson(round(0.6 * (total - 1)), total - 1).decided


def test_an_even_vote_ends_when_it_is_known_to_be_even():
    total = 10 + votes_needed(5, 10)
    interval = wilson(round(total / 2), total)
    assert not interval.decided and interval.high - interval.low <= 0.1
    assert total == pytest.approx(381, abs=10)


def test_three_runs_can_never_be_significant_and_four_can():
    three = significance([1.0, 1.1, 1.2], [0.1, 0.11, 0.12])
    assert three.p == pytest.approx(0.1) and not three.significant and three.runs_needed == 4
    assert significance([1.0, 1.1, 1.2, 1.3], [0.1, 0.11, 0.12, 0.13]).p == pytest.approx(2 / 70)
    assert significance([1.0], [0.1]) is None


def test_the_rank_test_gives_the_published_value():
    # Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, example 4.1: W = 30 of 10 and 5, P = 0.1272
    # one-sided.
    at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    earlier = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert significance(at_term, earlier).p == pytest.approx(2 * 0.1272, abs=2e-4)


def test_overlapping_times_are_not_significant():
    assert not significance([1.0, 1.2, 1.1, 1.3, 1.05], [1.02, 1.15, 1.25, 1.08, 1.18]).significant


def test_equal_times_are_not_significant():
    assert significance([1.0] * 5, [1.0] * 5).p == 1.0


def test_the_interval_of_a_ratio_leaves_out_the_pairs_that_the_rank_test_leaves_out():
    # Of 5 and 5 the two-sided 5 % begin at U = 2 (every published table of the rank test), so the third ratio counts.
    slow, fast = [1.11, 1.2, 1.27, 1.4, 1.49], [0.077, 0.099, 0.1, 0.202, 0.398]
    ratios = sorted(one / other for one in slow for other in fast)
    assert ratio_interval(slow, fast) == (ratios[2], ratios[22])
    found = significance(slow, fast)
    assert (found.low, found.high) == (ratios[2], ratios[22])
    assert ratio_interval([1.0, 1.1, 1.2], [0.1, 0.11, 0.12]) is None  # three runs never tell


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (4, 4), (6, 5)])
def test_the_orders_of_two_samples_are_counted_right(n, m):
    counted = Counter(sum(places) - n * (n - 1) // 2 for places in combinations(range(n + m), n))
    assert _rank_sums(n, m) == [counted[u] for u in range(n * m + 1)]


@given(st.lists(st.floats(0.5, 2), min_size=4, max_size=9), st.lists(st.floats(0.5, 2), min_size=4, max_size=9))
def test_the_interval_leaves_out_one_where_the_difference_is_significant(slow, fast):
    assume(len({*slow, *fast}) == len(slow) + len(fast))
    found = significance(slow, fast)
    assert found.significant == (not found.low <= 1 <= found.high)
    turned = ratio_interval(fast, slow)
    assert turned == pytest.approx((1 / found.high, 1 / found.low))


def test_times_that_were_not_measured_have_no_ratio():
    assert significance([0.0] * 5, [0.0] * 5).low is None
