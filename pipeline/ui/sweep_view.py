"""Layout of the Sweep tab: which components there are and how they look before there is a sweep. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from pipeline.playground import Playground
from pipeline.plot import ACROSS
from pipeline.sweep_report import UP
from pipeline.ui import judge_box, markup, report_buttons, sweep_boxes
from pipeline.ui.judge_box import JudgeBox
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.sweep_boxes import SweepBoxes

LEAD = (
    "A sweep draws a grid over any two of models, prompts, seeds, steps, guidance and switches. Its plot marks the "
    "settings that no other beats both in time or cost and in fidelity, votes or a judge’s score."
)
"""Until there is a sweep on the page."""


@dataclass(frozen=True)
class SweepView:
    """All components that the behaviour needs."""

    boxes: SweepBoxes
    start: gr.Button
    stop: gr.Button
    resume: gr.Button
    weighed: gr.HTML
    """What the boxes come to."""
    vote: gr.Button
    report: ReportButtons
    refused: gr.HTML
    said: gr.HTML
    grid: gr.HTML
    axes: gr.Row
    """Hidden until there is something to plot: ``up`` and ``across``."""
    up: gr.Radio
    across: gr.Radio
    judges: JudgeBox
    front: gr.HTML
    """The plot."""
    changed: gr.Textbox
    """Unseen: place and HTML of the cells that the grid does not show yet."""
    current: gr.State
    """The id of the sweep on the page, or None."""
    wanted: gr.State
    """The id of one that was opened on another tab and is to be shown; None once it is."""

    @property
    def of_pictures(self) -> list[gr.Button]:
        """What needs a finished picture."""
        return [self.vote, *self.report.buttons.values()]

    @property
    def changing(self) -> list[gr.blocks.Block]:
        """What a sweep may change."""
        return [
            self.refused, self.said, self.grid, self.axes, self.front, self.changed, self.current, self.wanted,
            self.start, self.stop, self.resume, self.judges.begin, self.judges.said, *self.of_pictures,
        ]  # fmt: skip


def build(playground: Playground) -> SweepView:
    """Lay the tab out; the newest sweep is shown when it is opened."""
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
    return SweepView(
        boxes, start, stop, resume, weighed, vote, report, refused, said, grid, axes, up, across, judges, front,
        changed, gr.State(None), gr.State(None),
    )  # fmt: skip
