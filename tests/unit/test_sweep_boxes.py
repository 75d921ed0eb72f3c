"""What the Sweep tab offers of a pair before anybody has changed its boxes."""

from __future__ import annotations

import pytest

from pipeline.axes import AXES
from pipeline.catalog import Catalog, load_catalog
from pipeline.sweep import plan_sweep
from pipeline.ui.sweep_boxes import offer_of, over_many

SHIPPED = load_catalog()


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
