"""Both lanes of a pair as the page measures them: one hold of the lock, alternating order, median run.

Measures encode, denoise and decode on a warm model, in seconds, and what follows from them: speed-up with its 95 %
interval, cost, saving, fidelity. Leaves out waiting, loading, the network and the page. The price is the one proposed
for this device.
"""

from __future__ import annotations

from typing import Any

from pipeline.bench.common import DEFAULT, Subject, measured, playground


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Both models of a pair: seconds by stage, speed-up and saving."""
    with playground(subject) as opened:
        document, price = measured(opened, repeat=runs)
    rows = [
        {
            "lane": lane["role"],
            "model": lane["model"],
            "steps": lane["steps"],
            "evaluations": lane["model_evaluations"],
            **{f"{stage}_s": lane["seconds"][stage] for stage in ("encode", "denoise", "decode", "total")},
            "total_min_s": lane["seconds_min"],
            "total_max_s": lane["seconds_max"],
            "usd_per_1000": None if lane["cost_usd"] is None else lane["cost_usd"] * 1000,
            "peak_mb": lane["peak_memory_bytes"] and lane["peak_memory_bytes"] / 1e6,
        }
        for lane in document["lanes"]
    ]
    return {
        "device": document["device"],
        "rows": rows,
        "speedup": document["speedup"],
        **{f"speedup_{end}": (document["significance"] or {}).get(end) for end in ("low", "high")},
        "saving": document["saving"],
        "price": price.id,
        "usd_per_hour": price.usd_per_hour,
        "price_as_of": price.as_of,
        **(document["fidelity"] or {}),
    }
