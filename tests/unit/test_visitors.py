"""Who sees what: visitors their own, whoever sits at the machine also what is nobody's, and a program's."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import InputError, PlaygroundError
from pipeline.events import final_results
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.spending import Spending
from pipeline.ui.keeper import Keeper
from pipeline.ui.visitors import NOT_KEPT, Visitors
from tests.provider import CARDS

ME, YOU = "m" * 22, "y" * 22


@pytest.fixture
def playground(engine, tmp_path) -> Playground:
    return Playground(engine.catalog, load_prices(), engine, tmp_path)


@pytest.fixture
def page():
    return SimpleNamespace(share=False, space_id=None, server_name="127.0.0.1")


@pytest.fixture
def visitors(playground, page) -> Visitors:
    with gr.Blocks():
        return Visitors(playground, page)


def asked(host: str = "127.0.0.1", **headers: str):
    return SimpleNamespace(headers=headers, client=SimpleNamespace(host=host))


def made(engine, requests):
    return dict(zip(("efficient", "predecessor"), final_results(engine.run(requests)), strict=True))


@pytest.mark.parametrize("token", [None, "", "me", 7, ["m" * 22], "m" * 23, "m" * 21 + "'", {"a": 1}])
def test_a_token_that_is_not_ours_is_nobody_and_nobodys_is_no_token(visitors, token):
    owner = visitors.owner(token)
    assert owner not in (token, "") and visitors.owner(owner) == owner
    assert visitors.owner(ME) == ME


@pytest.mark.parametrize(
    ("where", "request_", "local"),
    [
        ({}, asked(), True),
        ({}, asked("::1"), True),
        ({"server_name": "localhost"}, asked(), True),
        ({}, asked("203.0.113.7"), False),
        ({}, asked(**{"X-Forwarded-For": "203.0.113.7"}), False),
        ({}, asked(**{"Host": "diptych.example", "X-Forwarded-Host": "diptych.example"}), False),
        ({}, asked(Via="1.1 proxy"), False),
        ({}, asked(Host="diptych.example"), False),
        ({}, asked(Host="evil.example:7860"), False),
        ({}, asked(Host="127.0.0.1:7860", Origin="https://evil.example"), False),
        ({}, asked(Host="127.0.0.1:7860", Origin="null"), False),
        ({}, asked(Host="[::1"), False),
        ({}, asked(Host="127.0.0.1:7860", Origin="http://127.0.0.1:7860"), True),
        ({}, asked(Host="localhost:7860", Origin="http://localhost:7860"), True),
        ({}, asked("::1", Host="[::1]:7860"), True),
        ({"server_name": "0.0.0.0"}, asked(), False),
        ({"server_name": "192.0.2.1"}, asked(), False),
        ({"share": True}, asked(), False),
        ({"space_id": "someone/diptych"}, asked(), False),
    ],
)
def test_only_who_sits_at_the_machine_is_local(visitors, page, where, request_, local):
    vars(page).update(where)
    assert visitors.local(request_) is local


def test_a_public_page_shows_nobody_what_is_nobodys(visitors, page, playground, engine, requests):
    results = list(made(engine, requests).values())
    mine, nobodys = (playground.history.add("comparison", {}, results, owner) for owner in (ME, ""))
    assert {entry.id for entry in visitors.find(ME, asked())} == {mine, nobodys}
    page.server_name = "0.0.0.0"
    assert [entry.id for entry in visitors.find(ME, asked())] == [mine]
    assert visitors.find(YOU, asked()) == []
    with pytest.raises(InputError, match="no such entry"):
        visitors.get(nobodys, ME, asked())


def test_what_a_program_makes_is_kept_where_somebody_finds_it(visitors, playground, engine, requests):
    results = list(made(engine, requests).values())
    visitors.keep_program("comparison", {}, results, asked("203.0.113.7"))
    assert playground.history.find() == []
    visitors.keep_program("comparison", {}, results, asked())
    assert [entry.owner for entry in playground.history.find()] == [""]


def test_the_first_picture_is_kept_at_once_until_the_comparison_is_there(visitors, playground, engine, requests):
    results, price = made(engine, requests), playground.proposed_price("CPU")
    pair = engine.catalog.pair("both")
    keeper = Keeper(playground, visitors, ME)
    keeper.done(pair, "efficient", results["efficient"], price)
    [alone] = playground.history.find(ME)
    assert (alone.kind, alone.models, alone.document["model"]) == ("picture", ("new",), "new")
    keeper.done(pair, "predecessor", results["predecessor"], price)
    [both] = playground.history.find(ME)
    assert (both.kind, both.models) == ("comparison", ("old", "new"))
    assert [lane["role"] for lane in both.document["lanes"]] == ["predecessor", "efficient"]
    assert keeper.document == {**both.document, "entry": both.id, "note": ""}


def test_lanes_that_were_drawn_unequally_often_are_compared_by_as_many_runs(visitors, playground, engine, requests):
    """A provider draws all of its runs before this machine begins, which may have been stopped since."""
    results, pair = made(engine, requests), engine.catalog.pair("both")
    often = replace(results["efficient"], runs=results["efficient"].runs * 5)
    keeper = Keeper(playground, visitors, ME)
    keeper.done(pair, "efficient", often, playground.proposed_price("CPU"))
    keeper.done(pair, "predecessor", results["predecessor"], playground.proposed_price("CPU"))
    assert [lane["runs"] for lane in keeper.document["lanes"]] == [1, 1]


def test_the_same_out_of_the_cache_twice_is_one_entry_and_after_another_is_two(visitors, playground, engine, requests):
    price, pair = playground.proposed_price("CPU"), engine.catalog.pair("both")

    def run(requests) -> None:
        keeper = Keeper(playground, visitors, ME)
        for role, result in made(engine, requests).items():
            keeper.done(pair, role, result, price)
        assert keeper.document["entry"]

    other = [request.model_copy(update={"prompt": "a fox"}) for request in requests]
    for what, entries in ((requests, 1), (requests, 1), (other, 2), (requests, 3), (requests, 3)):
        run(what)
        assert len(playground.history.find(ME)) == entries
    assert playground.history.find(ME)[0].prompt == "a red apple"


def test_what_cannot_be_kept_is_noted_and_nothing_else(visitors, playground, engine, requests, monkeypatch):
    def full(*_):
        raise PlaygroundError("no room")

    monkeypatch.setattr(playground.history, "add", full)
    keeper = Keeper(playground, visitors, ME)
    for role, result in made(engine, requests).items():
        keeper.done(engine.catalog.pair("both"), role, result, playground.proposed_price("CPU"))
    assert keeper.document["entry"] is None and keeper.document["note"] == NOT_KEPT and keeper.document["speedup"]


def test_only_whoever_sits_at_the_machine_spends_unless_it_was_opened(tmp_path, engine, page):
    path = tmp_path / "hosted.toml"
    path.write_text(CARDS.format(address="https://example.com"), encoding="utf-8")
    catalog = load_catalog(more=path)
    swift = make_request(catalog.model("swift"), "an apple")
    own, small = (make_request(catalog.model(name), "an apple") for name in ("own-server", "diptych-128"))
    away = asked("203.0.113.7")
    for spending, refused in ((Spending(), True), (Spending.of("2"), False)):
        playground = Playground(catalog, load_prices(), engine, tmp_path, spending=spending)
        with gr.Blocks():
            visitors = Visitors(playground, page)
        visitors.check_spending([swift], asked())
        visitors.check_spending([own, small], away)
        with pytest.raises(InputError, match=r"Swift is drawn by Someone at the cost of") if refused else nullcontext():
            visitors.check_spending([small, swift], away)
