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
from pipeline.cards import ModelCard
from pipeline.device import Facts
from pipeline.errors import Declined
from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.sweep_run import Kept, LeftOut, Sweeps
from tests.fakes import plan_of
from tests.tiny_models import SHIPPED, tiny_card

SD_TURBO = SHIPPED.model("sd-turbo")


@pytest.fixture
def card(checkpoint) -> ModelCard:
    return tiny_card("sd-turbo", checkpoint)


@pytest.mark.parametrize(
    "broken", [lambda pipe: pipe.unet.conv_out.bias, lambda pipe: pipe.vae.decoder.conv_in.bias], ids=["unet", "vae"]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_numbers_that_overflow_are_a_sentence_and_the_model_goes_on(card, broken):
    laptop = Facts("cpu", "CPU, 2 cores (Test)", 10**12, 10**12)  # others compute in bfloat16
    backend, request = LocalBackend(facts=laptop), make_request(card, "a red apple", seed=7)

    def make(batch: int = 1) -> Image.Image:
        return backend.make(card, request, How(batch=batch), lambda *_: None, threading.Event()).image

    sound = make()
    bias = broken(backend.resident(card, request).pipe).data
    kept = bias.clone()
    bias.fill_(float("inf"))
    for batch in (1, 2):
        with pytest.raises(Declined, match=r"^SD-Turbo made no picture but numbers that overflowed in float32; try"):
            make(batch)
    backend.any_picture = True  # as a bench has it
    assert make().size == (32, 32)
    backend.any_picture = False
    bias.copy_(kept)
    assert make().tobytes() == sound.tobytes()


def test_a_warm_up_that_gave_none_refuses_no_run(card, monkeypatch):
    """Few steps of a prompt can look to a safety checker as all of them do not."""
    backend, request = LocalBackend(), make_request(card, "a red apple", seed=7, steps=4)
    steps = []

    def strict(_card: object, *_: object):
        raise Declined("held back")

    monkeypatch.setattr("pipeline.backends.local.refuse_unusable", strict)
    backend.resident(card, request)
    with pytest.raises(Declined, match="held back"):
        backend.make(card, request, How(), lambda *told: steps.append(told), threading.Event())
    assert len(steps) == 4


def test_a_picture_that_is_only_dark_is_a_picture():
    night = Image.new("RGB", (32, 32))
    night.putpixel((3, 4), (0, 1, 0))
    refuse_unusable(SD_TURBO, "float16", SimpleNamespace(images=[night]), torch.zeros(1, 4))
    with pytest.raises(Declined, match="overflowed in float16"):
        refuse_unusable(SD_TURBO, "float16", SimpleNamespace(images=[night, Image.new("RGB", (32, 32))]), None)


def test_what_a_safety_checker_holds_back_is_said():
    held = SimpleNamespace(images=[Image.new("RGB", (32, 32))], nsfw_content_detected=[True])
    with pytest.raises(Declined, match=r"^The safety checker of SD-Turbo held this picture back; try another seed"):
        refuse_unusable(SD_TURBO, "float16", held, None)


BLACK = Image.new("RGB", (32, 32))


@pytest.mark.parametrize(
    "output, why",
    [
        (SimpleNamespace(images=[BLACK], nsfw_content_detected=[True]), "safety checker of Old held this picture back"),
        (SimpleNamespace(images=[BLACK]), "overflowed in float16"),
    ],
    ids=["held back", "overflow"],
)
def test_a_cell_without_a_picture_leaves_the_others_of_a_sweep(
    catalog, engine, backend, tmp_path, monkeypatch, output, why
):
    """It would come out the same every time, so the sweep could never be gone on with behind it."""
    make = backend.make

    def unusable(card, request, *rest):
        if request.prompt == "a bad day":
            refuse_unusable(card, "float16", output, None)
        return make(card, request, *rest)

    monkeypatch.setattr(backend, "make", unusable)
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    plan = plan_of(catalog, prompts="a fox\na bad day\na cat\na hat", steps="2")
    entry = sweeps.history.get(sweeps.start(plan, load_prices().profile("36")))
    for kept in ([0, 2, 3], []):  # gone on with it is tried again
        told = list(sweeps.run(entry))
        assert [event.cell.place for event in told if isinstance(event, Kept)] == kept
        [left] = [event for event in told if isinstance(event, LeftOut)]
        assert left.place == 1 and why in left.why
    assert sweeps.left(entry) == [1]
