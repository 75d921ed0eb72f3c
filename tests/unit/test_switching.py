"""Efficiency switches: offered where the classes can take them, and never felt without."""

from __future__ import annotations

import contextvars
import shutil
import threading

import diffusers
import numpy as np
import pytest
import torch

from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.bench.architectures import ARCHITECTURES
from pipeline.cards import ModelCard, Range
from pipeline.errors import Cancelled, ModelError
from pipeline.loading import load
from pipeline.request import make_request
from pipeline.switches import SWITCHES
from pipeline.switching import (
    IMPLEMENTATIONS,
    RECOMPILE_LIMIT,
    Implementation,
    denoiser_class,
    denoiser_of,
    supported,
    switch_on,
)
from pipeline.weights import locate
from tests.tiny_models import SHIPPED, Checkpoint, tiny_card

OLD = SHIPPED.model("diptych-128")


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return LocalBackend()


def long_card(model: str, checkpoint: Checkpoint, **changes: object) -> ModelCard:
    """Of any number of steps, also where the real one has few."""
    return tiny_card(model, checkpoint, steps=Range(default=24, min=1, max=50), **changes)


def run(backend: LocalBackend, card: ModelCard, *switches: str, stop: threading.Event | None = None, **fields):
    request = make_request(card, "a red apple", **{"seed": 7, "steps": 12, "switches": switches, **fields})
    backend.prepare(card, request, frozenset(), lambda *_: None)
    stop = stop or threading.Event()
    return backend.make(card, request, How(), lambda *_: None, stop).image


def apart(a, b) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())


def test_every_model_of_the_catalogue_says_which_it_can_use():
    for card in (card for card in SHIPPED.models.values() if not card.hosted):
        on_a_gpu = supported(card, "cuda")
        assert set(on_a_gpu) == set(SWITCHES)
        assert on_a_gpu["fp8-weights"] is None and on_a_gpu["compile"] is None
        assert on_a_gpu["channels-last"] == {
            "PRXPixelPipeline": "PRXPixelPipeline has no component vae.",
            "QwenImagePipeline": "The decoder of QwenImagePipeline hardly has convolutions of pictures.",
        }.get(card.pipeline)
        caches = (
            card.pipeline in ("Flux2KleinPipeline", "QwenImagePipeline", "FluxPipeline") and card.steps.default >= 8
        )
        assert (on_a_gpu["step-cache"] is None) == caches, card.id
        assert "NVIDIA" in supported(card, "cpu")["cudnn-attention"]
        if card.pipeline in (
            "StableDiffusionXLPipeline",
            "StableDiffusionPipeline",
            "SanaPipeline",
            "SanaSprintPipeline",
        ):
            assert "cannot change its attention" in on_a_gpu["cudnn-attention"]
        else:
            assert (on_a_gpu["cudnn-attention"] is None) == (not card.bundled), card.id


@pytest.mark.parametrize("pipeline", list(ARCHITECTURES))
def test_the_class_that_is_asked_is_the_one_that_runs(pipeline, checkpoint):
    card = next(card for card in SHIPPED.models.values() if card.pipeline == pipeline)
    pipe = getattr(diffusers, pipeline).from_pretrained(checkpoint(pipeline), local_files_only=True)
    assert denoiser_class(card) is type(denoiser_of(pipe))


@pytest.mark.parametrize("model", ["flux1-dev", "qwen-image", "flux2-klein-base-4b"])
def test_a_step_cache_skips_and_comes_back_clean_after_a_cancel(model, checkpoint, backend):
    card = long_card(model, checkpoint)
    plain = run(backend, card)
    cached = run(backend, card, "step-cache")
    stop = threading.Event()
    request = make_request(card, "a red apple", seed=7, steps=12, switches=["step-cache"])
    with pytest.raises(Cancelled):
        backend.make(card, request, How(), lambda i, *_: stop.set() if i == 5 else None, stop)
    assert run(backend, card, "step-cache").tobytes() == cached.tobytes()
    assert run(backend, card).tobytes() == plain.tobytes()


@pytest.mark.parametrize("model", ["sd-turbo", "flux2-klein-4b", "sana-1.6b"])
def test_a_decoder_with_its_channels_last_draws_the_same_and_is_no_other_lanes(model, checkpoint, backend):
    shared = {name: f"{model}/{name}" for name in ("text_encoder", "vae")}
    card = long_card(model, checkpoint, id=f"{model}-here", shared=shared)
    assert apart(run(backend, card), run(backend, card, "channels-last")) < 1
    plain, switched = (
        backend.resident(card, make_request(card, "a", switches=on)).pipe for on in ([], ["channels-last"])
    )
    assert plain.text_encoder is switched.text_encoder and plain.vae is not switched.vae
    orders = [
        {part.weight.is_contiguous(memory_format=torch.channels_last) for part in decoder.modules() if wide(part)}
        for decoder in (plain.vae, switched.vae)
    ]
    assert orders == [{False}, {True}]


def wide(part: torch.nn.Module) -> bool:
    """A convolution whose weights have more than one order."""
    return isinstance(part, torch.nn.Conv2d) and part.groups == 1 and min(part.weight.shape) > 1


def test_weights_of_8_bits_are_half_as_large_and_draw_nearly_the_same(backend):
    plain = run(backend, OLD)
    rough = run(backend, OLD, "fp8-weights")
    assert 0 < apart(plain, rough) < 12
    assert run(backend, OLD).tobytes() == plain.tobytes()
    held = {
        key[1]: sum(tensor.nbytes for tensor in denoiser_of(resident.pipe).parameters())
        for key, resident in backend.residency._resident.items()
        if key[0] == OLD.id
    }
    assert held[("fp8-weights",)] < 0.6 * held[()]


def test_compiled_shapes_have_no_early_limit_in_any_run(backend, monkeypatch):
    """torch keeps its settings by context, and every run of the engine has its own."""
    import torch._dynamo

    plain = Implementation(why_not=lambda *_: None, apply=lambda *_: None)
    monkeypatch.setitem(IMPLEMENTATIONS, "compile", plain)
    request, limits = make_request(OLD, "a cat", seed=7, steps=2, switches=["compile"]), []

    def made():
        seen = lambda *_: limits.append(torch._dynamo.config.recompile_limit)  # noqa: E731
        backend.make(OLD, request, How(), seen, threading.Event())

    for _ in range(2):
        contextvars.copy_context().run(made)
    assert set(limits) == {RECOMPILE_LIMIT}


@pytest.mark.parametrize("model", ["z-image", "prx-512-sft", "flux1-dev", "flux2-klein-base-4b", "qwen-image"])
def test_another_attention_is_one_models_own(model, checkpoint, backend):
    """diffusers sets it for every model of the process at once."""
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    card = long_card(model, checkpoint)
    plain = run(backend, card)
    active = _AttentionBackendRegistry.get_active_backend()
    switched = load(card, locate(card), "float32", {})
    switch_on("cudnn-attention", card, switched)
    processors = [
        module.processor
        for module in denoiser_of(switched).modules()
        if hasattr(getattr(module, "processor", None), "_attention_backend")
    ]
    assert processors and {processor._attention_backend for processor in processors} == {"_native_cudnn"}
    assert _AttentionBackendRegistry.get_active_backend() == active
    assert run(backend, card).tobytes() == plain.tobytes()


def test_a_switch_that_cannot_be_used_is_one_sentence(backend):
    with pytest.raises(ModelError, match=r"^Step cache cannot be used with Diptych 128: PRXPixelPipeline has no step"):
        run(backend, OLD, "step-cache")


def test_a_switch_that_fails_when_it_is_first_run_is_one_sentence_and_leaves_no_trace(backend, monkeypatch, caplog):
    plain = run(backend, OLD, steps=2)
    there = len(backend.residency)

    def fails(pipe, denoiser):
        denoiser.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("ptxas: no such file")))

    monkeypatch.setitem(IMPLEMENTATIONS, "compile", Implementation(why_not=lambda *_: None, apply=fails))
    fresh = {"steps": 3, "switches": ["compile", "fp8-weights"]}
    with pytest.raises(ModelError) as caught:
        run(backend, OLD, **fresh)
    assert str(caught.value) == (
        "Compiled and 8-bit float weights failed with Diptych 128 on this machine; turn it off. The log says how."
    )
    assert "ptxas: no such file" in caplog.text
    assert len(backend.residency) == there
    assert run(backend, OLD, steps=2).tobytes() == plain.tobytes()


def test_compiling_for_a_gpu_needs_a_c_compiler(monkeypatch):
    assert supported(OLD, "cuda")["compile"] is None or not any(map(shutil.which, ("cc", "gcc", "clang")))
    monkeypatch.setenv("PATH", "/nowhere")
    assert supported(OLD, "cuda")["compile"] == "torch.compile on a GPU needs a C compiler, and none is installed."
    assert "C++ compiler" in supported(OLD, "cpu")["compile"]


def test_a_decoder_that_cannot_be_looked_at_is_not_offered():
    card = OLD.model_copy(update={"pipeline": "HunyuanImagePipeline"})  # its class has no defaults
    assert "hardly has convolutions" in supported(card, "cpu")["channels-last"]


def test_a_pipeline_that_diffusers_does_not_have_supports_nothing():
    unknown = OLD.model_copy(update={"pipeline": "NoSuchPipeline"})
    assert all("NoSuchPipeline" in why_not for why_not in supported(unknown, "cpu").values())
