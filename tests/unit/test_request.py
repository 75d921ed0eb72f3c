"""Every field of a request: what is taken, what is refused, and that a refusal is one sentence naming the field."""

from __future__ import annotations

import math
import string
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.catalog import load_catalog
from pipeline.compare import plan
from pipeline.errors import InputError
from pipeline.request import PROMPT_MAX, SEED_MAX, ImageRequest, make_request, random_seed, whole

CARD = load_catalog().model("diptych-128")
EFFICIENT = load_catalog().model("diptych-128-efficient")
FIELDS = ("prompt", "negative_prompt", "seed", "width", "height", "steps", "guidance")


def refused(field: str, *args: object, card=CARD, **fields: object) -> str:
    """The message of the refusal, after checking that a person could use it."""
    with pytest.raises(InputError) as caught:
        make_request(card, *(args or ("a cat",)), **fields)
    message = str(caught.value)
    assert message.startswith(field)
    assert message.endswith(".")
    assert message.isprintable()
    assert len(message) < 250
    return message


def test_defaults_are_the_cards():
    request = make_request(CARD, "a cat")
    assert request == ImageRequest(
        model="diptych-128",
        prompt="a cat",
        negative_prompt="",
        seed=0,
        width=CARD.size.default,
        height=CARD.size.default,
        steps=int(CARD.steps.default),
        guidance=CARD.guidance.default,
    )


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t", "\x00\x1b\x7f", "\ud800", None])
def test_a_prompt_without_text_is_refused(prompt):
    assert "got none" in refused("prompt", prompt)


def test_a_prompt_of_ten_thousand_characters_is_refused_with_its_length():
    assert "10000" in refused("prompt", "x" * 10_000)
    assert make_request(CARD, "x" * PROMPT_MAX).prompt == "x" * PROMPT_MAX


@pytest.mark.parametrize("prompt", [7, 7.0, True, b"a cat", ["a cat"], {"prompt": "a cat"}])
def test_a_prompt_that_is_not_text_is_refused(prompt):
    refused("prompt", prompt)


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("a\x00cat\x1b[31m", "a cat [31m"),
        ("  a \r\n red\tapple ", "a red apple"),
        ("a \udcff cat", "a cat"),
        ("ein Äpfelchen, 苹果 🍎", "ein Äpfelchen, 苹果 🍎"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_control_characters_become_spaces_and_everything_else_stays(given_text, kept):
    assert make_request(CARD, given_text).prompt == kept


def test_a_negative_prompt_is_refused_by_a_model_without_one():
    assert make_request(CARD, "a cat", negative_prompt="a dog").negative_prompt == "a dog"
    assert EFFICIENT.name in refused("negative_prompt", card=EFFICIENT, negative_prompt="a dog")
    assert make_request(EFFICIENT, "a cat", negative_prompt="  ").negative_prompt == ""
    refused("negative_prompt", negative_prompt="y" * 10_000)
    refused("negative_prompt", negative_prompt=3)


@pytest.mark.parametrize("seed", [0, 7, 7.0, 2**53 + 1, SEED_MAX])
def test_seeds_of_64_bits_are_taken_exactly(seed):
    request = make_request(CARD, "a cat", seed=seed)
    assert request.seed == seed
    assert type(request.seed) is int


NOT_WHOLE = [-1, 1.5, math.nan, math.inf, -math.inf, True, False, "7", "", [7], {}, b"7", 1e400, 10**400, -(10**400)]


@pytest.mark.parametrize("seed", [*NOT_WHOLE, None, SEED_MAX + 1, float(2**64)], ids=lambda value: repr(value)[:20])
def test_other_seeds_are_refused(seed):
    assert str(SEED_MAX) in refused("seed", seed=seed)


@pytest.mark.parametrize("steps", [*NOT_WHOLE, 0, 1, 101, 10**6], ids=lambda value: repr(value)[:20])
def test_steps_outside_the_card_are_refused(steps):
    assert "2 to 100" in refused("steps", steps=steps)


def test_each_card_has_its_own_limits():
    assert make_request(CARD, "a cat", steps=9).steps == 9
    assert "2 to 8" in refused("steps", card=EFFICIENT, steps=9)
    assert "guidance must be 1 " in refused("guidance", card=EFFICIENT, guidance=3)


@pytest.mark.parametrize(
    "guidance",
    [0.99, 10.01, -3, math.nan, math.inf, -math.inf, True, "3", [3], {}, 10**400],
    ids=lambda value: repr(value)[:20],
)
def test_guidance_outside_the_card_is_refused(guidance):
    assert "1 to 10" in refused("guidance", guidance=guidance)


def test_guidance_takes_whole_numbers_too():
    assert make_request(CARD, "a cat", guidance=3) == make_request(CARD, "a cat", guidance=3.0)


@pytest.mark.parametrize("field", ["width", "height"])
@pytest.mark.parametrize(
    "size", [*NOT_WHOLE, 0, 127, 129, 64, 10**9, np.float64("nan")], ids=lambda value: repr(value)[:20]
)
def test_wrong_sizes_are_refused(field, size):
    assert "128 pixels" in refused(field, **{field: size})


def test_a_range_of_sizes_has_its_steps(catalog):
    card = catalog.model("old")
    assert make_request(card, "a cat", width=48, height=16).width == 48
    assert "16 to 64 in steps of 16" in refused("width", card=card, width=40)
    refused("height", card=card, height=80)


def test_a_number_too_long_to_print_is_still_one_sentence():
    refused("seed", seed=10**5000)
    refused("prompt", 10**5000)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60),
    st.integers(min_value=0, max_value=130),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just("x" * 10_000),
)


@given(
    card=st.sampled_from([CARD, EFFICIENT]),
    prompt=st.one_of(ANYTHING, st.text(alphabet=string.printable, max_size=80)),
    fields=st.dictionaries(st.sampled_from(FIELDS[1:]), ANYTHING),
)
def test_anything_gives_a_valid_request_or_one_sentence(card, prompt, fields):
    try:
        request = make_request(card, prompt, **fields)
    except InputError as error:
        message = str(error)
        assert message.startswith(FIELDS)
        assert message.isprintable()
        assert message.endswith(".")
        assert len(message) < 250
        return
    assert request.prompt == " ".join(request.prompt.split()) != ""
    assert not {unicodedata.category(character) for character in request.prompt} & {"Cc", "Cs"}
    assert 0 <= request.seed <= SEED_MAX
    assert card.steps.min <= request.steps <= card.steps.max
    assert card.guidance.min <= request.guidance <= card.guidance.max
    assert (request.width, request.height) == (128, 128)
    assert all(type(getattr(request, name)) is int for name in ("seed", "steps", "width", "height"))
    # A request survives being written down and read again, and cleaning it a second time changes nothing.
    assert ImageRequest.model_validate_json(request.model_dump_json()) == request
    said = request.model_dump(exclude={"model", "prompt"})
    assert make_request(card, request.prompt, **said) == request


@pytest.mark.parametrize("repeat", [0, 21, 1.5, True, "2", math.nan, None])
def test_repeat_is_checked_like_every_whole_number(repeat):
    with pytest.raises(InputError, match="repeat must be a whole number from 1 to 20"):
        whole("repeat", repeat, 1, 20)


def test_random_seeds_fit_everywhere():
    seeds = {random_seed() for _ in range(50)}
    assert len(seeds) > 40
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_a_plan_has_both_lanes_and_the_efficient_one_first(catalog):
    requests = plan(catalog, catalog.pair("both"), "a cat", seed=3, negative_prompt="dogs", steps={"efficient": 4})
    assert list(requests) == ["efficient", "predecessor"]
    assert (requests["efficient"].model, requests["predecessor"].model) == ("new", "old")
    assert (requests["efficient"].steps, requests["predecessor"].steps) == (4, 6)
    assert (requests["efficient"].negative_prompt, requests["predecessor"].negative_prompt) == ("", "dogs")
    assert {request.seed for request in requests.values()} == {3}


def test_a_lanes_own_settings_stand_between_the_models_and_the_users(catalog):
    pair = catalog.pair("short")
    assert plan(catalog, pair, "a cat")["efficient"].steps == 3
    assert plan(catalog, pair, "a cat")["efficient"].guidance == 2.0
    chosen = plan(catalog, pair, "a cat", steps={"efficient": 5}, guidance={"efficient": 1.0})
    assert (chosen["efficient"].steps, chosen["efficient"].guidance) == (5, 1.0)
    assert plan(catalog, pair, "a cat")["predecessor"].steps == 6


def test_a_plan_refuses_what_either_lane_cannot_do(catalog):
    with pytest.raises(InputError, match="steps must be a whole number from 1 to 4 for New"):
        plan(catalog, catalog.pair("both"), "a cat", steps={"efficient": 50})
