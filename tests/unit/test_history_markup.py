"""The history's cards: everything a visitor wrote is text, and every entry says what it is and what it took."""

from __future__ import annotations

import pytest

from pipeline.compare import compare_document, generate_document
from pipeline.events import final_results
from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.sweep import head_document, plan_sweep
from pipeline.ui.history_markup import cards

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'${alert(3)}{{x}}"


@pytest.fixture
def entry(engine, tmp_path):
    history = History(tmp_path / "history")
    price = load_prices().proposed("CPU")

    def add(kind: str, prompt: str = "a fox", **fields):
        requests = [make_request(engine.catalog.model(model), prompt, seed=3) for model in ("old", "new")]
        results = final_results(engine.run(requests, repeat=2))
        if kind == "comparison":
            roles = dict(zip(("predecessor", "efficient"), results, strict=True))
            said = compare_document(engine.catalog.pair("both"), roles, price)
        else:
            said = generate_document(results[0], price)
        return history.get(history.add(kind, said | fields, results[:1] if kind == "picture" else results))

    return add


def shown(entry, catalog) -> str:
    return cards([entry], catalog, lambda file: f"file/{file.name}")


def test_a_hostile_prompt_is_only_text(entry, catalog):
    said = shown(entry("comparison", HOSTILE), catalog)
    assert "<script" not in said and "<img src=x" not in said and "&lt;script&gt;" in said
    assert said.count("<img ") == 2 and said.count('loading="lazy"') == 2


def test_a_comparison_says_pair_claim_time_and_cost(entry, catalog):
    said = shown(entry("comparison"), catalog)
    for words in (
        "Old and new, seed 3",
        "faster",
        "cheaper",
        "7.00 ms against 17.0 ms · $0.0000583 against $0.000142 per 1,000 at $0.03 an hour<",
        "UTC",
        "Open",
        "Star",
    ):
        assert words in said
    kept = entry("comparison", speedup=None, saving=None)
    for hits, words in ((0, "The machine was busy"), (1, "Partly from the cache"), (2, "From the cache")):
        for place, lane in enumerate(kept.document["lanes"]):
            lane |= {"cache": "hit" if place < hits else "miss", "usual_seconds": 0.001}
        assert f">{words}<" in shown(kept, catalog)
    assert "another pair, seed 3" in shown(entry("comparison", pair="another pair"), catalog)


def test_a_picture_and_a_sweep(entry, catalog):
    picture, sweep = shown(entry("picture"), catalog), shown(entry("sweep"), catalog)
    assert "Old, seed 3" in picture and 'data-act="open"' in picture
    assert "17.0 ms · $0.000142 per 1,000 at $0.03 an hour<" in picture
    assert "2 pictures" in sweep and 'data-act="open"' in sweep and 'data-act="delete"' in sweep


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": "old, new", "steps": "1, 2"}, "Sweep over models and steps: 2 pictures"),
        ({"models": "old", "steps": "1, 2"}, "Sweep over steps: 2 pictures"),
        ({"models": "old"}, "Sweep: 2 pictures"),
    ],
)
def test_a_sweep_says_what_it_varies(entry, catalog, given, said):
    plan = plan_sweep(catalog, {"prompts": "a fox", "seeds": "3", **given})
    card = shown(entry("sweep", **head_document(plan, load_prices().proposed("CPU"), "CPU")), catalog)
    assert f">{said}<" in card and ">Old, New<" in card
    assert " more prompt" not in card


def test_a_sweep_over_prompts_is_not_called_by_its_first_alone(entry, catalog):
    plan = plan_sweep(catalog, {"prompts": "a fox\na cat\na hat", "models": "old"})
    card = shown(entry("sweep", **head_document(plan, load_prices().proposed("CPU"), "CPU")), catalog)
    assert " and 2 more prompts</p>" in card


def test_a_vote_says_on_how_many_pairs_it_is(entry, catalog):
    vote = entry("vote", pairs=[{}] * 7)
    assert "Blind vote on 7 pairs: Old, New" in shown(vote, catalog)
    assert ">9 votes &lt;b&gt;<" in cards([vote], catalog, lambda file: None, lambda _: "9 votes <b>")


def test_a_picture_that_is_gone_is_said(entry, catalog):
    said = cards([entry("comparison")], catalog, lambda file: None)
    assert said.count("gone") >= 2 and "<img" not in said
