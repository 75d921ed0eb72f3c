"""What it saves to hold once what both models of a pair share, and what a switch from one to the other takes.

Three ways to have the pair: both in memory with the shared parts held once, both in memory as if they shared nothing,
and with room for one model only. ``held_mb``: on a GPU what torch's allocator has given out, so with what libraries
keep for themselves; on a processor the bytes of all weights and buffers. ``shared_mb`` are the bytes of the
components that are the same objects in both pipelines; ``saved_mb`` is what the first way holds less than the second,
and should be no less. ``switch_s``: from asking for the other model until its first step could begin, which with room
for one is loading and warm-up, from files that the system has in its cache. Leaves out the drawing.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, Subject, fewest_steps, playground, spread
from pipeline.bench.memory import GIVEN_OUT, held_bytes, room_for_one
from pipeline.catalog import Catalog
from pipeline.engine import Engine
from pipeline.errors import ModelError
from pipeline.request import ImageRequest


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """The pair with shared parts held once against both models by themselves: bytes, seconds to switch."""
    with playground(subject) as opened:
        lanes, catalog = fewest_steps(opened), opened.catalog
        room = room_for_one(catalog, lanes, opened.engine.backend.facts)
        shared = _Held(catalog, lanes, None, runs)
        separate = _Held(catalog, lanes, None, runs, share=False)
        turns = _Held(catalog, lanes, room, runs)
    ways = {"both, shared parts once": shared, "both, each by itself": separate, "one at a time": turns}
    saved = separate.bytes - shared.bytes
    return {
        "device": shared.device,
        "pair": f"{lanes[1].model} → {lanes[0].model}",
        "rows": [
            {"how": how, "held_mb": way.bytes / 1e6, **spread("switch_s", way.seconds)} for how, way in ways.items()
        ],
        "shared_parts": ", ".join(shared.parts) or "none",
        "shared_mb": sum(shared.parts.values()) / 1e6,
        "saved_mb": saved / 1e6,
        "saved_percent": 100 * saved / separate.bytes,
        "ok": saved >= sum(shared.parts.values()),
    }


class _Held:
    """Have both models in memory, or as many as there is room for; weigh them, switch, and let go of them."""

    def __init__(self, catalog: Catalog, lanes: list[ImageRequest], room: int | None, runs: int, share: bool = True):
        backend = LocalBackend(max_bytes=room, any_picture=True)
        backend.residency.share = share
        engine = Engine(catalog, backend)
        list(engine.warm_up(lanes))
        if room is None and len(backend.residency) < len(lanes):
            raise ModelError("The two models do not fit this machine at once, so there is nothing to weigh.")
        self.device = backend.device().name
        self.bytes = self._weigh(backend)
        self.parts = self._parts(catalog, lanes, backend) if room is None else {}
        self.seconds = []
        for turn in range(runs):
            begin = time.perf_counter()
            list(engine.warm_up([lanes[turn % 2]]))
            self.seconds.append(time.perf_counter() - begin)
        backend.residency.evict_all()

    @staticmethod
    def _weigh(backend: LocalBackend) -> int:
        gc.collect()
        return held_bytes(backend).get(GIVEN_OUT, backend.residency.used_bytes())

    @staticmethod
    def _parts(catalog: Catalog, lanes: list[ImageRequest], backend: LocalBackend) -> dict[str, int]:
        """Bytes of the networks that both pipelines hold as one object."""
        left, right = (backend.resident(catalog.model(lane.model), lane).pipe.components for lane in lanes)
        return {
            name: sum(tensor.nbytes for tensor in (*part.parameters(), *part.buffers()))
            for name, part in left.items()
            if hasattr(part, "parameters") and part is right.get(name)
        }
