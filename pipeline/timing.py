"""The stage clock: wait, load, encode, denoise, decode; or, of a provider's picture, the whole call.

On a CUDA device a mark is an event in the stream, read once at the end, so that measuring does not make the
device wait. Elsewhere a mark is the monotonic clock. Knows nothing of models.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields

MEASURED = ("encode", "denoise", "decode", "call")
"""The stages that make up ``total``: of a picture made here the first three, of a provider's the last. Waiting and
loading are told apart and never part of a speed-up."""
DISTURBED = 3.0
"""A time over the usual, above which the machine was busy with something else. By feel: a browser on the same two cores
makes it half as long again, other programs make it several times as long."""


@dataclass(frozen=True)
class Timings:
    """Seconds by stage."""

    wait: float = 0.0
    load: float = 0.0
    encode: float = 0.0
    denoise: float = 0.0
    decode: float = 0.0
    call: float = 0.0
    """From the connection's first packet to the answer's last byte: network, the provider's queue, its model."""

    @property
    def total(self) -> float:
        return sum(getattr(self, stage) for stage in MEASURED)

    def as_dict(self) -> dict[str, float]:
        """A picture made here has no call."""
        stages = {stage: seconds for stage, seconds in asdict(self).items() if stage != "call" or seconds}
        return {**stages, "total": self.total}

    @classmethod
    def from_dict(cls, seconds: dict[str, float]) -> Timings:
        return cls(
            **{field.name: float(seconds[field.name]) for field in fields(cls) if field.name != "call"},
            call=float(seconds.get("call", 0.0)),
        )


def stages_of(seconds: Mapping[str, float]) -> tuple[str, ...]:
    """Of MEASURED those that a picture with these seconds went through."""
    return MEASURED[3:] if seconds.get("call") else MEASURED[:3]


def median(runs: Iterable[Timings]) -> Timings:
    """The run whose total is the median, stages and all, so that the stages still add up to the total; of an even
    number of runs the mean of the two in the middle.

    ``wait`` and ``load`` are those of the first run: they happen once.
    """
    runs = list(runs)
    ordered = sorted(runs, key=lambda run: run.total)
    middle = ordered[(len(runs) - 1) // 2], ordered[len(runs) // 2]
    stages = {stage: statistics.fmean(getattr(run, stage) for run in middle) for stage in MEASURED}
    return Timings(wait=runs[0].wait, load=runs[0].load, **stages)


def spread(runs: Iterable[Timings]) -> tuple[float, float]:
    """Smallest and largest total, in seconds."""
    totals = [run.total for run in runs]
    return min(totals), max(totals)


class StageClock:
    """Times consecutive stages on one device.

    ``cuda`` is torch's cuda module where the device is a GPU, else None. ``paused()`` leaves out work that is not
    the model's, such as a preview.
    """

    def __init__(self, cuda=None):
        self._cuda = cuda
        self._marks: list[tuple[str, object]] = []
        self._paused: dict[str, float] = {}
        self._stage = ""

    def _now(self):
        if self._cuda is None:
            return time.perf_counter()
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def start(self, stage: str) -> None:
        """End the running stage, if any, and begin ``stage``."""
        self._marks.append((stage, self._now()))
        self._stage = stage

    def stop(self) -> None:
        """End the running stage."""
        self.start("")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not counted. The device is drained first, so that its work is."""
        if self._cuda is not None:
            self._cuda.synchronize()
        begin = time.perf_counter()
        try:
            yield
        finally:
            if self._cuda is not None:
                self._cuda.synchronize()
            self._paused[self._stage] = self._paused.get(self._stage, 0.0) + time.perf_counter() - begin

    def seconds(self) -> dict[str, float]:
        """Seconds by stage so far. Waits for the device."""
        if self._cuda is not None:
            self._cuda.synchronize()
        result: dict[str, float] = {}
        for (stage, begin), (_, end) in zip(self._marks, self._marks[1:], strict=False):
            if stage:
                took = begin.elapsed_time(end) / 1000 if self._cuda is not None else end - begin
                result[stage] = result.get(stage, 0.0) + took
        for stage, took in self._paused.items():
            result[stage] = max(0.0, result.get(stage, 0.0) - took)
        return result
