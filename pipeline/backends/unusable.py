"""Pictures that are none: made of numbers that overflowed, or held back by a model's own safety checker.

Either would otherwise stand beside the other model's picture as a black square, with a time and a cost. Whoever draws
many leaves it out: the same seed gives it again, so the others would never be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from pipeline.cards import ModelCard
from pipeline.errors import Declined


def refuse_unusable(card: ModelCard, dtype: str, output: Any, latents: Any | None) -> None:
    """Raises Declined if one of the pictures of a pipeline's ``output`` cannot be shown.

    ``latents`` are those after the last step, None where the class tells none. To be called when the device is idle.
    """
    import torch

    # Stable Diffusion's pipelines say so in a field of their output, and blacken the picture.
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise Declined(f"The safety checker of {card.name} held this picture back; try another seed or prompt.")
    # A decoder that overflows makes NaN of sound latents, which becomes 0 in a picture of bytes.
    if (latents is not None and not bool(torch.isfinite(latents).all())) or _any_black(output.images):
        raise Declined(
            f"{card.name} made no picture but numbers that overflowed in {dtype}; try other settings, turn "
            "efficiency switches off, or take another model."
        )


def _any_black(images: Sequence[Image.Image]) -> bool:
    """Whether one is 0 throughout, which no model draws: even a night has a noise of 1 or 2."""
    return any(image.getbbox() is None for image in images)
