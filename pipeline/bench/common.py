"""What the benches share: what they run on, a playground in a temporary folder, requests, a median with its spread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from pipeline.catalog import ROLES, Role
from pipeline.compare import compare_document, plan
from pipeline.engine import Engine
from pipeline.errors import InputError
from pipeline.events import final_results
from pipeline.playground import Playground, open_playground
from pipeline.prices import PriceProfile
from pipeline.request import ImageRequest

PROMPT = "a red apple"
SEED = 7


@dataclass(frozen=True)
class Subject:
    """What a bench runs on: a pair (also MODEL:MODEL) or one model; neither is the default pair. ``model_file``: a
    user's own catalogue, beside the shipped one."""

    pair: str | None = None
    model: str | None = None
    model_file: str | None = None


DEFAULT = Subject()


@contextmanager
def playground(subject: Subject = DEFAULT) -> Iterator[Playground]:
    """A playground whose folder goes away afterwards, with an engine that keeps no pictures. What the bench runs on
    is its catalogue's default pair: of one model, that model on both sides. Raises InputError for unknown ids."""
    with tempfile.TemporaryDirectory(prefix="diptych-bench-") as folder:
        opened = open_playground(folder, model_file=subject.model_file, model=subject.model)
        wanted = f"{subject.model}:{subject.model}" if subject.model else subject.pair
        pair = opened.catalog.pair(wanted)
        catalog = opened.catalog.model_copy(update={"pairs": {pair.id: pair, **opened.catalog.pairs}})
        for card in catalog.cards(pair):
            if card.hosted:
                raise InputError(f"Benches measure this machine, and {card.name} is drawn by {card.hosted.provider}.")
        local = opened.engine.backend.local
        local.any_picture = True
        yield replace(opened, catalog=catalog, engine=Engine(catalog, local))


def requests(opened: Playground, prompt: str = PROMPT, **fields: object) -> dict[Role, ImageRequest]:
    """Both lanes of the default pair, in the order they run."""
    return plan(opened.catalog, opened.catalog.default_pair, prompt, **{"seed": SEED, **fields})


def different(opened: Playground, prompt: str = PROMPT) -> list[ImageRequest]:
    """The pair's lanes as the page has them, predecessor first; only one of two that are equal."""
    both = requests(opened, prompt)
    return list(dict.fromkeys(both[role] for role in ROLES))


def fewest_steps(opened: Playground) -> list[ImageRequest]:
    """Both lanes in the order they run, with as few steps as their models take: for benches whose subject is not the
    drawing. Raises InputError if both lanes have the same model."""
    pair = opened.catalog.default_pair
    cards = {role: opened.catalog.model(pair.lane(role).model) for role in ROLES}
    if len({card.id for card in cards.values()}) < 2:
        raise InputError(f"pair must have two different models for this bench; {pair.id} has {pair.efficient.model}.")
    return list(requests(opened, steps={role: max(2, int(card.steps.min)) for role, card in cards.items()}).values())


def measured(opened: Playground, **how: object) -> tuple[dict[str, Any], PriceProfile]:
    """The document of the pair, made as the page makes it, at the price proposed for this device. ``how``: arguments
    of Engine.run."""
    lanes = requests(opened)
    results = dict(zip(lanes, final_results(opened.engine.run(list(lanes.values()), **how)), strict=True))
    price = opened.price(None, results["efficient"].device)
    return compare_document(opened.catalog.default_pair, results, price), price


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest as three columns."""
    return {f"{name}_median": median(values), f"{name}_min": min(values), f"{name}_max": max(values)}
