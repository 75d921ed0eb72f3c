"""Whether switching models leaks: with room for one model only, each run throws the other model out.

Measures the bytes that the process holds (resident set), first when both models have been in memory once, then after
each switch. ``growth_percent`` is over all switches, ``late_growth_percent`` over their second half: a leak grows as
fast there as before, while the C library's allocator, which keeps what it once had for itself, stops growing.
On a GPU the process's memory is still measured, not the GPU's. Linux only; elsewhere the bytes are null.
"""

from __future__ import annotations

from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import playground, requests
from pipeline.device import resident_bytes
from pipeline.engine import Engine
from pipeline.events import final_results


def run(runs: int) -> dict[str, Any]:
    """Memory before and after switching models again and again."""
    with playground() as opened:
        lanes = list(requests(opened, steps={"predecessor": 2, "efficient": 2}).values())
        room = max(opened.catalog.model(lane.model).weight_bytes for lane in lanes)
        engine = Engine(opened.catalog, LocalBackend(max_bytes=room))
        final_results(engine.run(lanes))
        before, held = resident_bytes(), []
        for turn in range(runs):
            final_results(engine.run([lanes[turn % 2]]))
            held.append(resident_bytes())
        device = engine.backend.device().name
    told = None not in (before, *held)
    return {
        "device": device,
        "switches": runs,
        "before_mb": before / 1e6 if told else None,
        "after_mb": held[-1] / 1e6 if told else None,
        "highest_mb": max(held) / 1e6 if told else None,
        "growth_percent": 100 * (held[-1] / before - 1) if told else None,
        "late_growth_percent": 100 * (held[-1] / held[runs // 2] - 1) if told else None,
    }
