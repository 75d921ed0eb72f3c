"""Pictures made in this process by diffusers.

Imports torch and diffusers on first use, so that a page can be up while they load. Every request gets its own
scheduler and its own CPU generator; the shared pipeline object is never changed.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from pipeline.backends import How, Identity, Made, OnPart, OnStep
from pipeline.backends.embeddings import Embeddings, Text
from pipeline.backends.families import FAMILIES
from pipeline.backends.previews import Previews
from pipeline.backends.shortage import MUCH_MORE, Shortages, decoding_told
from pipeline.backends.unusable import refuse_unusable
from pipeline.cards import ModelCard
from pipeline.device import (
    Device,
    Facts,
    PeakMemory,
    available_bytes,
    find_device,
    find_facts,
    out_of_memory,
    resident_bytes,
    versions,
)
from pipeline.errors import BatchTooLarge, Cancelled, ModelError, PlaygroundError
from pipeline.fit import RAM_SHARE, Plan, dtype_for, fit_model, more_work, room
from pipeline.request import SEED_MAX, ImageRequest, Key, key_of
from pipeline.residency import Residency, Resident, tensors_of
from pipeline.switches import SWITCHES, lighter
from pipeline.switching import CACHE_STEPS, allow_recompiling, check_supported, supported
from pipeline.timing import StageClock
from pipeline.weights import NotDownloaded, locate

ENCODERS = ("text_encoder", "tokenizer")
"""What the names of components begin with that a prompt's embeddings depend on."""
BATCH_SHARE = 0.8
"""Of the memory that is free, what a batch may take on a processor."""

log = logging.getLogger(__name__)


class LocalBackend:
    """One device, one pipeline at a time. See :class:`pipeline.backends.Backend`."""

    def __init__(self, max_bytes: int | None = None, facts: Facts | None = None, any_picture: bool = False):
        """``max_bytes`` of weights instead of what the machine has; ``facts`` of another machine, to plan for it.
        ``any_picture``: none is refused, for benches on random weights, which promise no sound numbers in 16 bits."""
        self._max_bytes = max_bytes
        self._given_facts = facts
        self._embeddings = Embeddings()
        self._fingerprints: dict[str, str] = {}
        self._ran_out = Shortages()
        self.placed: frozenset[str] = frozenset()
        self.any_picture = any_picture
        self._taken: dict[tuple[Key, int, int, int], int] = {}
        """(pipeline, width, height, pictures at once) -> bytes that drawing took beside the weights, on a processor."""

    @cached_property
    def _device(self) -> Device:
        return find_device()

    @cached_property
    def facts(self) -> Facts:
        """Of this machine, when nothing of this backend was on it."""
        return self._given_facts or find_facts()

    def _look_again(self) -> None:
        """How much of a GPU is free changes with what else runs there. Less is heard of while nothing of ours lies on
        it, so that no model is placed anew for it; more, also where memory has run out before, which is then forgotten.
        """
        if self._given_facts is None and self.facts.kind == "cuda" and (self._ran_out or not len(self.residency)):
            facts = find_facts()
            if not len(self.residency) or room(facts) > MUCH_MORE * room(self.facts):
                self.facts = facts
                self.residency.device_bytes = self._max_bytes or room(facts)
        self._ran_out.forget(room(self.facts))

    @cached_property
    def residency(self) -> Residency:
        ram = int(self.facts.ram_bytes * RAM_SHARE[self._device.kind])
        return Residency(self._device.kind, self._max_bytes or room(self.facts), ram)

    @cached_property
    def _cuda(self) -> Any:
        import torch

        return torch.cuda if self._device.kind == "cuda" else None

    def device(self) -> Device:
        return self._device

    def identity(self, card: ModelCard) -> Identity:
        if card.id not in self._fingerprints:
            try:
                self._fingerprints[card.id] = locate(card).fingerprint
            except NotDownloaded:
                # Nobody is told to fetch what could not run here, not even with its weights in 8 bits.
                if not fit_model(lighter(card, SWITCHES), self.facts).plans:
                    raise ModelError(fit_model(card, self.facts).why_not) from None
                raise
        dtype = dtype_for(card, self.facts) or card.dtypes[0]
        return Identity(self._fingerprints[card.id], self._device.name, dtype, versions())

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        """For every efficiency switch None where this model can use it here, else why not."""
        return supported(card, self._device.kind)

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        self._with_the_next_plan(card, request, lambda: self.resident(card, request, keep, on_part))

    def holds(self, key: Key) -> bool:
        return key in self.residency

    def place(self, card: ModelCard, request: ImageRequest) -> None:
        """Have the model in memory, not warm: on a lent GPU that is all that can be done before somebody asks."""
        resident = self.residency.get(lighter(card, request.switches), self._plan(card, request), request.switches)
        # The package that lends the GPU packs the weights and deletes their files.
        self._fingerprints[card.id] = resident.weights.fingerprint
        self.placed |= {card.id}

    def resident(
        self,
        card: ModelCard,
        request: ImageRequest,
        keep: frozenset[Key] = frozenset(),
        on_part: OnPart = lambda *_: None,
    ) -> Resident:
        """The pipeline that makes ``request``, in memory and warm."""
        self._look_again()
        key, plan = key_of(request), self._plan(card, request)
        if not self.residency.holds(key, plan):
            check_supported(card, request.switches, self._device.kind)
            on_part("weights", 0, 2)
        resident = self.residency.get(lighter(card, request.switches), plan, request.switches, keep)
        self._fingerprints[card.id] = resident.weights.fingerprint  # a folder can have changed since it was last read
        kind = (request.width, request.height, card.evaluations(1, request.guidance), *self._lengths(resident, request))
        if kind not in resident.warmed:
            on_part("warm-up", 1, 2)
            self._warm_up(resident, request, on_part)
            # What was encoded cold would later be reported as the time that encoding takes.
            self._embeddings.clear()
            resident.warmed.add(kind)
        return resident

    def _lengths(self, resident: Resident, request: ImageRequest) -> tuple:
        """What else a compiled network is compiled anew for: how long the texts are, in tokens. Else that would happen
        within the time that is measured."""
        family = FAMILIES.get(resident.card.pipeline)
        texts = (request.prompt, request.negative_prompt)
        if "compile" not in request.switches:
            return ()
        if family is None:
            return texts
        return tuple(family.reading(resident.pipe, text, resident.card.call).tokens for text in texts)

    def _warm_up(self, resident: Resident, request: ImageRequest, on_part: OnPart) -> None:
        """Few steps of the same shape: allocators, kernels and thread pools are then as every later run finds them.
        ``on_part`` is asked after each: of a large model on a processor they take as long as most people wait.

        It is also the last probe of a switch. Raises ModelError if one fails here, and leaves no trace of it.
        """
        short = request.model_copy(update={"steps": CACHE_STEPS if "step-cache" in request.switches else 2})
        try:
            self._make(resident, short, How(kept=False), lambda *_: on_part("warm-up", 1, 2), threading.Event())
            return
        except Exception as error:
            if not request.switches or isinstance(error, PlaygroundError) or out_of_memory(error):
                raise
            log.exception("%s cannot be run with %s", request.model, ", ".join(request.switches))
        # Outside the except block: the error's traceback would keep the tensors alive.
        self.residency.evict(key_of(request))
        names = " and ".join(SWITCHES[switch].name for switch in request.switches)
        raise ModelError(f"{names} failed with {resident.card.name} on this machine; turn it off. The log says how.")

    def _plan(self, card: ModelCard, request: ImageRequest) -> Plan:
        """The best plan that this machine has room for and that has not run out of memory for such a picture."""
        fit, pixels = fit_model(lighter(card, request.switches), self.facts), request.width * request.height
        if fit.plan is None:
            raise ModelError(fit.why_not)
        left = [plan for plan in fit.plans if not self._ran_out.rules_out(key_of(request), plan.how, pixels)]
        if not left:
            raise ModelError(self._too_large(card, request))
        # So that what lies beside it leaves room for a picture of this size.
        return replace(left[0], device_bytes=left[0].device_bytes + more_work(card, pixels))

    def _with_the_next_plan(self, card: ModelCard, request: ImageRequest, attempt: Callable[[], Any]) -> Any:
        """Memory runs out: the others are evicted and it is tried again; of a model that was alone already, once
        more with the next plan."""
        key, pixels, fell_back = key_of(request), request.width * request.height, False
        while True:
            try:
                return attempt()
            except Exception as error:
                if not out_of_memory(error):
                    raise
            # Outside the except block: the error's traceback would keep the tensors alive.
            alone, placed = not self.residency.has_others(key), self._plan(card, request).how
            self.residency.evict_all()
            self._embeddings.clear()
            self._look_again()
            if alone:
                self._ran_out.note(key, placed, pixels, room(self.facts))
                if fell_back:
                    raise ModelError(self._too_large(card, request))
                fell_back = True

    def _too_large(self, card: ModelCard, request: ImageRequest) -> str:
        return (
            f"{card.name} ran out of memory at {request.width} x {request.height} pixels: {self.facts.name} had "
            f"{room(self.facts) / 1e9:.1f} GB to give; choose a smaller size or model."
        )

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        def attempt() -> Made:
            # There already, unless memory ran out meanwhile.
            return self._make(self.resident(card, request), request, how, on_step, stop)

        if how.batch == 1:
            return self._with_the_next_plan(card, request, attempt)
        too_large = f"{card.name} has no memory for {how.batch} pictures at once on {self._device.name}."
        if not self._has_room(request, how.batch):
            raise BatchTooLarge(too_large)
        try:
            return attempt()
        except Exception as error:
            if not out_of_memory(error):
                raise
        # Not the model is too large, only the batch: nothing is evicted and no other plan is tried.
        if self._cuda is not None:
            self._cuda.empty_cache()
        raise BatchTooLarge(too_large)

    def _has_room(self, request: ImageRequest, batch: int) -> bool:
        """On a processor memory does not run out with an error, the process is killed; so a batch is weighed before, at
        twice what half as large a one took. A GPU says by itself."""
        taken = self._taken.get((key_of(request), request.width, request.height, batch // 2))
        return self._cuda is not None or taken is None or 2 * taken < BATCH_SHARE * available_bytes()

    def _make(
        self, resident: Resident, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event
    ) -> Made:
        import torch

        card, pipe = resident.card, self._scoped(resident.pipe)
        family = FAMILIES.get(card.pipeline)
        clock, peak, held = StageClock(self._cuda), PeakMemory(self._cuda), resident_bytes()
        peak.start(sum({id(tensor): tensor.nbytes for tensor in tensors_of(pipe) if tensor.is_cuda}.values()))
        watched = how.previews and family is not None
        previews = Previews(family, pipe, request, lambda: resident.preview_vae, clock) if watched else None
        latents = None

        def after_step(running: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal latents
            total = getattr(running, "num_timesteps", request.steps)  # some schedulers take more than asked for
            last = index == total - 1
            if last:
                clock.start("decode")
                latents = tensors.get("latents")
            if stop.is_set():
                raise Cancelled("The run was stopped.")
            preview = None if previews is None or last else previews.after_step(index, tensors["latents"])
            on_step(index + 1, total, preview)
            return tensors

        if "compile" in request.switches:
            allow_recompiling()
        # Offloading makes parameters anew, which torchao's tensors do not allow in inference mode (pytorch 170419).
        untracked = torch.no_grad if "int8-weights" in request.switches else torch.inference_mode
        with untracked(), self._clean_up(pipe):
            prompt, encode_s, cached = self._encode(resident, family, pipe, request, how.reuse)
            reading = None if family is None else family.reading(pipe, request.prompt, card.call)
            arguments = _arguments(card, family, pipe, request, prompt, after_step)
            clock.start("denoise")
            with decoding_told(card):
                if how.batch == 1:
                    output = pipe(**arguments)
                else:
                    output = self._several(card, family, pipe, request.seed, how.batch, arguments)
            clock.stop()
            seconds, highest = {"encode": encode_s, **clock.seconds()}, peak.bytes()
            if how.kept and not self.any_picture:
                refuse_unusable(card, resident.plan.dtype, output, latents)
        if self._cuda is None and highest is not None and held is not None:
            self._taken[key_of(request), request.width, request.height, how.batch] = highest - held
        return Made(output.images[0], seconds, cached, highest, reading)

    def _several(
        self, card: ModelCard, family: Any, pipe: Any, seed: int, batch: int, arguments: dict[str, Any]
    ) -> Any:
        """One call for ``batch`` pictures, each from its own seed, as if it were made alone."""
        import torch

        if family is None:
            raise BatchTooLarge(f"{card.name} is of a class that Diptych makes one picture at a time with.")
        seeds = [(seed + i) % (SEED_MAX + 1) for i in range(batch)]
        arguments["generator"] = [torch.Generator("cpu").manual_seed(each) for each in seeds]
        with family.several(pipe):
            return pipe(**arguments, num_images_per_prompt=batch)

    def _scoped(self, pipe: Any) -> Any:
        """A shallow copy with a scheduler of its own: nothing a run sets on it is seen by the next."""
        scoped = copy.copy(pipe)
        scoped.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
        return scoped

    def _encode(
        self, resident: Resident, family: Any, pipe: Any, request: ImageRequest, reuse: bool
    ) -> tuple[dict, float, bool]:
        """Call arguments for the prompt, the seconds they took when they were made, and whether all were reused. Of a
        class of no known family they are the texts, which only the call encodes."""
        if family is None:
            negative = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
            return {"prompt": request.prompt, "guidance_scale": request.guidance, **negative}, 0.0, False
        card, guided = resident.card, resident.card.evaluations(1, request.guidance) == 2
        texts = [request.prompt, request.negative_prompt] if guided else [request.prompt]
        encoders = tuple(card.shared.get(name, card.id) for name in pipe.components if name.startswith(ENCODERS))
        # The same encoder gives other embeddings where a card cuts prompts elsewhere, and in another type.
        options = repr(sorted(family.options(pipe, card.call).items()))
        tensors, seconds, cached = [], 0.0, True
        for negative, text in enumerate(texts):
            key = Text(encoders, resident.plan.dtype, card.pipeline, options, bool(negative), text)
            entry = self._embeddings.get(key) if reuse else None
            if entry is None:
                cached = False
                clock = StageClock(self._cuda)
                clock.start("encode")
                made = family.encode(pipe, text, bool(negative), card.call)
                clock.stop()
                entry = (made, clock.seconds()["encode"])
                self._embeddings.put(key, *entry)
            tensors.append(entry[0])
            seconds += entry[1]
        given = family.arguments(tensors[0], tensors[1] if guided else None)
        return given | family.settings(request), seconds, cached

    @contextlib.contextmanager
    def _clean_up(self, pipe: Any) -> Iterator[None]:
        """Leave pipeline and device as after a run that ended well, also when it was cancelled or failed."""
        try:
            yield
        except BaseException:
            pipe.maybe_free_model_hooks()  # step caches, offloaded parts: what the call itself does at its end
            raise
        finally:
            if self._cuda is not None:
                # A cancelled run returns while its last step still computes; the lock is given back only after it.
                try:
                    self._cuda.synchronize()
                except RuntimeError as error:
                    if out_of_memory(error):
                        raise
                    # Whatever failed before it: after such an error nothing works on the GPU in this process.
                    log.exception("the GPU has stopped working")
                    first = str(error).splitlines()[0]
                    raise ModelError(f"{self._device.name} has stopped working ({first}); restart Diptych.") from error


def _arguments(
    card: ModelCard, family: Any, pipe: Any, request: ImageRequest, prompt: dict[str, Any], after_step: Callable
) -> dict[str, Any]:
    """Of the pipeline's call for one picture; ``prompt``: those that encoding gave."""
    import torch

    arguments = {
        **prompt,
        **card.call,
        "num_inference_steps": request.steps,
        "width": request.width,
        "height": request.height,
        "generator": torch.Generator("cpu").manual_seed(request.seed),
        "callback_on_step_end": after_step,
    }
    # A pipeline of no known family may lack some of these; those known take them all.
    takes = inspect.signature(pipe.__call__).parameters
    return {name: value for name, value in arguments.items() if family is not None or name in takes}
