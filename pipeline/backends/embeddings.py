"""Prompt embeddings that were made before, with the seconds that they took: who reuses them is charged those."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any, NamedTuple

from pipeline.caches import ByteLRU
from pipeline.events import DISTURBED

MAX_BYTES = 64 * 1024**2
KEPT_TIMES = 20
USUAL_TIMES = 3
"""So many must be known before any is called unusual."""


class Text(NamedTuple):
    """What embeddings depend on: the encoders and how they are used, and the text. An empty prompt and an empty
    negative one are not the same everywhere."""

    encoders: tuple[str, ...]
    dtype: str
    pipeline: str
    options: str
    negative: bool
    text: str


class Embeddings:
    """Bounded by bytes. Not thread-safe: used under the lock."""

    def __init__(self):
        self._made = ByteLRU(MAX_BYTES)
        self._times: dict[tuple[object, ...], deque[float]] = {}

    def get(self, text: Text) -> tuple[tuple[Any, ...], float] | None:
        """Tensors and seconds. None also for those that took far longer than usual, as on a machine that was busy with
        something else: a time that was not the model's shall not be charged again."""
        found = self._made.get(text)
        if found is None:
            return None
        times = self._times[text[:-2]]
        if len(times) >= USUAL_TIMES and found[1] > DISTURBED * median(times):
            return None
        return found

    def put(self, text: Text, tensors: tuple[Any, ...], seconds: float) -> None:
        times = self._times.setdefault(text[:-2], deque(maxlen=KEPT_TIMES))
        if text.text or not text.negative:  # for no negative prompt some take zeros, which take no time
            times.append(seconds)
        self._made.put(text, (tensors, seconds), sum(each.nbytes for each in tensors if each is not None))

    def clear(self) -> None:
        """Forget the tensors, and what cold encoders took."""
        self._made.clear()
        self._times.clear()
