"""Sets of prompts: all different, such as a sweep takes, and the bundled pair's what its report is of."""

from __future__ import annotations

import json

import pytest

from pipeline.__main__ import main
from pipeline.cards import ASSETS
from pipeline.catalog import Lane, Pair, load_catalog
from pipeline.errors import InputError
from pipeline.prompt_sets import prompt_sets, prompts_of
from pipeline.sweep import has_pairs, over_pair, plan_sweep
from pipeline.votes import PAIRS_MAX


@pytest.mark.parametrize("key", prompt_sets())
def test_a_set_is_a_sweep_of_two_models_and_every_pair_of_it_can_be_voted_on(key):
    one = prompt_sets()[key]
    plan = plan_sweep(load_catalog(), {"models": "diptych-128, diptych-128-efficient", "prompts": list(one.prompts)})
    assert len(plan.requests) == 2 * len(one.prompts) and len(one.prompts) <= PAIRS_MAX
    assert str(len(one.prompts)) in one.name
    assert [prompt.strip() for prompt in one.prompts] == list(one.prompts) and not any("\n" in p for p in one.prompts)


def test_the_held_out_ones_are_those_of_the_report():
    told = json.loads((ASSETS / "models" / "samples.json").read_text())["prompts"]["everyday"]
    assert prompts_of("held-out") == told[:50] and len(told) == 100


@pytest.mark.parametrize(
    ("pair", "lanes"),
    [
        ("bundled", {("diptych-128", 24), ("diptych-128-efficient", 3)}),
        ("fewer-steps", {("diptych-128", 24), ("diptych-128", 8)}),
    ],
)
def test_a_pair_is_compared_at_its_own_settings(pair, lanes):
    catalog = load_catalog()
    plan = plan_sweep(catalog, {"prompts": prompts_of("held-out"), **over_pair(catalog, catalog.pair(pair))})
    assert {(request.model, request.steps) for request in plan.requests.values()} == lanes
    assert len(plan.requests) == 100


@pytest.mark.parametrize("key", load_catalog().pairs)
def test_every_shipped_pair_can_be_swept_and_has_something_to_judge(key):
    catalog = load_catalog()
    plan = plan_sweep(catalog, {"prompts": ["a fox", "a cat"], "seeds": "7", **over_pair(catalog, catalog.pair(key))})
    assert has_pairs(plan) and len(plan.requests) == 4


def test_a_pairs_own_settings_are_varied_or_refused_and_never_dropped(catalog):
    def pair(predecessor: Lane, efficient: Lane) -> Pair:
        return catalog.pair("both").model_copy(update={"predecessor": predecessor, "efficient": efficient})

    old = Lane(model="old")
    assert over_pair(catalog, pair(old, Lane(model="old", guidance=1.5)))["guidance"] == ["3", "1.5"]
    assert over_pair(catalog, pair(old, Lane(model="old", switches=("fp8-weights",))))["switches"] == [
        "none", "fp8-weights",
    ]  # fmt: skip
    assert over_pair(catalog, pair(old, Lane(model="new", steps=2))) == {"models": ["old", "new"]}  # as it has anyway
    with pytest.raises(InputError, match="has settings of its own, which a sweep cannot vary"):
        over_pair(catalog, pair(old, Lane(model="new", steps=1)))
    with pytest.raises(InputError, match="differs in steps and guidance, and a sweep varies one"):
        over_pair(catalog, pair(old, Lane(model="old", steps=2, guidance=1.0)))


def test_an_unknown_set_is_one_sentence(capsys, tmp_path):
    with pytest.raises(InputError, match="prompt-set must be one of general, held-out; got 'x'"):
        prompts_of("x")
    assert main(["sweep", "--prompt-set", "x", "--model", "diptych-128", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
