"""A grid of pictures over any two axes: planned, counted, weighed. Pure functions: nothing is run, stored or shown.

The order in which a grid is read (rows, then columns) is not the order in which it is run: to change the model costs
the most, so it is the outermost loop, whatever is shown where.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from pipeline.axes import AXES, CELLS_MAX, NO_SWITCH, Axis, Value, switches_of, values
from pipeline.catalog import ROLES, Catalog, Lane, Pair, Role
from pipeline.cells import Cell
from pipeline.compare import estimated_cost, lane_document, price_document
from pipeline.engine import Engine
from pipeline.errors import InputError
from pipeline.events import Result
from pipeline.prices import PriceProfile
from pipeline.request import ImageRequest, make_request, random_seed
from pipeline.wording import count, expected

COLUMNS_MAX = 8
"""What a page of 1360 pixels shows beside each other."""
PROMPTS_MAX = 100_000
"""Characters: a sweep is kept before its first picture is, and nobody's text shall fill the disk."""


@dataclass(frozen=True)
class Plan:
    """What is to be made. A ``place`` is a cell's number, row by row, from 0."""

    values: dict[str, tuple[Value, ...]]
    """By the name of the axis; what is not varied has one value, or none for the model's own."""
    rows: Axis | None
    columns: Axis | None
    fixed: dict[str, Any]
    """Further fields of make_request, the same for every cell."""
    requests: dict[int, ImageRequest]
    """By place."""
    skipped: dict[int, str]
    """Places that this place's model cannot make, with the reason; other models of the sweep can."""

    @property
    def cells(self) -> int:
        return len(self.requests) + len(self.skipped)

    def order(self) -> list[int]:
        """Places in the order in which they are made: all of one model, with one set of switches, before the next."""
        models = self.values["models"]

        def cost_of_change(place: int) -> tuple[int, tuple[str, ...], int]:
            request = self.requests[place]
            return models.index(request.model), request.switches, place

        return sorted(self.requests, key=cost_of_change)


def plan_sweep(
    catalog: Catalog, given: Mapping[str, object], *, swapped: bool = False, kept: bool = False, **fixed: object
) -> Plan:
    """``given``: what a person wrote for every axis, by its name; at most two may have several values.

    No seed is a random one; no steps and no guidance are each model's own. The first axis that varies makes rows,
    unless the other one is too long for columns. ``swapped``: what would be rows becomes columns. ``kept``: it was
    planned before, by rules that may have been others. Raises InputError. A value that only some of several models
    can do leaves cells out (``skipped``); one that none can do is an error."""
    found = {axis.name: values(axis, given.get(axis.name)) for axis in AXES}
    if not found["models"]:
        raise InputError(f"models must name at least one of {', '.join(catalog.models)}; got none.")
    # A folder goes by its card's id, which tells no path; what nobody knows is told later.
    found["models"] = tuple(catalog.models[name].id if name in catalog.models else name for name in found["models"])
    found["seeds"] = found["seeds"] or (random_seed(),)
    written = sum(len(prompt) for prompt in found["prompts"])
    if written > PROMPTS_MAX and not kept:
        raise InputError(f"A sweep's prompts have at most {PROMPTS_MAX:,} characters; got {written:,}: shorten them.")
    several = [axis for axis in AXES if len(found[axis.name]) > 1]
    if len(several) > 2:
        names = ", ".join(axis.name for axis in several)
        raise InputError(f"A sweep varies at most two things; got several values for {names}: give one to the others.")
    cells = prod(len(found[axis.name]) for axis in several)
    if cells > CELLS_MAX:
        raise InputError(f"A sweep has at most {CELLS_MAX} pictures; got {cells}: name fewer values.")
    if len(found["models"]) > 1 and not kept:  # one size, also where nobody says which and they have other defaults
        size = catalog.common_sizes(found["models"]).default
        fixed |= {name: size for name in ("width", "height") if fixed.get(name) is None}
    rows, columns = [None, None, *several][-2:]  # one axis alone is a row of columns
    if swapped or (not kept and _is_wide(found, rows, columns)):
        rows, columns = columns, rows
    requests, faults = _requests(catalog, found, rows, columns, fixed)
    _check_lines(faults, len(found[rows.name]) if rows else 1, len(found[columns.name]) if columns else 1)
    skipped = {place: str(error) for place, error in faults.items()}
    return Plan(found, rows, columns, dict(fixed), requests, skipped)


def _is_wide(found: Mapping[str, tuple], rows: Axis | None, columns: Axis | None) -> bool:
    """Whether a page would scroll sideways to show it and not, with its columns as rows, downwards."""
    return bool(rows and columns) and len(found[rows.name]) <= COLUMNS_MAX < len(found[columns.name])


def over_pair(catalog: Catalog, pair: Pair) -> dict[str, list[str]]:
    """What a sweep goes over to compare a pair, as :func:`plan_sweep` takes it: both models with their own settings, or
    of one model the one setting in which its two sides differ. Raises InputError where that is not all."""
    models = [card.id for card in catalog.cards(pair)]
    sides = [_settings(catalog, pair, role) for role in ROLES]
    if len(models) > 1:
        if any(side != _settings(catalog, pair, role, own=False) for side, role in zip(sides, ROLES, strict=True)):
            raise InputError(f"{pair.name} has settings of its own, which a sweep cannot vary: name models and steps.")
        return {"models": models}
    differ = [name for name in sides[0] if sides[0][name] != sides[1][name]]
    if len(differ) > 1:
        raise InputError(f"{pair.name} differs in {' and '.join(differ)}, and a sweep varies one: name their values.")
    return {"models": models, **{name: [side[name] for side in sides] for name in differ}}


def has_pairs(plan: Plan) -> bool:
    """Whether any two of its pictures are of one prompt, seed and size, so that people or a judge can compare them."""
    alike = [(of.prompt, of.seed, of.width, of.height) for of in plan.requests.values()]
    return len(set(alike)) < len(alike)


def _settings(catalog: Catalog, pair: Pair, role: Role, own: bool = True) -> dict[str, str]:
    """Of one side, as a person writes them; without its ``own`` they are its model's."""
    lane = pair.lane(role) if own else Lane(model=pair.lane(role).model)
    card = catalog.model(lane.model)
    steps = card.steps.default if lane.steps is None else lane.steps
    guidance = card.guidance.default if lane.guidance is None else lane.guidance
    return {"steps": f"{steps:g}", "guidance": f"{guidance:g}", "switches": "+".join(lane.switches) or NO_SWITCH}


def _requests(
    catalog: Catalog, found: Mapping[str, tuple], rows: Axis | None, columns: Axis | None, fixed: Mapping[str, object]
) -> tuple[dict[int, ImageRequest], dict[int, InputError]]:
    """What can be made and what cannot, by place."""
    requests, faults = {}, {}
    single = {axis.field: found[axis.name][0] if found[axis.name] else None for axis in AXES}
    across = found[columns.name] if columns else (None,)
    for i, row in enumerate(found[rows.name] if rows else (None,)):
        for j, column in enumerate(across):
            place = i * len(across) + j
            fields = {**single, **fixed}
            fields |= {rows.field: row} if rows else {}
            fields |= {columns.field: column} if columns else {}
            try:
                many = [len(found[axis]) > 1 for axis in ("models", "guidance", "steps")]
                requests[place] = _request(catalog, fields, *many)
            except InputError as error:
                faults[place] = error
    return requests, faults


def _request(
    catalog: Catalog, fields: dict[str, object], many_models: bool, many_guidances: bool, many_steps: bool
) -> ImageRequest:
    """What only some of several models use goes only to those."""
    card = catalog.model(fields.pop("model"))
    fields["switches"] = switches_of(str(fields["switches"] or NO_SWITCH))
    if many_models and not card.negative_prompt:
        fields["negative_prompt"] = ""
    if many_models and card.fixed_guidance and not many_guidances:
        fields["guidance"] = None
    if many_models and card.fixed_steps and not many_steps:
        fields["steps"] = None
    return make_request(card, fields.pop("prompt"), **fields)


def _check_lines(faults: Mapping[int, InputError], rows: int, columns: int) -> None:
    """A row or column that nothing can be made of is an error of the person who wrote its value."""
    lines = [range(i * columns, (i + 1) * columns) for i in range(rows)]
    lines += [range(j, rows * columns, columns) for j in range(columns)]
    for line in lines:
        if all(place in faults for place in line):
            raise faults[line[0]]


@dataclass(frozen=True)
class Forecast:
    """Before it starts. ``seconds`` are totals (see pipeline.timing) on warm models; ``known``: by what they are known,
    and whether that counts here."""

    pictures: int
    seconds: float
    cost_usd: float | None
    known: Mapping[str, bool]

    def text(self) -> str:
        """24 pictures, about 1.20 s, under $0.01 (measured here, 3 runs)."""
        return f"{count(self.pictures, 'picture')}, {expected(self.seconds, self.cost_usd, self.known)}"


def forecast(engine: Engine, requests: Iterable[ImageRequest], price: PriceProfile) -> Forecast:
    """What these pictures will take if none of them comes out of the cache."""
    estimates = [engine.estimate(request) for request in requests]
    seconds = sum(estimate.seconds for estimate in estimates)
    known = {estimate.basis: estimate.here for estimate in estimates}
    costs = [estimated_cost(estimate, price) for estimate in estimates]
    return Forecast(len(estimates), seconds, None if None in costs else sum(costs), known)


def heads(plan: Plan, axis: Axis | None, catalog: Catalog) -> list[str]:
    """What the rows or columns along ``axis`` are called; one without a name where nothing is varied."""
    if axis is None:
        return [""]
    if axis.name == "models":
        return [catalog.model(model).name for model in plan.values["models"]]
    return [axis.head(value) for value in plan.values[axis.name]]


def cell_document(result: Result, price: PriceProfile) -> dict[str, Any]:
    """One cell: its lane, and what the lanes of other documents have in common."""
    request = result.request
    return {"prompt": request.prompt, "seed": request.seed, **lane_document(result, price)}


def head_document(plan: Plan, price: PriceProfile, device: str) -> dict[str, Any]:
    """Everything about a sweep but its cells; enough to plan it again. Where several were asked for, the first stands
    as ``prompt``, ``seed`` or ``model``."""
    first = plan.requests[min(plan.requests)]
    return {
        "prompt": first.prompt,
        "seed": first.seed,
        "width": first.width,
        "height": first.height,
        "model": first.model,
        "models": list(plan.values["models"]),
        "device": device,
        "price": price_document(price),
        "values": {name: list(given) for name, given in plan.values.items()},
        "rows": plan.rows.name if plan.rows else None,
        "columns": plan.columns.name if plan.columns else None,
        "fixed": plan.fixed,
    }


def sweep_document(head: Mapping[str, Any], cells: Iterable[Cell]) -> dict[str, Any]:
    """A kept sweep: its head, and what is finished, by place; ``image`` of a cell is left to the caller."""
    by_place = sorted(cells, key=lambda cell: cell.place)
    return {**head, "cells": [{"place": cell.place, **cell.document, "fidelity": cell.fidelity} for cell in by_place]}


def plan_again(catalog: Catalog, document: Mapping[str, Any]) -> Plan:
    """The plan behind a kept document. Raises InputError if a model is gone or its limits have changed."""
    fixed = document["fixed"]
    plan = plan_sweep(catalog, document["values"], kept=True, **fixed)
    as_it_was = (plan.rows.name if plan.rows else None) == document["rows"]
    return plan if as_it_was else plan_sweep(catalog, document["values"], swapped=True, kept=True, **fixed)


def left_to_do(plan: Plan, done: Collection[int]) -> list[int]:
    """Places that are still to be made, in the order in which they will be."""
    return [place for place in plan.order() if place not in done]
