"""What a sweep tells of time and money against fidelity: each cell beside its reference, the one of most behind it.

Fidelity says how near a cell is to its reference, not how good it is, and is given only where both models share the
path from noise to picture, as the catalogue says. Draws nothing.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline import imagefile
from pipeline.catalog import Catalog
from pipeline.cells import Cell
from pipeline.errors import PlaygroundError
from pipeline.events import disturbed
from pipeline.history import Entry
from pipeline.labels import setting_label, work_of
from pipeline.quality import fidelity
from pipeline.request import ImageRequest
from pipeline.sweep_run import Sweeps
from pipeline.turn import turn
from pipeline.wording import takes

FIRST_S = 0.1
"""What comparing a first picture is expected to take of the device."""


@dataclass(frozen=True)
class Point:
    """One cell. ``seconds`` of encode, denoise and decode; ``psnr_db`` is infinite where no pixel differs. ``cached``:
    the time is of an earlier day, perhaps, or of a busier hour. ``model``: its name. ``runs``: that the time is of.
    ``setting``: what it was made with is called, whatever the prompt and the seed. ``disturbed``: the machine was busy
    with something else. ``listed``: the cost is of a provider's list, and no matter of time. ``work``: see work_of."""

    place: int
    seconds: float
    cost_usd: float | None
    psnr_db: float
    ssim: float
    cached: bool = False
    model: str = ""
    runs: int = 1
    setting: str = ""
    disturbed: bool = False
    listed: bool = False
    work: tuple | None = None


@dataclass(frozen=True)
class Tradeoff:
    """``points``: the cells that were compared. ``apart``: how many finished cells can have no point: their path is
    another's, their size differs, or their file is gone. ``chosen``: as :func:`chosen` says it. ``models``: names of
    all finished cells' models. ``references``: what the settings are called that the points are compared with.
    ``complete``: nothing is still to be drawn or compared, and nothing is apart."""

    points: tuple[Point, ...]
    apart: int
    chosen: str = "the picture with the most steps"
    models: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    complete: bool = True


def references(catalog: Catalog, requests: Mapping[int, ImageRequest]) -> dict[int, int]:
    """Place of each cell's reference, by place; only for cells that share its path and size."""
    measures = best(catalog, requests)
    return {at: ref for at, ref in sorted(measures.items()) if _comparable(catalog, requests[ref], requests[at])}


def best(catalog: Catalog, requests: Mapping[int, ImageRequest]) -> dict[int, int]:
    """For each place that of the cell with most behind it of the same prompt and seed: the one with the most steps.

    Of several with as many it is the one with the fewest switches, since those approximate, then a predecessor's, then
    the one whose guidance is nearest to its model's own, then the first. Where a provider does not tell its steps, a
    predecessor goes before all others and any other model behind them.
    """
    groups: dict[tuple, list[int]] = {}
    for place, request in sorted(requests.items()):
        groups.setdefault((request.prompt, request.seed), []).append(place)
    found = {}
    for places in groups.values():
        found |= dict.fromkeys(places, max(places, key=lambda place: rank(catalog, requests[place], place)))
    return found


def rank(catalog: Catalog, request: ImageRequest, place: int) -> tuple[float, int, bool, float, int]:
    """How much is behind a cell, as :func:`best` reckons."""
    card, predecessor = catalog.model(request.model), _predecessor(catalog, request.model)
    told = card.hosted is None or "steps" in card.hosted.fields
    steps = request.steps if told else math.inf if predecessor else 0
    return steps, -len(request.switches), predecessor, -abs(request.guidance - card.guidance.default), -place


def _predecessor(catalog: Catalog, model: str) -> bool:
    return any(pair.predecessor.model == model for pair in catalog.pairs.values())


def chosen(catalog: Catalog, cells: Collection[Mapping[str, Any]], against: Collection[Mapping[str, Any]]) -> str:
    """What makes the cells ``against`` the references of ``cells``, all as documents; part of a sentence that goes on
    "of each prompt and seed"."""
    if all(takes(cell, "steps") for cell in cells):
        switched = any(cell["switches"] for cell in cells)
        return f"the picture with the most steps{', then the fewest switches' if switched else ''}"
    if all(_predecessor(catalog, cell["model"]) for cell in against):
        return "the predecessor's picture"
    told = all(takes(cell, "steps") for cell in against)
    return "the picture with the most steps that are told" if told else "the first picture"


def _comparable(catalog: Catalog, one: ImageRequest, other: ImageRequest) -> bool:
    size = (one.width, one.height) == (other.width, other.height)
    return size and shares_path(catalog, one.model, other.model)


def shares_path(catalog: Catalog, one: str, other: str) -> bool:
    """What the catalogue says of a pair of the two; where it has none, only a model shares its own path, and
    none that takes no seed."""
    said = [pair for pair in catalog.pairs.values() if {pair.predecessor.model, pair.efficient.model} == {one, other}]
    return any(pair.same_path for pair in said) if said else one == other and catalog.model(one).seeded


def compare_cells(sweeps: Sweeps, entry: Entry, stop: threading.Event | None = None) -> Iterator[tuple[int, int]]:
    """Compare whatever was not yet compared with what is its reference now, and keep it; tells how far it is, as done
    and total, before each. Each takes its turn in the line for the device. Pictures that cannot be read are left out,
    and what cannot be kept is compared again. Raises Cancelled once ``stop`` is set, BusyError of a full line."""
    stop, took = stop or threading.Event(), FIRST_S
    todo = _to_compare(entry, *_cells_and_references(sweeps, entry))
    for i, (place, at) in enumerate(todo):
        yield i, len(todo)
        with turn(sweeps.engine.line, took, stop, "comparing"):
            began = time.monotonic()
            said = _compared(entry, place, at)
            took = time.monotonic() - began
        if said is not None:
            with suppress(PlaygroundError):
                sweeps.cells.put_fidelity(entry.id, place, {"reference": at, **said})


def _compared(entry: Entry, place: int, reference: int) -> dict[str, Any] | None:
    with suppress(OSError, PlaygroundError):
        pictures = [imagefile.read(entry.files[at])[0] for at in (reference, place)]
        return fidelity(*pictures)
    return None


def left_to_compare(sweeps: Sweeps, entry: Entry) -> int:
    """How many cells :func:`compare_cells` would look at now."""
    return len(_to_compare(entry, *_cells_and_references(sweeps, entry)))


def _to_compare(entry: Entry, cells: Mapping[int, Cell], wanted: Mapping[int, int]) -> list[tuple[int, int]]:
    """Place and reference of each pair whose files are there."""
    there = {place for place, file in entry.files.items() if file.exists()}
    return [
        (place, at)
        for place, at in sorted(wanted.items())
        if place != at and not _known(cells[place], at) and {place, at} <= there
    ]


def _cells_and_references(sweeps: Sweeps, entry: Entry) -> tuple[dict[int, Cell], dict[int, int]]:
    cells = {cell.place: cell for cell in sweeps.cells.of(entry.id)}
    requests = sweeps.plan(entry).requests
    return cells, references(sweeps.catalog, {place: requests[place] for place in cells if place in requests})


def _known(cell: Cell, reference: int) -> bool:
    return cell.fidelity is not None and cell.fidelity["reference"] == reference


def tradeoff(sweeps: Sweeps, entry: Entry) -> Tradeoff:
    """What was compared so far (:func:`compare_cells`). A reference has no point: it would be as near to itself as
    can be, which is no finding."""
    cells, wanted = _cells_and_references(sweeps, entry)
    points = tuple(
        _point(sweeps.catalog, entry, cells[place])
        for place, at in sorted(wanted.items())
        if place != at and _known(cells[place], at)
    )
    against = sorted({at for place, at in wanted.items() if place != at})
    waiting = {place for place, _ in _to_compare(entry, cells, wanted)}
    apart = len(set(cells) - {point.place for point in points} - set(against) - waiting)
    documents = {place: cell.document for place, cell in sorted(cells.items())}
    why = chosen(sweeps.catalog, documents.values(), [documents[place] for place in against])
    beside = {wanted[point.place] for point in points}
    labels = dict.fromkeys(_setting(sweeps.catalog, entry, cells[place]) for place in sorted(beside))
    complete = not (apart or waiting or sweeps.left(entry))
    return Tradeoff(points, apart, why, names_of(sweeps.catalog, documents), tuple(labels), complete)


def names_of(catalog: Catalog, documents: Mapping[int, Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of all models of these cells, in the order of the grid: each has its own mark in every plot."""
    return tuple(dict.fromkeys(catalog.name(documents[place]["model"]) for place in sorted(documents)))


def _point(catalog: Catalog, entry: Entry, cell: Cell) -> Point:
    psnr = cell.fidelity["psnr_db"]
    return Point(
        cell.place,
        cell.document["seconds"]["total"],
        cell.document["cost_usd"],
        math.inf if psnr is None else psnr,
        cell.fidelity["ssim"],
        cell.document["cache"] == "hit",
        catalog.name(cell.document["model"]),
        cell.document["runs"],
        _setting(catalog, entry, cell),
        disturbed(cell.document),
        bool(cell.document.get("hosted")),
        work_of(cell.document),
    )


def _setting(catalog: Catalog, entry: Entry, cell: Cell) -> str:
    return setting_label(entry.document, cell.document, catalog.name(cell.document["model"]))
