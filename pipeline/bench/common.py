"""What the benches share: a playground in a temporary folder, the requests they run, a median with its spread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from pipeline.catalog import Role
from pipeline.compare import plan
from pipeline.engine import Engine
from pipeline.playground import Playground, open_playground
from pipeline.request import ImageRequest
from pipeline.timing import median_seconds

PROMPT = "a red apple"
SEED = 7


@contextmanager
def playground() -> Iterator[Playground]:
    """A playground whose folder goes away afterwards, with an engine that keeps no pictures."""
    with tempfile.TemporaryDirectory(prefix="diptych-bench-") as folder:
        opened = open_playground(folder)
        yield replace(opened, engine=Engine(opened.catalog, opened.engine.backend))


def requests(opened: Playground, prompt: str = PROMPT, **fields: object) -> dict[Role, ImageRequest]:
    """Both lanes of the default pair, in the order they run."""
    return plan(opened.catalog, opened.catalog.default_pair, prompt, **{"seed": SEED, **fields})


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest as three columns."""
    return {f"{name}_median": median_seconds(values), f"{name}_min": min(values), f"{name}_max": max(values)}
