"""assets/catalog.toml -> ModelCard and Pair.

Knows what models there are, their limits and where their weights lie. Does not know how to load or run one.
A new model is data: nothing in the code names a single model.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InputError, ModelError, shown

ASSETS = Path(__file__).resolve().parent.parent / "assets"

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

    def common(self, other: Sizes) -> Sizes | None:
        """What both make, at the smaller default as far as that is one of them; None where they have no size in
        common."""
        step = math.lcm(self.multiple, other.multiple)
        least = -(-max(self.min, other.min) // step) * step
        most = min(self.max, other.max) // step * step
        if least > most:
            return None
        default = min(max(min(self.default, other.default), least), most) // step * step
        return Sizes(default=default, min=least, max=most, multiple=step)

    def __str__(self) -> str:
        return f"{self.min} to {self.max}" if self.min < self.max else f"{self.min}"


Dtype = Literal["float32", "bfloat16", "float16"]
DTYPE_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
"""A commit of a Hub repository. A branch or a tag is no pin: what it names can change."""


class Part(_Data):
    """One component that comes from elsewhere than the model's own repository or folder: ``repo`` of the Hub, or
    ``path`` of this disk, which in a user's own catalogue may begin at the catalogue's folder."""

    repo: str | None = None
    path: str | None = None
    revision: Commit | None = None
    file: str | None = None
    """One safetensors file with the component's weights; its config is then that of the model's own repository.
    None: the repository is the component, in the diffusers layout."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Part:
        if bool(self.path) == bool(self.repo):
            raise ValueError("a part needs either a path or a repo")
        return self


class Scheduler(_Data):
    """A scheduler instead of the repository's own: its diffusers class, and settings that differ from the config."""

    name: str
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)


class ModelCard(_Data):
    """Everything the engine and the page need to know about one model, without loading it."""

    id: str
    name: str
    summary: str
    path: str | None = None
    """Folder of a model that is not downloaded: below assets/ for a bundled one, absolute for a user's own."""
    repo: str | None = None
    """Hub repository of a downloaded one."""
    revision: Commit | None = None
    """Its commit. None: not pinned yet; then the commit that a download finds is the one that is used and recorded."""
    variant: str | None = None
    """Name part of the weight files to take where a repository has several, such as fp16."""
    replace: dict[str, Part] = Field(default_factory=dict)
    """Component name -> where it comes from instead."""
    lora: Part | None = None
    """Low-rank weights put on the denoiser when the model is loaded; needs the package peft."""
    preview_vae: Part | None = None
    """A tiny VAE for live previews, of the class AutoencoderTiny; where it is not on the disk, or none is named, the
    model's own VAE decodes them at a reduced size, if it can."""
    scheduler: Scheduler | None = None
    gated: Literal["no", "yes", "unclear"] = "no"
    """Whether the Hub asks for a login and accepted terms before it gives the files out."""
    licence: str
    licence_url: str | None = None
    pipeline: str
    """Name of the diffusers pipeline class."""
    dtypes: tuple[Dtype, ...] = ("float32",)
    """Types of the weights that give sound pictures on a GPU, best first. Every processor can take float32 instead."""
    cpu: bool = True
    """False where a picture on a processor would take many minutes."""
    steps: Range
    guidance: Range
    size: Sizes
    negative_prompt: bool
    """False where the model has no second, unconditional evaluation to steer away with."""
    guidance_off: float = 1.0
    """Up to this guidance there is one evaluation a step, above it two; pipelines differ in where they begin."""
    fixed_guidance: str | None = None
    """Why guidance cannot be changed; None where it can."""
    call: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further arguments of the pipeline call, the same for every request."""
    shared: dict[str, str] = Field(default_factory=dict)
    """Component name -> key. Two models whose keys are equal hold that component in memory once."""
    weight_bytes: int
    """Of all components together, in the first of ``dtypes``."""
    part_bytes: dict[str, int] = Field(default_factory=dict)
    """The same by component, where it is known: what sharing saves and what offloading needs."""
    memory_bytes: int | None = None
    """GPU memory to make a picture of the default size with all weights there."""
    memory_source: str | None = None
    """Where ``memory_bytes`` comes from: a measurement, a publication or a sum."""
    reference_seconds_per_evaluation: float
    """Seconds of one network evaluation at the default size, for an estimate before anything has run here."""
    reference_device: str

    @model_validator(mode="after")
    def _has_one_source(self) -> ModelCard:
        if bool(self.path) == bool(self.repo):
            raise ValueError("a model needs either a path or a repo")
        if self.memory_bytes is not None and not self.memory_source:
            raise ValueError("memory_bytes needs its memory_source")
        return self

    def evaluations(self, steps: int, guidance: float) -> int:
        """Network evaluations for one picture: classifier-free guidance evaluates twice a step."""
        return steps * (2 if self.negative_prompt and guidance > self.guidance_off else 1)

    def bytes_as(self, dtype: Dtype) -> int:
        """Bytes of all weights in this type."""
        return self.weight_bytes * DTYPE_BYTES[dtype] // DTYPE_BYTES[self.dtypes[0]]

    @property
    def folder(self) -> Path | None:
        """Where a bundled or a user's own model lies; None for one that comes from the Hub."""
        return ASSETS / self.path if self.path else None

    @property
    def source(self) -> str:
        """Where the weights come from, as a person would write it."""
        if self.path:
            return f"folder {Path(self.path).name}" if Path(self.path).is_absolute() else f"bundled ({self.path})"
        return f"{self.repo}@{self.revision[:12]}" if self.revision else f"{self.repo} (not pinned yet)"

    @property
    def bundled(self) -> bool:
        return bool(self.path) and not Path(self.path).is_absolute()


class Lane(_Data):
    """One side of a pair: a model, and its settings where they differ from the model's own."""

    model: str
    steps: int | None = None
    guidance: float | None = None
    switches: tuple[str, ...] = ()


class Judged(_Data):
    """What an evaluation said of both models of a pair, as shares of pictures from 0 to 1, the predecessor first where
    there are two. Never of a single picture: it is shown beside those that have ``steps`` and ``guidance``."""

    verb: str
    """What the judge did with so many of a model's pictures, in the past tense: recognised."""
    by: str
    """Who the judge is."""
    prompts: int
    predecessor: float
    efficient: float
    low: float
    high: float
    """95 % interval of the efficient share less the predecessor's."""
    steps: tuple[int, int]
    guidance: tuple[float, float]
    size: int | None = None
    """Pixels a side, where the two make several sizes; None: it was judged at the only one."""
    source: str


class Pair(_Data):
    """A predecessor and the efficient model that wants to replace it."""

    id: str
    name: str
    question: str
    predecessor: Lane
    efficient: Lane
    same_path: bool
    """True where both map the same noise to the same picture, so that PSNR and SSIM mean something."""
    note: str | None = None
    """What must be known to read this comparison fairly, in one sentence."""
    opt_in: str | None = None
    """Why this pair is never a default; None where it may be one."""
    judged: Judged | None = None
    """How good its pictures were found to be, on many prompts; None where nobody has said."""

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

    def name(self, model_id: str) -> str:
        """What a model is called; one that the catalogue has no more, or never had, goes by its id."""
        return self.models[model_id].name if model_id in self.models else model_id

    def pair(self, pair_id: object) -> Pair:
        """The pair of ``pair_id``; None gives the default, "MODEL:MODEL" any two models, also twice the same.

        Raises InputError with the known ids.
        """
        if pair_id is None:
            return self.default_pair
        if isinstance(pair_id, str) and pair_id not in self.pairs and ":" in pair_id:
            return self._own_pair(*pair_id.split(":", 1))
        return _known(self.pairs, "pair", pair_id)

    def cards(self, pair: Pair) -> list[ModelCard]:
        """The models of a pair, the predecessor first; one that is on both sides once."""
        return [self.model(model) for model in dict.fromkeys(pair.lane(role).model for role in ROLES)]

    def sizes(self, pair: Pair) -> Sizes:
        """Of pictures that both models of a pair can make. Raises InputError where there are none."""
        return self.common_sizes(pair.lane(role).model for role in ROLES)

    def common_sizes(self, models: Iterable[str]) -> Sizes:
        """Of pictures that all these models can make. Raises InputError where there are none."""
        first, *others = (self.model(model) for model in models)
        sizes = first.size
        for card in others:
            common = sizes.common(card.size)
            if common is None:
                raise InputError(
                    f"{first.name} and {card.name} make no pictures of one size ({sizes} and {card.size} pixels), so "
                    "they cannot be compared; choose others."
                )
            sizes = common
        return sizes

    def pair_id_of(self, predecessor: str, efficient: str) -> str:
        """The id of the pair of these two models with their own settings: a shipped one if there is one."""
        lanes = Lane(model=predecessor), Lane(model=efficient)
        shipped = (pair.id for pair in self.pairs.values() if (pair.predecessor, pair.efficient) == lanes)
        return next(shipped, f"{predecessor}:{efficient}")

    def _own_pair(self, predecessor: str, efficient: str) -> Pair:
        old, new = self.model(predecessor), self.model(efficient)
        shipped = self.pairs.get(self.pair_id_of(old.id, new.id))
        return Pair(
            id=f"{old.id}:{new.id}",
            name=f"{old.name} → {new.name}",
            question=f"Does {new.name} replace {old.name}?" if old is not new else "Which settings are good enough?",
            predecessor=Lane(model=old.id),
            efficient=Lane(model=new.id),
            same_path=old is new or (shipped is not None and shipped.same_path),
            judged=shipped and shipped.judged,
        )


def _known(table: dict, kind: str, key: object):
    if not isinstance(key, str) or key not in table:
        raise InputError(f"{kind} must be one of {', '.join(table)}; got {shown(key)}.")
    return table[key]


def load_catalog(path: Path = ASSETS / "catalog.toml", more: Path | None = None) -> Catalog:
    """Read and check a catalogue file, and ``more``: a user's own models and pairs beside it.

    Raises ModelError naming the file and the first fault.
    """
    if more is not None:
        return _with_own(load_catalog(path), more.expanduser().absolute())
    return _parsed(path, _raw(path, required=True))


def _raw(path: Path, required: bool) -> dict[str, dict]:
    """Both tables of a catalogue file, every entry with its id."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = {table: raw[table] if required else raw.pop(table, {}) for table in ("models", "pairs")}
        if not required and raw:
            raise ValueError(f"{next(iter(raw))!r} is neither models nor pairs")
        return {name: {key: value | {"id": key} for key, value in table.items()} for name, table in tables.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"The catalogue {path} cannot be read ({error}); correct or restore the file.") from error


def _with_own(shipped: Catalog, path: Path) -> Catalog:
    """The shipped catalogue and a user's file in one; the default pair stays the shipped one."""
    own = _raw(path, required=False)
    tables = {name: {key: entry.model_dump() for key, entry in getattr(shipped, name).items()} for name in own}
    for name, entries in own.items():
        for key, entry in entries.items():
            if key in tables[name]:
                raise ModelError(f"The catalogue {path} is wrong at {name}.{key}: that id is taken; choose another.")
            tables[name][key] = _from_here(path.parent, entry)
    return _parsed(path, tables)


def _from_here(folder: Path, entry: dict) -> dict:
    """``entry`` and the tables in it with every ``path`` absolute."""
    found = {key: _from_here(folder, value) if isinstance(value, dict) else value for key, value in entry.items()}
    if isinstance(found.get("path"), str):
        found["path"] = str(folder / Path(found["path"]).expanduser())
    return found


def _parsed(path: Path, tables: dict[str, dict]) -> Catalog:
    try:
        catalog = Catalog.model_validate(tables)
    except ValidationError as error:
        raise ModelError(f"The catalogue {path} is wrong at {first_fault(error)}.") from error
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
