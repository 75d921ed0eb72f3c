"""ModelCard: everything that is known of one model without loading it, where its weights lie or who draws with it; and
JudgeCard, the same of a network that judges pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.hosted import Hosted
from pipeline.tables import Data

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Range(Data):
    """An inclusive range with the value used when nobody says otherwise."""

    default: float
    min: float
    max: float

    @property
    def single(self) -> bool:
        """Whether there is one value only."""
        return self.min == self.max


class Sizes(Data):
    """Picture sizes in pixels that a model can make."""

    default: int
    min: int
    max: int
    multiple: int = Field(gt=0)

    @property
    def single(self) -> bool:
        """Whether there is one size only."""
        return self.min == self.max

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


DENOISERS = ("transformer", "unet")
"""What pipelines call the network that is evaluated every step."""
Dtype = Literal["float32", "bfloat16", "float16"]
DTYPE_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
REPO = "/".join([r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"] * 2)
"""OWNER/NAME as the Hub has them, so that ./NAME and ../NAME are none: the Hub's library raises an error of its own for
what is no such name."""
Repo = Annotated[str, Field(pattern=rf"^{REPO}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
"""A commit of a Hub repository. A branch or a tag is no pin: what it names can change."""


class Part(Data):
    """One component that comes from elsewhere than the model's own repository or folder: ``repo`` of the Hub, or
    ``path`` of this disk, which in a user's own catalogue may begin at the catalogue's folder."""

    repo: Repo | None = None
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


class Scheduler(Data):
    """A scheduler instead of the repository's own: its diffusers class, and settings that differ from the config."""

    name: str
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)


class ModelCard(Data):
    """Everything the engine and the page need to know about one model, without loading it."""

    id: str
    name: str
    summary: str
    path: str | None = None
    """Folder of a model that is not downloaded: below assets/ for a bundled one, absolute for a user's own."""
    repo: Repo | None = None
    """Hub repository of a downloaded one."""
    hosted: Hosted | None = None
    """How a provider is asked for it, where none of its weights ever come here."""
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
    pipeline: str = ""
    """Name of the diffusers pipeline class; only of a hosted model there is none."""
    dtypes: tuple[Dtype, ...] = ("float32",)
    """Types of the weights that give sound pictures on a GPU, best first. Every processor can take float32 instead."""
    cpu: bool = True
    """False where a picture on a processor would take many minutes."""
    steps: Range
    fixed_steps: str | None = None
    """Why steps cannot be changed; None where they can."""
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
    weight_bytes: int = 0
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

    @model_validator(mode="before")
    @classmethod
    def _decided_elsewhere(cls, given: Any) -> Any:
        """What a provider does not take of a request needs no range."""
        if not isinstance(given, dict) or not isinstance(given.get("hosted"), dict):
            return given
        hosted = given["hosted"]
        takes, why = hosted.get("fields", {}), f"{hosted.get('provider')} decides, and does not tell."
        open_to = {"negative_prompt": "negative_prompt" in takes}
        for name in ("steps", "guidance"):
            if name not in takes:
                open_to |= {name: {"default": 1, "min": 1, "max": 1}, f"fixed_{name}": why}
        return open_to | given

    @model_validator(mode="after")
    def _has_one_source(self) -> ModelCard:
        if [bool(self.path), bool(self.repo), bool(self.hosted)].count(True) != 1:
            raise ValueError("a model needs either a path or a repo or hosted")
        if self.hosted is None and not (self.pipeline and self.weight_bytes > 0):
            raise ValueError("a model that runs here needs its pipeline and its weight_bytes")
        if self.memory_bytes is not None and not self.memory_source:
            raise ValueError("memory_bytes needs its memory_source")
        return self

    @property
    def parts_known(self) -> bool:
        """Whether ``part_bytes`` names every component that has weights: then they add up."""
        return abs(sum(self.part_bytes.values()) - self.weight_bytes) <= 0.01 * self.weight_bytes

    @property
    def seeded(self) -> bool:
        """Whether the same request gives the same picture."""
        return self.hosted is None or "seed" in self.hosted.fields

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
        """Where the weights, or the pictures, come from, as a person would write it."""
        if self.hosted:
            return f"{self.hosted.provider}: {self.hosted.model} ({self.hosted.place})"
        if self.path:
            return f"folder {Path(self.path).name}" if Path(self.path).is_absolute() else f"bundled ({self.path})"
        return f"{self.repo}@{self.revision[:12]}" if self.revision else f"{self.repo} (not pinned yet)"

    @property
    def bundled(self) -> bool:
        return bool(self.path) and not Path(self.path).is_absolute()


class JudgeCard(Data):
    """What is known of a judge without loading it: one of ``repo`` at ``revision``, or of a folder at ``path``."""

    id: str
    name: str
    repo: Repo | None = None
    revision: Commit | None = None
    path: str | None = None
    licence: str = "your own"
    weight_bytes: int = 0
    puts_first: str = "the picture that fits the prompt better"
    """Which of two pictures it gives the higher score, as part of a sentence."""
    note: str = ""
    """What must be known to read its scores fairly, as a sentence; empty where nobody has said."""

    @model_validator(mode="after")
    def _has_one_source(self) -> JudgeCard:
        if bool(self.path) == bool(self.repo and self.revision):
            raise ValueError("a judge needs either a path or a repo with its revision")
        return self

    @property
    def source(self) -> str:
        """Where its weights come from, as a person would write it."""
        return f"{self.repo}@{self.revision[:12]}" if self.repo else f"folder {Path(self.path).name}"
