"""What torch.compile brings a model: the same requests with and without the switch ``compile``.

``first_…_s``: the first picture once the weights are in memory, its warm-up included, in which the compiling is done;
the compiler begins with an empty cache on the disk. ``plain_s`` and ``compiled_s``: encode + denoise + decode of the
pictures after it, taken in turns. ``ratio`` is compiled over plain; ``pays_after`` the pictures after which the first
one's delay is made good, null where it never is. ``psnr_db`` tells how near the two pictures are, null for equal ones.
Both pipelines are in memory at once. Leaves out loading; one size only, and another would compile anew.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, Subject, different, playground, spread
from pipeline.engine import Engine
from pipeline.events import final_results
from pipeline.quality import fidelity
from pipeline.request import ImageRequest
from pipeline.switching import check_supported

SWITCH = "compile"
CACHE = "TORCHINDUCTOR_CACHE_DIR"


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """The same model compiled and not: first picture, those after it, their ratio."""
    with playground(subject) as opened:
        backend = opened.engine.backend
        lanes = different(opened)
        for lane in lanes:
            check_supported(opened.catalog.model(lane.model), (SWITCH,), backend.device().kind)
        rows = []
        for lane in lanes:
            with _empty_cache():
                rows.append(_row(opened.engine, backend, lane, runs))
            backend.residency.evict_all()
    return {"device": backend.device().name, "rows": rows}


def _row(engine: Engine, backend: LocalBackend, plain: ImageRequest, runs: int) -> dict[str, Any]:
    ways = {"plain": plain, "compiled": plain.model_copy(update={"switches": (SWITCH,)})}
    first, seconds, images = {}, {way: [] for way in ways}, {}
    for way, request in ways.items():
        # On a thread that ends: torch keeps helpers for every thread that calls it, and with those of this one beside
        # the device thread's every picture took 1.6 times as long.
        with ThreadPoolExecutor(1) as passing:
            passing.submit(backend.place, engine.catalog.model(request.model), request).result()
        begin = time.perf_counter()
        [result] = final_results(engine.run([request]))
        first[way], images[way] = time.perf_counter() - begin, result.image
    for turn in range(runs):
        for way, request in ways.items():
            [result] = final_results(
                engine.run([request.model_copy(update={"prompt": f"{plain.prompt}, number {turn}"})])
            )
            seconds[way].append(result.timings.total)
    gain = median(seconds["plain"]) - median(seconds["compiled"])
    return {
        "model": plain.model,
        **{f"first_{way}_s": taken for way, taken in first.items()},
        **spread("plain_s", seconds["plain"]),
        **spread("compiled_s", seconds["compiled"]),
        "ratio": median(seconds["compiled"]) / median(seconds["plain"]),
        "pays_after": math.ceil(max(0.0, first["compiled"] - first["plain"]) / gain) if gain > 0 else None,
        "psnr_db": (fidelity(images["plain"], images["compiled"]) or {}).get("psnr_db"),
    }


@contextmanager
def _empty_cache() -> Iterator[None]:
    """What was compiled before, in this process or on the disk, is not found again."""
    import torch

    torch.compiler.reset()
    before = os.environ.get(CACHE)
    with tempfile.TemporaryDirectory(prefix="diptych-compiled-", ignore_cleanup_errors=True) as folder:
        os.environ[CACHE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[CACHE]
            else:
                os.environ[CACHE] = before
