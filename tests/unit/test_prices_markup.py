"""What the Prices tab says: sums, charts and lists as text, escaped."""

from __future__ import annotations

import html
import re

import pytest

from pipeline.charts import CostBar, cost_chart
from pipeline.compare import repriced
from pipeline.prices import PriceProfile, load_prices
from pipeline.stored import load
from pipeline.ui import prices_markup

TABLE = load_prices()
STORED, _ = load()
SECONDS = {"predecessor": 0.9, "efficient": 0.1}
DOCUMENT = STORED | {
    "lanes": [lane | {"seconds": {**lane["seconds"], "total": SECONDS[lane["role"]]}} for lane in STORED["lanes"]],
    "significance": {"p": 0.008, "significant": True, "runs_needed": 4, "runs": 5, "low": 8.8, "high": 9.2},
}
"""The shipped comparison at times that a reader can reckon with, and that are known well."""
HOSTILE = "<script>alert(1)</script>"


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def volume(price: PriceProfile, images_a_day: int = 1000, **changes) -> str:
    return text(prices_markup.volume({**repriced(DOCUMENT, price), **changes}, price, images_a_day, "From a test"))


def test_the_saving_is_that_of_both_sums():
    said = volume(TABLE.profiles["hf-cpu-upgrade"])
    assert "At 1,000 images a day this saves $0.200 a month, paid by use" in said  # 0.8 s x $0.03 / 3600 x 30,000
    assert "with machines left on it saves nothing." in said
    assert "$21.60, 1 machine $21.60, 1 machine" in said
    assert "× 1,000 a day × 30 days = $0.225" in said and "read 2026-08-22" in said


def test_one_run_saves_roughly_and_a_difference_by_chance_nothing():
    price = TABLE.profiles["hf-cpu-upgrade"]
    single = {**DOCUMENT, "lanes": [lane | {"runs": 1} for lane in DOCUMENT["lanes"]]}
    said = text(prices_markup.volume(repriced(single, price), price, 1_000, ""))
    assert (
        "this saves about $0.20 a month, paid by use; with machines left on it saves nothing, by one run only." in said
    )
    few = {"p": 0.1, "significant": False, "runs_needed": 4, "runs": 3}
    said = volume(price, significance=few, lanes=[lane | {"runs": 3} for lane in DOCUMENT["lanes"]])
    assert "saves about $0.20 a month" in said and "by 3 runs only." in said
    chance = {"p": 0.6, "significant": False, "runs_needed": 4, "runs": 5}
    assert "no saving is claimed: the two models' times may differ by chance" in volume(price, significance=chance)


def test_what_is_known_roughly_is_said_roughly_or_not_at_all():
    lanes, price = [lane | {"runs": 1} for lane in DOCUMENT["lanes"]], TABLE.profile(1)
    assert "no saving is claimed: the two models are about as fast" in volume(price, lanes=lanes, speedup=1.03)
    said = text(prices_markup.volume(repriced({**DOCUMENT, "lanes": lanes}, price), price, 300_000, ""))
    assert "saves about $2,000 a month, paid by use" in said and "by one run only." in said
    sure = {"p": 0.0002, "significant": True, "runs_needed": 4, "runs": 10, "low": 2.9, "high": 15.1}
    ten = [lane | {"runs": 10} for lane in DOCUMENT["lanes"]]
    said = volume(price, lanes=repriced({**DOCUMENT, "lanes": ten}, price)["lanes"], significance=sure)
    assert "as far as 10 runs that vary so much can tell." in said
    alike = sure | {"low": 1.001, "high": 1.005}
    assert "no saving is claimed" in volume(price, lanes=ten, speedup=1.003, significance=alike)


@pytest.mark.parametrize(
    ("side", "said"), [(128, "has 64 × the pixels"), (960, "has 1.1 × the pixels"), (1536, "has 0.44 × the pixels")]
)
def test_pictures_of_another_size_are_not_like_for_like(side, said):
    assert said in text(prices_markup.hosted_chart({**DOCUMENT, "width": side, "height": side}, TABLE))
    alike = text(prices_markup.hosted_chart({**DOCUMENT, "width": 1024, "height": 1024}, TABLE))
    assert "pixels" not in alike and "Not like for like: another model" in alike


def test_machines_that_are_not_needed_are_a_saving():
    said = volume(TABLE.profile(1), 1_000_000)
    assert "with machines left on it saves $6,480." in said
    assert "$7,920.00, 11 machines $1,440.00, 2 machines" in said


def test_more_than_a_day_of_work_a_day_is_machines():
    assert "Busy 2.50 hours a day 16.7 minutes a day" in volume(TABLE.profile(1), 10_000)
    assert "Busy 10.4 machines all day 1.16 machines all day" in volume(TABLE.profile(1), 1_000_000)


def test_a_dearer_successor_is_said_to_be_one():
    price = TABLE.profile(36)
    document = repriced({**DOCUMENT, "lanes": DOCUMENT["lanes"][::-1]}, price)
    assert "this costs $" in text(prices_markup.volume(document, price, 1000, ""))


@pytest.mark.parametrize(
    ("price", "changes", "said"),
    [
        (TABLE.proposed("an unheard-of GPU"), {}, "no price is known for this hardware"),
        (
            TABLE.profile(1),
            {"speedup": None, "lanes": [lane | {"cache": "hit"} for lane in DOCUMENT["lanes"]]},
            "no saving is claimed. From the cache: cached times are from",
        ),
        (
            TABLE.profile(1),
            {"speedup": None, "lanes": [lane | {"usual_seconds": 0.05} for lane in DOCUMENT["lanes"]]},
            "no saving is claimed. The machine was busy: the predecessor model took 18 times",
        ),
        (
            TABLE.profile(1),
            {"lanes": [lane | {"usual_seconds": 0.05} for lane in DOCUMENT["lanes"]]},
            "no saving is claimed: the machine was busy with something else",
        ),
        (TABLE.profile(0), {}, "saves nothing a month"),
    ],
)
def test_where_nothing_can_be_said_it_is_said(price, changes, said):
    assert said in volume(price, **changes)


def test_every_bar_has_its_sum_and_the_scale_is_named():
    document = repriced(DOCUMENT, TABLE.profiles["hf-cpu-upgrade"])
    said = text(prices_markup.hosted_chart(document, TABLE))
    assert "Logarithmic scale from $0.000100 to $100" in said and "64 × the pixels" in said
    for name, usd in (
        ("MAI-Image-2, retired", "$33.79"),
        ("MAI-Image-2-Efficient, retired", "$19.97"),
        ("Predecessor, ", "$0.00750"),
    ):
        assert re.search(rf"{re.escape(name)}\S* {re.escape(usd)}", said), name


def test_bars_are_as_long_as_their_logarithms():
    bars = [CostBar("a", 0.1, "", True), CostBar("b", 1.0, "", False), CostBar("c", 10.0, "", False)]
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", cost_chart(bars))]
    assert widths == [0.4, 50.0, 100.0]
    assert re.findall(r"width:([\d.]+)%", cost_chart([CostBar("a", None, "", True), CostBar("b", 0, "", True)])) == [
        "0.40",
        "0.40",
    ]
    assert "no price known" in cost_chart([CostBar("a", None, "", True)])


def test_every_price_has_its_source_and_a_link():
    for table, prices in (
        (prices_markup.hardware_table(TABLE), TABLE.profiles.values()),
        (prices_markup.hosted_table(TABLE), TABLE.hosted),
    ):
        said = text(table)
        for price in prices:
            assert price.name in said and price.source.removeprefix("https://").split()[0] in said
            assert f"read {price.as_of}" in said
        assert all(link.startswith("https://") for link in re.findall(r'href="([^"]*)', table))


def test_all_of_it_is_escaped():
    price = PriceProfile(id="x", name=HOSTILE, usd_per_hour=1, source=f'https://x"{HOSTILE}', as_of=HOSTILE)
    lanes = [{**lane, "model": HOSTILE} for lane in DOCUMENT["lanes"]]
    document = {**DOCUMENT, "lanes": lanes}
    table = TABLE.model_copy(update={"profiles": {"x": price}})
    for markup in (
        prices_markup.volume(document, price, 1, HOSTILE),
        prices_markup.hosted_chart(document, table),
        prices_markup.hardware_table(table),
    ):
        assert "<script" not in markup and '="https://x"' not in markup
