"""Low-rank weights on a model: fused when it is loaded, on the denoiser alone, from the Hub's cache or this disk."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline import loading
from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.bench.random_weights import save
from pipeline.cards import ModelCard
from pipeline.catalog import Catalog, load_catalog
from pipeline.errors import ModelError
from pipeline.models import models_document
from pipeline.request import make_request
from pipeline.switching import denoiser_of
from pipeline.weights import locate

pytest.importorskip("peft")

OWN = """
[models.base]
name = "Base"
summary = "Random."
path = "{pipeline}"
licence = "MIT"
pipeline = "{pipeline}"
steps = {{ default = 4, min = 1, max = 9 }}
guidance = {{ default = 1.0, min = 0.0, max = 9.0 }}
size = {{ default = 32, min = 32, max = 64, multiple = 8 }}
negative_prompt = true
shared = {{ text_encoder = "own/text", text_encoder_2 = "own/text_2", vae = "own/vae" }}
weight_bytes = 1000000
reference_seconds_per_evaluation = 0.1
reference_device = "a guess"

[models.fewer]
name = "Fewer"
summary = "The same with low-rank weights."
path = "{pipeline}"
lora = {{ path = "lora", file = "{file}" }}
licence = "MIT"
pipeline = "{pipeline}"
steps = {{ default = 4, min = 1, max = 9 }}
guidance = {{ default = 1.0, min = 0.0, max = 9.0 }}
size = {{ default = 32, min = 32, max = 64, multiple = 8 }}
negative_prompt = true
shared = {{ text_encoder = "own/text", text_encoder_2 = "own/text_2", vae = "own/vae" }}
weight_bytes = 1000000
reference_seconds_per_evaluation = 0.1
reference_device = "a guess"
"""
RANK, ALPHA = 2, 1.0
LAYERS = {
    # As ByteDance/SDXL-Lightning and latent-consistency/lcm-lora-sdxl write them, and lightx2v/Qwen-Image-Lightning.
    "StableDiffusionXLPipeline": (
        "lora_unet_{underscored}",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    ),
    "QwenImagePipeline": ("{dotted}", "transformer_blocks.0.attn.to_q"),
}


def low_rank(file: Path, name: str, layer: torch.nn.Module) -> torch.Tensor:
    """Write low-rank weights for one layer; returns what they add to its weight."""
    generator = torch.Generator().manual_seed(3)
    up, down = (
        torch.randn(shape, generator=generator) for shape in ((len(layer.weight), RANK), (RANK, layer.in_features))
    )
    file.parent.mkdir(exist_ok=True)
    save_file(
        {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(ALPHA)}, file
    )
    return ALPHA / RANK * up @ down


def written(folder: Path, pipeline: str) -> tuple[Catalog, torch.Tensor]:
    """A catalogue of the user's own with a model and the same one with low-rank weights, and what those add."""
    save(pipeline, folder / pipeline)
    (folder / "my.toml").write_text(OWN.format(pipeline=pipeline, file="few.safetensors"))
    catalog = load_catalog(more=folder / "my.toml")
    pattern, layer = LAYERS[pipeline]
    base = catalog.model("base")
    network = denoiser_of(loading.load(base, locate(base), "float32", {}))
    named = pattern.format(dotted=layer, underscored=layer.replace(".", "_"))
    return catalog, low_rank(folder / "lora" / "few.safetensors", named, network.get_submodule(layer))


def resident(backend: LocalBackend, card: ModelCard):
    return backend.resident(card, request(card)).pipe


def request(card: ModelCard):
    return make_request(card, "a red apple", seed=7)


def picture(backend: LocalBackend, card: ModelCard) -> np.ndarray:
    made = backend.make(card, request(card), How(), lambda *_: None, threading.Event())
    return np.asarray(made.image, float)


@pytest.mark.parametrize("pipeline", list(LAYERS))
def test_low_rank_weights_are_fused_into_the_denoiser_and_touch_nothing_else(pipeline, tmp_path):
    catalog, added = written(tmp_path, pipeline)
    backend = LocalBackend()
    base, fewer = (resident(backend, catalog.model(name)) for name in ("base", "fewer"))
    layer = LAYERS[pipeline][1]
    before, after = denoiser_of(base).state_dict(), denoiser_of(fewer).state_dict()
    assert before.keys() == after.keys(), "no adapter is left beside the weights"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"{layer}.weight"}
    assert torch.allclose(after[f"{layer}.weight"], before[f"{layer}.weight"] + added, atol=1e-5)
    assert base.text_encoder is fewer.text_encoder and base.vae is fewer.vae
    plain, few = (picture(backend, catalog.model(name)) for name in ("base", "fewer"))
    assert np.abs(plain - few).max() > 0
    assert np.array_equal(plain, picture(backend, catalog.model("base")))


def test_low_rank_weights_for_an_encoder_that_others_share_are_refused(tmp_path):
    catalog, _ = written(tmp_path, "StableDiffusionXLPipeline")
    base = catalog.model("base")
    width = loading.load(base, locate(base), "float32", {}).text_encoder.config.hidden_size
    name = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    down, up = torch.randn(RANK, width), torch.randn(width, RANK)
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, tmp_path / "lora" / "few.safetensors")
    with pytest.raises(ModelError, match=r"^Fewer cannot be used: few\.safetensors changes text_encoder, not unet"):
        resident(LocalBackend(), catalog.model("fewer"))


def test_other_low_rank_weights_are_another_model_to_the_caches(tmp_path):
    catalog, _ = written(tmp_path, "StableDiffusionXLPipeline")
    before = locate(catalog.model("fewer")).fingerprint
    file = tmp_path / "lora" / "few.safetensors"
    file.write_bytes(file.read_bytes() + b"\0")
    assert locate(catalog.model("fewer")).fingerprint != before
    file.unlink()
    with pytest.raises(ModelError, match=r"^Fewer takes its lora from .*, where no safetensors weights are\.$"):
        locate(catalog.model("fewer"))


def test_without_peft_it_is_said_before_anything_is_loaded(tmp_path, monkeypatch):
    catalog, _ = written(tmp_path, "StableDiffusionXLPipeline")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    sentence = "Fewer puts low-rank weights on a model, for which peft is needed; run pip install peft."
    with pytest.raises(ModelError, match=sentence):
        resident(LocalBackend(), catalog.model("fewer"))
    said = {model["id"]: model["why_not"] for model in models_document(catalog, LocalBackend().facts)["models"]}
    assert said["fewer"] == sentence and said["base"] is None
