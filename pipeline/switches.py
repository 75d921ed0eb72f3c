"""Efficiency switches of a lane: the same weights, run in another way. Each is part of the recipe.

Knows their names and what they save. Which of them a model can use, and how each is turned on, is in
switching.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.cards import DENOISERS, ModelCard
from pipeline.errors import InputError, ModelError, shown


@dataclass(frozen=True)
class Switch:
    """``weights_left``: share of the denoiser's 16-bit weights that remains. ``early``: turned on before the weights
    are placed, so that a device never holds more, and what is offloaded is moved as it then is. ``component``: what it
    changes, where that is not the denoiser, so that it cannot be shared."""

    id: str
    name: str
    about: str
    weights_left: float = 1.0
    early: bool = False
    component: str | None = None


SWITCHES: dict[str, Switch] = {
    switch.id: switch
    for switch in (
        Switch("compile", "Compiled", "torch.compile; the first run takes a minute"),
        Switch("step-cache", "Step cache", "steps that change little are skipped"),
        # Counted on klein 4B, Z-Image, SDXL and SANA: 0.50 for all.
        Switch(
            "fp8-weights",
            "8-bit float weights",
            "half the memory, cast back layer by layer",
            weights_left=0.51,
            early=True,
        ),
        # Linear layers only: 0.50 for klein 4B and Z-Image, 0.57 for SDXL, 0.74 for SANA.
        Switch("int8-weights", "8-bit integer weights", "less memory, by torchao", weights_left=0.75, early=True),
        Switch("cudnn-attention", "cuDNN attention", "another kernel for attention"),
        Switch(
            "channels-last",
            "Channels-last decoder",
            "another order of numbers, for quicker convolutions",
            early=True,
            component="vae",
        ),
    )
}


def checked(switches: object) -> tuple[str, ...]:
    """Known switches, each once, in their own order. Raises InputError."""
    given = [switches] if isinstance(switches, str) else switches or ()
    each = given if isinstance(given, (list, tuple)) else [given]
    unknown = [switch for switch in each if not isinstance(switch, str) or switch not in SWITCHES]
    if unknown:
        raise InputError(f"switches must be some of {', '.join(SWITCHES)}; got {shown(unknown[0])}.")
    return tuple(switch for switch in SWITCHES if switch in given)


def check_usable(card: ModelCard, switches: Iterable[str], why_nots: Mapping[str, str | None]) -> None:
    """``why_nots``: what a backend says of each switch and this model. Raises ModelError for the first that cannot be
    used."""
    for switch in switches:
        if why_not := why_nots.get(switch):
            raise ModelError(f"{SWITCHES[switch].name} cannot be used with {card.name}: {why_not}")


def lighter(card: ModelCard, switches: Iterable[str]) -> ModelCard:
    """``card`` with the bytes that are left of it with these switches. One that does not say what its denoiser weighs
    stays as it is."""
    left = min((SWITCHES[switch].weights_left for switch in switches), default=1.0)
    network = next((name for name in DENOISERS if name in card.part_bytes), None)
    if network is None or left == 1:
        return card
    saved = int(card.part_bytes[network] * (1 - left))
    return card.model_copy(
        update={
            "weight_bytes": card.weight_bytes - saved,
            "part_bytes": card.part_bytes | {network: card.part_bytes[network] - saved},
            "memory_bytes": card.memory_bytes and card.memory_bytes - saved,
        }
    )
