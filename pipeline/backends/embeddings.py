"""Prompt embeddings that were made before, with the seconds that they took: who reuses them is charged those."""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.caches import ByteLRU
from pipeline.timing import DISTURBED

MAX_BYTES = 64 * 1024**2
ALIKE = 200
"""Characters; texts that differ by less of them take about as long to encode."""


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
        self._fastest: dict[tuple[object, ...], float] = {}

    def get(self, text: Text) -> tuple[tuple[Any, ...], float] | None:
        """Tensors and seconds. None also for those that took far longer than the fastest of their like, as on a machine
        that was busy with something else: a time that was not the model's shall not be charged again."""
        found = self._made.get(text)
        if found is None:
            return None
        return None if found[1] > DISTURBED * self._fastest.get(_like(text), found[1]) else found

    def put(self, text: Text, tensors: tuple[Any, ...], seconds: float) -> None:
        if text.text or not text.negative:  # for no negative prompt some take zeros, which take no time
            self._fastest[_like(text)] = min(seconds, self._fastest.get(_like(text), seconds))
        self._made.put(text, (tensors, seconds), sum(each.nbytes for each in tensors if each is not None))

    def clear(self) -> None:
        """Forget the tensors, and what cold encoders took."""
        self._made.clear()
        self._fastest.clear()


def _like(text: Text) -> tuple[object, ...]:
    """What texts that take about as long have in common."""
    return *text[:-2], len(text.text) // ALIKE
