"""assets/catalog.toml -> ModelCard and Pair.

Knows what models there are, their limits and where their weights lie. Does not know how to load or run one.
A new model is data: nothing in the code names a single model.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError, ModelError, shown

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SUMS = "SHA256SUMS"

Role = Literal["predecessor", "efficient"]
ROLES: tuple[Role, ...] = ("predecessor", "efficient")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Data):
    """An inclusive range with the value used when nobody says otherwise."""

    default: float
    min: float
    max: float


class Sizes(_Data):
    """Picture sizes in pixels that a model can make."""

    default: int
    min: int
    max: int
    multiple: int


class ModelCard(_Data):
    """Everything the engine and the page need to know about one model, without loading it."""

    id: str
    name: str
    summary: str
    path: str | None = None
    """Folder below assets/ for a bundled model."""
    repo: str | None = None
    """Hub repository for a downloaded one; needs ``revision``."""
    revision: str | None = None
    licence: str
    licence_url: str | None = None
    pipeline: str
    """Name of the diffusers pipeline class."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the weights on a GPU. A CPU always computes in float32."""
    steps: Range
    guidance: Range
    size: Sizes
    negative_prompt: bool
    """False where the model has no second, unconditional evaluation to steer away with."""
    fixed_guidance: str | None = None
    """Why guidance cannot be changed; None where it can."""
    call: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further arguments of the pipeline call, the same for every request."""
    shared: dict[str, str] = Field(default_factory=dict)
    """Component name -> key. Two models whose keys are equal hold that component in memory once."""
    weight_bytes: int
    reference_seconds_per_evaluation: float
    """Seconds of one network evaluation at the default size, for an estimate before anything has run here."""
    reference_device: str

    @model_validator(mode="after")
    def _has_one_source(self) -> ModelCard:
        if bool(self.path) == bool(self.repo) or (self.repo and not self.revision):
            raise ValueError("a model needs a path, or a repo with its revision")
        return self

    def evaluations(self, steps: int, guidance: float) -> int:
        """Network evaluations for one picture: classifier-free guidance evaluates twice a step."""
        return steps * (2 if self.negative_prompt and guidance > 1 else 1)

    @property
    def folder(self) -> Path | None:
        """Where a bundled model lies; None for one that comes from the Hub."""
        return ASSETS / self.path if self.path else None

    @property
    def source(self) -> str:
        """Where the weights come from, as a person would write it."""
        return f"bundled ({self.path})" if self.path else f"{self.repo}@{(self.revision or '')[:12]}"


class Lane(_Data):
    """One side of a pair: a model, and its settings where they differ from the model's own."""

    model: str
    steps: int | None = None
    guidance: float | None = None


class Pair(_Data):
    """A predecessor and the efficient model that wants to replace it."""

    id: str
    name: str
    question: str
    predecessor: Lane
    efficient: Lane
    same_path: bool
    """True where both map the same noise to the same picture, so that PSNR and SSIM mean something."""

    def lane(self, role: Role) -> Lane:
        return self.predecessor if role == "predecessor" else self.efficient


class Catalog(_Data):
    """All models and pairs. ``default_pair`` is the first pair of the file."""

    models: dict[str, ModelCard]
    pairs: dict[str, Pair]

    @property
    def default_pair(self) -> Pair:
        return next(iter(self.pairs.values()))

    def model(self, model_id: object) -> ModelCard:
        """The card of ``model_id``. Raises InputError with the known ids."""
        return _known(self.models, "model", model_id)

    def pair(self, pair_id: object) -> Pair:
        """The pair of ``pair_id``; None gives the default. Raises InputError with the known ids."""
        return self.default_pair if pair_id is None else _known(self.pairs, "pair", pair_id)


def _known(table: dict, kind: str, key: object):
    if not isinstance(key, str) or key not in table:
        raise InputError(f"{kind} must be one of {', '.join(table)}; got {shown(key)}.")
    return table[key]


def load_catalog(path: Path = ASSETS / "catalog.toml") -> Catalog:
    """Read and check a catalogue file. Raises ModelError naming the file and the first fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        catalog = Catalog.model_validate(
            {table: {key: value | {"id": key} for key, value in raw[table].items()} for table in ("models", "pairs")}
        )
    except ValidationError as error:
        raise ModelError(f"The catalogue {path} is wrong at {first_fault(error)}.") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"The catalogue {path} cannot be read ({error}); correct or restore the file.") from error
    if not catalog.pairs:
        raise ModelError(f"The catalogue {path} is wrong at pairs: it must name at least one pair.")
    for pair in catalog.pairs.values():
        for role in ROLES:
            if pair.lane(role).model not in catalog.models:
                raise ModelError(
                    f"The catalogue {path} is wrong at {pair.id}.{role}: there is no model {pair.lane(role).model!r}."
                )
    return catalog


def first_fault(error: ValidationError) -> str:
    """The first fault of a data file, as "field: what is wrong"."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of what is loaded from ``folder``, in the format of sha256sum, for :func:`check_files`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (SUMS, "README.md"))
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_once(path: Path, size: int, mtime_ns: int) -> str:
    """Read only when the file's size or time is new: the Models tab and every load ask for all files."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_files(card: ModelCard) -> str:
    """Compare a bundled model's files with the SHA256SUMS beside them and return a fingerprint of all of them.

    The fingerprint stands in for a Hub revision: it changes when any weight or setting changes.
    Raises ModelError naming the first file that is missing or damaged.
    """
    folder = card.folder
    if folder is None:
        return card.revision or ""
    sums = folder / SUMS
    file = sums
    try:
        listing = sums.read_text(encoding="utf-8")
        for line in listing.splitlines():
            expected, _, name = line.partition("  ")
            file = folder / name
            if _sha256(file) != expected:
                raise _broken(card, "has a damaged file", file)
    except FileNotFoundError:
        raise _broken(card, "lacks its file", file) from None
    except (OSError, ValueError):
        raise _broken(card, "has a file that cannot be read:", file) from None
    return hashlib.sha256(listing.encode()).hexdigest()


def _broken(card: ModelCard, what: str, file: Path) -> ModelError:
    """Names the file from the repository's root: a page shows this, and need not tell where the repository lies."""
    shown = file.relative_to(ASSETS.parent) if file.is_relative_to(ASSETS.parent) else file.name
    return ModelError(f"{card.name} {what} {shown}; restore it with: git checkout -- assets/models")
