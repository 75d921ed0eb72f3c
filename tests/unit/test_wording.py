"""Numbers as a person reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import wording
from pipeline.wording import claim, count, dollars, figure, per_thousand, percent, saved, seconds_text, speed


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
    assert per_thousand(None) == ""


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


def test_figures_percentages_and_counts():
    assert [figure(x) for x in (9.4186, 89.13, 123.4, 1234)] == ["9.42", "89.1", "123", "1,234"]
    assert [percent(x) for x in (0.89, 0.996, 0.9999, 1.0, 0)] == ["89 %", "99.6 %", "99.9 %", "100 %", "0 %"]
    assert [count(1, "step"), count(4, "step")] == ["1 step", "4 steps"]


def test_a_loss_is_not_said_as_a_gain():
    assert (speed(9.42), speed(0.5)) == ("9.42 × faster", "2.00 × slower")
    assert (saved(0.89), saved(-0.25)) == ("89 % cheaper", "25 % dearer")


def test_the_claim_of_a_comparison():
    assert claim({"speedup": 2.0, "saving": 0.5}) == "2.00 × faster, 50 % cheaper"
    assert claim({"speedup": 2.0, "saving": None}) == "2.00 × faster"
    assert "no speed-up is claimed" in claim({"speedup": None, "saving": None})


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0.00 kB"), (7_470, "7.47 kB"), (999_900, "1.00 MB"), (2e9, "2.00 GB"), (12.3e6, "12.3 MB")]
)
def test_sizes(size, said):
    assert wording.size_text(size) == said


def test_a_moment_is_said_for_every_time_zone():
    assert wording.when(1_795_492_020) == "24 November 2026, 03:47 UTC"
