"""How long a picture will take, before it is made: from runs of this process, else from the card's reference."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from statistics import median

from pipeline.cards import ModelCard
from pipeline.hosted import HostedCall
from pipeline.request import ImageRequest, Key
from pipeline.timing import Timings

KEPT_RUNS = 20
LOADED_S = 0.1
"""Less than this finds a pipeline in memory already."""


@dataclass(frozen=True)
class Estimate:
    """``basis`` says in words where the seconds come from. ``here``: whether they count here: measured by this process,
    or on a processor, which every machine has. A GPU's cost what that one does, and say nothing of how long it takes
    without one."""

    seconds: float
    basis: str
    here: bool = True
    hosted: HostedCall | None = None
    """Who would draw it and for how much, if not this machine."""


class Estimator:
    """Seconds a network evaluation, and seconds of a picture beside them, by model, switches and picture size: a model
    that takes one step decodes for longer than it draws. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._seen: dict[tuple[object, ...], deque[tuple[float, float]]] = {}
        self._fastest: dict[tuple[object, ...], tuple[float, float]] = {}
        self._loads: dict[Key, float] = {}

    def record(self, card: ModelCard, request: ImageRequest, timings: Timings) -> None:
        """Learn from a warm run that was really made."""
        each = timings.denoise / card.evaluations(request.steps, request.guidance)
        took = each, timings.total - timings.denoise
        key = _key(request)
        with self._lock:
            self._seen.setdefault(key, deque(maxlen=KEPT_RUNS)).append(took)
            self._fastest[key] = tuple(map(min, took, self._fastest.get(key, took)))

    def usual(self, card: ModelCard, request: ImageRequest) -> float | None:
        """What such a picture takes while nothing else uses the machine, by the fastest run since the model was loaded:
        others can make one slower, none faster, and a machine that stays busy does not become usual. None before."""
        with self._lock:
            fastest = self._fastest.get(_key(request))
        return fastest and _seconds(card, request, *fastest)

    def record_loading(self, key: Key, seconds: float) -> None:
        """Learn what a pipeline's loading and warm-up took of a turn on the device, before the run is recorded: it may
        lie elsewhere than before, so what was usual is forgotten."""
        if seconds > LOADED_S:
            with self._lock:
                self._loads[key] = seconds
                for other in [each for each in self._fastest if each[:2] == key]:
                    del self._fastest[other]

    def loading(self, key: Key) -> float:
        """Seconds that a pipeline took to load when it last had to; 0 before the first time."""
        with self._lock:
            return self._loads.get(key, 0.0)

    def estimate(self, card: ModelCard, request: ImageRequest) -> Estimate:
        """Encode, denoise and decode of one picture on a warm model, or a provider's whole call."""
        hosted = card.hosted and card.hosted.call(request.width, request.height)
        if seen := self._seen_of(request):
            runs = f"{len(seen)} run{'s' if len(seen) > 1 else ''}"
            return Estimate(_median(card, request, seen), f"measured here, {runs}", hosted=hosted)
        pixels = request.width * request.height / card.size.default**2
        evaluations = card.evaluations(request.steps, request.guidance)
        seconds = evaluations * pixels * card.reference_seconds_per_evaluation
        return Estimate(seconds, f"reference: {card.reference_device}", "CPU" in card.reference_device, hosted)

    def _seen_of(self, request: ImageRequest) -> list[tuple[float, float]]:
        with self._lock:
            return list(self._seen.get(_key(request), ()))


def _median(card: ModelCard, request: ImageRequest, seen: list[tuple[float, float]]) -> float:
    return _seconds(card, request, *map(median, zip(*seen, strict=True)))


def _seconds(card: ModelCard, request: ImageRequest, each: float, beside: float) -> float:
    return card.evaluations(request.steps, request.guidance) * each + beside


def _key(request: ImageRequest) -> tuple[object, ...]:
    return request.model, request.switches, request.width, request.height
