"""A sweep as HTML: the grid with a box a cell, and what a finished cell says. Everything is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pipeline.catalog import Catalog
from pipeline.cells import Cell
from pipeline.sweep import Plan, heads
from pipeline.wording import cost_text, guidance_text, seconds_text, steps_text

CELL_ID = "sweep-cell-"
"""And the place: the anchor that the plot's points lead to."""
WAITING = '<span class="note">waiting</span>'
NOT_MADE = '<span class="note">not made</span>'


def grid(plan: Plan, catalog: Catalog, done: Mapping[int, str], yet: str = WAITING) -> str:
    """The whole table; ``done``: what stands in the finished cells, by place; ``yet``: in those that are to be made."""
    columns = heads(plan, plan.columns, catalog)
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in columns)
    rows = []
    for i, head in enumerate(heads(plan, plan.rows, catalog)):
        places = range(i * len(columns), (i + 1) * len(columns))
        rows.append(
            f'<tr><th scope="row">{escape(head)}</th>{"".join(_box(plan, place, done, yet) for place in places)}</tr>'
        )
    return (
        '<div class="sweep" tabindex="0" role="region" aria-label="Pictures of the sweep"><table>'
        f"<thead><tr><td></td>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _box(plan: Plan, place: int, done: Mapping[int, str], yet: str) -> str:
    if place in plan.skipped:
        inside = f'<span class="note">left out: {escape(plan.skipped[place])}</span>'
    else:
        inside = done.get(place, yet)
    return f'<td id="{CELL_ID}{place}">{inside}</td>'


def cell(cell: Cell, file: Path | None, address: Callable[[Path], str | None]) -> str:
    """One finished picture with its time and cost. ``address``: where a browser finds its small picture."""
    said: Mapping[str, Any] = cell.document
    where = address(file) if file else None
    alt = escape(f"{said['model']}, {steps_text(said)}, {guidance_text(said)}: {said['prompt']}")
    picture = f'<img src="{escape(where)}" alt="{alt}" loading="lazy">' if where else '<span class="note">gone</span>'
    reused = " · from the cache" if said["cache"] == "hit" else ""
    time, cost = seconds_text(said["seconds"]["total"]), cost_text(said["cost_usd"])
    return f'{picture}<span class="cell-said"><b>{time}</b> · {cost}{reused}</span>'
