"""What the Sweep tab offers of a pair before anybody has changed its boxes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline.axes import AXES
from pipeline.catalog import Catalog, load_catalog
from pipeline.sweep import plan_sweep
from pipeline.ui.sweep_boxes import boxes_of, hints, offer_of, over_many
from pipeline.ui.sweep_tab import _Handlers, planned
from tests.fakes import plan_of

SHIPPED = load_catalog()
CHOSEN = [[card.id for card in SHIPPED.cards(pair)] for pair in SHIPPED.pairs.values()]


def offered(catalog: Catalog, pair: str) -> dict:
    boxes = offer_of(catalog, catalog.pair(pair), "a boat")
    return dict(zip([axis.name for axis in AXES], boxes, strict=True))


@pytest.mark.parametrize(
    ("pair", "models", "steps"),
    [
        ("both", ["new"], "1..4"),
        ("short", ["old"], "1..5"),  # around the lane's own steps, not the model's
        ("new:old", ["old"], "1..8"),
    ],
)
def test_the_efficient_model_over_a_few_steps(catalog, pair, models, steps):
    said = offered(catalog, pair)
    assert (said["models"], said["steps"], said["prompts"]) == (models, steps, "a boat")


@pytest.mark.parametrize(
    ("pair", "models", "steps"),
    [
        ("bundled", ["diptych-128-efficient"], "2..5"),
        ("z-image", ["z-image-turbo"], "1, 2, 4, 9"),
        ("sdxl-lightning:sdxl", ["sdxl"], "6, 12, 25"),  # 3 are too few for it
        ("sdxl", ["sdxl", "sdxl-lightning"], ""),  # made for one number of steps
        ("mai-image-2.6", ["mai-image-2.6", "mai-image-2.6-flash"], ""),  # whose provider takes none
        ("sdxl-lightning:sdxl-lightning", ["sdxl-lightning"], ""),
    ],
)
def test_many_steps_are_halved_and_where_there_are_none_to_choose_both_models_are_offered(pair, models, steps):
    said = offered(SHIPPED, pair)
    assert (said["models"], said["steps"]) == (models, steps)


@pytest.mark.parametrize("pair", SHIPPED.pairs)
def test_every_offer_can_be_made(pair):
    assert 1 < len(plan_sweep(SHIPPED, offered(SHIPPED, pair)).requests) <= 12


def _examples(hint: str) -> list[str]:
    """What a hint offers to be copied; nothing where the box is to be left empty."""
    return [] if "leave it empty" in hint else hint.partition(";")[0].rpartition(": ")[2].split(" or ")


@pytest.mark.parametrize("models", [*([model] for model in SHIPPED.models), *CHOSEN], ids=",".join)
def test_whoever_copies_an_example_of_a_hint_is_not_refused(models):
    said = hints(SHIPPED, models)
    assert list(said) == ["seeds", "steps", "guidance", "switches"]
    for axis in ("seeds", "steps", "guidance"):
        for example in _examples(said[axis]):
            given = {"models": models, "prompts": "a boat", "seeds": "7", axis: example}
            plan = plan_sweep(SHIPPED, given)
            assert not plan.skipped and len(plan.requests) >= 2 * len(models), (axis, example)


def test_hints_say_the_limits_of_the_models_that_are_chosen():
    said = hints(SHIPPED, ["diptych-128"])
    assert said["steps"] == "2 to 100: 2, 4, 8 or 2..5; empty: its own"
    assert said["guidance"] == "1 to 10: 1, 1.5 or 1, 1.5, .., 3; empty: its own"
    pair = hints(SHIPPED, ["diptych-128", "diptych-128-efficient"])
    assert pair["steps"] == "2 to 8: 2, 4, 8 or 2..5; empty: its own"
    assert pair["guidance"] == "leave it empty: fixed for Diptych 128 Efficient"
    assert hints(SHIPPED, ["sdxl-lightning"])["steps"] == "leave it empty: fixed for SDXL-Lightning, 4 steps"
    apart = hints(SHIPPED, ["sdxl", "sd-turbo"])
    assert apart["steps"] == "leave it empty: no two suit all of these models"
    assert hints(SHIPPED, ["mai-image-2.6"])["switches"].startswith("leave it empty: none for ")
    nobody = hints(SHIPPED, [])
    assert nobody["steps"].endswith("within the model's limits") and "step-cache" not in nobody["switches"]


@pytest.mark.parametrize(
    ("pair", "models", "steps"),
    [
        ("bundled", ["diptych-128", "diptych-128-efficient"], ""),
        ("fewer-steps", ["diptych-128"], "24, 8"),  # one model: what is compared are its two settings
        ("diptych-128-efficient:diptych-128-efficient", ["diptych-128-efficient"], "2..5"),
        ("mai-image-2.6", ["mai-image-2.6", "mai-image-2.6-flash"], ""),
    ],
)
def test_over_many_prompts_every_pair_has_something_to_be_compared(pair, models, steps):
    boxes = over_many(SHIPPED, SHIPPED.pair(pair), ["a boat", "a fox"])
    said = dict(zip([axis.name for axis in AXES], boxes, strict=True))
    assert (said["models"], said["steps"], said["prompts"]) == (models, steps, "a boat\na fox")
    assert len(plan_sweep(SHIPPED, said).requests) >= 4


@pytest.mark.parametrize(
    "given",
    [
        {"models": "old, new", "prompts": "a fox, a cat\na hat"},
        {"models": "new", "seeds": "1..40", "steps": "2"},
        {"steps": "4, 8", "guidance": "1, 1.5, .., 3"},
        {"switches": "none, channels-last+step-cache"},
    ],
)
def test_a_kept_sweep_stands_in_the_boxes_as_it_was_asked_for(catalog, given):
    plan = plan_of(catalog, **given)
    assert planned(catalog, *boxes_of(plan)) == plan


def test_boxes_that_cannot_say_all_of_an_opened_sweep_stay(catalog):
    view = SimpleNamespace(boxes=SimpleNamespace(all=[axis.name for axis in AXES], offered="offered"))
    refilled = _Handlers(view, SimpleNamespace(catalog=catalog), None, None)._refilled
    said = refilled(plan_of(catalog, steps="1, 2"))
    assert (said["models"], said["prompts"], said["steps"], said["offered"]) == (["old"], "a fox", "1, 2", None)
    assert refilled(plan_of(catalog, steps="1, 2", width=64)) == {}
