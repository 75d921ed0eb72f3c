"""A black square beside the other model's picture is no comparison: overflow and held-back pictures are errors."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.backends.unusable import refuse_unusable
from pipeline.bench.random_weights import save
from pipeline.cards import ModelCard
from pipeline.catalog import load_catalog
from pipeline.device import Facts
from pipeline.errors import ModelError
from pipeline.request import make_request

SD_TURBO = load_catalog().model("sd-turbo")


@pytest.fixture
def card(tmp_path) -> ModelCard:
    size = SD_TURBO.size.model_copy(update={"default": 32, "min": 32, "max": 64})
    here = {"path": str(save(SD_TURBO.pipeline, tmp_path)), "repo": None, "revision": None, "variant": None}
    small = {"shared": {}, "weight_bytes": 10**6, "part_bytes": {}, "memory_bytes": None, "size": size, "cpu": True}
    return SD_TURBO.model_copy(update=here | small)


@pytest.mark.parametrize(
    "broken", [lambda pipe: pipe.unet.conv_out.bias, lambda pipe: pipe.vae.decoder.conv_in.bias], ids=["unet", "vae"]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_numbers_that_overflow_are_a_sentence_and_the_model_goes_on(card, broken):
    laptop = Facts("cpu", "CPU, 2 cores (Test)", 10**12, 10**12, 10**12)  # others compute in bfloat16
    backend, request = LocalBackend(facts=laptop), make_request(card, "a red apple", seed=7)

    def make(batch: int = 1) -> Image.Image:
        return backend.make(card, request, How(batch=batch), lambda *_: None, threading.Event()).image

    sound = make()
    bias = broken(backend.resident(card, request).pipe).data
    kept = bias.clone()
    bias.fill_(float("inf"))
    for batch in (1, 2):
        with pytest.raises(ModelError, match=r"^SD-Turbo made no picture but numbers that overflowed in float32; try"):
            make(batch)
    backend.any_picture = True  # as a bench has it
    assert make().size == (32, 32)
    backend.any_picture = False
    bias.copy_(kept)
    assert make().tobytes() == sound.tobytes()


def test_a_picture_that_is_only_dark_is_a_picture():
    night = Image.new("RGB", (32, 32))
    night.putpixel((3, 4), (0, 1, 0))
    refuse_unusable(SD_TURBO, "float16", SimpleNamespace(images=[night]), torch.zeros(1, 4))
    with pytest.raises(ModelError, match="overflowed in float16"):
        refuse_unusable(SD_TURBO, "float16", SimpleNamespace(images=[night, Image.new("RGB", (32, 32))]), None)


def test_what_a_safety_checker_holds_back_is_said():
    held = SimpleNamespace(images=[Image.new("RGB", (32, 32))], nsfw_content_detected=[True])
    with pytest.raises(ModelError, match=r"^The safety checker of SD-Turbo held this picture back; try another seed"):
        refuse_unusable(SD_TURBO, "float16", held, None)
