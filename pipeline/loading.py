"""From files on this disk to a diffusers pipeline in memory. Safetensors only, no remote code, no network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.cards import DENOISERS, Dtype, ModelCard
from pipeline.device import out_of_memory
from pipeline.errors import ModelError
from pipeline.weights import LORA, Weights

ONLY_HERE = {"use_safetensors": True, "local_files_only": True}


def pipeline_class(card: ModelCard) -> Any:
    """The diffusers class of a model. Raises ModelError if the installed diffusers has none of that name."""
    import diffusers
    import transformers

    # Before a class is imported: what transformers then says of packages that are not needed is no user's business, and
    # what diffusers says of a prompt that is too long would put it into the log.
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
    found = getattr(diffusers, card.pipeline, None)
    if found is None:
        raise ModelError(
            f"{card.name} needs {card.pipeline}, which diffusers {diffusers.__version__} does not have; "
            "run pip install -U diffusers."
        )
    return found


def package_missing(card: ModelCard) -> str | None:
    """A sentence on a package that this model needs and that is not installed."""
    if card.lora is not None and find_spec("peft") is None:
        return f"{card.name} puts low-rank weights on a model, for which peft is needed; run pip install peft."
    return None


def load(card: ModelCard, weights: Weights, dtype: Dtype, shared: dict[str, Any]) -> Any:
    """The pipeline on the CPU, with the components in ``shared`` taken as they are.

    Raises ModelError in one sentence, whatever a library raises while reading; but memory running out as it is.
    """
    import diffusers
    import torch
    import transformers

    pipeline = pipeline_class(card)
    # Progress is told through events; a library's own bars would only litter the log.
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.disable_progress_bar()
    torch_dtype = getattr(torch, dtype)
    try:
        own = {
            name: _replacement(weights.folder / name, place, torch_dtype)
            for name, place in weights.parts.items()
            if name != LORA and name not in shared
        }
        pipe = pipeline.from_pretrained(
            str(weights.folder), dtype=torch_dtype, variant=card.variant, **ONLY_HERE, **own, **shared
        )
        if card.scheduler is not None:
            scheduler = getattr(diffusers, card.scheduler.name)
            pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **card.scheduler.settings)
        if LORA in weights.parts:
            _add_lora(card, pipe, weights.parts[LORA])
    except ModelError:
        raise
    except Exception as error:  # whatever a library raises while reading weights, a user gets one sentence
        if out_of_memory(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        first = _without_places(first, weights)
        raise ModelError(f"{card.name} could not be loaded from {card.source}: {first}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_preview_vae(place: Path, dtype: Any, device: Any) -> Any:
    """A tiny VAE (about 10 MB) for live previews."""
    import diffusers

    return diffusers.AutoencoderTiny.from_pretrained(str(place), dtype=dtype, **ONLY_HERE).to(device)


def _without_places(text: str, weights: Weights) -> str:
    """A page shows this, and need not tell where files lie on the server."""
    places = [weights.folder, *weights.parts.values()]
    for place in sorted({*places, *(each.parent for each in places)}, key=lambda each: -len(str(each))):
        if len(place.parts) > 1:
            text = text.replace(f"{place}/", "").replace(str(place), place.name)
    return text.strip()


def _replacement(beside: Path, place: Path, dtype: Any) -> Any:
    """A component from another repository: a folder in diffusers' layout, or a file of weights for the config that
    lies in the model's own folder."""
    import json

    import diffusers
    from accelerate import init_empty_weights
    from safetensors.torch import load_file

    config = (place if place.is_dir() else beside) / "config.json"
    component_class = getattr(diffusers, json.loads(config.read_text(encoding="utf-8"))["_class_name"])
    if place.is_dir():
        return component_class.from_pretrained(str(place), dtype=dtype, **ONLY_HERE)
    # Without weights of its own first: those, in float32 and drawn at random, would cost gigabytes and a minute. What a
    # class computes for itself, such as positions, is in no file, so it is there from the first.
    with init_empty_weights(include_buffers=False):
        made = component_class.from_config(component_class.load_config(str(beside)))
    made.load_state_dict(load_file(place), assign=True)
    return made.to(dtype).eval()


def _add_lora(card: ModelCard, pipe: Any, place: Path) -> None:
    """Fused into the denoiser's weights: afterwards the model is as fast as without. Other components may be another
    model's too, so low-rank weights for those are refused."""
    if lacks := package_missing(card):
        raise ModelError(lacks)
    denoiser = next(name for name in DENOISERS if getattr(pipe, name, None) is not None)
    pipe.load_lora_weights(str(place.parent), weight_name=place.name, local_files_only=True, use_safetensors=True)
    found = pipe.get_list_adapters()
    if found.keys() - {denoiser}:
        raise ModelError(
            f"{card.name} cannot be used: {place.name} changes {', '.join(sorted(found))}, not {denoiser} alone."
        )
    pipe.fuse_lora(components=[denoiser])
    pipe.unload_lora_weights()
