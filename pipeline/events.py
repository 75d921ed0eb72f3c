"""What Engine.run yields: small frozen events. Progress, previews and results all come in this one shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from pipeline.hosted import HostedCall
from pipeline.reading import Reading
from pipeline.request import ImageRequest
from pipeline.throughput import Batch
from pipeline.timing import DISTURBED, Timings, median, spread


@dataclass(frozen=True)
class Queued:
    """Others are before us. ``place``: how many; ``expected_wait_s``: until our turn.

    Place 0: it is our turn, and the device has not told anything yet.
    """

    place: int
    expected_wait_s: float


@dataclass(frozen=True)
class Loading:
    """A model is being read. ``done`` of ``total`` parts are in memory; ``part`` is the one being read."""

    lane: int
    part: str
    done: int
    total: int


@dataclass(frozen=True)
class Step:
    """Step ``i`` of ``n`` (from 1) of run ``run`` (from 1) is done. ``preview``: what the picture will be, so far.
    Step 0: of a model that tells no steps the drawing has begun; of 0: it will begin when its provider is less busy.

    ``batch``: how many pictures are being made at once, where the throughput is measured; ``run`` counts those calls.
    """

    lane: int
    run: int
    i: int
    n: int
    elapsed_s: float
    preview: Image.Image | None = None
    batch: int | None = None


@dataclass(frozen=True)
class Result:
    """One lane's picture and every run's times. ``timings`` is the median run."""

    request: ImageRequest
    image: Image.Image
    runs: tuple[Timings, ...]
    evaluations: int | None
    """None where a provider does not tell."""
    device: str
    dtype: str
    revision: str
    versions: dict[str, str]
    warm: bool | None
    """None where a provider does not tell."""
    cache: str
    """"hit": out of the picture cache, with the times it took when it was made; else "miss"."""
    encode_cached: bool
    """The embeddings were reused; ``encode`` is the time they took when they were made."""
    previews: bool
    peak_memory_bytes: int | None
    reading: Reading | None = None
    """How much of the prompt the model read; None where nobody can tell."""
    hosted: HostedCall | None = None
    """Who drew it and for how much, if it was not this machine."""
    batches: tuple[Batch, ...] = ()
    """Where the throughput was measured: every number of pictures at once that was tried."""
    usual_s: float | None = None
    """What such a picture took here before at best (see pipeline.estimate); None where that is not known."""

    @property
    def timings(self) -> Timings:
        return median(self.runs)

    @property
    def disturbed(self) -> bool:
        """Whether something else must have used the machine meanwhile, so that the time says little of the model."""
        return _over_the_usual(self.timings.total, self.usual_s)

    @property
    def spread(self) -> tuple[float, float]:
        return spread(self.runs)


def disturbed(lane: Mapping[str, Any]) -> bool:
    """The same of what is kept of a picture: a lane, a sweep's cell, or the document of one picture."""
    return _over_the_usual(lane["seconds"]["total"], lane.get("usual_seconds"))  # entries of older versions have none


def _over_the_usual(total: float, usual: float | None) -> bool:
    return usual is not None and total > DISTURBED * usual


@dataclass(frozen=True)
class Done:
    """Lane ``lane`` has a picture; with ``final`` no further run of it is to come."""

    lane: int
    result: Result
    final: bool


Event = Queued | Loading | Step | Done


def final_results(events: Iterable[Event]) -> list[Result]:
    """Run to the end; the final result of every lane, in the order of the lanes."""
    found = {event.lane: event.result for event in events if isinstance(event, Done) and event.final}
    return [found[lane] for lane in sorted(found)]
