"""Numbers as a person reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wording import (
    cost_text,
    count,
    dollars,
    duration,
    expected,
    figure,
    per_thousand,
    percent,
    rate_text,
    saved,
    seconds_range,
    seconds_text,
    size_text,
    slug,
    speed,
    when,
)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "no price known"),
        (0, "$0"),
        (0.0000234, "$0.0000234"),
        (0.00000000012345, "$0.000000000123"),
        (0.00234, "$0.00234"),
        (0.0338, "$0.0338"),
        (1.8, "$1.80"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars_have_three_digits_and_no_exponent(usd, text):
    assert dollars(usd) == text


@given(st.floats(min_value=1e-12, max_value=1e6))
def test_dollars_never_lose_more_than_the_third_digit(usd):
    text = dollars(usd)
    assert "e" not in text
    assert float(text[1:].replace(",", "")) == pytest.approx(usd, rel=0.006)


def test_tiny_sums_by_the_thousand():
    assert per_thousand(0.0000023) == "$0.00230 per 1,000"


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ((0.00000748,), "$0.00748 per 1,000"),
        ((0.01,), "$0.0100"),
        ((0.0338,), "$0.0338"),
        ((0,), "$0"),
        ((None,), "no price known"),
        ((0.000000731, 0.00000748), "$0.000731 against $0.00748 per 1,000"),
        ((0.0195, 0.0389), "$0.0195 against $0.0389"),
        ((0.00000748, 0.0389), "$0.00748 against $38.90 per 1,000"),
        ((0, 0.00000748), "$0 against $0.00748 per 1,000"),
        ((0.00000748, None), "$0.00748 per 1,000 against no price known"),
        ((None, None), "no price known against no price known"),
    ],
)
def test_what_pictures_cost_is_told_in_one_unit_and_no_zeros_are_counted(usd, text):
    assert cost_text(*usd) == text
    if len(usd) > 1 and None not in usd:  # each for itself, as under its picture, in no other
        one_by_one = [cost_text(each, beside=usd).removesuffix(" per 1,000") for each in usd]
        assert " against ".join(one_by_one) == text.removesuffix(" per 1,000")


@pytest.mark.parametrize(
    ("usd", "hosted", "said"),
    [
        (0.03, [None, None], " at $0.03 an hour"),
        (2, [None, {"provider": "A"}], " at $2 an hour"),
        (0, [None], " at $0 an hour"),
        (None, [None], ""),
        (2, [{"provider": "A"}, {"provider": "B"}], ""),
    ],
)
def test_a_cost_names_the_price_per_hour_that_it_is_at(usd, hosted, said):
    assert rate_text({"price": {"usd_per_hour": usd}, "lanes": [{"hosted": each} for each in hosted]}) == said


@pytest.mark.parametrize(
    ("usd", "each", "said"),
    [
        (0.000041, (0.0000037, 0.0000373), "$0.00370 against $0.0373 per 1,000"),
        (0.000041, (), "under $0.01"),
        (0.0131, (0.000111, 0.0012), "$0.111 against $1.20 per 1,000, this run about $0.0131"),
        (0.0584, (0.0195, 0.0389), "$19.50 against $38.90 per 1,000, this run about $0.0584"),
        (0.0584, (), "$0.0584"),
        (0, (0, 0), "$0"),
        (None, (None, None), "no price known"),
        (None, (0.0195, None), "no price known"),
    ],
)
def test_what_a_run_will_cost_can_be_read_and_compared_with_what_its_pictures_did(usd, each, said):
    text = expected(4.93, usd, {"measured here, 3 runs": True}, each=each)
    assert text == f"about 4.93 s, {said} (measured here, 3 runs)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.8, "2.80 s"),
        (2.81, "2.81 s"),
        (0.0421, "42.1 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (999.7, "1,000 s"),
    ],
)
def test_seconds_have_three_digits_and_a_unit(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.868, 0.919, "868 to 919 ms"), (0.9, 1.2, "900 ms to 1.20 s"), (1.2, 3, "1.20 to 3.00 s"), (2, 2, "2.00 s")],
)
def test_a_range_says_its_unit_once(low, high, text):
    assert seconds_range(low, high) == text


def test_figures_percentages_and_counts():
    assert [figure(x) for x in (9.4186, 89.13, 123.4, 1234)] == ["9.42", "89.1", "123", "1,234"]
    assert [percent(x) for x in (0.89, 0.996, 0.9999, 1.0, 0)] == ["89 %", "99.6 %", "99.9 %", "100 %", "0 %"]
    assert [count(n, "step") for n in (1, 4, 1000)] == ["1 step", "4 steps", "1,000 steps"]


def test_a_loss_is_not_said_as_a_gain():
    assert (speed(9.42), speed(0.5)) == ("9.42 × faster", "2.00 × slower")
    assert (saved(0.89), saved(-0.25)) == ("89 % cheaper", "25 % dearer")
    assert (saved(-1), saved(-1284.7)) == ("100 % dearer", "1,286 × the cost")


def test_a_sum_can_have_more_digits_where_it_is_reckoned_with():
    assert [dollars(usd, 4) for usd in (7.5649e-06, 0.00083794, 12.345)] == ["$0.000007565", "$0.0008379", "$12.35"]


def test_a_long_time_is_said_in_a_persons_unit():
    texts = [duration(seconds) for seconds in (0.1, 90, 907, 7200, 200_000)]
    assert texts == ["100 ms", "90.0 s", "15.1 minutes", "2.00 hours", "2.31 days"]


def test_a_file_name_is_safe_whatever_the_prompt():
    names = [slug(text) for text in ("A red apple!", "../../etc/passwd", "<script>", "狐", "", "a" * 47 + " b")]
    assert names == ["a-red-apple", "etc-passwd", "script", "picture", "picture", "a" * 47]


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0.00 kB"), (7_470, "7.47 kB"), (999_900, "1.00 MB"), (2e9, "2.00 GB"), (12.3e6, "12.3 MB")]
)
def test_sizes(size, said):
    assert size_text(size) == said


def test_a_moment_is_said_for_every_time_zone():
    assert when(1_795_492_020) == "24 November 2026, 03:47 UTC"
