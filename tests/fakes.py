"""A small catalogue and a backend that draws without a model. Nothing here imports torch."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from pipeline.backends import How, Identity, Made, OnPart, OnStep
from pipeline.cards import ModelCard
from pipeline.catalog import Catalog
from pipeline.device import Device
from pipeline.errors import BatchTooLarge, Cancelled
from pipeline.events import Done, Event, Result
from pipeline.request import ImageRequest, Key
from pipeline.sweep import Plan, plan_sweep

CATALOG = """
[models.old]
name = "Old"
summary = "Takes its time."
path = "models/old"
licence = "MIT"
pipeline = "PRXPixelPipeline"
steps = { default = 6, min = 1, max = 50 }
guidance = { default = 3.0, min = 1.0, max = 10.0 }
size = { default = 32, min = 16, max = 64, multiple = 16 }
negative_prompt = true
shared = { text_encoder = "both/text_encoder" }
weight_bytes = 1000
reference_seconds_per_evaluation = 0.25
reference_device = "a CPU with beads"

[models.new]
name = "New"
summary = "In a hurry."
path = "models/new"
licence = "MIT"
pipeline = "PRXPixelPipeline"
steps = { default = 2, min = 1, max = 4 }
guidance = { default = 1.0, min = 1.0, max = 1.0 }
fixed_guidance = "Baked in."
size = { default = 32, min = 16, max = 64, multiple = 16 }
negative_prompt = false
shared = { text_encoder = "both/text_encoder" }
weight_bytes = 1000
reference_seconds_per_evaluation = 0.25
reference_device = "a CPU with beads"

[pairs.both]
name = "Old and new"
question = "Will the new one do?"
predecessor = { model = "old" }
efficient = { model = "new" }
same_path = true

[pairs.short]
name = "Old, short"
question = "Would fewer steps do?"
predecessor = { model = "old" }
efficient = { model = "old", steps = 3, guidance = 2.0 }
same_path = false
"""
"""Two models that differ in everything that the code treats differently."""


class CountingBackend:
    """Pictures of coloured noise that depend on every field of the request, and a record of who used the device.

    ``peak`` is the most users there ever were at once: anything above 1 is a broken lock. ``served`` holds the
    prompts in the order in which the device took them up, ``made`` the requests that became pictures.
    """

    def __init__(self, step_s: float = 0.0, load_s: float = 0.0):
        self.step_s = step_s
        self.gate = threading.Event()
        """While it is not set every step lasts until it is, or until a stop: no machine is then too slow for a test."""
        self.gate.set()
        self.load_s = load_s
        self.denoise_s: list[float] = []
        """Seconds the next pictures say they took; when empty, a millisecond an evaluation."""
        self.fail: Exception | None = None
        """Raised, once, by the next picture of ``fail_model`` (None: of any model) in its first step."""
        self.fail_model: str | None = None
        self.most = 4
        """So many pictures fit at once. Two take half as long again as one, four twice as long."""
        self.versions = {"fake": "1"}
        self.placed: frozenset[str] = frozenset()
        self.peak = 0
        self.served: list[str] = []
        self.made: list[ImageRequest] = []
        self.previews: list[bool] = []
        self.batches: list[tuple[str, int, int]] = []
        """Model, pictures at once, and steps of every call for several."""
        self.kept: list[frozenset[Key]] = []
        self.threads: set[str] = set()
        self.loaded: set[str] = set()
        self._using = 0
        self._lock = threading.Lock()

    def device(self) -> Device:
        return Device("cpu", "CPU, 1 core (fake)", 10**9)

    def identity(self, card: ModelCard) -> Identity:
        return Identity(f"revision of {card.id}", self.device().name, "float32", self.versions)

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        return {"fp8-weights": None, "step-cache": "It has none."}

    def holds(self, key: Key) -> bool:
        return key[0] in self.loaded

    def place(self, card: ModelCard, request: ImageRequest) -> None:
        self.loaded.add(card.id)

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        with self._use():
            self.kept.append(keep)
            if not self.served or self.served[-1] != request.prompt:
                self.served.append(request.prompt)
            if card.id not in self.loaded:
                on_part("weights", 0, 1)
                time.sleep(self.load_s)
                self.loaded.add(card.id)

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        with self._use():
            if how.batch > self.most:
                raise BatchTooLarge(f"{card.name} has no memory for {how.batch} pictures at once.")
            if how.batch > 1:
                return self._several(card, request, how, on_step, stop)
            self.previews.append(how.previews)
            image = draw(request)
            for i in range(1, request.steps + 1):
                self._step(stop)
                if self.fail is not None and self.fail_model in (None, card.id):
                    error, self.fail = self.fail, None
                    raise error
                on_step(i, request.steps, image if how.previews else None)
            self.made.append(request)
            evaluations = card.evaluations(request.steps, request.guidance)
            denoise = self.denoise_s.pop(0) if self.denoise_s else 0.001 * evaluations
            return Made(image, {"encode": 0.002, "denoise": denoise, "decode": 0.003}, False, 4096)

    def _several(
        self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event
    ) -> Made:
        for i in range(1, request.steps + 1):
            self._step(stop)
            on_step(i, request.steps, None)
        self.batches.append((card.id, how.batch, request.steps))
        denoise = 0.001 * card.evaluations(request.steps, request.guidance) * {2: 1.5, 4: 2.0}.get(how.batch, how.batch)
        return Made(draw(request), {"encode": 0.002, "denoise": denoise, "decode": 0.003}, False, 4096 * how.batch)

    def _step(self, stop: threading.Event) -> None:
        if stop.is_set():
            raise Cancelled("The run was stopped.")
        time.sleep(self.step_s)
        while not self.gate.wait(0.02):
            if stop.is_set():
                raise Cancelled("The run was stopped.")

    @contextmanager
    def _use(self) -> Iterator[None]:
        """One use of the device, counted."""
        with self._lock:
            self._using += 1
            self.peak = max(self.peak, self._using)
            self.threads.add(threading.current_thread().name)
        try:
            yield
        finally:
            with self._lock:
                self._using -= 1


def draw(request: ImageRequest) -> Image.Image:
    """The picture that CountingBackend makes of a request."""
    digest = hashlib.sha256(request.model_dump_json().encode()).digest()
    noise = np.random.default_rng(list(digest)).integers(0, 256, (request.height, request.width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def results(events: Iterator[Event]) -> dict[int, Result]:
    """Run to the end: the final result of every lane."""
    return {event.lane: event.result for event in events if isinstance(event, Done) and event.final}


def plan_of(catalog: Catalog, **given: object) -> Plan:
    """A sweep of one model, prompt and seed, but for what is ``given``."""
    fixed = {name: given.pop(name) for name in ("negative_prompt", "width", "height", "swapped") if name in given}
    return plan_sweep(catalog, {"models": "old", "prompts": "a fox", "seeds": "7", **given}, **fixed)
