"""What the Sweep tab shows of a sweep: from its progress, and from what is kept of it, to values of components.

Runs nothing and registers nothing; that is sweep_tab's.
"""

from __future__ import annotations

import json
import time

import gradio as gr

from pipeline.errors import InputError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.sweep_report import UP, drawn
from pipeline.tradeoff import left_to_compare
from pipeline.ui import markup, sweep_markup, sweep_progress
from pipeline.ui.compare_updates import Updates
from pipeline.ui.sweep_markup import CELL_ID
from pipeline.ui.sweep_progress import Said
from pipeline.ui.sweep_view import SweepView

NOT_YET = "The pictures are not all compared with their references yet."


def shown(view: SweepView, progress: Said) -> Updates:
    """What is None of it stays as it is."""
    updates: Updates = {}
    if progress.html is not None:
        updates[view.said] = progress.html
    if progress.cells:
        updates[view.changed] = json.dumps(progress.cells)
    if progress.busy is not None:
        updates |= {button: gr.Button(interactive=not progress.busy) for button in (view.start, view.resume)}
        updates[view.judges.begin] = gr.Button(interactive=not progress.busy and progress.some is not False)
        updates[view.stop] = gr.Button("Stop sweep", interactive=progress.busy)
    if progress.some is not None:
        updates |= {button: gr.Button(interactive=progress.some) for button in view.of_pictures}
    if progress.left is not None:
        updates[view.resume] = gr.Button(
            f"Go on: {progress.left} left", visible=progress.left > 0, interactive=not progress.busy
        )
    return updates


def whole(
    view: SweepView, playground: Playground, entry: Entry, plot: str | None, busy: bool, coming: bool = False
) -> Updates:
    """All of a kept sweep at once. ``plot``: None leaves it. ``busy``: something of this page goes on, whose buttons
    stay. ``coming``: what it lacks is about to be made. Raises InputError if it cannot be made here any more."""
    plan = playground.sweeps.plan(entry)
    cells = playground.sweeps.cells.of(entry.id)
    done = {cell.place: sweep_progress.cell_html(entry, cell) for cell in cells}
    progress = Said(
        markup.hint(sweep_progress.state(playground, entry)),
        busy=None if busy else False,
        some=bool(done),
        left=len(plan.requests) - len(done),
    )
    title = sweep_markup.title(plan, entry.document, playground.catalog)
    yet = sweep_markup.WAITING if coming or playground.sweeps.running(entry.id) else sweep_markup.NOT_MADE
    return shown(view, progress) | {
        view.refused: "",
        view.judges.said: "",
        view.judges.begin: gr.Button(interactive=bool(done)),
        # The comment: a page leaves alone what is sent to it twice, though cells have come in between.
        view.grid: f"{title}{sweep_markup.grid(plan, playground.catalog, done, yet)}<!-- {time.time_ns()} -->",
        view.axes: gr.Row(visible=True),
        view.front: gr.skip() if plot is None else plot,
        view.changed: "[]",
        view.current: entry.id,
    }


def plotted(playground: Playground, entry: Entry, up: str, across: str, judge: str | None) -> str:
    """The plot as HTML, or why there is none."""
    try:
        return drawn(playground, entry, up, across, CELL_ID, judge)
    except InputError as error:
        lacking = up == UP[0] and left_to_compare(playground.sweeps, entry)
        return markup.hint(NOT_YET if lacking else str(error))
