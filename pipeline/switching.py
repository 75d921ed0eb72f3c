"""How efficiency switches (see switches.py) are turned on, and for which models and devices that can be done.

A switch sits on the modules of a pipeline, so a model with switches is a pipeline of its own (see residency.py) and
never touches the one without. ``supported`` asks the classes that would really run, before any weights are read; the
warm-up run of every model is the last probe.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from pipeline.cards import DENOISERS, ModelCard
from pipeline.device import on_zerogpu, out_of_memory
from pipeline.errors import ModelError
from pipeline.loading import pipeline_class
from pipeline.switches import SWITCHES, check_usable

RECOMPILE_LIMIT = 64
CACHE_STEPS = 6
"""Steps after which a step cache has skipped one."""
STEP_CACHE_MIN_STEPS = 8
"""Below this a step cache has nothing left to skip after its first steps."""
FIRST_BLOCK_THRESHOLD = 0.1
"""Relative change of the first block's output under which the others are skipped; diffusers' docs use 0.1 to 0.2."""


def denoiser_of(pipe: Any) -> Any:
    """The network that is evaluated every step."""
    return next(network for name in DENOISERS if (network := getattr(pipe, name, None)) is not None)


def denoiser_class(card: ModelCard) -> type:
    """Its class, from the pipeline's own signature: no weights are needed. Imports diffusers."""
    hints = typing.get_type_hints(pipeline_class(card).__init__)
    found = next((hints[name] for name in DENOISERS if name in hints), None)
    if found is None:
        raise ModelError(f"{card.name} has no network in its {card.pipeline} that a switch could be put on.")
    return next((kind for kind in typing.get_args(found) if isinstance(kind, type)), found)


def _compile_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    if on_zerogpu():
        return "ZeroGPU makes every run in a process of its own, which would compile anew."
    if device == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return "torch.compile on a processor needs a C++ compiler, and none is installed."
    # Triton compiles its launchers with one.
    if device == "cuda" and not any(map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))):
        return "torch.compile on a GPU needs a C compiler, and none is installed."
    return None


def _compile(pipe: Any, denoiser: Any) -> None:
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks(fullgraph=False)
    else:
        denoiser.compile()


def allow_recompiling() -> None:
    """A shape that comes anew is compiled for anew, up to a limit beyond which it would silently run uncompiled; from
    the second on what has changed is compiled as variable. The limit is of the context (contextvars) it is set in, so
    every run sets it."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(RECOMPILE_LIMIT, torch._dynamo.config.recompile_limit)


def _step_cache_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    import diffusers

    # Without the context the cache of the guided and the unguided evaluation would be mixed up.
    opens = "cache_context" in inspect.getsource(pipeline_class(card).__call__)
    if not (issubclass(kind, diffusers.CacheMixin) and opens):
        return f"{card.pipeline} has no step cache in diffusers {diffusers.__version__}."
    if card.steps.max < STEP_CACHE_MIN_STEPS or card.steps.default < STEP_CACHE_MIN_STEPS:
        return f"With {card.steps.default:g} steps there is nothing left to skip."
    return None


def _step_cache(pipe: Any, denoiser: Any) -> None:
    import diffusers

    if type(denoiser).__name__ == "Flux2Transformer2DModel":
        # Its first block gives a tuple and its last a tensor, which the first-block cache of 0.42 cannot take apart.
        denoiser.enable_cache(diffusers.TaylorSeerCacheConfig(cache_interval=3, disable_cache_before_step=3))
    else:
        denoiser.enable_cache(diffusers.FirstBlockCacheConfig(threshold=FIRST_BLOCK_THRESHOLD))


def _fp8_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    import torch

    return None if hasattr(torch, "float8_e4m3fn") else f"torch {torch.__version__} has no 8-bit floating point."


def _fp8(pipe: Any, denoiser: Any) -> None:
    import torch

    denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=denoiser.dtype)


def _int8_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    return None if find_spec("torchao") else "The package torchao is not installed."


def _int8(pipe: Any, denoiser: Any) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(denoiser, Int8WeightOnlyConfig())


def _cudnn_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    if device != "cuda":
        return "cuDNN's attention runs on NVIDIA GPUs only."
    if card.dtypes[0] == "float32":
        return "cuDNN's attention is for 16-bit weights."
    # A UNet has the method too, but none of its attention asks for what it sets.
    if not any(hasattr(part, "_attention_backend") for part in vars(sys.modules[kind.__module__]).values()):
        return f"{kind.__name__} cannot change its attention."
    return None


def _cudnn(pipe: Any, denoiser: Any) -> None:
    from diffusers.models.attention_dispatch import attention_backend

    # It sets the backend of all other models, too, which the context takes back: the lane without the switch would
    # else be measured with it.
    with attention_backend("native"):
        denoiser.set_attention_backend("_native_cudnn")


def _channels_last_why_not(card: ModelCard, kind: type, device: str) -> str | None:
    hint = typing.get_type_hints(pipeline_class(card).__init__).get("vae")
    if hint is None:
        return f"{card.pipeline} has no component vae."
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    if not all(map(_convolves_pictures, kinds)):
        return f"The decoder of {card.pipeline} hardly has convolutions of pictures."
    return None


@cache
def _convolves_pictures(kind: Any) -> bool:
    """Whether most weights of such a VAE are in convolutions of two dimensions: the layout is theirs alone. False also
    where that cannot be told."""
    import torch

    try:
        with torch.device("meta"):
            vae = kind()
    except Exception:  # a class without defaults, or no class at all
        return False
    if not isinstance(vae, torch.nn.Module):
        return False
    found = sum(module.weight.numel() for module in vae.modules() if isinstance(module, torch.nn.Conv2d))
    return found > sum(weights.numel() for weights in vae.parameters()) / 2


def _channels_last(pipe: Any, denoiser: Any) -> None:
    import torch

    pipe.vae.to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Implementation:
    """``why_not(card, denoiser_class, device_kind)`` is a sentence, or None where the switch can be used;
    ``apply(pipe, denoiser)`` turns it on."""

    why_not: Callable[[ModelCard, type, str], str | None]
    apply: Callable[[Any, Any], None]


IMPLEMENTATIONS: dict[str, Implementation] = {
    "compile": Implementation(_compile_why_not, _compile),
    "step-cache": Implementation(_step_cache_why_not, _step_cache),
    "fp8-weights": Implementation(_fp8_why_not, _fp8),
    "int8-weights": Implementation(_int8_why_not, _int8),
    "cudnn-attention": Implementation(_cudnn_why_not, _cudnn),
    "channels-last": Implementation(_channels_last_why_not, _channels_last),
}


def supported(card: ModelCard, device: str) -> dict[str, str | None]:
    """For every switch None where ``card`` can use it on a device of this kind, else why not. Imports diffusers."""
    try:
        kind = denoiser_class(card)
    except ModelError as error:
        return dict.fromkeys(SWITCHES, str(error))
    return {switch: IMPLEMENTATIONS[switch].why_not(card, kind, device) for switch in SWITCHES}


def check_supported(card: ModelCard, switches: tuple[str, ...], device: str) -> None:
    """Raises ModelError for the first switch that cannot be used."""
    if switches:  # else nothing is imported
        check_usable(card, switches, supported(card, device))


def switch_on(switch: str, card: ModelCard, pipe: Any) -> None:
    """Raises ModelError in one sentence, whatever a library raises."""
    try:
        IMPLEMENTATIONS[switch].apply(pipe, denoiser_of(pipe))
    except Exception as error:  # see above
        if out_of_memory(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{SWITCHES[switch].name} could not be turned on for {card.name}: {first}") from error
