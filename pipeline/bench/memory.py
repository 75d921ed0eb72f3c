"""Whether switching models leaks: with room for one model only, each run throws the other model out.

Measures the bytes that the process holds (resident set) and, on a GPU, what torch's
allocator has given out and what it has taken from the device; first when both models have been in memory once, then
after each switch. ``growth_percent`` is over all switches, ``late_growth_percent`` over about their second half: a
leak grows as fast there as before, while the C library's allocator, which keeps what it once had for itself, stops
growing. The two models may differ in size: an even number of switches ends on the model that it began with. As few
steps as the models take, but two. Targets over 20 switches: 5 % of the process, 2 % of a GPU.
"""

from __future__ import annotations

from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, Subject, fewest_steps, playground
from pipeline.catalog import Catalog
from pipeline.device import Facts, resident_bytes
from pipeline.engine import Engine
from pipeline.events import final_results
from pipeline.fit import dtype_for
from pipeline.request import ImageRequest

GIVEN_OUT, TAKEN = "GPU, given out", "GPU, taken"
TARGET_PERCENT = {"process": 5.0, GIVEN_OUT: 2.0, TAKEN: 2.0}


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Memory before and after switching models again and again."""
    with playground(subject) as opened:
        lanes = fewest_steps(opened)
        room = room_for_one(opened.catalog, lanes, opened.engine.backend.facts)
        backend = LocalBackend(max_bytes=room, any_picture=True)
        engine = Engine(opened.catalog, backend)
        final_results(engine.run(lanes))
        before, held = held_bytes(backend), []
        for turn in range(runs):
            final_results(engine.run([lanes[turn % 2]]))
            held.append(held_bytes(backend))
        device = backend.device().name
        backend.residency.evict_all()
    rows = [growth(what, before[what], [now[what] for now in held]) for what in before]
    grown = [row["growth_percent"] for row in rows]
    return {
        "device": device,
        "switches": runs,
        "rows": rows,
        "ok": None if None in grown else all(row["growth_percent"] <= row["target_percent"] for row in rows),
    }


def room_for_one(catalog: Catalog, lanes: list[ImageRequest], facts: Facts) -> int:
    """Bytes of the larger model as it lies on this device: two never fit."""
    cards = [catalog.model(lane.model) for lane in lanes]
    return max(card.bytes_as(dtype_for(card, facts) or card.dtypes[0]) for card in cards)


def held_bytes(backend: LocalBackend) -> dict[str, int]:
    """What is held now, by whom."""
    held = {"process": resident_bytes()}
    if backend.device().kind == "cuda":
        import torch

        held |= {GIVEN_OUT: torch.cuda.memory_allocated(), TAKEN: torch.cuda.memory_reserved()}
    return held


def growth(what: str, before: int, held: list[int]) -> dict[str, Any]:
    """One row: bytes before, and after each of several switches."""
    middle = held[-1 - 2 * (len(held) // 4)]  # an even number of switches back, so with the same model in memory
    return {
        "what": what,
        "before_mb": before / 1e6,
        "after_mb": held[-1] / 1e6,
        "highest_mb": max(held) / 1e6,
        "growth_percent": 100 * (held[-1] / before - 1),
        "late_growth_percent": 100 * (held[-1] / middle - 1),
        "target_percent": TARGET_PERCENT[what],
    }
