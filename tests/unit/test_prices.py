"""The price table: what is proposed for a device, what can be given instead, and what is refused."""

from __future__ import annotations

import math
import re

import pytest

from pipeline.errors import InputError, PlaygroundError
from pipeline.prices import load_prices, source_url, sum_given

PRICES = load_prices()


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


@pytest.mark.parametrize(
    ("written", "usd"),
    [
        ("0,5", 0.5), ("$0,50", 0.5), (",5", 0.5), ("0,035", 0.035), ("12,25", 12.25), ("1,2345", 1.2345),
        ("1,000", None), ("12,345", None), ("1,2,3", None), ("1.000,5", None), ("1,000.5", None), (",", None),
        ("5,", None),
    ],
)  # fmt: skip
def test_a_comma_is_a_decimal_one_or_refused(written, usd):
    assert sum_given(written, 10_000) == usd


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
    assert message.startswith("price must be dollars per hour from 0 to 10000, such as 2.50, or one of hf-cpu")
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


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://a.example/b (a page)", "https://a.example/b"),
        ("http://a.example", None),
        ("javascript:alert(1)", None),
        (" https://a.example", None),
        ("whoever made this", None),
        ("", None),
    ],
)
def test_only_an_address_that_a_source_begins_with_is_linked(source, url):
    assert source_url(source) == url


def test_a_documents_price_keeps_its_figure_and_gets_the_tables_name():
    said = {"profile": "hf-l4", "usd_per_hour": 0.7, "source": "then", "as_of": "2026-01-01"}
    price = PRICES.described(said)
    assert (price.name, price.usd_per_hour, price.source) == ("Hugging Face L4", 0.7, "then")
    assert PRICES.described({**said, "profile": "own"}).name == "one that was typed in"
