"""Fixtures of the tests of reports: ``item`` makes a comparison and its pictures, ``page`` a report of such."""

from __future__ import annotations

import pytest

from pipeline import imagefile
from pipeline.compare import compare_document, plan
from pipeline.prices import load_prices
from pipeline.recipe import recipe_of
from pipeline.report import write_report
from pipeline.report_pictures import Item
from tests.fakes import results

PRICES = load_prices()


@pytest.fixture
def item(catalog, engine, tmp_path):
    def make(prompt: str = "a red apple", pair: str = "both", **how) -> Item:
        requests = plan(catalog, catalog.pair(pair), prompt, seed=7)
        made = dict(zip(requests, results(engine.run(list(requests.values()), **how)).values(), strict=True))
        document = compare_document(catalog.pair(pair), made, PRICES.profiles["hf-l4"])
        for lane in document["lanes"]:
            lane["image"] = f"{abs(hash(prompt))}-{lane['role']}.png"
            imagefile.write(tmp_path / lane["image"], made[lane["role"]].image, recipe_of(made[lane["role"]]))
        return Item(document, tmp_path)

    return make


@pytest.fixture
def page(catalog, tmp_path):
    def make(*items: Item, title: str = "Old and new", **more) -> str:
        write_report(tmp_path / "report.html", title, items, catalog, PRICES, **more)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return make
