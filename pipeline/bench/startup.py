"""From nothing to the page, and to the first comparison, each in a process of its own.

``page_s``: from starting ``python app.py`` until GET / answers 200. ``comparison_s``: from the same start until a
client of the page's API, which asks as soon as the page is there, has both pictures. Beside them, taken in turns:
``import_gradio_s``, a Python process that only imports Gradio, and ``script_s``, one that imports diffusers, loads
the predecessor and draws one picture. The machine's file cache is as it is and the first turn often the slowest, so
the median is told with its spread. Leaves out the browser, which has its own work before it shows a page.
Target: page_s <= 1.3 x import_gradio_s + 1.5.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

from pipeline.bench.app import LIMIT_S, app
from pipeline.bench.common import PROMPT, SEED, spread
from pipeline.catalog import load_catalog
from pipeline.errors import PlaygroundError
from pipeline.request import make_request

SCRIPT = """
import json, sys
import torch
from diffusers import DiffusionPipeline

folder, prompt, seed, call = sys.argv[1:]
pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
pipe(prompt, generator=torch.Generator("cpu").manual_seed(int(seed)), **json.loads(call))
"""


def run(runs: int) -> dict[str, Any]:
    """Seconds to the page and to the first comparison, in fresh processes."""
    catalog = load_catalog()
    pair = catalog.default_pair
    card = catalog.model(pair.predecessor.model)
    request = make_request(card, PROMPT, seed=SEED)
    call = {
        **card.call,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "width": request.width,
        "height": request.height,
    }
    seconds: dict[str, list[float]] = {"page_s": [], "comparison_s": [], "import_gradio_s": [], "script_s": []}
    for _ in range(runs):
        seconds["import_gradio_s"].append(_process_seconds("import gradio"))
        page, comparison, device = _app_seconds(pair.id)
        seconds["page_s"].append(page)
        seconds["comparison_s"].append(comparison)
        seconds["script_s"].append(_process_seconds(SCRIPT, card.folder, PROMPT, SEED, json.dumps(call)))
    limit = 1.3 * median(seconds["import_gradio_s"]) + 1.5
    return {
        "device": device,
        "rows": [{"what": name.removesuffix("_s"), **spread("seconds", values)} for name, values in seconds.items()],
        "page_limit_s": limit,
        "page_ok": median(seconds["page_s"]) <= limit,
    }


def _process_seconds(code: str, *arguments: object) -> float:
    """Seconds of a Python process that runs ``code``. Raises PlaygroundError with its last words if it fails."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    begin = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)  # noqa: S603
    seconds = time.perf_counter() - begin
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no word"])[-1]
        raise PlaygroundError(f"A process that is only there to compare with failed: {last}")
    return seconds


def _app_seconds(pair: str) -> tuple[float, float, str]:
    """Seconds until the page answers, and until the first comparison is there; and what that was made on."""
    import gradio_client  # noqa: F401  slow, and the client's own affair

    begin = time.perf_counter()
    with app("--offline") as started:
        page = time.perf_counter() - begin
        document = started.client().predict(prompt=PROMPT, pair=pair, seed=SEED, api_name="/compare")
        return page, time.perf_counter() - begin, document["device"]
