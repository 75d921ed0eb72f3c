"""A grid of steps and guidance for one model: planned, counted, run as lanes of one engine run, described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.catalog import Catalog
from pipeline.compare import lane_document, price_document
from pipeline.cost import PriceProfile
from pipeline.errors import InputError
from pipeline.events import Result
from pipeline.request import ImageRequest, make_request

CELLS_MAX = 400


def plan_sweep(
    catalog: Catalog,
    model: object,
    prompt: object,
    steps: Sequence[object] = (),
    guidance: Sequence[object] = (),
    **fields: object,
) -> list[ImageRequest]:
    """One request a cell, steps in the outer loop. An empty axis is the model's default. Raises InputError."""
    card = catalog.model(model)
    axes = (list(steps) or [None], list(guidance) or [None])
    cells = len(axes[0]) * len(axes[1])
    if cells > CELLS_MAX:
        raise InputError(f"A sweep has at most {CELLS_MAX} pictures; got {cells}: name fewer steps or guidance values.")
    return [make_request(card, prompt, steps=step, guidance=scale, **fields) for step in axes[0] for scale in axes[1]]


def sweep_document(results: Sequence[Result], price: PriceProfile) -> dict[str, Any]:
    """The whole grid; ``image`` of a cell is left to the caller."""
    first = results[0]
    return {
        "prompt": first.request.prompt,
        "seed": first.request.seed,
        "width": first.request.width,
        "height": first.request.height,
        "model": first.request.model,
        "device": first.device,
        "price": price_document(price),
        "cells": [lane_document(result, price) for result in results],
    }
