"""Pictures made in this process by diffusers.

Imports torch and diffusers on first use, so that a page can be up while they load. Every request gets its own
scheduler and its own CPU generator; the shared pipeline object is never changed.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from pipeline.backends import Identity, Made, OnPart, OnStep
from pipeline.backends.families import FAMILIES
from pipeline.caches import ByteLRU
from pipeline.catalog import ModelCard, check_files
from pipeline.device import Device, PeakMemory, find_device, versions
from pipeline.errors import Cancelled, ModelError
from pipeline.request import ImageRequest
from pipeline.residency import Residency
from pipeline.timing import StageClock

EMBEDDING_CACHE_BYTES = 64 * 1024**2
MEMORY_SHARE = {"cpu": 0.5, "cuda": 0.85}
"""Part of the machine's memory that weights may take; the rest is for activations and everybody else."""
PREVIEW_EVERY_S = 0.25
"""More often than this nobody sees a difference, and each one costs whoever shows it time on the same machine."""


class LocalBackend:
    """One device, one pipeline at a time. See :class:`pipeline.backends.Backend`."""

    def __init__(self, max_bytes: int | None = None):
        self._max_bytes = max_bytes
        self._embeddings = ByteLRU(EMBEDDING_CACHE_BYTES)
        self._fingerprints: dict[str, str] = {}

    @cached_property
    def _device(self) -> Device:
        return find_device()

    @cached_property
    def residency(self) -> Residency:
        share = int(self._device.memory_bytes * MEMORY_SHARE[self._device.kind])
        return Residency(self._device.kind, self._max_bytes or share)

    @cached_property
    def _cuda(self) -> Any:
        import torch

        return torch.cuda if self._device.kind == "cuda" else None

    def device(self) -> Device:
        return self._device

    def identity(self, card: ModelCard) -> Identity:
        if card.id not in self._fingerprints:
            self._fingerprints[card.id] = check_files(card)
        dtype = "float32" if self._device.kind == "cpu" else card.dtype
        return Identity(self._fingerprints[card.id], self._device.name, dtype, versions())

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[str], on_part: OnPart) -> None:
        if card.id not in self.residency:
            on_part("weights", 0, 2)
        resident = self.residency.get(card, keep)
        kind = (request.width, request.height, card.evaluations(1, request.guidance))
        if kind not in resident.warmed:
            on_part("warm-up", 1, 2)
            # Two steps of the same shape: allocators, kernels and thread pools are then as every later run finds them.
            short = request.model_copy(update={"steps": 2})
            self.make(card, short, previews=False, reuse=True, on_step=lambda *_: None, stop=threading.Event())
            # What was encoded cold would later be reported as the time that encoding takes.
            self._embeddings.clear()
            resident.warmed.add(kind)

    def make(
        self,
        card: ModelCard,
        request: ImageRequest,
        *,
        previews: bool,
        reuse: bool,
        on_step: OnStep,
        stop: threading.Event,
    ) -> Made:
        import torch

        pipe = self._scoped(self.residency.get(card).pipe)
        family = FAMILIES.get(card.pipeline)
        clock, peak = StageClock(self._cuda), PeakMemory(self._cuda)
        peak.start()
        steps, before, shown = request.steps, None, 0.0

        def after_step(_, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal before, shown
            last = index == steps - 1
            if last:
                clock.start("decode")
            if stop.is_set():
                raise Cancelled("The run was stopped.")
            preview = None
            if previews and family is not None and not last:
                after, now = tensors["latents"], time.monotonic()
                if before is not None and now - shown > PREVIEW_EVERY_S:
                    sigmas = pipe.scheduler.sigmas
                    with clock.paused():
                        preview = family.preview(before, after, float(sigmas[index]), float(sigmas[index + 1]))
                    shown = now
                before = after
            on_step(index + 1, steps, preview)
            return tensors

        with torch.inference_mode(), self._clean_up(pipe):
            if family is None:
                encode_s, cached = 0.0, False
                prompt = {"prompt": request.prompt}
                if request.negative_prompt:
                    prompt["negative_prompt"] = request.negative_prompt
            else:
                prompt, encode_s, cached = self._encode(card, family, pipe, request, reuse)
            clock.start("denoise")
            images = pipe(
                **prompt,
                **card.call,
                num_inference_steps=steps,
                guidance_scale=request.guidance,
                width=request.width,
                height=request.height,
                generator=torch.Generator("cpu").manual_seed(request.seed),
                callback_on_step_end=after_step,
            ).images
            clock.stop()
        seconds = {"encode": encode_s, **clock.seconds()}
        return Made(images[0], seconds, cached, peak.bytes())

    def _scoped(self, pipe: Any) -> Any:
        """A shallow copy with a scheduler of its own: nothing a run sets on it is seen by the next."""
        scoped = copy.copy(pipe)
        scoped.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
        return scoped

    def _encode(
        self, card: ModelCard, family: Any, pipe: Any, request: ImageRequest, reuse: bool
    ) -> tuple[dict, float, bool]:
        """Call arguments for the prompt, the seconds they took when they were made, and whether all were reused."""
        guided = card.evaluations(1, request.guidance) == 2
        texts = [request.prompt, request.negative_prompt] if guided else [request.prompt]
        encoder = card.shared.get("text_encoder", card.id)
        tensors, seconds, cached = [], 0.0, True
        for text in texts:
            entry = self._embeddings.get((encoder, text)) if reuse else None
            if entry is None:
                cached = False
                clock = StageClock(self._cuda)
                clock.start("encode")
                made = family.encode(pipe, text)
                clock.stop()
                entry = (made, clock.seconds()["encode"])
                self._embeddings.put((encoder, text), entry, sum(tensor.nbytes for tensor in made))
            tensors.append(entry[0])
            seconds += entry[1]
        return family.arguments(tensors[0], tensors[1] if guided else None), seconds, cached

    @contextlib.contextmanager
    def _clean_up(self, pipe: Any) -> Iterator[None]:
        """Leave pipeline and device as after a run that ended well, also when it was cancelled or failed."""
        import torch

        memory = None
        try:
            yield
        except torch.OutOfMemoryError:
            memory = self._device.memory_bytes / 1e9
        except BaseException:
            pipe.maybe_free_model_hooks()
            raise
        finally:
            if self._cuda is not None:
                # A cancelled run returns while its last step still computes; the lock is given back only after it.
                self._cuda.synchronize()
        if memory is not None:
            # Outside the except block: its traceback would keep the tensors alive.
            pipe.maybe_free_model_hooks()
            self._cuda.empty_cache()
            raise ModelError(f"The GPU's {memory:.0f} GB were not enough for this picture; choose a smaller size.")
