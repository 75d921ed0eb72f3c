"""The Models tab's pieces without a browser: its table escaped, what can be fetched here, and by which key."""

from __future__ import annotations

import pytest

from pipeline.backends.local import LocalBackend
from pipeline.catalog import load_catalog
from pipeline.device import Facts
from pipeline.errors import InputError, ModelError
from pipeline.models import model_text, models_document, pair_text
from pipeline.ui import models_markup
from pipeline.ui.compare_view import pair_choices
from pipeline.ui.models_tab import cards_of, fetchable, terms_of

SHIPPED = load_catalog()
A10G = Facts("cuda", "<b>A10G</b>", 23 * 10**9, 64 * 10**9, True)
LAPTOP = Facts("cpu", "CPU, 4 cores", 16 * 10**9, 16 * 10**9)


def test_everything_on_the_table_is_escaped():
    document = models_document(SHIPPED, A10G)
    hostile = "<script>alert(1)</script>"
    document["pairs"][0] |= {"name": hostile, "question": hostile, "how": hostile, "note": hostile, "opt_in": hostile}
    same = dict.fromkeys(("name", "summary", "how", "licence", "source"), hostile)
    document["models"][0] |= {**same, "licence_url": 'javascript:"<script>'}
    document["judges"][0] |= dict.fromkeys(("name", "note", "puts_first", "licence", "source"), hostile)
    html = models_markup.catalogue(document)
    assert "<script" not in html and "<b>" not in html and 'javascript:"' not in html
    assert html.count("&lt;script&gt;alert(1)") == 15


def test_what_is_offered_runs_here_and_is_not_here(monkeypatch):
    monkeypatch.setattr("pipeline.weights.is_here", lambda card: card.id == "flux2-klein-4b")
    offered = {key: name for name, key in fetchable(SHIPPED, A10G)}
    assert next(iter(offered)) == "pair:z-image"
    assert offered["pair:flux2-klein"] == "FLUX.2 klein base 4B → klein 4B, up to 16.0 GB"
    assert "model:flux2-klein-4b" not in offered and "model:sdxl-lightning-lora" in offered
    assert "pair:qwen-image" not in offered, "it fits no GPU of this size"
    assert "pair:bundled" not in offered
    judges = [f"judge:{name}" for name in SHIPPED.judges]
    assert [key for _, key in fetchable(SHIPPED, LAPTOP)] == ["pair:sd", "model:sd-2.1", "model:sd-turbo", *judges]
    assert offered["judge:clip-vit-l-14"] == "CLIP ViT-L/14, a judge, up to 1.71 GB"
    assert cards_of(SHIPPED, "judge:clip-vit-l-14") == [SHIPPED.judges["clip-vit-l-14"]]
    assert "openai/clip-vit-large-patch14@32bd64288804" in terms_of(SHIPPED, "judge:clip-vit-l-14")


def test_a_key_names_models_of_the_hub_and_their_terms():
    assert [card.id for card in cards_of(SHIPPED, "pair:sd")] == ["sd-2.1", "sd-turbo"]
    assert "gated: needs accepted terms and HF_TOKEN" in terms_of(SHIPPED, "pair:flux1")
    assert terms_of(SHIPPED, None).count("Everything that fits this machine is here.") == 1
    for key, sentence in {
        None: "Choose what to fetch first",
        "model:nonsense": "model must be one of",
    }.items():
        with pytest.raises(InputError, match=sentence):
            cards_of(SHIPPED, key)


def test_what_would_run_is_told_apart_from_what_runs_and_what_never_will(monkeypatch):
    document = models_document(SHIPPED, LAPTOP)
    pairs, models = ({each["id"]: each for each in document[kind]} for kind in ("pairs", "models"))
    assert pair_text(pairs["bundled"]).startswith("runs: float32")
    assert pair_text(pairs["sd"]).startswith("would run once fetched: float32")
    assert pair_text(pairs["z-image"]).startswith("does not run: Z-Image and Z-Image-Turbo would take many minutes")
    said = [model_text(models[model]).partition(":")[0] for model in ("diptych-128", "sd-turbo", "z-image")]
    assert said == ["runs", "would run once fetched", "does not run"]


def test_the_box_of_pairs_says_what_is_still_to_be_fetched(monkeypatch):
    monkeypatch.setattr("pipeline.weights.is_here", lambda card: card.id.startswith("z-image"))
    names = {key: name for name, key in pair_choices(SHIPPED)}
    assert names["bundled"] == "Diptych 128 → Diptych 128 Efficient"
    assert names["z-image"] == "Z-Image → Z-Image-Turbo"
    assert names["sd"] == "SD 2.1 → SD-Turbo · not fetched"


def test_nobody_is_told_to_fetch_what_cannot_run_here():
    for facts, card, words in (
        (LAPTOP, "z-image", "many minutes a picture on a processor"),
        (LAPTOP, "sd-turbo", "is not on this machine yet; fetch its 2.6 GB"),
        (A10G, "qwen-image", "one model alone needs"),
        (A10G, "sdxl", "is not on this machine yet"),
    ):
        with pytest.raises(ModelError, match=words):
            LocalBackend(facts=facts).identity(SHIPPED.model(card))


def test_offline_nothing_can_be_fetched_and_the_tab_says_so(monkeypatch):
    monkeypatch.setenv("DIPTYCH_OFFLINE", "1")
    assert "started offline, so nothing can be fetched" in terms_of(SHIPPED, "pair:flux1")
