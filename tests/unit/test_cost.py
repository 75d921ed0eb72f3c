"""Seconds and prices to dollars, against sums done by hand."""

from __future__ import annotations

import math
import re

import pytest

from pipeline.cost import (
    HostedPrice,
    PriceProfile,
    hosted_cost,
    load_prices,
    machine_cost,
    machine_formula,
    month,
    month_formula,
    saving,
    source_url,
)
from pipeline.errors import InputError, PlaygroundError

PRICES = load_prices()


def hourly(usd: float | None) -> PriceProfile:
    return PriceProfile(id="x", name="x", usd_per_hour=usd, source="a page", as_of="2026-11-01")


def hosted(unit: str, usd: float) -> HostedPrice:
    return HostedPrice(name="someone", unit=unit, usd=usd, source="a page", as_of="2026-11-01")


@pytest.mark.parametrize(
    ("seconds", "usd_per_hour", "usd"),
    [(0.5, 5.00, 0.00069), (2, 0.80, 0.00044), (8, 2.50, 0.0056), (1, 6.00, 0.0017), (0, 5, 0), (3600, 1.8, 1.8)],
)
def test_seconds_of_a_machine(seconds, usd_per_hour, usd):
    assert machine_cost(seconds, hourly(usd_per_hour)) == pytest.approx(usd, rel=0.02)


def test_the_formula_can_be_checked_by_hand():
    text = machine_formula(8.0, PRICES.profiles["hf-a100-large"])
    assert text == "8 s × $2.5 per hour ÷ 3600 = $0.00556"


def test_no_known_price_is_no_cost():
    assert machine_cost(8.0, hourly(None)) is None
    assert "no cost" in machine_formula(8.0, hourly(None))


@pytest.mark.parametrize("seconds", [0.0123456, 0.3, 2.81, 47.0, 1234.5])
def test_the_formula_is_right_to_the_digits_it_shows(seconds):
    shown_s, rate, usd = re.fullmatch(
        r"(\S+) s × \$(\S+) per hour ÷ 3600 = \$(\S+)", machine_formula(seconds, PRICES.profiles["hf-l4"])
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
    assert hosted_cost(hosted(unit, usd), width, height) == pytest.approx(cost, rel=0.003)


def test_a_saving_is_a_part_of_the_predecessors_cost():
    assert saving(0.033792, 0.019968) == pytest.approx(0.409, abs=0.001)
    assert saving(1.0, 2.0) == -1.0
    assert saving(1.0, 0.0) == 1.0


@pytest.mark.parametrize(("old", "new"), [(None, 1.0), (1.0, None), (None, None), (0.0, 0.0), (0.0, 1.0)])
def test_a_saving_of_nothing_known_is_not_said(old, new):
    assert saving(old, new) is None


@pytest.mark.parametrize(
    ("device", "profile"),
    [
        ("NVIDIA L4", "hf-l4"),
        ("NVIDIA L40S", "hf-l40s"),
        ("Tesla T4", "hf-t4-small"),
        ("NVIDIA A10G", "hf-a10g-small"),
        ("NVIDIA A100-SXM4-80GB", "hf-a100-large"),
        ("NVIDIA A100 80GB PCIe", "hf-a100-large"),
        ("NVIDIA A100-SXM4-40GB", "unknown"),
        ("NVIDIA H100 80GB HBM3", "aws-h100"),
        ("NVIDIA H200", "hf-h200"),
        ("NVIDIA RTX PRO 6000 Blackwell MIG 2g.48gb", "hf-zerogpu"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "unknown"),
        ("CPU, 2 cores", "hf-cpu-upgrade"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "unknown"),
        ("NVIDIA GeForce RTX 4090", "unknown"),
        ("NVIDIA L40", "unknown"),
        ("AMD Instinct MI300X", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_profile_proposed_for_a_device(device, profile):
    assert PRICES.proposed(device).id == profile


def test_a_price_can_be_named_or_given():
    assert PRICES.profile("hf-l4").usd_per_hour == 0.8
    for given_price in (2, 2.0, "2", " 2.0 "):
        own = PRICES.profile(given_price)
        assert (own.id, own.usd_per_hour) == ("own", 2.0)
    assert PRICES.profile(0).usd_per_hour == 0


NO_PRICES = [
    "hf-l5",
    "",
    "cheap",
    "-1",
    "nan",
    "inf",
    "9" * 900,
    -1,
    None,
    10_001,
    10**400,
    10**5000,
    math.nan,
    math.inf,
]


@pytest.mark.parametrize("price", [*NO_PRICES, True, [], {}, b""], ids=lambda price: type(price).__name__)
def test_any_other_price_is_refused_with_the_known_ones(price):
    with pytest.raises(InputError) as caught:
        PRICES.profile(price)
    message = str(caught.value)
    assert message.startswith("price must be dollars per hour, from 0 to 10000, or one of hf-cpu-upgrade, ")
    assert len(message) < 400
    assert message.endswith(".")


def test_every_shipped_price_has_its_source_and_date():
    for price in (*PRICES.profiles.values(), *PRICES.hosted):
        assert price.source
        assert re.fullmatch(r"2026-\d\d(-\d\d)?", price.as_of)
    assert all(profile.usd_per_hour >= 0 for profile in PRICES.profiles.values())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "'profiles'"),
        ("nonsense", "cannot be read"),
        ("profiles = 3\nhosted = []", "cannot be read"),
        ("hosted = []\n[profiles]", "at least one"),
        ("hosted = []\n[profiles.a]\nname = 'A'", "profiles.a.usd_per_hour"),
        (
            "[profiles.a]\nname='A'\nusd_per_hour=1\nsource='s'\nas_of='2026-11-01'\n"
            "[[hosted]]\nname='B'\nunit='furlong'\nusd=1\nsource='s'\nas_of='2026-11-01'",
            "hosted.0.unit",
        ),
    ],
)
def test_a_bad_price_table_says_where(tmp_path, text, where):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(PlaygroundError) as caught:
        load_prices(path)
    message = str(caught.value)
    assert str(path) in message
    assert where in message
    assert "\n" not in message
    assert message.endswith(".")


def test_a_further_megapixel_can_have_its_own_price():
    klein = HostedPrice(name="x", unit="megapixel", usd=0.014, usd_further=0.001, source="a page", as_of="2026-11")
    assert hosted_cost(klein, 512, 512) == 0.014
    assert hosted_cost(klein, 1024, 1024) == 0.014
    assert hosted_cost(klein, 2048, 1024) == pytest.approx(0.015)


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
    assert (of.by_use_usd, of.left_on_usd) == (pytest.approx(by_use, rel=1e-4), pytest.approx(left_on))
    assert (of.machines, of.busy_s_a_day) == (machines, pytest.approx(seconds * images_a_day))


def test_a_month_without_a_price_has_no_cost_but_its_machines():
    of = month(200, 1000, hourly(None))
    assert (of.by_use_usd, of.left_on_usd, of.machines) == (None, None, 3)


@pytest.mark.parametrize("usd", [7.565e-06, 0.00083794, 0.0123456, 1.23456])
def test_the_months_sum_is_right_to_the_digits_it_shows(usd):
    shown, images, total = re.fullmatch(
        r"\$(\S+) × (\S+) a day × 30 days = \$(\S+)", month_formula(usd, 12345)
    ).groups()
    product = float(shown) * int(images.replace(",", "")) * 30
    assert product == pytest.approx(float(total.replace(",", "")), rel=0.005)
    assert product == pytest.approx(usd * 12345 * 30, rel=0.001)
    assert "no cost" in month_formula(None, 1)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://a.example/b (a page)", "https://a.example/b"),
        ("http://a.example", None),
        ("javascript:alert(1)", None),
        (" https://a.example", None),
        ("given by you", None),
        ("", None),
    ],
)
def test_only_an_address_that_a_source_begins_with_is_linked(source, url):
    assert source_url(source) == url


def test_a_documents_price_keeps_its_figure_and_gets_the_tables_name():
    said = {"profile": "hf-l4", "usd_per_hour": 0.7, "source": "then", "as_of": "2026-01-01"}
    price = PRICES.described(said)
    assert (price.name, price.usd_per_hour, price.source) == ("Hugging Face L4", 0.7, "then")
    assert PRICES.described({**said, "profile": "own"}).name == "a price of your own"


def test_the_hosted_pair_that_the_question_is_about_is_listed():
    usd = {price.name: hosted_cost(price, 1024, 1024) for price in PRICES.hosted}
    assert usd["MAI-Image-2, retired"] == pytest.approx(0.0338, rel=0.002)
    assert usd["MAI-Image-2-Efficient, retired"] == pytest.approx(0.0200, rel=0.002)
