"""Behaviour of the Sweep tab: a grid over any two axes, weighed before it starts; cells appear as they finish, and
stay. Below it what they cost against what they give, by fidelity, by the votes of people or by a network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.axes import AXES
from pipeline.catalog import Catalog
from pipeline.errors import InputError, PlaygroundError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.sweep import Plan, forecast, plan_sweep
from pipeline.sweep_report import UP, write_sweep_report
from pipeline.ui import judge_box, markup, report_buttons, sweep_boxes, sweep_progress
from pipeline.ui import sweep_updates as updates
from pipeline.ui.compare_tab import ASIDE_QUEUE
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.price_box import chosen_price
from pipeline.ui.served import new_file
from pipeline.ui.sweep_markup import CELL_ID
from pipeline.ui.sweep_progress import Said, run_of
from pipeline.ui.sweep_view import SweepView
from pipeline.ui.visitors import Visitors
from pipeline.wording import count, slug

PUT_CELLS = f"""(text) => {{
  for (const [place, html] of JSON.parse(text || '[]')) {{
    const box = document.getElementById('{CELL_ID}' + place);
    if (box && box.innerHTML !== html) box.innerHTML = html;
  }}
}}"""
"""The grid is sent once; then only what has changed."""

log = logging.getLogger(__name__)


def planned(catalog: Catalog, models: Sequence[str], *texts: str) -> Plan:
    """The sweep that the boxes ask for; ``texts``: of all axes but the models. Raises InputError."""
    return plan_sweep(catalog, dict(zip([axis.name for axis in AXES], [models, *texts], strict=True)))


@dataclass(frozen=True)
class _Handlers:
    """What each event does; which click is which is for :func:`attach`. Keeps nothing of a visitor."""

    view: SweepView
    playground: Playground
    jobs: Jobs
    visitors: Visitors

    # What goes on for a while.

    def on_start(
        self, token, price, models, prompt_lines, seeds, steps, guidance, switches, request: gr.Request
    ) -> Iterator[dict]:
        try:
            self._check_idle(request)
            plan = planned(self.playground.catalog, models, prompt_lines, seeds, steps, guidance, switches)
            self.visitors.check_spending(plan.requests.values(), request)
            owner = self.visitors.owner(token)
            started = self.playground.sweeps.start(plan, chosen_price(self.playground, price), owner)
            yield from self._running(self.playground.history.get(started, owner), "", request)
        except PlaygroundError as error:
            yield {self.view.refused: markup.fault(str(error))}

    def on_resume(self, token, entry, request: gr.Request) -> Iterator[dict]:
        try:
            self._check_idle(request)
            kept = self.visitors.get(entry, token, request)
            plan = self.playground.sweeps.plan(kept)
            left = self.playground.sweeps.left(kept)
            self.visitors.check_spending([plan.requests[place] for place in left], request)
            yield from self._running(kept, None, request)
        except PlaygroundError as error:
            yield {self.view.refused: markup.fault(str(error))}

    def on_compare(self, token, entry, coming, request: gr.Request) -> Iterator[dict]:
        """What the plot of a sweep that was opened lacks yet, unless this tab has something going."""
        session = request.session_hash
        try:
            if entry and coming in (None, entry) and not self.jobs.busy(None, run_of(session)):
                kept = self.visitors.get(entry, token, request)
                yield from self._told(sweep_progress.compared(self.playground, self.jobs, session, kept))
        except PlaygroundError as error:
            log.info("a sweep's pictures are not compared: %s", error)
        yield gr.skip()

    def on_judge(self, token, entry, which, request: gr.Request) -> Iterator[dict]:
        view = self.view
        judging = judge_box.judging(self.playground, self.jobs, self.visitors, token, entry, which, request)
        with closing(judging) as progress:
            for each in progress:
                told = {view.refused: "", view.judges.said: each.html}
                yield told | updates.shown(view, replace(each, html=None))

    def on_stop(self, request: gr.Request) -> Any:
        self.jobs.stop(None, run_of(request.session_hash))
        return gr.Button("Stopping", interactive=False), ""

    def _check_idle(self, request: gr.Request) -> None:
        """Raises InputError while anything of this page runs."""
        if self.jobs.busy(request.session_hash):
            raise InputError(judge_box.BUSY)

    def _running(self, entry: Entry, plot: str | None, request: gr.Request) -> Iterator[dict]:
        begun = updates.shown(self.view, Said(busy=True, left=0))
        yield updates.whole(self.view, self.playground, entry, plot, True, coming=True) | begun
        yield from self._told(sweep_progress.made(self.playground, self.jobs, request.session_hash, entry))

    def _told(self, progress: Iterator[Said]) -> Iterator[dict]:
        with closing(progress):
            for each in progress:
                yield updates.shown(self.view, each) or gr.skip()

    # What is shown at once.

    def on_open(self, token, up, across, which, entry, coming, request: gr.Request) -> dict:
        """The newest sweep of this visitor, unless one is on the page; for that one the votes that came meanwhile.
        ``coming``: one that was opened elsewhere, which :meth:`on_show` brings."""
        if coming not in (None, entry):
            return gr.skip()
        if entry:
            return {self.view.refused: "", **self.on_axes(token, up, across, which, entry, request)}
        try:
            for found in self.visitors.find(token, request, kind="sweep", limit=1):
                return self._whole(found, up, across, which, request)
        except InputError as error:  # made with models or settings that are no more
            log.info("the newest sweep is not restored: %s", error)
        except PlaygroundError as error:
            log.exception("the newest sweep is not restored")
            return {self.view.refused: "", self.view.said: markup.fault(str(error))}
        return {self.view.refused: ""}

    def on_show(self, token, up, across, which, coming, request: gr.Request) -> dict:
        """The sweep that was opened elsewhere."""
        if not coming:
            return gr.skip()
        try:
            kept = self.visitors.get(coming, token, request)
            whole = self._whole(kept, up, across, which, request)
            return whole | self._refilled(self.playground.sweeps.plan(kept)) | {self.view.wanted: None}
        except PlaygroundError as error:  # made with models or settings that are no more
            return {self.view.said: markup.fault(f"This sweep cannot be shown: {error}"), self.view.wanted: None}

    def _refilled(self, plan: Plan) -> dict:
        """The boxes as they ask for ``plan``, where they can say all of it; no offer takes their place."""
        boxes, said = self.view.boxes, sweep_boxes.boxes_of(plan)
        with suppress(InputError):  # made where more can be said, as on the command line
            again = planned(self.playground.catalog, *said)
            if set(again.requests.values()) == set(plan.requests.values()):
                return {boxes.offered: None, **dict(zip(boxes.all, said, strict=True))}
        return {}

    def _whole(self, entry: Entry, up: str, across: str, which: str | None, request: gr.Request) -> dict:
        plot = updates.plotted(self.playground, entry, up, across, which)
        return updates.whole(self.view, self.playground, entry, plot, self.jobs.busy(request.session_hash))

    def on_axes(self, token, up, across, which, entry, request: gr.Request) -> dict:
        """The plot again, unless pictures are being made, at whose end it is drawn anyway."""
        if not entry or self.playground.sweeps.running(entry):
            return {self.view.front: gr.skip()}
        try:
            kept = self.visitors.get(entry, token, request)
            return {self.view.front: updates.plotted(self.playground, kept, up, across, which)}
        except PlaygroundError as error:
            return {self.view.front: markup.hint(str(error))}

    def on_ways(self, request: gr.Request) -> Any:
        """By a judge only for whom there is one."""
        return gr.Radio(list(UP) if judge_box.offered(self.playground, self.visitors, request) else list(UP[:2]))

    def on_weigh(self, price, models, *texts) -> str:
        try:
            plan = planned(self.playground.catalog, models, *texts)
            price = chosen_price(self.playground, price)
            found = forecast(self.playground.engine, plan.requests.values(), price)
        except PlaygroundError as error:
            return markup.hint(str(error))
        left_out = f"; {count(len(plan.skipped), 'cell')} left out" if plan.skipped else ""
        return markup.hint(f"New sweep: {found.text()}{left_out}")  # beside it may stand what is left of another

    def report_as(self, suffix: str) -> Callable[..., Path]:
        def on_report(token, entry, request: gr.Request) -> Path:
            if not entry:
                raise InputError("There is no sweep on the page: press Start sweep first.")
            kept = self.visitors.get(entry, token, request)
            path = new_file(f"diptych-sweep-{slug(kept.prompt)}{suffix}")
            write_sweep_report(path, self.playground, kept)
            return path

        return on_report


def attach(
    view: SweepView, playground: Playground, compare: CompareView, jobs: Jobs, visitors: Visitors, tab: gr.Tab
) -> Sequence[Mapping[str, Any]]:
    """Give the tab its behaviour. ``compare``: the Compare tab, whose price box counts here too. Returns the events
    that, one after the other, show the sweep ``view.wanted``."""
    handlers = _Handlers(view, playground, jobs, visitors)
    boxes, up, across, judges, current = view.boxes, view.up, view.across, view.judges, view.current
    outputs = view.changing
    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    aside = {**hidden, **ASIDE_QUEUE}
    asked = [compare.price, *boxes.all]
    plot = [visitors.token, up, across, judges.which]
    redraw = {"fn": handlers.on_axes, "inputs": [*plot, current], "outputs": outputs, **at_once}
    view.start.click(handlers.on_start, [visitors.token, *asked], outputs, **aside).then(**redraw)
    view.resume.click(handlers.on_resume, [visitors.token, current], outputs, **aside).then(**redraw)
    gr.on([up.change, across.change, judges.which.input], trigger_mode="always_last", **redraw)
    offer = {"inputs": [up, current, judges.which], "outputs": [judges.row, judges.which], **at_once}
    gr.on([up.change, current.change], partial(judge_box.shown, playground), **offer)
    judging = [visitors.token, current, judges.which]
    judges.begin.click(handlers.on_judge, judging, outputs, **aside).then(**redraw)
    view.stop.click(handlers.on_stop, None, [view.stop, view.refused], **at_once)
    # What was refused for its boxes, or for a run that may be over.
    gr.on([box.change for box in boxes.all], None, None, view.refused, js="() => ''", **at_once)
    view.changed.change(None, view.changed, None, js=PUT_CELLS, **hidden)
    weigh = {"fn": handlers.on_weigh, "inputs": asked, "outputs": view.weighed, **at_once}
    gr.on([box.change for box in boxes.all], trigger_mode="always_last", **weigh)
    lacking = [visitors.token, current, view.wanted]
    complete = {"fn": handlers.on_compare, "inputs": lacking, "outputs": outputs, **aside}
    opening = [*plot, current, view.wanted]
    tab.select(handlers.on_open, opening, outputs, **at_once).then(**complete).then(**redraw)
    tab.select(handlers.on_ways, None, up, **at_once)
    sweep_boxes.attach(boxes, compare, playground.catalog, tab, view.start, weigh)
    report_buttons.offer(view.report, handlers.report_as, [visitors.token, current])
    show = {"fn": handlers.on_show, "inputs": [*plot, view.wanted], **at_once}
    show["outputs"] = [*outputs, boxes.offered, *boxes.all]
    return show, complete, redraw
