"""Where a picture is made. One small protocol; the engine knows nothing else of a backend."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from pipeline.cards import ModelCard
from pipeline.device import Device
from pipeline.hosted import HostedCall
from pipeline.reading import Reading
from pipeline.request import ImageRequest, Key

OnStep = Callable[[int, int, Image.Image | None], None]
"""Called after step i of n (from 1) with a preview or None; by what tells no steps as step 0, see events.Step."""
OnPart = Callable[[str, int, int], None]
"""Called with its name before part ``done`` of ``total`` is prepared, and while that goes on; an error of it ends that.
"""


@dataclass(frozen=True)
class Identity:
    """Everything beside the request that decides the pixels."""

    revision: str
    device: str
    dtype: str
    versions: dict[str, str]


@dataclass(frozen=True)
class How:
    """What decides no pixel of the (first) picture.

    ``previews``: hand them to on_step. ``reuse``: take prompt embeddings made before, if there are any. ``batch``: so
    many pictures at once, with the seeds that follow the request's. ``kept``: somebody will see it, so one that is none
    is refused.
    """

    previews: bool = False
    reuse: bool = True
    batch: int = 1
    kept: bool = True


@dataclass(frozen=True)
class Made:
    """The (first) finished picture. ``seconds`` by stage (see pipeline.timing), of the whole batch."""

    image: Image.Image
    seconds: dict[str, float]
    encode_cached: bool
    peak_memory_bytes: int | None
    reading: Reading | None = None
    """How much of the prompt the model read; None where nobody can tell."""
    hosted: HostedCall | None = None
    """Of a provider's picture: who drew it and for how much. Its only stage is the call."""


class Backend(Protocol):
    """Only ever called by one thread at a time: the engine's, holding the lock."""

    def device(self) -> Device:
        """What the pictures are made on."""

    placed: frozenset[str]
    """Ids of the models that :meth:`place` put into memory for good: they are here even if their files are gone."""

    def identity(self, card: ModelCard) -> Identity:
        """Raises ModelError if the weights are missing or damaged. May be called by any thread."""

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        """For every efficiency switch None where this model can use it here, else why not."""

    def holds(self, key: Key) -> bool:
        """Whether the pipeline is in memory. May be called by any thread."""

    def place(self, card: ModelCard, request: ImageRequest) -> None:
        """Have the model in memory, without using the device."""

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        """Have the model in memory and warm for this kind of request; pipelines in ``keep`` stay, if there is room."""

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        """Make the picture, or the batch that begins with it.

        Raises Cancelled before the next step once ``stop`` is set, and BatchTooLarge where only fewer pictures at once
        can be made.
        """
