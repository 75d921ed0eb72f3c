"""Where a model's weights lie on this disk, and what exactly they are. Reads no network and no tensors.

A model is bundled, a user's own folder, or a snapshot in the cache of huggingface_hub; pipeline.download brings the
last kind here, and only when asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.catalog import ModelCard, Part, check_files
from pipeline.errors import ModelError

INDEX = "model_index.json"
LORA = "lora"


class NotDownloaded(ModelError):
    """The model is on the Hub and not, or not wholly, on this disk."""


@dataclass(frozen=True)
class Weights:
    """``folder``: the pipeline in diffusers' layout. ``parts``: what replaces a component of it, a file or a folder,
    and the low-rank weights under the name "lora". ``fingerprint`` changes when anything of it does."""

    folder: Path
    fingerprint: str
    parts: dict[str, Path] = field(default_factory=dict)


def locate(card: ModelCard) -> Weights:
    """The weights of ``card`` on this disk.

    Raises NotDownloaded for a model of the Hub that is not here, ModelError for a damaged or useless folder.
    """
    if card.bundled:
        return Weights(card.folder, check_files(card))
    if card.folder is not None:
        return Weights(card.folder, _own_folder(card))
    index = cached(card.repo, card.revision, INDEX)
    if index is None or missing(index.parent, card):
        raise NotDownloaded(_not_here(card))
    parts = {}
    for name, part in parts_of(card).items():
        place = cached(part.repo, part.revision, part.file or "config.json")
        place = place.parent if place and not part.file else place
        if place is None or not (part.file or _has_weights(place)):
            raise NotDownloaded(_not_here(card))
        parts[name] = place
    commits = [_commit(index), *(f"{name}={_commit(place)}" for name, place in parts.items())]
    return Weights(index.parent, "+".join(commits), parts)


def is_here(card: ModelCard) -> bool:
    """Whether all of it is on this disk, undamaged."""
    try:
        locate(card)
    except ModelError:
        return False
    return True


def parts_of(card: ModelCard) -> dict[str, Part]:
    """Everything that comes from another repository than the model's own."""
    return card.replace | ({LORA: card.lora} if card.lora else {})


def cached(repo: str, revision: str | None, file: str) -> Path | None:
    """A repository's file in huggingface_hub's cache, by the path …/snapshots/COMMIT/file; without a revision, of the
    commit that the last download of its main branch found."""
    from huggingface_hub import try_to_load_from_cache

    place = try_to_load_from_cache(repo, file, revision=revision)
    return Path(place) if isinstance(place, str) else None


def missing(folder: Path, card: ModelCard) -> str | None:
    """What a pipeline's folder still lacks to be loaded, for a person; None where it is whole."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        components = [
            name
            for name, value in index.items()
            if not name.startswith("_") and isinstance(value, list) and None not in value
        ]
    except FileNotFoundError:
        return f"the file {INDEX}"
    except (OSError, ValueError, AttributeError):
        return f"a readable {INDEX}"
    for name in components:
        part = card.replace.get(name)
        if part is not None and part.file is None:
            continue  # all of it comes from elsewhere
        if not (folder / name).is_dir():
            return f"the folder {name}"
        if part is None and (folder / name / "config.json").is_file() and not _has_weights(folder / name, card.variant):
            return f"the safetensors weights in {name}"
    return None


def _has_weights(component: Path, variant: str | None = None) -> bool:
    """A safetensors file and, where an index lists several, all of them."""
    indices = list(component.glob(f"*.safetensors.index.{variant}.json" if variant else "*.safetensors.index.json"))
    try:
        shards = {name for index in indices for name in json.loads(index.read_text())["weight_map"].values()}
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return bool(list(component.glob("*.safetensors"))) and all((component / shard).exists() for shard in shards)


def _own_folder(card: ModelCard) -> str:
    """Names, sizes and times of a user's files: reading gigabytes to hash them would take minutes each time."""
    folder = card.folder
    if not folder.is_dir():
        raise ModelError(f"{card.name} lies in {folder}, which is no folder; correct its path.")
    if lacks := missing(folder, card):
        raise ModelError(f"{card.name} in {folder} lacks {lacks}; a folder in diffusers' layout is needed.")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _commit(place: Path) -> str:
    """The commit out of …/snapshots/COMMIT/…"""
    return place.parts[place.parts.index("snapshots") + 1]


def _not_here(card: ModelCard) -> str:
    return (
        f"{card.name} is not on this machine yet; fetch its {card.weight_bytes / 1e9:.1f} GB with: "
        f"python -m pipeline download {card.id}"
    )
