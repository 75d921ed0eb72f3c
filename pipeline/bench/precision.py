"""What the type of the weights brings a model here: the same requests in float32 and in the 16-bit type of its card.

``float32_s`` and ``sixteen_s``: encode + denoise + decode of warm pictures, taken in turns, each first in every other
round; ``ratio`` is 16 bits over float32. On a processor 16 bits are bfloat16, also where Diptych itself would not take
it: by this bench it is decided where it does (device.py). ``psnr_db`` tells how near the two pictures are. Both are in
memory at once and whole, or the bench says that there is no room. Leaves out loading. A model whose card lists float32,
as the bundled ones' does, is refused.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, Subject, different, playground, spread
from pipeline.cards import DTYPE_BYTES, ModelCard
from pipeline.device import find_facts
from pipeline.engine import Engine
from pipeline.errors import InputError, ModelError
from pipeline.events import Result, final_results
from pipeline.fit import fit_model
from pipeline.quality import fidelity
from pipeline.request import ImageRequest


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """The same model in float32 and in 16 bits: their ratio."""
    with playground(subject) as opened:
        backend = LocalBackend(facts=replace(find_facts(), bf16=True), any_picture=True)
        lanes = different(opened)
        cards = [opened.catalog.model(lane.model) for lane in lanes]
        if wrong := next((card.id for card in cards if "float32" in card.dtypes), None):
            raise InputError(f"model must have weights of 16 bits for this bench; {wrong} has float32.")
        wide = {card.id: in_float32(card) for card in cards}
        known = {card.id: card for card in (*cards, *wide.values())}
        # One engine, so one thread: torch keeps helpers for every thread, and those of two slow each other.
        engine = Engine(opened.catalog.model_copy(update={"models": known}), backend)
        rows = []
        for lane in lanes:
            ways = [lane.model_copy(update={"model": wide[lane.model].id}), lane]
            rows.append(_row(engine, backend, ways, runs))
            backend.residency.evict_all()
    return {"device": backend.device().name, "rows": rows}


def _row(engine: Engine, backend: LocalBackend, ways: list[ImageRequest], runs: int) -> dict[str, Any]:
    """``ways``: the request in float32 and in 16 bits."""
    list(engine.warm_up(ways))
    plans = [fit_model(engine.catalog.model(way.model), backend.facts).plan for way in ways]
    if len(backend.residency) < len(ways) or not all(plan.whole for plan in plans) or plans[1].dtype == "float32":
        raise ModelError(f"{ways[1].model} does not fit this machine whole in float32 and in 16 bits at once.")
    results: list[Result] = []
    seconds: list[list[float]] = [[], []]
    for turn in range(runs):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            [result] = final_results(engine.run([ways[which]]))
            seconds[which].append(result.timings.total)
            results.append(result)
    wide, narrow = results[:2]
    return {
        "model": ways[1].model,
        **spread("float32_s", seconds[0]),
        "sixteen": narrow.dtype,
        **spread("sixteen_s", seconds[1]),
        "ratio": median(seconds[1]) / median(seconds[0]),
        "psnr_db": (fidelity(wide.image, narrow.image) or {}).get("psnr_db"),
    }


def in_float32(card: ModelCard) -> ModelCard:
    """The same weights under another id, held and computed in float32; shared with nobody."""
    wider = DTYPE_BYTES["float32"] // DTYPE_BYTES[card.dtypes[0]]
    changed = {
        "id": f"{card.id}-float32",
        "dtypes": ("float32",),
        "shared": {},
        "weight_bytes": card.weight_bytes * wider,
        "part_bytes": {name: size * wider for name, size in card.part_bytes.items()},
        "memory_bytes": card.memory_bytes and card.memory_bytes * wider,
    }
    return card.model_copy(update=changed)
