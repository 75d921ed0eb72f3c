"""The Sweep tab: a grid over any two axes, weighed before it starts; cells appear as they finish, and stay. Below it
what they cost against what they give, by fidelity, by the votes of people or by a network."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.axes import AXES
from pipeline.errors import InputError, PlaygroundError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.plot import ACROSS
from pipeline.sweep import Plan, forecast, plan_sweep
from pipeline.sweep_report import UP, drawn, write_sweep_report
from pipeline.tradeoff import left_to_compare
from pipeline.ui import judge_box, markup, report_buttons, sweep_boxes, sweep_markup, sweep_progress
from pipeline.ui.compare_tab import ASIDE_QUEUE
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.price_box import chosen_price
from pipeline.ui.served import new_file
from pipeline.ui.sweep_markup import CELL_ID
from pipeline.ui.sweep_progress import Said
from pipeline.ui.visitors import Visitors
from pipeline.wording import count, slug

PUT_CELLS = f"""(text) => {{
  for (const [place, html] of JSON.parse(text || '[]')) {{
    const box = document.getElementById('{CELL_ID}' + place);
    if (box && box.innerHTML !== html) box.innerHTML = html;
  }}
}}"""
"""The grid is sent once; then only what has changed."""
NOT_YET = "The pictures are not all compared with their references yet."

LEAD = (
    "A sweep draws a grid over any two of models, prompts, seeds, steps, guidance and switches. Its plot marks the "
    "settings that no other beats both in time or cost and in fidelity, votes or a judge’s score."
)
"""Until there is a sweep on the page."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepView:
    """What other tabs need: the button that puts a sweep to the vote, the id of the one on the page, and how to show
    another: set ``wanted`` to its id, then have the events ``show``, one after the other."""

    vote: gr.Button
    current: gr.State
    wanted: gr.State
    show: Sequence[Mapping[str, Any]]


def build(playground: Playground, view: CompareView, jobs: Jobs, visitors: Visitors, tab: gr.Tab) -> SweepView:
    """``view``: the Compare tab, whose price box counts here too."""
    catalog = playground.catalog
    boxes = sweep_boxes.build(playground)
    with gr.Row(elem_classes="views", equal_height=True):
        start = gr.Button("Start sweep", variant="primary", min_width=140, scale=0)
        stop = gr.Button("Stop sweep", interactive=False, min_width=140, scale=0)
        resume = gr.Button("Go on", visible=False, min_width=150, scale=0)
        weighed = gr.HTML("", elem_classes=["kept-box", "said-box"], min_width=240)
        vote = gr.Button("Vote on this sweep", size="sm", interactive=False, min_width=140, scale=0)
        report = report_buttons.build("sweep-report-file")
        for button in report.buttons.values():
            button.interactive = False
    refused = gr.HTML("", elem_classes="kept-box")
    said = gr.HTML("", elem_classes="kept-box")
    grid = gr.HTML(markup.hint(LEAD), apply_default_css=False, elem_classes="kept-box")
    with gr.Row(visible=False, elem_classes="plot-axes") as axes:
        up = gr.Radio(list(UP), value=UP[0], label="Plot upwards", min_width=300)
        across = gr.Radio(list(ACROSS), value="time", label="Plot across", min_width=170)
    judges = judge_box.build(playground)
    front = gr.HTML("", apply_default_css=False, elem_classes="kept-box")
    changed = gr.Textbox(visible="hidden", label="changed cells")
    current, wanted = gr.State(None), gr.State(None)
    of_pictures = [vote, *report.buttons.values()]
    outputs = [
        refused, said, grid, axes, front, changed, current, wanted, start, stop, resume, judges.begin, judges.said,
        *of_pictures,
    ]  # fmt: skip

    def planned(chosen, texts) -> Plan:
        given = dict(zip([axis.name for axis in AXES], [chosen, *texts], strict=True))
        return plan_sweep(catalog, given)

    def plotted(entry: Entry, up: str, across: str, judge: str | None) -> str:
        try:
            return drawn(playground, entry, up, across, CELL_ID, judge)
        except InputError as error:
            lacking = up == UP[0] and left_to_compare(playground.sweeps, entry)
            return markup.hint(NOT_YET if lacking else str(error))

    def whole(entry: Entry, plot: str | None, busy: bool, coming: bool = False) -> dict:
        """All of a kept sweep at once. ``plot``: None leaves it. ``busy``: something of this page goes on, whose
        buttons stay. ``coming``: what it lacks is about to be made."""
        plan = playground.sweeps.plan(entry)
        cells = playground.sweeps.cells.of(entry.id)
        done = {cell.place: sweep_progress.cell_html(entry, cell) for cell in cells}
        progress = Said(
            markup.hint(sweep_progress.state(playground, entry)),
            busy=None if busy else False,
            some=bool(done),
            left=len(plan.requests) - len(done),
        )
        yet = sweep_markup.WAITING if coming or playground.sweeps.running(entry.id) else sweep_markup.NOT_MADE
        return shown(progress) | {
            refused: "",
            judges.said: "",
            judges.begin: gr.Button(interactive=bool(done)),
            # The comment: a page leaves alone what is sent to it twice, though cells have come in between.
            grid: f"{sweep_markup.grid(plan, catalog, done, yet)}<!-- {time.time_ns()} -->",
            axes: gr.Row(visible=True),
            front: gr.skip() if plot is None else plot,
            changed: "[]",
            current: entry.id,
        }

    def shown(progress: Said) -> dict:
        """What is None of it stays as it is."""
        updates = {}
        if progress.html is not None:
            updates[said] = progress.html
        if progress.cells:
            updates[changed] = json.dumps(progress.cells)
        if progress.busy is not None:
            updates |= {button: gr.Button(interactive=not progress.busy) for button in (start, resume)}
            updates[judges.begin] = gr.Button(interactive=not progress.busy and progress.some is not False)
            updates[stop] = gr.Button("Stop sweep", interactive=progress.busy)
        if progress.some is not None:
            updates |= {button: gr.Button(interactive=progress.some) for button in of_pictures}
        if progress.left is not None:
            updates[resume] = gr.Button(
                f"Go on: {progress.left} left", visible=progress.left > 0, interactive=not progress.busy
            )
        return updates

    def told(progress: Iterator[Said]) -> Iterator[dict]:
        with closing(progress):
            for each in progress:
                yield shown(each) or gr.skip()

    def checked(session: str | None) -> None:
        """Raises InputError while anything of this page runs."""
        if jobs.busy(session):
            raise InputError(judge_box.BUSY)

    def running(entry: Entry, plot: str | None, session: str | None) -> Iterator[dict]:
        yield whole(entry, plot, True, coming=True) | shown(Said(busy=True, left=0))
        yield from told(sweep_progress.made(playground, jobs, session, entry))

    def on_start(
        token, price, chosen, prompt_lines, seeds, steps, guidance, switches, request: gr.Request
    ) -> Iterator[dict]:
        try:
            checked(request.session_hash)
            plan = planned(chosen, [prompt_lines, seeds, steps, guidance, switches])
            visitors.check_spending(plan.requests.values(), request)
            owner = visitors.owner(token)
            entry = playground.history.get(playground.sweeps.start(plan, chosen_price(playground, price), owner), owner)
            yield from running(entry, "", request.session_hash)
        except PlaygroundError as error:
            yield {refused: markup.fault(str(error))}

    def on_resume(token, entry, request: gr.Request) -> Iterator[dict]:
        try:
            checked(request.session_hash)
            kept = visitors.get(entry, token, request)
            plan = playground.sweeps.plan(kept)
            visitors.check_spending([plan.requests[place] for place in playground.sweeps.left(kept)], request)
            yield from running(kept, None, request.session_hash)
        except PlaygroundError as error:
            yield {refused: markup.fault(str(error))}

    def on_judge(token, entry, which, request: gr.Request) -> Iterator[dict]:
        with closing(judge_box.judging(playground, jobs, visitors, token, entry, which, request)) as progress:
            for each in progress:
                yield {refused: "", judges.said: each.html, **shown(replace(each, html=None))}

    def on_open(token, up, across, which, entry, coming, request: gr.Request) -> dict:
        """The newest sweep of this visitor, unless one is on the page; for that one the votes that came meanwhile.
        ``coming``: one that was opened elsewhere, which :func:`on_show` brings."""
        if coming not in (None, entry):
            return gr.skip()
        if entry:
            return {refused: "", **on_axes(token, up, across, which, entry, request)}
        try:
            for found in visitors.find(token, request, kind="sweep", limit=1):
                return whole(found, plotted(found, up, across, which), jobs.busy(request.session_hash))
        except InputError as error:  # made with models or settings that are no more
            log.info("the newest sweep is not restored: %s", error)
        except PlaygroundError as error:
            log.exception("the newest sweep is not restored")
            return {refused: "", said: markup.fault(str(error))}
        return {refused: ""}

    def on_ways(request: gr.Request) -> Any:
        """By a judge only for whom there is one."""
        return gr.Radio(list(UP) if judge_box.offered(playground, visitors, request) else list(UP[:2]))

    def on_show(token, up, across, which, coming, request: gr.Request) -> dict:
        """The sweep that was opened elsewhere."""
        if not coming:
            return gr.skip()
        try:
            kept = visitors.get(coming, token, request)
            return whole(kept, plotted(kept, up, across, which), jobs.busy(request.session_hash)) | {wanted: None}
        except PlaygroundError as error:  # made with models or settings that are no more
            return {said: markup.fault(f"This sweep cannot be shown: {error}"), wanted: None}

    def on_compare(token, entry, coming, request: gr.Request) -> Iterator[dict]:
        """What the plot of a sweep that was opened lacks yet, unless this tab has something going."""
        session = request.session_hash
        try:
            if entry and coming in (None, entry) and not jobs.busy(None, sweep_progress.run_of(session)):
                kept = visitors.get(entry, token, request)
                yield from told(sweep_progress.compared(playground, jobs, session, kept))
        except PlaygroundError as error:
            log.info("a sweep's pictures are not compared: %s", error)
        yield gr.skip()

    def on_axes(token, up, across, which, entry, request: gr.Request) -> dict:
        """The plot again, unless pictures are being made, at whose end it is drawn anyway."""
        if not entry or playground.sweeps.running(entry):
            return {front: gr.skip()}
        try:
            return {front: plotted(visitors.get(entry, token, request), up, across, which)}
        except PlaygroundError as error:
            return {front: markup.hint(str(error))}

    def on_weigh(price, chosen, *texts) -> str:
        try:
            plan = planned(chosen, texts)
            found = forecast(playground.engine, plan.requests.values(), chosen_price(playground, price))
        except PlaygroundError as error:
            return markup.hint(str(error))
        left_out = f"; {count(len(plan.skipped), 'cell')} left out" if plan.skipped else ""
        return markup.hint(f"{found.text()}{left_out}")

    def on_stop(request: gr.Request) -> Any:
        jobs.stop(None, sweep_progress.run_of(request.session_hash))
        return gr.Button("Stopping", interactive=False), ""

    def report_as(suffix: str):
        def on_report(token, entry, request: gr.Request) -> Path:
            if not entry:
                raise InputError("There is no sweep on the page: press Start sweep first.")
            kept = visitors.get(entry, token, request)
            path = new_file(f"diptych-sweep-{slug(kept.prompt)}{suffix}")
            write_sweep_report(path, playground, kept)
            return path

        return on_report

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    plot = [visitors.token, up, across, judges.which]
    redraw = {"fn": on_axes, "inputs": [*plot, current], "outputs": outputs, **at_once}
    start.click(on_start, [visitors.token, view.price, *boxes.all], outputs, **hidden, **ASIDE_QUEUE).then(**redraw)
    resume.click(on_resume, [visitors.token, current], outputs, **hidden, **ASIDE_QUEUE).then(**redraw)
    gr.on([up.change, across.change, judges.which.input], trigger_mode="always_last", **redraw)
    offer = {"inputs": [up, current, judges.which], "outputs": [judges.row, judges.which], **at_once}
    gr.on([up.change, current.change], partial(judge_box.shown, playground), **offer)
    judging = [visitors.token, current, judges.which]
    judges.begin.click(on_judge, judging, outputs, **hidden, **ASIDE_QUEUE).then(**redraw)
    stop.click(on_stop, None, [stop, refused], **at_once)
    # What was refused for its boxes, or for a run that may be over.
    gr.on([box.change for box in boxes.all], None, None, refused, js="() => ''", **at_once)
    changed.change(None, changed, None, js=PUT_CELLS, **hidden)
    weigh = {"fn": on_weigh, "inputs": [view.price, *boxes.all], "outputs": weighed, **at_once}
    gr.on([box.change for box in boxes.all], trigger_mode="always_last", **weigh)
    compare = {"fn": on_compare, "inputs": [visitors.token, current, wanted], "outputs": outputs}
    compare |= {**hidden, **ASIDE_QUEUE}
    tab.select(on_open, [*plot, current, wanted], outputs, **at_once).then(**compare).then(**redraw)
    tab.select(on_ways, None, up, **at_once)
    sweep_boxes.attach(boxes, view, catalog, tab, start, weigh)
    report_buttons.offer(report, report_as, [visitors.token, current])
    show = {"fn": on_show, "inputs": [*plot, wanted], "outputs": outputs, **at_once}
    return SweepView(vote, current, wanted, (show, compare, redraw))
