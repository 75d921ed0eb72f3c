"""Models so small that a test can draw with them: shipped cards on random weights in the Hub's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.cards import ModelCard
from pipeline.catalog import load_catalog

SHIPPED = load_catalog()
SIZE = 32
"""Pixels of a picture; twice as many are allowed."""

Checkpoint = Callable[..., Path]
"""Of a pipeline class and a seed of its weights, as the fixture ``checkpoint`` makes them."""


def card_on(folder: Path, card: ModelCard, **changes: object) -> ModelCard:
    """The card with this checkpoint instead of its repository; what it says of bytes stays."""
    here = {"path": str(folder), "repo": None, "revision": None, "variant": None, "replace": {}, "lora": None}
    size = card.size.model_copy(update={"default": SIZE, "min": SIZE, "max": 2 * SIZE})
    return card.model_copy(update={**here, "size": size, **changes})


def tiny_card(model: str, checkpoint: Checkpoint, **changes: object) -> ModelCard:
    """The shipped card of a model on a checkpoint of its class, and as light as that."""
    card = SHIPPED.model(model)
    light = {"shared": {}, "weight_bytes": 10**6, "part_bytes": {}, "memory_bytes": None, "cpu": True}
    return card_on(checkpoint(card.pipeline), card, **{**light, **changes})
