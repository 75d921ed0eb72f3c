"""Pictures a minute of both lanes of a pair, with 1 to 8 made at once, as `compare --throughput` measures.

Latency is what one visitor waits for; throughput is what a busy machine delivers, and what its rent is divided by.
Each size is called so many times after one call that is not timed, the lanes in turn; a size twice as large is tried
while that pays and memory lasts. Leaves out waiting, loading, the network and the page; ``runs`` is of the single
pictures behind ``speedup``.
"""

from __future__ import annotations

from typing import Any

from pipeline.bench.common import DEFAULT, Subject, measured, playground


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Pictures a minute with 1 to 8 made at once, and the speed-up of single ones."""
    with playground(subject) as opened:
        document, _ = measured(opened, repeat=runs, throughput=True)
    rows = [
        {
            "lane": lane["role"],
            "model": lane["model"],
            "at_once": batch["size"],
            "images_per_minute": batch["images_per_minute"],
            "seconds_min": min(batch["seconds"]),
            "seconds_max": max(batch["seconds"]),
            "peak_mb": batch["peak_memory_bytes"] and batch["peak_memory_bytes"] / 1e6,
        }
        for lane in document["lanes"]
        for batch in lane["throughput"]["batches"]
    ]
    return {
        "device": document["device"],
        "rows": rows,
        "throughput_gain": document["throughput_gain"],
        "speedup": document["speedup"],
    }
