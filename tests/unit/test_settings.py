"""Settings out of a link, a recipe or the history are checked like any input, and a link says all of them."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.catalog import ROLES
from pipeline.compare import plan
from pipeline.errors import InputError
from pipeline.request import make_request
from pipeline.settings import PAGE_SEED_MAX, again, from_link, from_request, link_of, page_seed


def query(link: str) -> dict[str, str]:
    assert link.startswith("?")
    return dict(parse_qsl(link[1:]))


@pytest.mark.parametrize(
    ("pair", "prompt", "fields"),
    [
        ("both", "a red apple", {}),
        ("both", '<script>alert("x")</script> & 100 % + #?=,', {"seed": 2**53 - 1}),
        ("short", "苹果 🍎", {"negative_prompt": "rain & snow", "width": 64, "height": 16}),
        ("both", "a", {"switches": {"predecessor": ["compile", "fp8-weights"], "efficient": []}}),
        ("short", "a", {"steps": {"predecessor": 50, "efficient": 1}, "guidance": {"efficient": 1.1 + 2.2}}),
    ],
)
def test_a_link_brings_back_exactly_its_settings(catalog, pair, prompt, fields):
    pair = catalog.pair(pair)
    requests = plan(catalog, pair, prompt, **fields)
    assert from_link(catalog, query(link_of(pair, requests))) == (pair, requests)


@given(
    st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip()),
    st.integers(0, PAGE_SEED_MAX),
    st.floats(1, 10),
)
def test_whatever_is_asked_for_fits_into_a_link(catalog, prompt, seed, guidance):
    pair = catalog.default_pair
    requests = plan(catalog, pair, prompt, seed=seed, guidance={"predecessor": guidance})
    assert from_link(catalog, query(link_of(pair, requests))) == (pair, requests)


def test_what_a_link_leaves_out_is_the_pairs_own(catalog):
    pair, requests = from_link(catalog, {"prompt": "a fox", "steps": "9,", "__theme": "dark"})
    assert (pair.id, requests["predecessor"].steps, requests["efficient"].steps) == ("both", 9, 2)
    assert from_link(catalog, {"__theme": "dark", "view": "api", "seed": ""}) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"seed": "1"}, "prompt must have"),
        ({"prompt": "x" * 2001}, "at most 2000"),
        ({"prompt": "a", "seed": "many"}, "seed must be a whole number"),
        ({"prompt": "a", "seed": "9" * 5000}, "seed must be a whole number"),
        ({"prompt": "a", "seed": "inf"}, "seed must be a whole number"),
        ({"prompt": "a", "seed": "-1"}, "seed must be a whole number"),
        ({"prompt": "a", "pair": "none"}, "pair must be one of"),
        ({"prompt": "a", "pair": "<img src=x onerror=alert(1)>"}, "pair must be one of"),
        ({"prompt": "a", "width": "33"}, "width must be"),
        ({"width": "10000", "prompt": "a"}, "width must be"),
        ({"prompt": "a", "steps": "1"}, "steps in a link must be two values"),
        ({"prompt": "a", "steps": "1,2,3"}, "steps in a link must be two values"),
        ({"prompt": "a", "steps": "1,x"}, "steps must be a whole number"),
        ({"prompt": "a", "guidance": "nan,1"}, "guidance must be a number"),
        ({"prompt": "a", "switches": "turbo,"}, "switches must be some of"),
        ({"prompt": "a", "guidance": "3,2"}, "guidance must be 1 for"),
    ],
)
def test_a_wrong_link_is_one_sentence(catalog, said, words):
    with pytest.raises(InputError, match=words):
        from_link(catalog, said)


def test_a_picture_finds_its_lane(catalog):
    old = make_request(catalog.model("old"), "a fox", seed=3, steps=9, guidance=4, negative_prompt="rain", width=48)
    pair, requests = from_request(catalog, old)
    assert (pair.id, requests["predecessor"]) == ("both", old)
    assert (requests["efficient"].steps, requests["efficient"].width) == (2, 48)
    pair, requests = from_request(catalog, old, catalog.pair("short"))
    assert (pair.id, requests["predecessor"]) == ("short", old)
    new = make_request(catalog.model("new"), "a fox", steps=4)
    assert from_request(catalog, new, catalog.pair("short"))[0].id == "both"  # only there is that model
    shortened = make_request(catalog.model("old"), "a fox", steps=3, guidance=2.0)
    pair, requests = from_request(catalog, shortened)
    assert (pair.id, requests["efficient"]) == ("short", shortened)  # exactly that lane's own settings


def test_a_recipe_of_another_catalogue_is_refused(catalog):
    request = make_request(catalog.model("old"), "a fox")
    for change, words in (({"model": "gone"}, "model must be one of"), ({"steps": 900}, "steps must be")):
        with pytest.raises(InputError, match=words):
            from_request(catalog, request.model_copy(update=change))
    with pytest.raises(InputError, match="No pair has the model"):
        from_request(catalog.model_copy(update={"pairs": {}}), request)


def test_kept_settings_come_back_with_the_negative_prompt(catalog):
    pair = catalog.pair("both")
    requests = plan(catalog, pair, "a fox", negative_prompt="rain", seed=5, steps={"efficient": 3})
    assert again(catalog, pair, {role: requests[role] for role in ROLES}) == (pair, requests)


def test_a_seed_beyond_a_browsers_numbers_is_refused():
    assert page_seed(PAGE_SEED_MAX) == PAGE_SEED_MAX
    with pytest.raises(InputError, match="on the page"):
        page_seed(PAGE_SEED_MAX + 1)
