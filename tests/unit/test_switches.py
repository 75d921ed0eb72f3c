"""Efficiency switches by name: one order, part of the recipe, unknown ones told."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.request import ImageRequest, make_request
from pipeline.switches import checked
from tests.tiny_models import SHIPPED

OLD = SHIPPED.model("diptych-128")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ((), ()),
        (["fp8-weights", "compile", "compile"], ("compile", "fp8-weights")),
        ("compile", ("compile",)),
    ],
)
def test_switches_have_one_order(given, expected):
    assert checked(given) == expected


@pytest.mark.parametrize("given", [["turbo"], "turbo", [7], 7, {"compile": True}])
def test_an_unknown_switch_is_named_with_the_known_ones(given):
    with pytest.raises(InputError, match=r"switches must be some of compile, step-cache, .*; got (7|'turbo'|\{.*)\."):
        make_request(OLD, "x", switches=given)


def test_a_switch_is_part_of_the_recipe_and_an_old_recipe_has_none():
    request = make_request(OLD, "x", switches=["fp8-weights"])
    assert request != make_request(OLD, "x")
    said = request.model_dump(mode="json")
    assert ImageRequest.model_validate(said) == request
    del said["switches"]
    assert ImageRequest.model_validate(said) == make_request(OLD, "x")
