"""What a sweep tells of time and money against fidelity: each cell beside the one with the most steps.

Fidelity says how near a cell is to its reference, not how good it is, and is given only where both models share the
path from noise to picture, as the catalogue says. Draws nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline import imagefile
from pipeline.catalog import Catalog
from pipeline.cells import Cell
from pipeline.errors import PlaygroundError
from pipeline.history import Entry
from pipeline.quality import fidelity
from pipeline.request import ImageRequest
from pipeline.sweep_run import Sweeps


@dataclass(frozen=True)
class Point:
    """One cell. ``seconds`` of encode, denoise and decode; ``psnr_db`` is infinite where no pixel differs. ``cached``:
    the time is of an earlier day, perhaps, or of a busier hour."""

    place: int
    seconds: float
    cost_usd: float | None
    psnr_db: float
    ssim: float
    cached: bool = False


@dataclass(frozen=True)
class Tradeoff:
    """``points``: the cells that were compared. ``references``: the cells they were compared with. ``apart``: how many
    finished cells have no point: their path is another's, their size differs, or their file is gone."""

    points: tuple[Point, ...]
    references: tuple[int, ...]
    apart: int


def references(catalog: Catalog, requests: Mapping[int, ImageRequest]) -> dict[int, int]:
    """Place of each cell's reference, by place; only for cells that share its path and size."""
    measures = best(catalog, requests)
    return {at: ref for at, ref in sorted(measures.items()) if _comparable(catalog, requests[ref], requests[at])}


def best(catalog: Catalog, requests: Mapping[int, ImageRequest]) -> dict[int, int]:
    """For each place that of the cell with most behind it of the same prompt and seed: the one with the most steps.

    Of several with as many it is a predecessor's, then the one whose guidance is nearest to its model's own, then the
    first.
    """
    groups: dict[tuple, list[int]] = {}
    for place, request in sorted(requests.items()):
        groups.setdefault((request.prompt, request.seed), []).append(place)
    found = {}
    for places in groups.values():
        found |= dict.fromkeys(places, max(places, key=lambda place: rank(catalog, requests[place], place)))
    return found


def rank(catalog: Catalog, request: ImageRequest, place: int) -> tuple[int, bool, float, int]:
    """How much is behind a cell, as :func:`best` reckons."""
    predecessor = any(pair.predecessor.model == request.model for pair in catalog.pairs.values())
    own = catalog.model(request.model).guidance.default
    return request.steps, predecessor, -abs(request.guidance - own), -place


def _comparable(catalog: Catalog, one: ImageRequest, other: ImageRequest) -> bool:
    size = (one.width, one.height) == (other.width, other.height)
    return size and shares_path(catalog, one.model, other.model)


def shares_path(catalog: Catalog, one: str, other: str) -> bool:
    """What the catalogue says of a pair of the two; where it has none, only a model shares its own path, and
    none that takes no seed."""
    said = [pair for pair in catalog.pairs.values() if {pair.predecessor.model, pair.efficient.model} == {one, other}]
    return any(pair.same_path for pair in said) if said else one == other and catalog.model(one).seeded


def compare_cells(sweeps: Sweeps, entry: Entry) -> Iterator[tuple[int, int]]:
    """Compare whatever was not yet compared with what is its reference now, and keep it; tells how far it is, as done
    and total, before each. Pictures that cannot be read are left out, and what cannot be kept is compared again."""
    cells, wanted = _cells_and_references(sweeps, entry)
    todo = [(place, at) for place, at in wanted.items() if place != at and not _known(cells[place], at)]
    for i, (place, at) in enumerate(sorted(todo)):
        yield i, len(todo)
        with contextlib.suppress(OSError, PlaygroundError, KeyError):
            reference, _ = imagefile.read(entry.files[at])
            picture, _ = imagefile.read(entry.files[place])
            said = fidelity(reference, picture)
            if said is not None:
                sweeps.cells.put_fidelity(entry.id, place, {"reference": at, **said})


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
        _point(cells[place]) for place, at in sorted(wanted.items()) if place != at and _known(cells[place], at)
    )
    against = tuple(sorted({at for place, at in wanted.items() if place != at}))
    return Tradeoff(points, against, len(set(cells) - {point.place for point in points} - set(against)))


def _point(cell: Cell) -> Point:
    psnr = cell.fidelity["psnr_db"]
    return Point(
        cell.place,
        cell.document["seconds"]["total"],
        cell.document["cost_usd"],
        math.inf if psnr is None else psnr,
        cell.fidelity["ssim"],
        cell.document["cache"] == "hit",
    )
