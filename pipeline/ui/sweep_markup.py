"""A sweep as HTML: the grid with a box a cell, and what a finished cell says. Markup escapes what it is
given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.axes import AXES, NO_SWITCH
from pipeline.catalog import Catalog
from pipeline.cells import Cell
from pipeline.charts import column_heads
from pipeline.events import disturbed
from pipeline.sweep import Plan, heads
from pipeline.ui.markup import hint
from pipeline.wording import cost_text, count, guidance_text, rate_text, seconds_text, shortened, steps_text

CELL_ID = "sweep-cell-"
"""And the place: the anchor that the plot's points lead to."""
WAITING = Markup('<span class="note">waiting</span>')
NOT_MADE = Markup('<span class="note">not made</span>')


def over(document: Mapping[str, Any]) -> str:
    """What a kept sweep varies: Sweep over models and steps."""
    axes = [document[axis] for axis in ("rows", "columns") if document.get(axis)]
    return f"Sweep over {' and '.join(axes)}" if axes else "Sweep"


def and_more(prompts: Sequence[str]) -> str:
    """Behind the first of a sweep's prompts, that there are more."""
    return f" and {count(len(prompts) - 1, 'more prompt')}" if len(prompts) > 1 else ""


def title(plan: Plan, document: Mapping[str, Any], catalog: Catalog) -> Markup:
    """Which sweep it is: its prompts, what it varies, and what all its pictures have in common."""
    prompts = plan.values["prompts"]
    cards = [catalog.model(model) for model in plan.values["models"]]
    values = ((axis, plan.values[axis.name]) for axis in AXES if axis.name not in ("models", "prompts"))
    facts = [
        f"{over(document)}: {', '.join(card.name for card in cards)}",
        *(axis.head(given[0]) for axis, given in values if len(given) == 1 and given != (NO_SWITCH,)),
        f"{document['width']} × {document['height']}",
        "" if all(card.hosted for card in cards) else rate_text(document).strip(),
    ]
    said = " · ".join(fact for fact in facts if fact)
    return Markup("<h3>“{}”{}</h3>{}").format(shortened(prompts[0], 120), and_more(prompts), hint(said))


def grid(plan: Plan, catalog: Catalog, done: Mapping[int, Markup], yet: Markup = WAITING) -> Markup:
    """The whole table; ``done``: what stands in the finished cells, by place; ``yet``: in those that are to be made."""
    columns = heads(plan, plan.columns, catalog)
    top = column_heads(columns)
    rows = []
    for i, head in enumerate(heads(plan, plan.rows, catalog)):
        places = range(i * len(columns), (i + 1) * len(columns))
        boxes = Markup("").join(_box(plan, place, done, yet) for place in places)
        rows.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(head, boxes))
    return Markup(
        '<div class="sweep" tabindex="0" role="region" aria-label="Pictures of the sweep"><table>'
        "<thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(top, Markup("").join(rows))


def _box(plan: Plan, place: int, done: Mapping[int, Markup], yet: Markup) -> Markup:
    if place in plan.skipped:
        inside = Markup('<span class="note">left out: {}</span>').format(plan.skipped[place])
    else:
        inside = done.get(place, yet)
    return Markup('<td id="{}{}">{}</td>').format(CELL_ID, place, inside)


def cell(cell: Cell, file: Path | None, address: Callable[[Path], str | None]) -> Markup:
    """One finished picture with its time and cost. ``address``: where a browser finds its small picture."""
    said: Mapping[str, Any] = cell.document
    where = address(file) if file else None
    picture = Markup('<span class="note">gone</span>')
    if where:
        alt = f"{said['model']}, {steps_text(said)}, {guidance_text(said)}: {said['prompt']}"
        picture = Markup('<img src="{}" alt="{}" loading="lazy">').format(where, alt)
    reused = " · from the cache" if said["cache"] == "hit" else ""
    busy = " · machine was busy" if disturbed(said) else ""
    time, cost = seconds_text(said["seconds"]["total"]), cost_text(said["cost_usd"])
    return Markup('{}<span class="cell-said"><b>{}</b> · {}{}{}</span>').format(picture, time, cost, reused, busy)
