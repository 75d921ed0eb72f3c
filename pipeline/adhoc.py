"""A card for a model that is in no catalogue: a folder on this disk, or the bare id of a Hub repository.

What the repository does not say is taken from a catalogue's model of the same pipeline class, if there is one, and
bounds are set so that nothing is forbidden. Such a model is never part of a pair.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from pipeline.cards import DTYPE_BYTES, REPO, Dtype, ModelCard, Range, Sizes
from pipeline.catalog import Catalog
from pipeline.disk import place_of
from pipeline.errors import ModelError
from pipeline.weights import INDEX, NotDownloaded, cached
from pipeline.wording import slug

HUB_ID = re.compile(rf"(?P<repo>{REPO})(?:@(?P<revision>[0-9a-f]{{40}}))?")
"""owner/name, and a commit after an @."""
HEADER_MAX = 10**8
"""Bytes of a safetensors file's header; its readers take no larger one."""
SHARD = re.compile(r"-\d+-of-\d+")
STORED = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of a number in a safetensors file, of the types that loading turns into another."""

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
    weight_bytes=1,
    reference_seconds_per_evaluation=0.1,
    reference_device="a guess; nothing is known of this model",
)


def catalog_with(catalog: Catalog, model: str) -> Catalog:
    """The catalogue, with a card for ``model`` if it names a folder or a Hub repository that no card describes. It is
    found under what was given and under its id.

    Anything else is left to the catalogue, which knows how to say that there is no such model.
    Raises ModelError if there is no such folder or it is no pipeline, NotDownloaded if the repository is not on this
    disk.
    """
    if model in catalog.models:
        return catalog
    folder = place_of(model)
    folder = folder.resolve() if ".." in folder.parts else folder  # otherwise a link keeps its own name
    if folder.is_dir():
        # The id stands in pictures, history and reports, and a path may name whoever has it at home.
        own = f"{slug(folder.name, 'folder')}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
        card = _card(catalog, model, folder, id=own, name=folder.name or own, path=str(folder))
    elif found := HUB_ID.fullmatch(model):
        card = _hub_card(catalog, found["repo"], found["revision"], model)
    elif set(model) & {"/", os.sep}:
        raise ModelError(f"There is no folder {model}, and the Hub has no such names; name a folder with a pipeline.")
    else:
        return catalog
    return catalog.model_copy(update={"models": catalog.models | {model: card, card.id: card}})


def _hub_card(catalog: Catalog, repo: str, revision: str | None, model: str) -> ModelCard:
    """The card of a downloaded Hub repository."""
    index = cached(repo, revision, INDEX)
    if index is None:
        raise NotDownloaded(f"{model} is not on this machine yet; fetch it with: python -m pipeline download {model}")
    name = model.rpartition("/")[2]
    return _card(catalog, model, index.parent, id=model, name=name, repo=repo, revision=revision)


def _card(catalog: Catalog, model: str, folder: Path, **own: str | None) -> ModelCard:
    """``own``: id, name and source."""
    try:
        pipeline = json.loads((folder / INDEX).read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{model} has no readable {INDEX}; a pipeline in diffusers' layout is needed.") from None
    like = next((card for card in catalog.models.values() if card.pipeline == pipeline), UNKNOWN)
    dtypes = UNKNOWN.dtypes if like.bundled else like.dtypes
    parts = _part_bytes(folder, dtypes[0])
    if not parts:
        raise ModelError(f"{model} has no safetensors files, and other weights are not read; convert them first.")
    return ModelCard(
        **own,
        summary="In no catalogue: steps, guidance and sizes are not checked against the model.",
        licence="see its page or folder",
        pipeline=str(pipeline),
        dtypes=dtypes,
        steps=Range(default=like.steps.default, min=1, max=200),
        guidance=Range(default=like.guidance.default, min=0.0, max=20.0),
        guidance_off=like.guidance_off,
        size=Sizes(default=like.size.default, min=16, max=2048, multiple=like.size.multiple),
        negative_prompt=like.negative_prompt,
        call=like.call,
        weight_bytes=sum(parts.values()),
        part_bytes=parts,
        reference_seconds_per_evaluation=UNKNOWN.reference_seconds_per_evaluation,
        reference_device=UNKNOWN.reference_device,
    )


def _part_bytes(folder: Path, dtype: Dtype) -> dict[str, int]:
    """Bytes of every component in this type. Of several variants (model.safetensors, model.fp16.safetensors) one
    counts: the plain one if it is there, which is what is loaded."""
    parts: dict[str, dict[str, int]] = {}
    for file in folder.glob("*/*.safetensors"):
        variant = SHARD.sub("", file.stem).partition(".")[2]
        sizes = parts.setdefault(file.parent.name, {})
        sizes[variant] = sizes.get(variant, 0) + _bytes_as(file, dtype)
    return {part: sizes[min(sizes)] for part, sizes in parts.items()}


def _bytes_as(file: Path, dtype: Dtype) -> int:
    """Bytes of a safetensors file's tensors once they are held in this type; of one that cannot be read, which loading
    will tell, those that it has. Its header, JSON behind its own length: https://github.com/huggingface/safetensors"""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            tensors = json.loads(stream.read(min(length, HEADER_MAX)))
        tensors.pop("__metadata__", None)
        found = [(each["dtype"], each["data_offsets"]) for each in tensors.values()]
        return sum(
            (end - begin) * DTYPE_BYTES[dtype] // STORED.get(kind, DTYPE_BYTES[dtype]) for kind, (begin, end) in found
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return size
