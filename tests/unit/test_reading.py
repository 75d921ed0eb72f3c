"""How much of a prompt is read: said by the tokenizer, and true of what the encoder makes of it."""

from __future__ import annotations

import threading
from pathlib import Path

import diffusers
import pytest
import torch
from transformers import AutoTokenizer

from pipeline.backends import How
from pipeline.backends.families import FAMILIES
from pipeline.backends.local import LocalBackend
from pipeline.bench.architectures import ARCHITECTURES
from pipeline.cards import ASSETS
from pipeline.catalog import load_catalog
from pipeline.caveats import caveats
from pipeline.prices import load_prices
from pipeline.reading import Reading, read, reading_text
from pipeline.request import make_request
from pipeline.ui import markup

BUNDLED = load_catalog().model("diptych-128")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ASSETS / "models/diptych-128/tokenizer", local_files_only=True)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("a red apple", Reading(5, 24)),
        ("", Reading(2, 24)),
        ("苹果, on a (blue) 苹果 桌子!", Reading(15, 24, ("苹果", "桌子"))),
        ("a " * 30, Reading(32, 24)),
    ],
)
def test_tokens_are_counted_and_unknown_words_named(tokenizer, text, reading):
    assert read(tokenizer, text, 24) == reading


def test_a_tokenizer_without_a_limit_reads_everything(tokenizer):
    assert read(tokenizer, "a " * 99, 10**30) == Reading(101, None)
    assert Reading(101, None).whole


def test_only_what_is_not_read_is_said():
    assert reading_text(None) == reading_text(Reading(24, 24).as_dict()) == ""
    assert reading_text(Reading(31, 24).as_dict()) == (
        "reads 24 tokens of a prompt, and this one has 31: its end was not read"
    )
    assert reading_text(Reading(9, 24, ("苹果",)).as_dict()) == "has no token for “苹果”"
    assert Reading.from_dict(Reading(9, 24, ("苹果",)).as_dict()) == Reading(9, 24, ("苹果",))


@pytest.mark.parametrize("pipeline", [*ARCHITECTURES, "PRXPixelPipeline"])
def test_what_is_said_to_be_cut_is_what_changes_nothing(pipeline, checkpoint):
    """Of each class: the last token that is read changes the embeddings, the first one that is not does not."""
    card = next(card for card in load_catalog().models.values() if card.pipeline == pipeline)
    folder = Path(BUNDLED.folder) if card.bundled else checkpoint(pipeline)
    pipe = getattr(diffusers, pipeline).from_pretrained(folder, local_files_only=True)
    family = FAMILIES[pipeline]

    def embedded(text: str) -> list[torch.Tensor]:
        with torch.inference_mode():
            return [tensor for tensor in family.encode(pipe, text, call=card.call) if tensor is not None]

    def same(one: str, other: str) -> bool:
        left, right = embedded(one), embedded(other)
        return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(left, right, strict=True))

    empty = family.reading(pipe, "", card.call)
    word = "a " if card.bundled else "a"  # one token each
    fits = word * (empty.limit - empty.tokens)
    full = family.reading(pipe, fits, card.call)
    assert full.tokens == full.limit and full.whole
    assert not same(fits, fits[: -len(word)]), "the last token that fits is read"
    longer = family.reading(pipe, fits + word * 3, card.call)
    assert longer.tokens == longer.limit + 3 and not longer.whole
    assert same(fits + word * 3, fits + word * 4), "what comes after is not"


def test_it_is_in_the_document_on_the_page_and_in_the_report():
    backend = LocalBackend()
    request = make_request(BUNDLED, "a <b>red</b> 苹果 " + "apple " * 30, seed=7, steps=2)
    backend.prepare(BUNDLED, request, frozenset(), lambda *_: None)
    made = backend.make(BUNDLED, request, How(), lambda *_: None, threading.Event())
    assert made.reading.tokens > made.reading.limit == 24 and made.reading.unknown == ("苹果",)
    lane = {
        "model": "diptych-128", "runs": 1,
        "cost_usd": None, "cache": "miss", "encode_cached": False, "peak_memory_bytes": None, "warm": True, "seed": 7,
        "previews": False, "prompt": request.prompt, "seconds_min": 0.1, "seconds_max": 0.1, "device": "CPU",
        "seconds": {"total": 0.1},
        "reading": Reading(41, 24, ("<b>",)).as_dict(), "price": {"usd_per_hour": None, "profile": "none"},
    }  # fmt: skip
    sentence = "reads 24 tokens of a prompt, and this one has 41: its end was not read; has no token for "
    assert any(said.startswith(f"diptych-128 {sentence}") for said in caveats(lane, load_prices().profile(2)))
    html = markup._unread(lane)
    assert sentence in html and "<b>" not in html
