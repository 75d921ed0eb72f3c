"""What the type of the weights brings a model here: the same requests in float32 and in the 16-bit type of its card.

``float32_s`` and ``sixteen_s``: encode + denoise + decode of warm pictures, taken in turns; ``ratio`` is 16 bits over
float32. On a processor 16 bits are bfloat16, also where Diptych itself would not take it: by this bench it is decided
where it does (device.py). ``psnr_db`` tells how near the two pictures are. Both are in memory at once. Leaves out
loading. A model of float32 alone, such as the bundled ones, is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, Subject, different, playground, spread
from pipeline.catalog import DTYPE_BYTES, ModelCard
from pipeline.device import find_facts
from pipeline.engine import Engine
from pipeline.errors import InputError
from pipeline.events import final_results
from pipeline.quality import fidelity
from pipeline.timing import median_seconds


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """The same model in float32 and in 16 bits: their ratio."""
    with playground(subject) as opened:
        backend = LocalBackend(facts=replace(find_facts(), bf16=True))
        backend.any_picture = True
        rows = []
        for request in different(opened):
            card = opened.catalog.model(request.model)
            if "float32" in card.dtypes:
                raise InputError(f"model must have weights of 16 bits for this bench; {card.id} has float32.")
            wide = in_float32(card)
            engine = Engine(opened.catalog.model_copy(update={"models": {card.id: card, wide.id: wide}}), backend)
            ways = [request.model_copy(update={"model": wide.id}), request]
            list(engine.warm_up(ways))
            seconds: list[list[float]] = [[], []]
            for _ in range(runs):
                results = [final_results(engine.run([way]))[0] for way in ways]
                for taken, result in zip(seconds, results, strict=True):
                    taken.append(result.timings.total)
            rows.append(
                {
                    "model": card.id,
                    **spread("float32_s", seconds[0]),
                    "sixteen": results[1].dtype,
                    **spread("sixteen_s", seconds[1]),
                    "ratio": median_seconds(seconds[1]) / median_seconds(seconds[0]),
                    "psnr_db": (fidelity(*(result.image for result in results)) or {}).get("psnr_db"),
                }
            )
            backend.residency.evict_all()
    return {"device": backend.device().name, "rows": rows}


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
