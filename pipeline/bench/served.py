"""What the page's server adds to the times that it tells: the same pictures through its API and through the engine.

In turns, one comparison of the bundled pair through the API of ``python app.py`` and one by the engine in this process,
each lane's total as either tells it; so every turn draws four pictures and both sides meet the same machine. The server
has a web server's loop beside the model, on the same cores; a browser on the same machine is left out.
Target: a ratio of at most 1.1 for either model.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from pipeline.bench.app import app
from pipeline.bench.common import PROMPT, SEED, measured, playground, spread
from pipeline.catalog import ROLES

TARGET = 1.1


def run(runs: int) -> dict[str, Any]:
    """Medians of ``runs`` totals a lane, by the engine and through the page's API."""
    totals: dict[tuple[str, str], list[float]] = {(how, role): [] for how in ("engine", "page") for role in ROLES}
    device = ""
    with app("--offline") as started, playground() as opened:
        api, pair = started.client(), opened.catalog.default_pair.id
        ways = {
            "page": lambda: api.predict(prompt=PROMPT, pair=pair, seed=SEED, use_cache=False, api_name="/compare"),
            "engine": lambda: measured(opened, use_cache=False)[0],
        }
        for turn in range(-1, runs):
            # Each first in every other round.
            said = {how: ways[how]() for how in (ways if turn % 2 else reversed(ways))}
            if turn < 0:  # both load and warm their models
                continue
            device = said["page"]["device"]
            for how, document in said.items():
                for lane in document["lanes"]:
                    totals[how, lane["role"]].append(lane["seconds"]["total"])
    rows = []
    for role in ROLES:
        page, engine = totals["page", role], totals["engine", role]
        ratio = median(page) / median(engine)
        rows.append({"lane": role, **spread("engine_s", engine), **spread("page_s", page), "ratio": ratio})
    return {
        "device": device,
        "rows": rows,
        "target_ratio": TARGET,
        "ok": all(row["ratio"] <= TARGET for row in rows),
    }
