"""Seconds and prices to dollars, against sums done by hand."""

from __future__ import annotations

import re

import pytest

from pipeline.cost import call_sum, hosted_sum, machine_sum, month, saving
from pipeline.hosted import HostedCall, HostedPrice
from pipeline.prices import PriceProfile, load_prices

PRICES = load_prices()


def hourly(usd: float | None) -> PriceProfile:
    return PriceProfile(id="x", name="x", usd_per_hour=usd, source="a page", as_of="2026-11-01")


def hosted(unit: str, usd: float, **more: float) -> HostedPrice:
    return HostedPrice(name="someone", unit=unit, usd=usd, source="a page", as_of="2026-11-01", **more)


@pytest.mark.parametrize(
    ("seconds", "usd_per_hour", "usd"),
    [(0.5, 5.00, 0.00069), (2, 0.80, 0.00044), (8, 2.50, 0.0056), (1, 6.00, 0.0017), (0, 5, 0), (3600, 1.8, 1.8)],
)
def test_seconds_of_a_machine(seconds, usd_per_hour, usd):
    assert machine_sum(seconds, hourly(usd_per_hour)).usd == pytest.approx(usd, rel=0.02)


def test_the_formula_can_be_checked_by_hand():
    text = machine_sum(8.0, PRICES.profiles["hf-a100-large"]).formula
    assert text == "8 s × $2.5 per hour ÷ 3600 = $0.00556"


def test_no_known_price_is_no_cost():
    for of in (machine_sum(8.0, hourly(None)), month(8.0, 1, hourly(None)).by_use):
        assert of.usd is None and "no cost" in of.formula


@pytest.mark.parametrize("seconds", [0.0123456, 0.3, 2.81, 47.0, 1234.5])
def test_the_formula_is_right_to_the_digits_it_shows(seconds):
    shown_s, rate, usd = re.fullmatch(
        r"(\S+) s × \$(\S+) per hour ÷ 3600 = \$(\S+)", machine_sum(seconds, PRICES.profiles["hf-l4"]).formula
    ).groups()
    assert float(shown_s) * float(rate) / 3600 == pytest.approx(float(usd), rel=0.005)


@pytest.mark.parametrize(
    ("unit", "usd", "width", "height", "cost"),
    [
        ("million output tokens", 33.0, 1024, 1024, 0.0338),
        ("million output tokens", 19.5, 1024, 1024, 0.0200),
        ("million output tokens", 38.0, 1024, 1024, 0.0389),
        ("million output tokens", 1e6, 768, 768, 576),
        ("million output tokens", 1e6, 1280, 768, 960),
        ("million output tokens", 1e6, 1248, 832, 1014),
        ("megapixel", 0.005, 1024, 1024, 0.005),
        ("megapixel", 0.005, 512, 1024, 0.0025),
        ("image", 0.003, 64, 64, 0.003),
    ],
)
def test_what_a_provider_asks_for_one_picture(unit, usd, width, height, cost):
    assert hosted_sum(hosted(unit, usd), width, height).usd == pytest.approx(cost, rel=0.003)


def test_a_saving_is_a_part_of_the_predecessors_cost():
    assert saving(0.033792, 0.019968) == pytest.approx(0.409, abs=0.001)
    assert saving(1.0, 2.0) == -1.0
    assert saving(1.0, 0.0) == 1.0


@pytest.mark.parametrize(("old", "new"), [(None, 1.0), (1.0, None), (None, None), (0.0, 0.0), (0.0, 1.0)])
def test_a_saving_of_nothing_known_is_not_said(old, new):
    assert saving(old, new) is None


def test_a_further_megapixel_can_have_its_own_price():
    klein = HostedPrice(name="x", unit="megapixel", usd=0.014, usd_further=0.001, source="a page", as_of="2026-11")
    assert hosted_sum(klein, 512, 512).usd == 0.014
    assert hosted_sum(klein, 1024, 1024).usd == 0.014
    assert hosted_sum(klein, 2048, 1024).usd == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("seconds", "images_a_day", "usd_per_hour", "by_use", "machines", "left_on"),
    [
        (0.9, 1000, 0.03, 0.225, 1, 21.6),  # 900 s a day × 30 = 7.5 h; one machine 720 h
        (0.1, 1000, 0.03, 0.025, 1, 21.6),
        (86.4, 1000, 1.0, 720.0, 1, 720.0),  # busy to the last second
        (86.5, 1000, 1.0, 720.833, 2, 1440.0),
        (0.5, 1, 0.0, 0.0, 1, 0.0),
    ],
)
def test_a_month_by_use_and_with_machines_left_on(seconds, images_a_day, usd_per_hour, by_use, machines, left_on):
    of = month(seconds, images_a_day, hourly(usd_per_hour))
    assert (of.by_use.usd, of.left_on_usd) == (pytest.approx(by_use, rel=1e-4), pytest.approx(left_on))
    assert (of.machines, of.busy_s_a_day) == (machines, pytest.approx(seconds * images_a_day))


def test_a_month_without_a_price_has_no_cost_but_its_machines():
    of = month(200, 1000, hourly(None))
    assert (of.by_use.usd, of.left_on_usd, of.machines) == (None, None, 3)


@pytest.mark.parametrize("usd", [7.565e-06, 0.00083794, 0.0123456, 1.23456])
def test_the_months_sum_is_right_to_the_digits_it_shows(usd):
    of = month(3600, 12345, hourly(usd))
    shown, images, total = re.fullmatch(r"\$(\S+) × (\S+) a day × 30 days = \$(\S+)", of.by_use.formula).groups()
    product = float(shown) * int(images.replace(",", "")) * 30
    assert product == pytest.approx(float(total.replace(",", "")), rel=0.005)
    assert product == pytest.approx(usd * 12345 * 30, rel=0.001)
    assert of.by_use.usd == pytest.approx(usd * 12345 * 30)


def test_the_hosted_pair_that_the_question_is_about_is_listed():
    usd = {price.name: hosted_sum(price, 1024, 1024).usd for price in PRICES.hosted}
    assert usd["MAI-Image-2, retired"] == pytest.approx(0.0338, rel=0.002)
    assert usd["MAI-Image-2-Efficient, retired"] == pytest.approx(0.0200, rel=0.002)


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        (hosted("image", 0.003), "1 picture × $0.003 = $0.00300"),
        (hosted("megapixel", 0.005), "2 megapixels × $0.005 = $0.0100"),
        (hosted("megapixel", 0.014, usd_further=0.001), "$0.014 + 1 further megapixels × $0.001 = $0.0150"),
        (hosted("million output tokens", 33.0), "2,048 output tokens × $33 ÷ 1,000,000 = $0.0676"),
        (
            hosted("image", 0.003, usd_prompt=5.0),
            "1 picture × $0.003 + 1,000 prompt tokens × $5 ÷ 1,000,000 = $0.00800",
        ),
    ],
)
def test_a_providers_sum_and_its_formula_are_one(price, shown):
    call = HostedCall(provider="Someone", takes=(), width=2048, height=1024, price=price, prompt_tokens=1000)
    assert call_sum(call).formula == shown
    assert call_sum(call).usd == pytest.approx(float(shown.rpartition("$")[2]), rel=0.005)


def test_a_provider_without_a_price_is_named_and_costs_nothing_known():
    call = HostedCall(provider="Someone", takes=(), width=8, height=8, price=None)
    assert call_sum(call).usd is None
    assert call_sum(call).formula == "no price of Someone's is known, so no cost is said"
