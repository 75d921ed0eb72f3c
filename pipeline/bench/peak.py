"""Peak memory of one picture against the figure on the model's card, by which Diptych decides what fits.

One model at a time, all its weights there, the default size and steps. ``peak_mb``: on a GPU the most that torch's
allocator had given out for the model while a picture was made, and ``taken_mb`` the most that it had taken from the
device, which is what other programs see; on a processor the most that the whole process held, interpreter and
libraries included, so that there ``ratio`` to the card's figure, which is a GPU's, is not formed. Target: no more than
1.1 x the card's figure, the headroom that the plans leave. Leaves out CUDA's own context, some hundred megabytes
outside the allocator.
"""

from __future__ import annotations

from typing import Any

from pipeline.bench.common import DEFAULT, Subject, different, playground
from pipeline.cards import ModelCard
from pipeline.events import final_results
from pipeline.fit import HEADROOM


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Peak memory of a picture, measured, beside the card's figure."""
    with playground(subject) as opened:
        backend, rows = opened.engine.backend, []
        kind = backend.device().kind
        for request in different(opened):
            card = opened.catalog.model(request.model)
            results = [final_results(opened.engine.run([request]))[0] for _ in range(runs)]
            peaks = [result.peak_memory_bytes for result in results if result.peak_memory_bytes is not None]
            rows.append(
                {
                    "model": card.id,
                    "size": f"{request.width} x {request.height}",
                    "dtype": results[0].dtype,
                    "placed": backend.resident(card, request).plan.how,
                    "weights_mb": backend.residency.used_bytes() / 1e6,
                    **against_card(max(peaks, default=None), card, kind),
                    "taken_mb": _taken(kind),
                }
            )
            backend.residency.evict_all()
    return {
        "device": backend.device().name,
        "rows": rows,
        "target_ratio": HEADROOM,
        "ok": None if any(row["ratio"] is None for row in rows) else all(row["ratio"] <= HEADROOM for row in rows),
    }


def against_card(peak: int | None, card: ModelCard, kind: str) -> dict[str, Any]:
    """A measured peak on a device of this kind beside what the card says and where it has it from."""
    comparable = kind == "cuda" and peak is not None and card.memory_bytes is not None
    return {
        "peak_mb": None if peak is None else peak / 1e6,
        "card_mb": None if card.memory_bytes is None else card.memory_bytes / 1e6,
        "ratio": peak / card.memory_bytes if comparable else None,
        "card_source": card.memory_source,
    }


def _taken(kind: str) -> float | None:
    if kind != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_reserved() / 1e6
