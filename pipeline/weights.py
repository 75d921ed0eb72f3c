"""Where a model's weights lie on this disk, and what exactly they are. Reads no network and no tensors.

A model is bundled, a user's own folder, or a snapshot in the cache of huggingface_hub; pipeline.download brings the
last kind here, and only when asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.cards import JudgeCard, ModelCard, Part
from pipeline.checksums import check_files
from pipeline.errors import ModelError

AnyCard = TypeVar("AnyCard", ModelCard, JudgeCard)
COMMON = ("text_encoder", "tokenizer", "vae")
"""What the names of components begin with that two models can hold in common: never the denoiser, on which switches
and low-rank weights are put."""
INDEX = "model_index.json"
JUDGE_FILES = ("config.json", "preprocessor_config.json")
JUDGE_WORDS = ("tokenizer.json", "vocab.json")
"""Either will do. Without one transformers makes a tokenizer that knows no word, and says nothing."""
LORA = "lora"


class NotDownloaded(ModelError):
    """The model is on the Hub and not, or not wholly, on this disk."""


@dataclass(frozen=True)
class Weights:
    """``folder``: the pipeline in diffusers' layout. ``parts``: what replaces a component of it, a file or a folder,
    and the low-rank weights under the name "lora". ``fingerprint`` changes when anything of it does. ``contents``: a
    digest of each component that two models could hold in common, where the disk tells it without reading.
    ``preview_vae``: its folder, if it is here; it decides no picture."""

    folder: Path
    fingerprint: str
    parts: dict[str, Path] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    preview_vae: Path | None = None


def locate(card: ModelCard) -> Weights:
    """The weights of ``card`` on this disk.

    Raises NotDownloaded for a model of the Hub that is not here, ModelError for a damaged or useless folder.
    """
    if card.bundled:
        return Weights(card.folder, check_files(card))
    if card.folder is not None:
        folder, marks = card.folder, [_own_folder(card)]
    else:
        index = cached(card.repo, card.revision, INDEX)
        if index is None or missing(index.parent, card):
            raise NotDownloaded(_not_here(card))
        folder, marks = index.parent, [_commit(index)]
    parts = {name: _place(card, name, part) for name, part in parts_of(card).items()}
    marks += [f"{name}={_mark(part, parts[name])}" for name, part in parts_of(card).items()]
    contents = dict(_contents(folder, parts, card.variant))
    return Weights(folder, "+".join(marks), parts, contents, _preview_vae(card.preview_vae))


def _place(card: ModelCard, name: str, part: Part) -> Path:
    """Where a part that comes from elsewhere lies: a file of weights, or a component's folder."""
    if part.path:
        place = Path(part.path, part.file or "")
        if not (place.is_file() or _has_weights(place)):
            raise ModelError(f"{card.name} takes its {name} from {place}, where no safetensors weights are.")
        return place
    place = cached(part.repo, part.revision, part.file or "config.json")
    place = place.parent if place and not part.file else place
    if place is None or not (part.file or _has_weights(place)):
        raise NotDownloaded(_not_here(card))
    return place


def _preview_vae(part: Part | None) -> Path | None:
    if part is None:
        return None
    config = Path(part.path, "config.json") if part.path else cached(part.repo, part.revision, "config.json")
    return config.parent if config and config.is_file() and _has_weights(config.parent) else None


def _mark(part: Part, place: Path) -> str:
    """Changes when the part does."""
    if not part.path:
        return _commit(place)
    return _digest_of_all(place) if place.is_dir() else _digest(place.parent, [place])


def _contents(folder: Path, parts: Mapping[str, Path], variant: str | None) -> Iterator[tuple[str, str]]:
    """Component and digest. huggingface_hub's cache links to files that are named by their content's hash."""
    for name in sorted({path.name for path in folder.iterdir() if path.is_dir()} | parts.keys()):
        place = parts.get(name, folder / name)
        if not name.startswith(COMMON) or not place.is_dir():
            continue
        marked = f".{variant}" if variant and name not in parts else ""
        files = [path for path in place.glob("*.safetensors") if marked in path.name]
        if name.startswith("tokenizer"):
            files = [path for path in place.iterdir() if path.is_file()]
        if files and all(path.is_symlink() and path.resolve().parent.name == "blobs" for path in files):
            named = sorted(path.resolve().name for path in files)
            yield name, hashlib.sha256(json.dumps([named, _config(place)]).encode()).hexdigest()


def _config(component: Path) -> dict[str, Any]:
    """A component's settings, without what only says who wrote them."""
    try:
        settings = json.loads((component / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or damaged, which loading will say
        return {}
    said = ("transformers_version", "torch_dtype", "dtype")
    return {key: settings[key] for key in sorted(settings) if not key.startswith("_") and key not in said}


def locate_judge(card: JudgeCard) -> tuple[Path, str]:
    """The judge's folder, and what changes when anything in it does. Raises as :func:`locate` does."""
    if card.path:
        folder = Path(card.path)
        lacks = [name for name in JUDGE_FILES if not (folder / name).is_file()]
        lacks += [] if any((folder / name).is_file() for name in JUDGE_WORDS) else [JUDGE_WORDS[0]]
        lacks += [] if _has_weights(folder) else ["safetensors weights"]
        if lacks:
            raise ModelError(
                f"{card.name} lacks {lacks[0]} in its {card.source}; a CLIP in transformers' layout is needed."
            )
        return folder, _digest(folder, sorted(path for path in folder.iterdir() if path.is_file()))
    files = {name: cached(card.repo, card.revision, name) for name in (*JUDGE_FILES, *JUDGE_WORDS, "model.safetensors")}
    words = [files.pop(name) for name in JUDGE_WORDS]
    if not any(words) or None in files.values():
        raise NotDownloaded(_not_here(card))
    return files[JUDGE_FILES[0]].parent, card.revision


def is_here(card: ModelCard | JudgeCard) -> bool:
    """Whether all of it is on this disk, undamaged."""
    try:
        locate(card) if isinstance(card, ModelCard) else locate_judge(card)
    except ModelError:
        return False
    return True


def to_fetch(cards: Iterable[AnyCard]) -> list[AnyCard]:
    """Those that are on the Hub and not, or not wholly, on this disk."""
    return [card for card in cards if card.repo and not is_here(card)]


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
    """A safetensors file of this variant and, where an index lists several, all of them."""
    indices = list(component.glob(f"*.safetensors.index.{variant}.json" if variant else "*.safetensors.index.json"))
    files = [path for path in component.glob("*.safetensors") if is_variant(path.name, variant)]
    try:
        shards = {name for index in indices for name in json.loads(index.read_text())["weight_map"].values()}
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return bool(files) and all((component / shard).exists() for shard in shards)


def is_variant(file: str, variant: str | None) -> bool:
    """Whether a safetensors file is of this variant by its name, None the plain one: model.fp16-00001-of-00002 is
    fp16's."""
    marks = file.removesuffix(".safetensors").split(".")[1:]
    return variant in (mark.partition("-")[0] for mark in marks) if variant else not marks


def _own_folder(card: ModelCard) -> str:
    folder = card.folder
    if not folder.is_dir():
        raise ModelError(f"{card.name} lies in {folder}, which is no folder; correct its path.")
    if lacks := missing(folder, card):
        raise ModelError(f"{card.name} in {folder} lacks {lacks}; a folder in diffusers' layout is needed.")
    return _digest_of_all(folder)


def _digest_of_all(folder: Path) -> str:
    return _digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def _digest(folder: Path, files: Iterable[Path]) -> str:
    """Of names, sizes and times: reading gigabytes to hash them would take minutes each time."""
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        digest.update(f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _commit(place: Path) -> str:
    """The commit out of …/models--OWNER--NAME/snapshots/COMMIT/…"""
    from huggingface_hub import constants

    return place.relative_to(constants.HF_HUB_CACHE).parts[2]


def _not_here(card: ModelCard | JudgeCard) -> str:
    return (
        f"{card.name} is not on this machine yet; fetch its {card.weight_bytes / 1e9:.1f} GB with: "
        f"python -m pipeline download {card.id}"
    )
