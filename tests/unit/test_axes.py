"""Values of an axis as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.axes import AXES, CELLS_MAX, values
from pipeline.errors import InputError

BY_NAME = {axis.name: axis for axis in AXES}
STEPS = BY_NAME["steps"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("  ", ()),
        ("4", (4,)),
        ("1, 2, 4, 8", (1, 2, 4, 8)),
        ("1,2,,4,", (1, 2, 4)),
        ("1\n2\n4", (1, 2, 4)),
        ("1..5", (1, 2, 3, 4, 5)),
        ("1…3", (1, 2, 3)),
        ("1...3", (1, 2, 3)),
        ("3..1", (3, 2, 1)),
        ("1, 2, .., 6", (1, 2, 3, 4, 5, 6)),
        ("2, 4, …, 8, 20", (2, 4, 6, 8, 20)),
        ("1, 2, .., 4, 8, 12, .., 20", (1, 2, 3, 4, 8, 12, 16, 20)),
        ("10, 8, .., 4", (10, 8, 6, 4)),
        ("0.1, 0.2, .., 0.5", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("1, 2, .., 2", None),
        ("1.5..3.5", (1.5, 2.5, 3.5)),
        ("-1..1", (-1, 0, 1)),
        ("7.0", (7,)),
        ("18446744073709551615", (18446744073709551615,)),
        ("1, two", (1, "two")),
        ("nan, inf, 1e999999999", ("nan", "inf", "1e999999999")),
        ("1..x", ("1..x",)),
    ],
)
def test_numbers(text, found):
    if found is None:
        with pytest.raises(InputError, match=r"^steps "):
            values(STEPS, text)
    else:
        assert values(STEPS, text) == found
        assert [type(value) for value in values(STEPS, text)] == [type(value) for value in found]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1, 3, .., 10", "cannot be counted out as '1, 3, .., 10'"),
        ("1, 2, .., 0", "cannot be counted out"),
        ("1..2.5", "cannot be counted out"),
        ("2, 2, .., 4", "cannot be counted out"),
        (".., 4", r'write it as in "1, 2, .., 10"'),
        ("1, .., 4", r'write it as in "1, 2, .., 10"'),
        ("1, 2, ..", r'write it as in "1, 2, .., 10"'),
        ("1, x, .., 3", r'write it as in "1, 2, .., 10"'),
        ("4, 1, 4.0", "has 4 twice"),
        ("1..1000000000", f"at most {CELLS_MAX} pictures; got 1000000000 steps"),
        ("0, 0.0000000001, .., 5", f"at most {CELLS_MAX} pictures"),
        (",".join(["1"] * 401), "got 401 steps"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, words):
    with pytest.raises(InputError, match=words) as told:
        values(STEPS, text)
    assert len(str(told.value)) < 200


@given(st.text(alphabet="0123456789.,-+e …\nx", max_size=40))
def test_any_text_gives_values_or_one_sentence(text):
    try:
        found = values(STEPS, text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) <= CELLS_MAX


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20, unique=True))
def test_what_is_written_out_comes_back(seeds):
    assert values(BY_NAME["seeds"], ", ".join(map(str, seeds))) == tuple(seeds)


def test_prompts_are_lines_and_models_are_words():
    assert values(BY_NAME["prompts"], "a fox, red\n\n  a cat \n") == ("a fox, red", "a cat")
    assert values(BY_NAME["models"], "old, new\nother") == ("old", "new", "other")
    assert values(BY_NAME["models"], ["old", "new"]) == ("old", "new")


def test_lists_and_single_values_are_taken_too():
    assert values(STEPS, [1, "2..4"]) == (1, 2, 3, 4)
    assert values(STEPS, 7) == (7,)
    assert values(STEPS, None) == ()
    assert values(STEPS, []) == ()


def test_heads_read_well():
    heads = {axis.name: axis.head(1) for axis in AXES if axis.name in ("seeds", "steps", "guidance")}
    assert heads == {"seeds": "seed 1", "steps": "1 step", "guidance": "guidance 1"}
