"""The Prices tab: what hours and pictures cost, each with source and date."""

from __future__ import annotations

import gradio as gr

from pipeline.cost import PriceTable, hosted_cost
from pipeline.wording import dollars

SIZE = 1024
"""Pixels a side at which hosted prices are compared."""


def build(table: PriceTable) -> None:
    """Hardware by the hour, then hosted models by the picture."""
    gr.Markdown(
        "A picture on a machine costs **total seconds × price per hour ÷ 3600**, if the machine is busy all the time. "
        "Prices change: each has its source and the date it was read. Type your own dollars per hour into the price "
        "box at the top."
    )
    gr.Dataframe(
        [[p.name, f"${p.usd_per_hour:.2f}", p.source, p.as_of] for p in table.profiles.values()],
        headers=["Hardware", "An hour", "Source", "Read"],
        label="Hardware",
        interactive=False,
        wrap=True,
    )
    gr.Dataframe(
        [
            [p.name, dollars(hosted_cost(p, SIZE, SIZE)), f"${p.usd:g} per {p.unit}", p.note, p.source, p.as_of]
            for p in table.hosted
        ],
        headers=["Hosted model", f"A picture of {SIZE} × {SIZE}", "Price", "Note", "Source", "Read"],
        label="Hosted models, for reference",
        interactive=False,
        wrap=True,
    )
