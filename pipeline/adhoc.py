"""A card for a model that is in no catalogue: a folder on this disk, or the bare id of a Hub repository.

What the repository does not say is taken from a catalogue's model of the same pipeline class, if there is one, and
bounds are set so that nothing is forbidden. Such a model is never part of a pair.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from pipeline.cards import ModelCard, Range, Sizes
from pipeline.catalog import Catalog
from pipeline.errors import ModelError
from pipeline.weights import INDEX, NotDownloaded, cached

HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[0-9a-f]{40}))?")
"""owner/name, and a commit after an @."""

UNKNOWN = ModelCard(
    id="unknown",
    name="Unknown",
    summary="What is taken for a model of a class that no catalogue has.",
    repo="nobody/nothing",
    licence="unknown",
    pipeline="DiffusionPipeline",
    dtypes=("bfloat16", "float32"),
    steps=Range(default=20, min=1, max=200),
    guidance=Range(default=1.0, min=0.0, max=20.0),
    size=Sizes(default=512, min=16, max=2048, multiple=8),
    negative_prompt=True,
    weight_bytes=0,
    reference_seconds_per_evaluation=0.1,
    reference_device="a guess; nothing is known of this model",
)


def catalog_with(catalog: Catalog, model: str) -> Catalog:
    """The catalogue, with a card for ``model`` if it names a folder or a Hub repository that no card describes.

    Anything else is left to the catalogue, which knows how to say that there is no such model.
    Raises ModelError if the folder is no pipeline, NotDownloaded if the repository is not on this disk.
    """
    if model in catalog.models:
        return catalog
    folder = Path(model).expanduser()
    if folder.is_dir():
        card = _card(catalog, model, folder.absolute(), path=str(folder.absolute()))
    elif found := HUB_ID.fullmatch(model):
        card = _hub_card(catalog, found["repo"], found["revision"], model)
    else:
        return catalog
    return catalog.model_copy(update={"models": catalog.models | {card.id: card}})


def _hub_card(catalog: Catalog, repo: str, revision: str | None, model: str) -> ModelCard:
    """The card of a downloaded Hub repository."""
    index = cached(repo, revision, INDEX)
    if index is None:
        raise NotDownloaded(f"{model} is not on this machine yet; fetch it with: python -m pipeline download {model}")
    return _card(catalog, model, index.parent, repo=repo, revision=revision)


def _card(catalog: Catalog, model: str, folder: Path, **source: str | None) -> ModelCard:
    try:
        pipeline = json.loads((folder / INDEX).read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{model} has no readable {INDEX}; a pipeline in diffusers' layout is needed.") from None
    files = list(folder.glob("*/*.safetensors"))
    if not files:
        raise ModelError(f"{model} has no safetensors files, and other weights are not read; convert them first.")
    parts = Counter()
    for file in files:
        parts[file.parent.name] += file.stat().st_size
    like = next((card for card in catalog.models.values() if card.pipeline == pipeline), UNKNOWN)
    return ModelCard(
        id=model,
        name=model.rstrip("/").rpartition("/")[2] or model,
        summary="In no catalogue: steps, guidance and sizes are not checked against the model.",
        **source,
        licence="see its page or folder",
        pipeline=str(pipeline),
        dtypes=UNKNOWN.dtypes if like.bundled else like.dtypes,
        steps=Range(default=like.steps.default, min=1, max=200),
        guidance=Range(default=like.guidance.default, min=0.0, max=20.0),
        guidance_off=like.guidance_off,
        size=Sizes(default=like.size.default, min=16, max=2048, multiple=like.size.multiple),
        negative_prompt=like.negative_prompt,
        call=like.call,
        weight_bytes=parts.total(),
        part_bytes=parts,
        reference_seconds_per_evaluation=UNKNOWN.reference_seconds_per_evaluation,
        reference_device=UNKNOWN.reference_device,
    )
