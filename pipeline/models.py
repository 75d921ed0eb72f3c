"""What can run on this machine and what cannot, with the reason. Loads nothing."""

from __future__ import annotations

from typing import Any

from pipeline.catalog import Catalog, ModelCard, check_files
from pipeline.errors import ModelError


def models_document(catalog: Catalog) -> dict[str, Any]:
    """All models and pairs of the catalogue."""
    return {
        "models": [_model(card) for card in catalog.models.values()],
        "pairs": [
            {
                "id": pair.id,
                "name": pair.name,
                "question": pair.question,
                "predecessor": pair.predecessor.model,
                "efficient": pair.efficient.model,
                "same_path": pair.same_path,
            }
            for pair in catalog.pairs.values()
        ],
    }


def _model(card: ModelCard) -> dict[str, Any]:
    try:
        check_files(card)
        why_not = None
    except ModelError as error:
        why_not = str(error)
    return {
        "id": card.id,
        "name": card.name,
        "summary": card.summary,
        "source": card.source,
        "licence": card.licence,
        "weight_bytes": card.weight_bytes,
        "steps": card.steps.model_dump(),
        "guidance": card.guidance.model_dump(),
        "size": card.size.model_dump(),
        "negative_prompt": card.negative_prompt,
        "runs_here": why_not is None,
        "why_not": why_not,
    }
