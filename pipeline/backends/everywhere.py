"""This machine's models and providers' as one backend: each model is drawn where it lies."""

from __future__ import annotations

import threading

from pipeline.backends import Backend, How, Identity, Made, OnPart, OnStep
from pipeline.backends.hosted import HostedBackend
from pipeline.cards import ModelCard
from pipeline.device import Device
from pipeline.request import ImageRequest, Key


class Everywhere:
    """See :class:`pipeline.backends.Backend`. What concerns no single model is said of this machine."""

    def __init__(self, local: Backend, hosted: HostedBackend):
        self.local, self.hosted = local, hosted

    def _of(self, card: ModelCard) -> Backend | HostedBackend:
        return self.hosted if card.hosted else self.local

    @property
    def placed(self) -> frozenset[str]:
        return self.local.placed

    def device(self) -> Device:
        return self.local.device()

    def holds(self, key: Key) -> bool:
        return self.local.holds(key)

    def identity(self, card: ModelCard) -> Identity:
        return self._of(card).identity(card)

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        return self._of(card).switches(card)

    def place(self, card: ModelCard, request: ImageRequest) -> None:
        self.local.place(card, request)

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        self._of(card).prepare(card, request, keep, on_part)

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        return self._of(card).make(card, request, how, on_step, stop)
