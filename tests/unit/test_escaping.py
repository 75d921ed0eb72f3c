"""Whatever a person, a --model-file or a price list says is text on the page: nothing of it becomes a tag or an
attribute."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from pipeline.catalog import load_catalog
from pipeline.cells import Cell
from pipeline.device import Facts
from pipeline.history import Entry
from pipeline.hosted import HostedPrice
from pipeline.models import models_document
from pipeline.prices import PriceProfile, PriceTable
from pipeline.reading import Reading
from pipeline.stored import load
from pipeline.sweep_votes import Setting, Standing
from pipeline.ui import (
    compare_view,
    history_markup,
    markup,
    models_markup,
    prices_markup,
    sweep_markup,
    vote_markup,
)
from pipeline.votes import Ballot, Cast, Tally
from tests.fakes import plan_of
from tests.reports import Page

HOSTILE = """"' onfocus=alert(2) x="><img src=x onerror=alert(1)>{x}{}%s"""
TALLY = Tally(1, 9, 2, 1, 3)
SHIPPED = load_catalog()
MODULES = compare_view, history_markup, markup, models_markup, prices_markup, sweep_markup, vote_markup
UI = Path(markup.__file__).parent


def hostile(value: Any, *keep: str) -> Any:
    """A document with every text replaced, but for those named in ``keep``, which are words of its format."""
    if isinstance(value, dict):
        return {name: each if name in keep else hostile(each, *keep) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, *keep) for each in value]
    return HOSTILE if isinstance(value, str) else value


HOSTED_PRICE = HostedPrice(
    name=HOSTILE, unit="image", usd=0.1, source=f"https://{HOSTILE}", as_of=HOSTILE, note=HOSTILE
)
HOSTED = {"provider": HOSTILE, "takes": [], "width": 64, "height": 64, "price": HOSTED_PRICE.model_dump()}
PRICE = PriceProfile(id="x", name=HOSTILE, usd_per_hour=1.0, source=f"https://{HOSTILE}", as_of=HOSTILE)
TABLE = PriceTable(profiles={"x": PRICE}, hosted=[HOSTED_PRICE])
STORED = hostile(load()[0], "role", "cache", "verdict")
UNREAD = Reading(41, 24, (HOSTILE,)).as_dict()
LANES = [{**lane, "reading": UNREAD} for lane in STORED["lanes"]]
DOCUMENT = {**STORED, "lanes": LANES, "opinions": HOSTILE}
AT_A_PROVIDER = {**DOCUMENT, "lanes": [{**lane, "hosted": HOSTED} for lane in LANES]}


def address(file: Path) -> str:
    return f"file/{HOSTILE}"


def entry(kind: str, document: dict) -> Entry:
    return Entry(HOSTILE, kind, "", 0.0, HOSTILE, (HOSTILE,), False, document, {0: Path("a.png"), 1: Path("b.png")})


class Said:
    """Votes that one voter cast."""

    def casts(self, _) -> list[Cast]:
        return [Cast(0, "ann", "efficient", 1.0)]

    def settings(self, _) -> int:
        return 1


VOTE = entry("vote", {"pairs": [DOCUMENT, {**DOCUMENT, "negative_prompt": f"another {HOSTILE}"}]})
STANDING = Standing(Setting(HOSTILE, 1, 0.2, None, TALLY), (Setting(HOSTILE, 0, 0.1, None, TALLY),), TALLY)


def kept(kind: str) -> str:
    document = {
        "comparison": DOCUMENT,
        "picture": DOCUMENT["lanes"][0] | {"prompt": HOSTILE, "seed": 7, "price": DOCUMENT["price"]},
        "sweep": {"rows": HOSTILE, "columns": HOSTILE},
        "vote": VOTE.document,
    }[kind]
    found = [entry(kind, document)]
    say = lambda _: HOSTILE  # noqa: E731
    return history_markup.cards(found, SHIPPED, address, say) + history_markup.cards(found, SHIPPED, lambda _: None)


def catalogue() -> str:
    document = models_document(SHIPPED, Facts("cuda", HOSTILE, 23 * 10**9, 64 * 10**9, True))
    linked = {**document["models"][0], "licence_url": f"https://{HOSTILE}"}
    told = hostile(document)
    told["models"].append(hostile(linked, "licence_url"))
    return models_markup.catalogue(told)


def grid() -> str:
    """A cell that is done, one to be made and one left out, under names of a model file."""
    models = {key: card.model_copy(update={"name": HOSTILE}) for key, card in SHIPPED.models.items()}
    plan = plan_of(SHIPPED, models="diptych-128", prompts=f"{HOSTILE}\na cat", steps="2, 3")
    plan = replace(plan, skipped={1: HOSTILE})
    return sweep_markup.grid(plan, SHIPPED.model_copy(update={"models": models}), {0: cell()})


def title() -> Markup:
    plan = plan_of(SHIPPED, models="diptych-128", prompts=f"{HOSTILE}\na cat", steps="2, 3")
    return sweep_markup.title(plan, {**DOCUMENT, "rows": HOSTILE}, SHIPPED)


def cell() -> Markup:
    document = {**DOCUMENT["lanes"][0], "prompt": HOSTILE}
    return sweep_markup.cell(Cell(0, document, None), Path("a.png"), address)


RENDERED: dict[Callable, Callable[[], str]] = {
    compare_view.heading: lambda: compare_view.heading(
        "efficient", SHIPPED.model("diptych-128").model_copy(update={"name": HOSTILE})
    ),
    history_markup.cards: lambda: Markup("").join(map(kept, ("comparison", "picture", "sweep", "vote"))),
    markup.verdict: lambda: (
        markup.verdict(DOCUMENT, stored=HOSTILE)
        + markup.verdict({**DOCUMENT, "speedup": None, "saving": None})
        + markup.verdict(AT_A_PROVIDER)
    ),
    markup.message: lambda: markup.message(HOSTILE) + markup.message(HOSTILE, "error"),
    markup.hint: lambda: markup.hint(HOSTILE),
    markup.fault: lambda: markup.fault(HOSTILE),
    markup.lane: lambda: Markup("").join(
        markup.lane(lane, PRICE, 1.0, HOSTILE) for of in (DOCUMENT, AT_A_PROVIDER) for lane in of["lanes"]
    ),
    markup.progress: lambda: markup.progress(HOSTILE, 0.5),
    markup.status: lambda: markup.status(HOSTILE, HOSTILE),
    models_markup.catalogue: catalogue,
    prices_markup.volume: lambda: (
        prices_markup.volume(DOCUMENT, PRICE, 1000, HOSTILE) + prices_markup.volume(AT_A_PROVIDER, PRICE, 1000, HOSTILE)
    ),
    prices_markup.hosted_chart: lambda: prices_markup.hosted_chart(AT_A_PROVIDER, TABLE),
    prices_markup.hardware_table: lambda: prices_markup.hardware_table(TABLE),
    prices_markup.hosted_table: lambda: prices_markup.hosted_table(TABLE),
    sweep_markup.grid: grid,
    sweep_markup.title: title,
    sweep_markup.cell: cell,
    vote_markup.ballot: lambda: vote_markup.ballot(
        Ballot(0, HOSTILE, "efficient", "predecessor", 0, 1), address(Path("a.png")), "b.png"
    ),
    vote_markup.standing: lambda: vote_markup.standing(Said(), SHIPPED, VOTE),
    vote_markup.result: lambda: vote_markup.result(TALLY, [(HOSTILE, TALLY)], 3),
    vote_markup.sweep_result: lambda: vote_markup.sweep_result(STANDING, {HOSTILE: HOSTILE}, [(HOSTILE, TALLY)]),
}
"""Each public function that makes HTML, with a hostile text wherever one can come from."""


@pytest.mark.parametrize("function", RENDERED, ids=lambda function: f"{function.__module__}.{function.__name__}")
def test_a_hostile_text_stays_text(function):
    html = RENDERED[function]()
    assert isinstance(html, Markup)
    assert "<img src=x" not in html and "&lt;img src=x" in html
    for tag, attributes in Page(html).tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert attributes.get("href", "?").startswith(("https://", "?"))
        assert tag != "img" or attributes["src"].startswith(("file/", "b.png"))


def test_no_function_that_makes_html_is_left_out():
    made = {
        function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
        if function.__annotations__.get("return") == "Markup"
    }
    assert made == set(RENDERED)


@pytest.mark.parametrize("file", sorted(UI.rglob("*.py")), ids=lambda file: file.stem)
def test_escaping_is_the_types_work(file):
    """What is escaped by hand is forgotten once, and a sentence put together before it is Markup is not escaped."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert "html" not in [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module != "html"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Markup":
            assert all(isinstance(given, ast.Constant) for given in node.args), ast.unparse(node)
