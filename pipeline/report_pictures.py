"""The pictures of a report: their files, what their recipes tell, and smaller copies where all would be too much."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from pipeline import imagefile
from pipeline.cards import ModelCard
from pipeline.catalog import Catalog
from pipeline.charts import stage_bar
from pipeline.errors import InputError
from pipeline.events import Result
from pipeline.labels import cell_label
from pipeline.recipe import result_from_recipe
from pipeline.timing import stages_of
from pipeline.wording import (
    evaluations_text,
    lanes_of,
    seconds_range,
    seconds_text,
    switches_text,
    takes,
)

COPY_SIDE, COPY_QUALITY = 512, 90
"""Pixels a side and JPEG quality of a smaller copy: as large as the page shows one of many, and at most about 100 kB.
"""
NO_PIXELS = Image.new("L", (1, 1))


@dataclass(frozen=True)
class Item:
    """One comparison, sweep or picture of a report.

    ``document``: the ``image`` of each lane or cell is the path of its PNG, from ``folder`` if it is relative; or else
    ``pictures`` has the paths, by place, as an entry of the history does.
    ``plot``: a drawing of it as HTML or SVG whose texts are escaped already. ``front``: what it shows, as a sentence
    for the verdict.
    """

    document: Mapping[str, Any]
    folder: Path = Path()
    pictures: Mapping[int, Path] | None = None
    plot: Markup | None = None
    front: str = ""

    def files(self) -> list[Path | None]:
        """The pictures' paths, by place; None for one that was never written."""
        lanes = lanes_of(self.document)
        if self.pictures is not None:
            return [self.pictures.get(place) for place in range(len(lanes))]
        return [self.folder / lane["image"] if lane["image"] else None for lane in lanes]


@dataclass(frozen=True)
class Picture:
    """One picture as the template shows it: its part of the document, and what its own file tells."""

    lane: Mapping[str, Any]
    label: str
    name: str
    card: ModelCard | None
    """None for a model that the catalogue has no more."""
    file: Path | None
    """The PNG with its recipe; None where it is gone or damaged."""
    copy: bytes | None
    """A smaller JPEG without recipe, where the page shows one instead."""
    result: Result | None
    """Without the picture, which is read when it is its turn."""
    bar: Markup

    @property
    def evaluations(self) -> str:
        return evaluations_text(self.lane)

    @property
    def switches(self) -> str:
        return switches_text(self.lane)

    def takes(self, setting: str) -> bool:
        """False where a provider decides it, and does not tell."""
        return takes(self.lane, setting)

    @property
    def data(self) -> bytes | None:
        """What the page shows; None where it is gone."""
        return self.copy or self.whole

    @property
    def whole(self) -> bytes | None:
        """The file's bytes; None where it is gone."""
        try:
            return self.file.read_bytes() if self.file else None
        except OSError:
            return None

    @property
    def inline(self) -> str:
        kind = "jpeg" if self.copy else "png"
        return f"data:image/{kind};base64,{base64.b64encode(self.data or b'').decode()}"

    def stage(self, stage: str) -> str:
        """Seconds of one stage, or of "total", in the median run; with several runs also fastest and slowest."""
        if stage not in (*stages_of(self.lane["seconds"]), "total"):
            return "–"
        seconds = seconds_text(self.lane["seconds"][stage])
        runs = self.result.runs if self.result else ()
        if len(runs) < 2:
            return seconds
        every = [run.as_dict()[stage] for run in runs]
        return f"{seconds} ({seconds_range(min(every), max(every))})"


def pictures_of(item: Item, catalog: Catalog, small: bool) -> list[Picture]:
    """``small``: the page shall have copies."""
    found = []
    lanes = lanes_of(item.document)
    longest = max(lane["seconds_max"] for lane in lanes)
    for lane, path in zip(lanes, item.files(), strict=True):
        file, copy, result = _read(path, small)
        card = catalog.models.get(lane["model"])
        runs = result.runs if result else ()
        bar = stage_bar(lane["seconds"], runs, longest)
        name = catalog.name(lane["model"])
        label = lane.get("role") or cell_label(item.document, lane, name)
        found.append(Picture(lane, label, name, card, file, copy, result, bar))
    return found


def _read(path: Path | None, small: bool) -> tuple[Path | None, bytes | None, Result | None]:
    """A picture's file, its copy if the page shall have one, and what its recipe tells; None for what is not there, or
    is no picture any more."""
    if path is None:
        return None, None, None
    result = None
    try:
        with suppress(InputError):  # no recipe of ours, and a picture all the same
            result = replace(result_from_recipe(*imagefile.read(path)), image=NO_PIXELS)
        return path, _copy(path) if small else None, result
    except OSError:
        return None, None, None


def _copy(file: Path) -> bytes:
    with Image.open(file) as image:
        copy = image.convert("RGB")
    copy.thumbnail((COPY_SIDE, COPY_SIDE))
    content = io.BytesIO()
    copy.save(content, format="JPEG", quality=COPY_QUALITY)
    return content.getvalue()
