"""Memory that ran out: heard where a library swallows it, and remembered until there is clearly more of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pipeline.cards import ModelCard
from pipeline.request import Key

MUCH_MORE = 1.2
"""Times the memory that there was: worth another try."""


class Shortages:
    """For which pipelines, placed how, memory ran out: the fewest pixels of it, and the bytes that there were."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Key, str], tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, key: Key, how: str, pixels: int, room: int) -> None:
        """``room``: bytes there are when nothing of ours lies on the device."""
        self._seen[key, how] = min(pixels, self._seen.get((key, how), (pixels, room))[0]), room

    def rules_out(self, key: Key, how: str, pixels: int) -> bool:
        """Whether so many pixels, or fewer, ran out so."""
        return (key, how) in self._seen and pixels >= self._seen[key, how][0]

    def forget(self, room: int) -> None:
        """What ran out when there was much less than ``room``."""
        self._seen = {placed: (of, was) for placed, (of, was) in self._seen.items() if room <= MUCH_MORE * was}


@contextlib.contextmanager
def decoding_told(card: ModelCard) -> Iterator[None]:
    """SANA's pipelines swallow the decoder's lack of memory and then miss the picture that they do not have. Raises
    MemoryError for that."""
    try:
        yield
    except UnboundLocalError as error:
        if not card.pipeline.startswith("Sana") or "'image'" not in str(error):
            raise
        raise MemoryError("the decoder ran out of memory") from None
