"""What two models of the Hub hold in common is found by the content of their files, whatever their cards say."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.cards import ModelCard
from pipeline.catalog import load_catalog
from pipeline.device import Facts
from pipeline.fit import dtype_for
from pipeline.request import make_request
from pipeline.weights import locate
from tests.tiny_models import card_on

PIPELINE = "StableDiffusionPipeline"
SAID = {"text_encoder": "sd/text_encoder", "tokenizer": "sd/tokenizer", "vae": "sd/vae"}


@pytest.fixture
def checkpoints(checkpoint) -> list[Path]:
    return [checkpoint(PIPELINE, seed) for seed in (0, 1)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where huggingface_hub looks, which it reads from the environment when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def downloaded(cache: Path, name: str, folder: Path, **said: str) -> ModelCard:
    """A checkpoint as huggingface_hub would have left it: links to files that are named by their content's hash."""
    commit = hashlib.sha1(name.encode()).hexdigest()
    repo = cache / f"models--someone--{name}"
    for file in (path for path in folder.rglob("*") if path.is_file()):
        blob = repo / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        link = repo / "snapshots" / commit / file.relative_to(folder)
        for place in (blob, link):
            place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        link.symlink_to(blob)
    card = load_catalog().model("sd-2.1")
    own = {"id": name, "repo": f"someone/{name}", "revision": commit, "variant": None, "part_bytes": {}, "shared": said}
    size = card.size.model_copy(update={"default": 32, "min": 32})
    return card.model_copy(update={**own, "name": name, "weight_bytes": 10**6, "memory_bytes": None, "size": size})


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def draw(backend: LocalBackend, card: ModelCard, reuse: bool = True) -> tuple[np.ndarray, bool]:
    """The picture, and whether the prompt's embeddings were there already."""
    request = make_request(card, "a red apple", seed=7, steps=4)
    made = backend.make(card, request, How(reuse=reuse), lambda *_: None, threading.Event())
    return np.asarray(made.image), made.encode_cached


def pipes(backend: LocalBackend, *cards: ModelCard) -> list:
    return [backend.resident(card, make_request(card, "a red apple", steps=4)).pipe for card in cards]


def test_equal_files_are_held_once_though_no_card_says_so(cache, checkpoints, tmp_path):
    successor = copied(checkpoints[0], tmp_path / "successor")
    shutil.copytree(checkpoints[1] / "unet", successor / "unet", dirs_exist_ok=True)
    one, two = downloaded(cache, "one", checkpoints[0]), downloaded(cache, "two", successor)
    backend = LocalBackend()
    left, right = pipes(backend, one, two)
    assert left.text_encoder is right.text_encoder
    assert left.tokenizer is right.tokenizer and left.vae is right.vae
    assert left.unet is not right.unet and left.scheduler is not right.scheduler
    draw(backend, one)
    assert draw(backend, two)[1], "one encoder, one set of embeddings"


def test_what_differs_is_not_shared_though_both_cards_say_so(cache, checkpoints):
    one, two = (
        downloaded(cache, name, folder, **SAID) for name, folder in zip(("one", "two"), checkpoints, strict=True)
    )
    alone = draw(LocalBackend(), two)[0]
    backend = LocalBackend()
    left, right = pipes(backend, one, two)
    assert left.text_encoder is not right.text_encoder and left.vae is not right.vae
    draw(backend, one)
    picture, reused = draw(backend, two)
    assert not reused, "another encoder's embeddings are another's"
    assert np.array_equal(picture, alone)


def test_one_encoder_gives_two_sets_of_embeddings_where_prompts_are_cut_elsewhere(cache, checkpoint):
    """FLUX.1 schnell reads 256 tokens and dev 512."""
    folder = checkpoint("FluxPipeline")
    cards = [
        downloaded(cache, name, folder).model_copy(
            update={**like.model_dump(include={"pipeline", "negative_prompt", "call", "steps", "guidance"}),
                    "steps": like.steps, "guidance": like.guidance, "scheduler": None}
        )
        for name in ("flux1-dev", "flux1-schnell")
        for like in [load_catalog().model(name)]
    ]  # fmt: skip
    backend = LocalBackend()
    left, right = pipes(backend, *cards)
    assert left.text_encoder_2 is right.text_encoder_2
    draw(backend, cards[0])
    picture, reused = draw(backend, cards[1])
    assert not reused
    assert np.array_equal(picture, draw(LocalBackend(), cards[1])[0])


def test_one_encoder_gives_two_sets_of_embeddings_in_two_types(cache, checkpoints):
    facts = Facts("cpu", "CPU, 2 cores (Test)", 10**12, 10**12, bf16=True)
    wide, narrow = (
        downloaded(cache, dtype, checkpoints[0]).model_copy(update={"dtypes": (dtype,)})
        for dtype in ("float32", "bfloat16")
    )
    backend = LocalBackend(facts=facts)
    assert [dtype_for(card, facts) for card in (wide, narrow)] == ["float32", "bfloat16"]
    for card in (wide, narrow):
        pipes(backend, card)  # warm: that empties the cache
    draw(backend, wide)
    picture, reused = draw(backend, narrow)
    assert not reused and draw(backend, narrow)[1]
    assert np.array_equal(picture, draw(LocalBackend(facts=facts), narrow)[0])


def test_settings_count_and_who_wrote_them_does_not(cache, checkpoints, tmp_path):
    def changed(name: str, **settings: object) -> dict[str, str]:
        folder = copied(checkpoints[0], tmp_path / name)
        config = folder / "vae" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | settings))
        return locate(downloaded(cache, name, folder)).contents

    plain = locate(downloaded(cache, "plain", checkpoints[0])).contents
    assert changed("newer", _diffusers_version="0.99.0") == plain
    other = changed("other", scaling_factor=0.5)
    assert {name for name in plain if plain[name] != other[name]} == {"vae"}
    assert plain.keys() == {"text_encoder", "tokenizer", "vae"}


def test_where_the_disk_does_not_tell_the_card_is_believed(checkpoints):
    card = load_catalog().model("sd-2.1")
    assert locate(card_on(checkpoints[0], card)).contents == {}
