"""From the states at both ends of a step to a small picture of where it points. Knows tensors, not pipelines' names."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from pipeline.request import ImageRequest
from pipeline.timing import StageClock

PREVIEW_EVERY_S = 0.25
"""More often than this nobody sees a difference, and each one costs whoever shows it time on the same machine."""
PREVIEW_LATENTS = 32
"""Longest side of the latents that a preview decodes: a small picture, at a fraction of the VAE's full time."""


class Previews:
    """Of one run. ``tiny`` gives the tiny VAE or None, and is asked within a preview; ``clock`` is paused meanwhile."""

    def __init__(
        self, family: Any, pipe: Any, request: ImageRequest, tiny: Callable[[], Any | None], clock: StageClock
    ):
        self._family, self._pipe, self._request = family, pipe, request
        self._tiny, self._clock = tiny, clock
        self._before: Any | None = None
        self._shown = 0.0

    def after_step(self, index: int, latents: Any) -> Image.Image | None:
        """Where step ``index`` (from 0) pointed, which ended in ``latents``; None where that is not known, as after the
        first step, or where the last preview has only just been shown."""
        sigmas = getattr(self._pipe.scheduler, "sigmas", None)
        if sigmas is None:
            return None
        before, self._before = self._before, latents
        now = time.monotonic()
        if before is None or now - self._shown <= PREVIEW_EVERY_S:
            return None
        self._shown = now
        with self._clock.paused():
            clean = clean_state(before, latents, float(sigmas[index]), float(sigmas[index + 1]))
            return self._family.preview(self._pipe, self._request, clean, self._tiny())


def clean_state(before: Any, after: Any, sigma: float, next_sigma: float) -> Any:
    """The clean state that the last step pointed at, from the states at both its ends.

    Flow matching and diffusion in Euler form alike: slope v = (x_t - x_t') / (t - t'), clean state x_0 = x_t' - t' v.
    """
    return after - next_sigma * (before - after) / (sigma - next_sigma)


def own_decode(pipe: Any, latents: Any) -> Image.Image | None:
    """Latents (1, C, H, W) through the pipeline's own VAE; None where that would be slow or unsound."""
    import torch

    vae = pipe.vae
    if vae is None or getattr(pipe, "_all_hooks", None):
        return None  # offloaded: the VAE would push the network out of the GPU
    if vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False):
        return None  # this VAE overflows in half precision
    return decode(vae, latents)


def decode(vae: Any, latents: Any) -> Image.Image:
    """Latents (1, C, H, W) through any VAE at a reduced size."""
    import torch

    factor = -(-max(latents.shape[2:]) // PREVIEW_LATENTS)
    if factor > 1:
        latents = torch.nn.functional.avg_pool2d(latents.float(), factor)
    return picture(vae.decode(latents.to(vae.dtype), return_dict=False)[0])


def picture(pixels: Any) -> Image.Image:
    """A state (1, 3, H, W) of pixels from -1 to 1 as a picture."""
    shown = ((pixels[0].float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(shown)
