"""A sweep planned and weighed: which pictures, in which order, how long and for how much."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import InputError
from pipeline.estimate import Estimate
from pipeline.prices import load_prices
from pipeline.sweep import COLUMNS_MAX, forecast, head_document, heads, plan_again, plan_sweep
from pipeline.wording import expected
from tests.fakes import plan_of

PRICE = load_prices().profile("36")
"""A cent a second."""


def settings(plan, *fields):
    return [tuple(getattr(plan.requests[place], field) for field in fields) for place in sorted(plan.requests)]


def test_two_axes_make_a_grid_row_by_row(catalog):
    plan = plan_of(catalog, steps="1, 2, 4", guidance="1, 3")
    assert (plan.rows.name, plan.columns.name, plan.cells) == ("steps", "guidance", 6)
    assert settings(plan, "steps", "guidance") == [(1, 1), (1, 3), (2, 1), (2, 3), (4, 1), (4, 3)]
    assert set(settings(plan, "prompt", "seed", "model")) == {("a fox", 7, "old")}
    assert heads(plan, plan.rows, catalog) == ["1 step", "2 steps", "4 steps"]


def test_what_is_too_long_for_columns_goes_down_and_stays_so(catalog):
    many = "\n".join(f"a thing {i}" for i in range(COLUMNS_MAX + 1))
    plan = plan_of(catalog, models="old, new", prompts=many, steps="2")
    assert (plan.rows.name, plan.columns.name) == ("prompts", "models")
    assert [plan.requests[place].model for place in (0, 1, 2)] == ["old", "new", "old"]  # a pair beside each other
    again = plan_again(catalog, head_document(plan, PRICE, ""))
    assert (again.rows, again.columns, again.requests) == (plan.rows, plan.columns, plan.requests)
    few = plan_of(catalog, models="old, new", prompts=many.rpartition("\n")[0], steps="2")
    long = plan_of(catalog, prompts=many, seeds=f"1..{COLUMNS_MAX + 1}")  # both too long: as ever
    assert (few.rows.name, long.rows.name) == ("models", "prompts")


def test_swapped_turns_rows_into_columns(catalog):
    plan = plan_of(catalog, steps="1, 2, 4", guidance="1, 3", swapped=True)
    assert (plan.rows.name, plan.columns.name) == ("guidance", "steps")
    assert settings(plan, "guidance", "steps")[:3] == [(1, 1), (1, 2), (1, 4)]


def test_one_axis_is_one_row_and_none_is_one_picture(catalog):
    plan = plan_of(catalog, seeds="1..5")
    assert (plan.rows, plan.columns.name, plan.cells) == (None, "seeds", 5)
    assert plan_of(catalog, seeds="1..5", swapped=True).rows.name == "seeds"
    single = plan_of(catalog)
    assert (single.cells, single.requests[0].steps, single.requests[0].guidance) == (1, 6, 3.0)
    assert heads(single, None, catalog) == [""]


def test_any_two_axes_make_a_plan(catalog):
    several = {"models": "old, new", "prompts": "a fox\na cat", "seeds": "1, 2", "steps": "1, 2", "guidance": "1, 2"}
    for rows in several:
        for columns in several:
            if rows != columns:
                plan = plan_of(catalog, **{rows: several[rows], columns: several[columns]})
                assert plan.cells == 4 and {plan.rows.name, plan.columns.name} == {rows, columns}


def test_the_model_is_the_outer_loop_whatever_is_shown_where(catalog):
    for swapped in (False, True):
        plan = plan_of(catalog, models="new, old", steps="1, 2, 3", swapped=swapped)
        order = [plan.requests[place].model for place in plan.order()]
        assert order == ["new"] * 3 + ["old"] * 3


def test_what_only_some_models_can_do_is_left_out_with_its_reason(catalog):
    plan = plan_of(catalog, models="old, new", steps="2, 6")
    assert settings(plan, "model", "steps") == [("old", 2), ("old", 6), ("new", 2)]
    assert plan.cells == 4 and "from 1 to 4 for New" in plan.skipped[3]


def test_what_a_model_does_not_use_is_not_given_to_it(catalog):
    plan = plan_of(catalog, models="old, new", guidance="5", negative_prompt="blur", steps="2")
    assert settings(plan, "guidance", "negative_prompt") == [(5.0, "blur"), (1.0, "")]


def test_no_seed_is_a_random_one_and_stays_the_same(catalog):
    plan = plan_of(catalog, seeds="", steps="1, 2")
    assert len(set(settings(plan, "seed"))) == 1
    assert plan_again(catalog, head_document(plan, PRICE, "")).requests == plan.requests


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "given",
    [
        {"steps": "1, 2", "guidance": "1.5, 3"},
        {"models": "old, new", "steps": "2, 6"},
        {"prompts": "a fox\na “cat”", "negative_prompt": "blur"},
        {"seeds": f"{2**64 - 1}", "width": 48},
    ],
)
def test_a_plan_comes_back_from_its_document(catalog, given, swapped):
    plan = plan_of(catalog, **given, swapped=swapped)
    assert plan_again(catalog, json.loads(json.dumps(head_document(plan, PRICE, "")))) == plan


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"models": ""}, "models must name at least one of old, new"),
        ({"models": "old, none"}, "model must be one of"),
        ({"prompts": ""}, "prompt must have"),
        ({"seeds": "-1"}, "seed must be"),
        ({"seeds": "x, 1"}, "seed must be a whole number .* got 'x'"),
        ({"steps": "1, 2.5"}, "steps must be a whole number"),
        ({"steps": "6, 99"}, "steps must be a whole number from 1 to 50 for Old; got 99"),
        ({"models": "old, new", "steps": "2, 99"}, "got 99"),
        ({"guidance": "1, 2, 2.0"}, "guidance has 2 twice"),
        ({"seeds": "1, 2", "steps": "1, 2", "guidance": "1, 2"}, "at most two things; .* seeds, steps, guidance"),
        ({"seeds": "1..21", "steps": "1..20"}, "at most 400 pictures; got 420"),
        ({"width": 17}, "width must be"),
        ({"prompts": "\n".join(f"{i:02}{'x' * 1988}" for i in range(51))}, "at most 100,000 characters; got 101,490"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(catalog, given, words):
    with pytest.raises(InputError, match=words):
        plan_of(catalog, **given)


def with_sizes(catalog, model, **size):
    """The catalogue with other sizes for one model."""
    card = catalog.models[model]
    sized = card.model_copy(update={"size": card.size.model_copy(update=size)})
    return catalog.model_copy(update={"models": {**catalog.models, model: sized}})


def test_pictures_of_several_models_have_one_size_whatever_their_own_is(catalog):
    apart = with_sizes(catalog, "old", default=64)
    assert set(settings(plan_of(apart, models="old, new"), "width", "height")) == {(32, 32)}
    assert set(settings(plan_of(apart, models="old"), "width", "height")) == {(64, 64)}
    assert set(settings(plan_of(apart, models="old, new", width=48), "width", "height")) == {(48, 32)}
    never = with_sizes(catalog, "old", default=128, min=128, max=128)
    with pytest.raises(InputError, match="Old and New make no pictures of one size"):
        plan_of(never, models="old, new")


def test_a_sweep_of_before_there_was_one_size_for_all_comes_back_as_it_was(catalog):
    apart = with_sizes(catalog, "old", default=64)
    document = head_document(plan_of(apart, models="old, new"), PRICE, "") | {"fixed": {}}
    assert settings(plan_again(apart, document), "width") == [(64,), (32,)]


def test_the_forecast_counts_pictures_time_and_cost(catalog, engine):
    plan = plan_of(catalog, steps="1, 2", guidance="1, 3")
    said = forecast(engine, plan.requests.values(), PRICE)
    # 1 + 2 + 2 + 4 evaluations of a quarter of a second
    assert (said.pictures, said.seconds, said.cost_usd) == (4, pytest.approx(2.25), pytest.approx(0.0225))
    assert said.text() == "4 pictures, about 2.25 s, $0.0225 (reference: a CPU with beads)"


def test_a_gpus_reference_is_no_forecast_for_a_processor(catalog, engine, monkeypatch):
    monkeypatch.setattr(engine, "estimate", lambda request: Estimate(0.5, "reference: a GPU", here=False))
    said = forecast(engine, plan_of(catalog, steps="1, 2").requests.values(), PRICE)
    assert said.cost_usd is None
    assert said.text() == "2 pictures, not timed here yet; elsewhere about 1.00 s (reference: a GPU)"
    mixed = expected(61.0, None, {"measured here, 1 run": True, "reference: a GPU": False}, most=True)
    assert (
        mixed
        == "not all timed here yet; about 61.0 s if all of it is measured (measured here, 1 run; reference: a GPU)"
    )


def test_a_model_goes_by_its_cards_id_whatever_it_was_called(catalog):
    folder = catalog.model_copy(update={"models": catalog.models | {"/home/me/old": catalog.model("old")}})
    plan = plan_sweep(folder, {"models": "/home/me/old", "prompts": "a fox", "steps": "1, 2"})
    assert plan.values["models"] == ("old",) and plan.order() == [0, 1]
