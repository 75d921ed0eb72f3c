"""Where weights lie and what they are: variants by their names, marks that change with every file."""

from pathlib import Path

import pytest

from pipeline import weights
from pipeline.cards import Part
from pipeline.catalog import load_catalog
from pipeline.download import _at_the_top, _of_pipeline

SHIPPED = load_catalog()


@pytest.mark.parametrize(
    ("files", "variant", "whole"),
    [
        (["model.safetensors"], None, True),
        (["model.safetensors"], "fp16", False),  # as another tool leaves them: loading would find none of the variant
        (["model.fp16.safetensors"], None, False),
        (["model.fp16.safetensors"], "fp16", True),
        (["model.fp16-00001-of-00002.safetensors"], "fp16", True),
        (["model.bf16.safetensors"], "fp16", False),
        ([], None, False),
    ],
)
def test_a_component_is_here_when_the_variant_that_is_loaded_is(tmp_path, files, variant, whole):
    for file in files:
        (tmp_path / file).touch()
    assert weights._has_weights(tmp_path, variant) is whole


def test_a_part_in_a_folder_has_another_mark_when_its_weights_are_written_over(tmp_path):
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"old")
    part = Part(path=str(file.parent))
    before = weights._mark(part, file.parent)
    assert weights._mark(part, file.parent) == before
    file.write_bytes(b"other")  # the folder itself changes neither its size nor its time
    assert weights._mark(part, file.parent) != before


def test_a_commit_is_read_behind_the_cache_whatever_the_cache_is_called(monkeypatch):
    cache = Path("/mnt/snapshots/hf/hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert weights._commit(cache / "models--a--b" / "snapshots" / "c0ffee" / "vae" / "config.json") == "c0ffee"


def test_only_what_the_pipeline_loads_is_fetched():
    card = SHIPPED.model("sdxl")
    fetched = [
        "unet/diffusion_pytorch_model.fp16.safetensors", "text_encoder_2/model.fp16.safetensors",
        "scheduler/scheduler_config.json", "tokenizer/vocab.json", "model_index.json",
    ]  # fmt: skip
    left = [
        "vae_1_0/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors",
        "sd_xl_base_1.0.safetensors", "unet/model.onnx",
    ]  # fmt: skip
    assert [file for file in fetched + left if _of_pipeline(card, file)] == fetched
    few = card.model_copy(update={"part_bytes": {"unet": card.part_bytes["unet"]}})  # a user's own, enough for fp8
    assert _of_pipeline(few, "text_encoder/model.fp16.safetensors")
    top = ["config.json", "diffusion_pytorch_model.safetensors", "model.safetensors"]
    assert [file for file in [*top, "sdxl_vae.safetensors", "model.fp16.safetensors"] if _at_the_top(file)] == top
