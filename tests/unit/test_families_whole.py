"""Every pipeline class of the catalogue through the very loader, encode, denoise, preview and cancel paths that real
weights take, with tiny random weights in the Hub's layout."""

from __future__ import annotations

import json
import shutil
import threading
import warnings
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.backends import How
from pipeline.backends.families import FAMILIES
from pipeline.backends.local import LocalBackend
from pipeline.bench.architectures import ARCHITECTURES
from pipeline.cards import ModelCard, Part, Range
from pipeline.device import Facts
from pipeline.errors import Cancelled, ModelError
from pipeline.fit import Plan, dtype_for
from pipeline.loading import load
from pipeline.request import ImageRequest, make_request
from pipeline.residency import tensors_of
from pipeline.weights import Weights
from tests.tiny_models import SHIPPED, SIZE, tiny_card

REAL = [card for card in SHIPPED.models.values() if card.repo]
ONE_OF_EACH = [next(card.id for card in REAL if card.pipeline == pipeline) for pipeline in ARCHITECTURES]
"""A model of every class."""


def processor(bf16: bool) -> LocalBackend:
    """Where a processor computes in bfloat16, and where it does not: the tests are the same on either."""
    return LocalBackend(facts=Facts("cpu", "CPU, 2 cores (Test)", 10**12, 10**12, bf16=bf16))


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return processor(bf16=False)


@pytest.mark.parametrize("model", ["sana-1.6b", "sana-sprint-1.6b"])
def test_a_decoder_without_memory_is_heard_where_the_pipeline_swallows_it(model, checkpoint, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(diffusers.AutoencoderDC, "decode", full)
    card = tiny_card(model, checkpoint)
    with pytest.raises(ModelError, match="ran out of memory at 32 x 32 pixels"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(processor(bf16=False), card, request_of(card))


def request_of(card: ModelCard, **fields: object) -> ImageRequest:
    return make_request(card, "a red apple", **{"seed": 7, "steps": 4, **fields})


def run(backend: LocalBackend, card: ModelCard, request: ImageRequest, stop: threading.Event | None = None, **how):
    steps = how.pop("steps", [])
    how = How(**{"reuse": False, **how})
    return backend.make(card, request, how, lambda i, n, preview: steps.append(preview), stop or threading.Event())


def bare(
    card: ModelCard, request: ImageRequest, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Image.Image:
    """The picture that diffusers makes when the pipeline is called as its documentation says."""
    pipe = getattr(diffusers, card.pipeline).from_pretrained(card.folder, torch_dtype=dtype, local_files_only=True)
    pipe.to(device).set_progress_bar_config(disable=True)
    if card.scheduler:
        scheduler = getattr(diffusers, card.scheduler.name)
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **card.scheduler.settings)
    more = dict(card.call)
    if card.negative_prompt and (request.negative_prompt or card.pipeline == "QwenImagePipeline"):
        more["negative_prompt"] = request.negative_prompt
    if card.pipeline == "SanaSprintPipeline" and request.steps != 2:
        more["intermediate_timesteps"] = None
    if card.pipeline == "Flux2KleinPipeline" and (text := more.pop("negative_prompt", "")):  # it takes none as text
        more["negative_prompt_embeds"] = pipe.encode_prompt(text)[0]
    guidance = "true_cfg_scale" if card.pipeline == "QwenImagePipeline" else "guidance_scale"
    return pipe(
        prompt=request.prompt,
        num_inference_steps=request.steps,
        width=request.width,
        height=request.height,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        **{guidance: request.guidance},
        **more,
    ).images[0]


def test_every_class_of_the_catalogue_has_a_family_and_a_tiny_checkpoint():
    assert {card.pipeline for card in REAL} == set(ARCHITECTURES)
    assert {card.pipeline for card in SHIPPED.models.values() if not card.hosted} == set(FAMILIES)


@pytest.mark.parametrize(
    ("model", "negative"),
    [(card.id, "") for card in REAL] + [(card.id, "a green leaf") for card in REAL if card.negative_prompt],
)
def test_the_engine_makes_what_diffusers_makes(model, negative, checkpoint, backend):
    card = tiny_card(model, checkpoint)
    request = request_of(card, negative_prompt=negative)
    made, steps = run(backend, card, request, steps=(seen := [])), seen
    ours, theirs = np.asarray(made.image, int), np.asarray(bare(card, request), int)
    assert ours.std() > 1
    # PRX and its like encode both texts in one batch, which rounds differently on a processor.
    assert np.abs(ours - theirs).max() <= (2 if card.pipeline == "PRXPipeline" else 0)
    assert len(steps) == request.steps
    assert min(made.seconds.values()) > 0


@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_so_it_does_in_bfloat16_on_a_processor_that_computes_in_it(model, checkpoint):
    card = tiny_card(model, checkpoint)
    made = run(processor(bf16=True), card, request_of(card)).image
    ours, theirs = np.asarray(made, int), np.asarray(bare(card, request_of(card), torch.bfloat16), int)
    assert np.abs(ours - theirs).max() <= (2 if card.pipeline == "PRXPipeline" else 0)
    assert (ours != np.asarray(bare(card, request_of(card)), int)).any()


on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def gpu() -> LocalBackend:
    return LocalBackend(any_picture=True)


def computed(card: ModelCard, gpu: LocalBackend) -> str:
    """The type that the GPU holds the model in; the test is skipped where it computes in none that the model takes."""
    return dtype_for(card, gpu.facts) or pytest.skip(f"{gpu.facts.name} computes in no type of {card.name}")


@on_a_gpu
@pytest.mark.parametrize("model", [card.id for card in REAL])
def test_a_gpu_makes_what_diffusers_makes_there(model, checkpoint, gpu):
    card = tiny_card(model, checkpoint)
    request = request_of(card)
    computed(card, gpu)
    made = run(gpu, card, request, steps=(seen := []))
    resident = gpu.resident(card, request)
    assert {tensor.device.type for tensor in tensors_of(resident.pipe)} == {"cuda"}
    dtype = getattr(torch, resident.plan.dtype)
    ours, theirs = (np.asarray(image, int) for image in (made.image, bare(card, request, dtype, "cuda")))
    assert ours.std() > 1
    assert np.abs(ours - theirs).max() <= (2 if card.pipeline == "PRXPipeline" else 0)
    assert len(seen) == request.steps and min(made.seconds.values()) > 0 and made.peak_memory_bytes > 0


@on_a_gpu
@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_offloaded_on_a_gpu_it_makes_the_same_picture(model, checkpoint, gpu, monkeypatch):
    card = tiny_card(model, checkpoint)
    dtype, request = computed(card, gpu), request_of(card)
    made = [run(gpu, card, request).image]
    for how in ("model offload", "group offload"):
        backend = LocalBackend(any_picture=True)
        monkeypatch.setattr(backend, "_plan", lambda card, request, how=how: Plan(how, dtype, 0))
        made += [run(backend, card, request).image for _ in range(2)]
        assert "cpu" in {tensor.device.type for tensor in tensors_of(backend.resident(card, request).pipe)}
        backend.residency.evict_all()
    pictures = [np.asarray(image, int) for image in made]
    assert max(np.abs(picture - pictures[0]).max() for picture in pictures) == 0


@on_a_gpu
@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_every_switch_that_a_gpu_offers_draws_there(model, checkpoint, gpu):
    """But compiling, which takes a minute; `bench compile` does that."""
    card = tiny_card(model, checkpoint)
    computed(card, gpu)
    offered = [switch for switch, lacking in gpu.switches(card).items() if lacking is None and switch != "compile"]
    assert "fp8-weights" in offered
    failed = {}
    for switch in offered:
        try:
            picture = run(gpu, card, request_of(card, switches=(switch,))).image
            assert np.asarray(picture, int).std() > 1
        except ModelError as error:
            failed[switch] = str(error)
        gpu.residency.evict_all()
    assert not failed, (offered, failed)


@pytest.mark.parametrize("switches", [(), ("fp8-weights",)], ids=["plain", "fp8"])
@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_offloaded_it_makes_the_same_picture_again_and_again(model, switches, checkpoint, monkeypatch):
    """In the type that GPUs hold, by every way of placing a model; twice, for the hooks of the first run stay."""
    card = tiny_card(model, checkpoint).model_copy(update={"dtypes": ("bfloat16",)})
    gpu = Facts("cuda", "NVIDIA Test", 10**12, 10**12, True)
    made = []
    for how in ("resident", "model offload", "group offload"):
        backend = LocalBackend(facts=gpu)
        monkeypatch.setattr(backend, "_plan", lambda card, request, how=how: Plan(how, "bfloat16", 0))
        request = request_of(card, switches=switches)
        made += [run(backend, card, request).image.tobytes() for _ in range(2)]
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    "model", ["z-image", "sd-2.1", "sdxl", "flux2-klein-base-4b", "prx-512-sft", "sana-1.6b", "flux1-dev"]
)
def test_previews_change_no_pixel(model, checkpoint, backend, monkeypatch):
    monkeypatch.setattr("pipeline.backends.previews.PREVIEW_EVERY_S", 0)
    card = tiny_card(model, checkpoint)
    request = request_of(card, steps=4)
    plain = run(backend, card, request).image
    watched = run(backend, card, request, previews=True, steps=(seen := [])).image
    assert watched.tobytes() == plain.tobytes()
    previews = [preview for preview in seen if preview is not None]
    assert {(preview.size, preview.mode) for preview in previews} == {((SIZE, SIZE), "RGB")}


def test_a_file_of_weights_takes_a_components_place(checkpoint, tmp_path):
    """As SDXL-Lightning's UNet does, whose settings are SDXL's."""
    other = checkpoint("StableDiffusionXLPipeline", seed=1)
    file = shutil.copy(other / "unet" / "diffusion_pytorch_model.safetensors", tmp_path / "few.safetensors")
    card = tiny_card("sdxl-lightning", checkpoint)
    pipe = load(card, Weights(card.folder, "", {"unet": Path(file)}), "float16", {})
    theirs = diffusers.UNet2DConditionModel.from_pretrained(other / "unet", torch_dtype=torch.float16).state_dict()
    ours = pipe.unet.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not any(tensor.is_meta for tensor in (*pipe.unet.parameters(), *pipe.unet.buffers()))
    assert pipe.unet.dtype == torch.float16 and not pipe.unet.training


@pytest.mark.parametrize("how", ["resident", "model offload", "group offload"])
@pytest.mark.parametrize("model", ["sd-2.1", "sdxl", "z-image", "flux1-dev"])
def test_a_tiny_vae_shows_previews_also_where_the_models_own_lies_elsewhere(
    model, how, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr("pipeline.backends.previews.PREVIEW_EVERY_S", 0)
    own = json.loads((checkpoint(SHIPPED.model(model).pipeline) / "vae" / "config.json").read_text())
    channels = own["latent_channels"]
    small = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    diffusers.AutoencoderTiny(latent_channels=channels, **small, **blocks).save_pretrained(tmp_path / "tiny")
    plain = tiny_card(model, checkpoint)
    card = plain.model_copy(update={"id": f"{model}-tiny", "preview_vae": Part(path=str(tmp_path / "tiny"))})
    backend = LocalBackend(facts=Facts("cuda", "NVIDIA Test", 10**12, 10**12, True))
    monkeypatch.setattr(backend, "_plan", lambda card, request: Plan(how, "float32", 0))
    pictures, shown = [], []
    for each in (plain, card):
        pictures.append(run(backend, each, request_of(each), previews=True, steps=(seen := [])).image.tobytes())
        shown.append([preview for preview in seen if preview is not None])
    assert pictures[0] == pictures[1]
    assert len(shown[1]) == 2 and (shown[0] == [] or how != "model offload")
    assert shown[1][0].tobytes() not in [preview.tobytes() for preview in shown[0]]


@pytest.mark.parametrize("pipeline", list(ARCHITECTURES))
def test_a_cancelled_run_ends_at_the_next_step_and_leaves_nothing_behind(pipeline, checkpoint, backend):
    card = tiny_card(next(card.id for card in REAL if card.pipeline == pipeline), checkpoint)
    card = card.model_copy(update={"steps": Range(default=4, min=1, max=50)})
    request = request_of(card, steps=4)
    before = run(backend, card, request).image
    stop, seen = threading.Event(), []
    with pytest.raises(Cancelled):
        backend.make(card, request, How(), lambda i, n, preview: (seen.append(i), stop.set()), stop)
    assert seen == [1]
    assert run(backend, card, request).image.tobytes() == before.tobytes()


@pytest.mark.parametrize("model", [card.id for card in REAL])
def test_several_at_once_are_the_pictures_that_were_made_alone(model, checkpoint, backend, monkeypatch):
    card = tiny_card(model, checkpoint)
    request = request_of(card)
    alone = [np.asarray(run(backend, card, request_of(card, seed=seed)).image, int) for seed in (7, 8)]
    calls, several = [], LocalBackend._several

    def watched(self, *args):
        calls.append(several(self, *args))
        return calls[-1]

    monkeypatch.setattr(LocalBackend, "_several", watched)
    made = run(backend, card, request, batch=2)
    together = [np.asarray(image, int) for image in calls[0].images]
    assert np.array_equal(together[0], np.asarray(made.image, int))
    assert len(together) == 2
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one - other).max() <= 3  # sums of other lengths round differently
    assert np.abs(together[0] - together[1]).max() > 3
    assert run(backend, card, request).image.tobytes() == Image.fromarray(alone[0].astype(np.uint8)).tobytes()


def test_embeddings_are_reused_and_the_role_of_a_text_counts(checkpoint, backend):
    card = tiny_card("sana-1.6b", checkpoint)  # its negative prompt is encoded without the instruction
    request = request_of(card, negative_prompt="a red apple")
    first, again = (run(backend, card, request, reuse=True) for _ in range(2))
    assert (first.encode_cached, again.encode_cached) == (False, True)
    assert again.image.tobytes() == first.image.tobytes() == run(backend, card, request).image.tobytes()


def test_a_class_of_no_family_runs_with_its_prompt_as_text(checkpoint, backend, monkeypatch):
    card = tiny_card("sdxl", checkpoint)
    request = request_of(card)
    known = run(backend, card, request).image
    monkeypatch.delitem(FAMILIES, card.pipeline)
    assert run(backend, card, request).image.tobytes() == known.tobytes()


def test_a_component_from_elsewhere_replaces_the_own_one(checkpoint):
    card = SHIPPED.model("sdxl-lightning")
    other = checkpoint(card.pipeline, seed=1)
    parts = {"unet": other / "unet" / "diffusion_pytorch_model.safetensors", "vae": other / "vae"}
    plain = card.model_copy(update={"variant": None})
    pipe = load(plain, Weights(checkpoint(card.pipeline), "", parts), "float32", {})
    theirs = diffusers.StableDiffusionXLPipeline.from_pretrained(other, local_files_only=True)
    for name in ("unet", "vae"):
        ours = getattr(pipe, name).state_dict()
        assert all(torch.equal(ours[key], value) for key, value in getattr(theirs, name).state_dict().items())
    assert pipe.scheduler.config.timestep_spacing == "trailing"


def test_a_file_of_weights_does_for_a_class_that_computes_its_positions(checkpoint):
    """They are in no file, and would be nowhere if the class were made without any tensors."""
    card = tiny_card("qwen-image", checkpoint)
    folder = checkpoint(card.pipeline)
    place = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    pipe = load(card, Weights(folder, "", {"transformer": place}), "float32", {})
    assert not [name for name, each in pipe.transformer.named_buffers() if each.is_meta]
    positions = pipe.transformer.pos_embed
    assert not positions.pos_freqs.is_meta and not positions.neg_freqs.is_meta


def test_a_file_of_the_wrong_shape_is_one_sentence(checkpoint, backend):
    card = tiny_card("sd-turbo", checkpoint).model_copy(update={"id": "wrong", "pipeline": "ZImagePipeline"})
    with pytest.raises(ModelError, match=r"SD-Turbo could not be loaded from folder .*: ") as caught:
        run(backend, card, request_of(card))
    assert "\n" not in str(caught.value)
