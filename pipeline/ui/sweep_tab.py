"""The Sweep tab: a grid over any two axes, weighed before it starts; cells appear as they finish, and stay. Below it
what they cost against what they give, by fidelity, by the votes of people or by a network."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.axes import AXES
from pipeline.cells import Cell
from pipeline.errors import Cancelled, InputError, PlaygroundError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.plot import ACROSS
from pipeline.sweep import Plan, forecast, plan_sweep
from pipeline.sweep_report import UP, drawn, write_sweep_report
from pipeline.sweep_run import Kept, LeftOut, Working
from pipeline.tradeoff import compare_cells
from pipeline.ui import judge_box, markup, report_buttons, sweep_boxes, sweep_markup
from pipeline.ui.compare_tab import DEVICE_QUEUE
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.pace import QUICK_S, SETTLE_S, TELL_S
from pipeline.ui.price_box import chosen_price
from pipeline.ui.served import address, new_file
from pipeline.ui.sweep_markup import CELL_ID
from pipeline.ui.visitors import Visitors
from pipeline.wording import count, slug

COMPARED_EVERY_S = 0.3
PUT_CELLS = f"""(text) => {{
  for (const [place, html] of JSON.parse(text || '[]')) {{
    const box = document.getElementById('{CELL_ID}' + place);
    if (box && box.innerHTML !== html) box.innerHTML = html;
  }}
}}"""
"""The grid is sent once; then only what has changed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepView:
    """What other tabs need: the button that puts a sweep to the vote, the id of the one on the page, and how to show
    another: set ``wanted`` to its id, then have the event ``show``."""

    vote: gr.Button
    current: gr.State
    wanted: gr.State
    show: dict[str, Any]


def build(playground: Playground, view: CompareView, jobs: Jobs, visitors: Visitors, tab: gr.Tab) -> SweepView:
    """``view``: the Compare tab, whose price box counts here too."""
    catalog = playground.catalog
    boxes = sweep_boxes.build(playground)
    with gr.Row(elem_classes="views", equal_height=True):
        start = gr.Button("Start sweep", variant="primary", min_width=140, scale=0)
        stop = gr.Button("Stop sweep", interactive=False, min_width=140, scale=0)
        resume = gr.Button("Go on", visible=False, min_width=150, scale=0)
        weighed = gr.HTML("", elem_classes=["kept-box", "said-box"], min_width=240)
        vote = gr.Button("Vote on this sweep", size="sm", min_width=140, scale=0)
        report = report_buttons.build("sweep-report-file")
    said = gr.HTML("", elem_classes="kept-box")
    grid = gr.HTML("", apply_default_css=False, elem_classes="kept-box")
    with gr.Row(visible=False, elem_classes="plot-axes") as axes:
        up = gr.Radio(list(UP), value=UP[0], label="Plot upwards", min_width=300)
        across = gr.Radio(list(ACROSS), value="time", label="Plot across", min_width=170)
    judges = judge_box.build(playground)
    front = gr.HTML("", apply_default_css=False, elem_classes="kept-box")
    changed = gr.Textbox(visible="hidden", label="changed cells")
    current, wanted = gr.State(None), gr.State(None)
    outputs = [said, grid, axes, front, changed, current, start, stop, resume]

    def update(**values: Any) -> list[Any]:
        """Every output, so that none that was left out is built anew."""
        names = ["said", "grid", "axes", "front", "changed", "current", "start", "stop", "resume"]
        return [values.get(name, gr.skip()) for name in names]

    def planned(chosen, texts) -> Plan:
        given = dict(zip([axis.name for axis in AXES], [chosen, *texts], strict=True))
        return plan_sweep(catalog, given)

    def html_of(entry: Entry, cell: Cell) -> str:
        return sweep_markup.cell(cell, entry.files.get(cell.place), address)

    def plotted(entry: Entry, up: str, across: str, judge: str | None) -> str:
        try:
            return drawn(playground, entry, up, across, CELL_ID, judge)
        except InputError as error:
            return markup.hint(str(error))

    def whole(entry: Entry, plot: Any, busy: bool = False) -> list[Any]:
        """All of a kept sweep at once: for whoever comes back. ``busy``: something of this page goes on, and is to be
        stopped yet."""
        plan = playground.sweeps.plan(entry)
        done = {cell.place: html_of(entry, cell) for cell in playground.sweeps.cells.of(entry.id)}
        left = len(plan.requests) - len(done)
        state = markup.hint(f"{count(len(done), 'picture')} of {len(plan.requests)} done.")
        return update(
            said=state,
            grid=sweep_markup.grid(plan, catalog, done),
            axes=gr.Row(visible=True),
            front=plot,
            changed="[]",
            current=entry.id,
            start=gr.skip() if busy else gr.Button(interactive=True),
            stop=gr.skip() if busy else gr.Button(interactive=False),
            resume=gr.Button(f"Go on: {left} left", visible=bool(left), interactive=not busy),
        )

    def comparing(entry: Entry) -> Iterator[list[Any]]:
        """Each picture beside its reference, for the plot, told as it goes: hundreds take a while."""
        told = time.monotonic()
        for done, total in compare_cells(playground.sweeps, playground.history.get(entry.id)):
            if time.monotonic() - told >= COMPARED_EVERY_S:
                told = time.monotonic()
                yield update(said=markup.hint(f"Comparing pictures: {done} of {total}."))

    def run(entry: Entry, session: str | None, plot: Any) -> Iterator[list[Any]]:
        told, total, left = 0.0, 0, 0
        fresh: list[tuple[int, str]] = []
        last: list[tuple[int, str]] = []  # sent once more: a browser may merge two updates into the later one
        problem, declined = "", []
        busy = [gr.Button(interactive=False), gr.Button(interactive=True), gr.Button(visible=False)]
        try:
            total = len(playground.sweeps.plan(entry).requests)
            done = len(playground.sweeps.cells.places(entry.id))
            yield [*whole(entry, plot)[: -len(busy)], *busy]
            with (
                jobs.running(session, f"sweep {session}") as flag,
                closing(playground.sweeps.run(entry, stop=flag)) as events,
            ):
                time.sleep(SETTLE_S)  # in here, so that Stop is heard meanwhile
                begun = time.monotonic()
                for event in events:
                    if isinstance(event, Kept):
                        done += 1
                        fresh.append((event.cell.place, html_of(playground.history.get(entry.id), event.cell)))
                        begun = time.monotonic()
                    if isinstance(event, LeftOut):
                        declined.append(event.why)
                    alone = isinstance(event, Working) and time.monotonic() - begun < QUICK_S
                    if alone or time.monotonic() - told < TELL_S:
                        continue
                    # Also with nothing new: that its reader has gone, this learns only when it yields.
                    yield update(said=markup.hint(f"{done} of {total} done."), changed=json.dumps(last + fresh))
                    last, fresh = fresh, []
                    if isinstance(event, Kept):
                        time.sleep(SETTLE_S)
                    told = begun = time.monotonic()
        except Cancelled:
            problem = "Stopped. What is done stays; Go on makes the rest."
        except PlaygroundError as error:
            problem = str(error)
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("a sweep failed")
            problem = "The sweep failed; the server's log says where. What is done stays."
        yield update(changed=json.dumps(last + fresh))
        with suppress(PlaygroundError):  # deleted meanwhile, or not to be read
            yield from comparing(entry)
        with suppress(PlaygroundError):
            left = total - len(playground.sweeps.cells.places(entry.id))
        if declined and not problem:
            problem = f"{count(len(declined), 'picture')} left out. {declined[0]}"
        text = problem or f"All {total} done."
        yield update(
            said=markup.fault(problem) if problem and "Stopped" not in problem else markup.hint(text),
            start=gr.Button(interactive=True),
            stop=gr.Button("Stop sweep", interactive=False),
            resume=gr.Button(f"Go on: {left} left", visible=bool(left)),
        )

    def on_start(
        token, price, chosen, prompt_lines, seeds, steps, guidance, switches, request: gr.Request
    ) -> Iterator[list[Any]]:
        try:
            if jobs.busy(request.session_hash):
                raise InputError(judge_box.BUSY)
            plan = planned(chosen, [prompt_lines, seeds, steps, guidance, switches])
            visitors.check_spending(plan.requests.values(), request)
            owner = visitors.owner(token)
            entry = playground.history.get(playground.sweeps.start(plan, chosen_price(playground, price), owner), owner)
        except PlaygroundError as error:
            yield update(said=markup.fault(str(error)))
            return
        yield from run(entry, request.session_hash, "")

    def on_resume(token, entry, request: gr.Request) -> Iterator[list[Any]]:
        try:
            if jobs.busy(request.session_hash):
                raise InputError(judge_box.BUSY)
            kept = visitors.get(entry, token, request)
            plan = playground.sweeps.plan(kept)
            visitors.check_spending([plan.requests[place] for place in playground.sweeps.left(kept)], request)
        except PlaygroundError as error:
            yield update(said=markup.fault(str(error)))
            return
        yield from run(kept, request.session_hash, gr.skip())

    def on_judge(token, entry, which, request: gr.Request) -> Iterator[list[Any]]:
        """With Stop, as for the sweep itself, whose name the job goes by."""
        for text, busy in judge_box.judging(playground, jobs, visitors, token, entry, which, request):
            if busy is None:
                yield [*update(said=text), gr.skip()]
                continue
            free = gr.Button(interactive=not busy)
            halt = gr.Button("Stop sweep", interactive=busy)
            yield [*update(said=text, start=free, stop=halt, resume=free), free]

    def on_open(token, up, across, which, entry, request: gr.Request) -> list[Any]:
        """The newest sweep of this visitor, unless one is on the page; for that one the votes that came meanwhile."""
        try:
            if entry:
                return on_axes(token, up, across, which, entry, request)
            found = visitors.find(token, request, kind="sweep", limit=1)
            return whole(found[0], plotted(found[0], up, across, which)) if found else update()
        except InputError as error:  # made with models or settings that are no more
            log.info("the newest sweep is not restored: %s", error)
        except PlaygroundError:
            log.exception("the history cannot be read")
        return update()

    def on_ways(request: gr.Request) -> Any:
        """By a judge only for whom there is one."""
        return gr.Radio(list(UP) if judge_box.offered(playground, visitors, request) else list(UP[:2]))

    def on_show(token, up, across, which, wanted, request: gr.Request) -> list[Any]:
        """The sweep that was opened elsewhere."""
        if not wanted:
            return update()
        try:
            kept = visitors.get(wanted, token, request)
            return whole(kept, plotted(kept, up, across, which), jobs.busy(request.session_hash))
        except PlaygroundError as error:  # made with models or settings that are no more
            return update(said=markup.fault(f"This sweep cannot be shown: {error}"))

    def on_axes(token, up, across, which, entry, request: gr.Request) -> list[Any]:
        """The plot again, unless pictures are being made, at whose end it is drawn anyway."""
        if not entry or playground.sweeps.running(entry):
            return update()
        try:
            return update(front=plotted(visitors.get(entry, token, request), up, across, which))
        except PlaygroundError as error:
            return update(front=markup.hint(str(error)))

    def on_weigh(price, chosen, *texts) -> str:
        try:
            plan = planned(chosen, texts)
            found = forecast(playground.engine, plan.requests.values(), chosen_price(playground, price))
        except PlaygroundError as error:
            return markup.hint(str(error))
        left_out = f"; {count(len(plan.skipped), 'cell')} left out" if plan.skipped else ""
        return markup.hint(f"{found.text()}{left_out}")

    def on_stop(request: gr.Request) -> Any:
        jobs.stop(None, f"sweep {request.session_hash}")
        return gr.Button("Stopping", interactive=False)

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
    start.click(on_start, [visitors.token, view.price, *boxes.all], outputs, **hidden, **DEVICE_QUEUE).then(**redraw)
    resume.click(on_resume, [visitors.token, current], outputs, **hidden, **DEVICE_QUEUE).then(**redraw)
    gr.on([up.change, across.change, judges.which.input], trigger_mode="always_last", **redraw)
    offer = {"inputs": [up, current, judges.which], "outputs": [judges.row, judges.which], **at_once}
    gr.on([up.change, current.change], partial(judge_box.shown, playground), **offer)
    judged = judges.begin.click(
        on_judge, [visitors.token, current, judges.which], [*outputs, judges.begin], **hidden, **DEVICE_QUEUE
    )
    judged.then(**redraw)
    stop.click(on_stop, None, stop, **at_once)
    changed.change(None, changed, None, js=PUT_CELLS, **hidden)
    weigh = {"fn": on_weigh, "inputs": [view.price, *boxes.all], "outputs": weighed, **at_once}
    gr.on([box.change for box in boxes.all], trigger_mode="always_last", **weigh)
    tab.select(on_open, [*plot, current], outputs, **at_once)
    tab.select(on_ways, None, up, **at_once)
    sweep_boxes.attach(boxes, view, catalog, tab, start, weigh)
    report_buttons.offer(report, report_as, [visitors.token, current])
    show = {"fn": on_show, "inputs": [*plot, wanted], "outputs": outputs, **at_once}
    return SweepView(vote, current, wanted, show)
