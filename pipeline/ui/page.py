"""The whole page: tabs, theme and endpoints."""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from pipeline import __version__
from pipeline.cards import ASSETS
from pipeline.playground import Playground
from pipeline.ui import (
    api,
    arrival,
    compare_tab,
    compare_view,
    history_tab,
    models_tab,
    pair_choice,
    prices_tab,
    report_buttons,
    report_tab,
    sweep_tab,
    sweep_view,
    tab_address,
    vote_tab,
)
from pipeline.ui.jobs import Jobs
from pipeline.ui.price_box import NUMBERS_AS_TYPED
from pipeline.ui.readiness import Readiness
from pipeline.ui.request_limit import RequestLimit
from pipeline.ui.served import ServedFiles
from pipeline.ui.visitors import Visitors

QUEUE_MAX = 300
QUEUE_POLL_S = 0.05
"""Gradio's queue looks for new events a thousand times a second, on the cores that draw the picture: on two of them
every picture took an eighth longer. This is what it does on Windows."""

ABOUT = """
**Is the efficient model good enough to replace its predecessor, and what does that save?**
Diptych draws the same prompt and seed with both, side by side, and shows the time of every stage and the cost.

- **Time** is encode + denoise + decode on a warm model. Waiting and loading are told apart and never in a speed-up.
  A picture out of the cache says so, and then no speed-up is shown.
  One run tells it roughly, and shows live previews where it takes more than a few seconds; several runs (Advanced)
  are a measurement.
- **Cost** is seconds × price per hour ÷ 3600. The sum, the price's source and its date stand behind "how?".
- **A hosted model** is drawn by its provider on the account of whoever runs this page: its time is the whole call, its
  cost the list price.
- **Fidelity** (PSNR, SSIM) says how near the efficient picture is to the predecessor's, not how good either is.
- **A model's picture** that you download carries its whole recipe in a `diptych` text chunk.
"""


def theme() -> gr.themes.Base:
    """One accent colour, the system's own typeface."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "monospace"],
        spacing_size="sm",
        radius_size="md",
    ).set(
        layout_gap="10px",
        # The theme's own are below the contrast of 4.5 to 1 that WCAG AA asks for.
        body_text_color_subdued="*neutral_600",
        color_accent="*primary_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def launch_options(uploads: ServedFiles) -> dict[str, Any]:
    """What ``Blocks.launch`` needs for the page to look as it should and to take no more ``uploads`` than it may."""
    return {
        "theme": theme(),
        "css_paths": [ASSETS / "style.css"],
        "footer_links": ["api", "settings"],
        "max_file_size": "10mb",
        "app_kwargs": {"middleware": [Middleware(RequestLimit, uploads=uploads)]},
    }


def build_page(playground: Playground, readiness: Readiness) -> gr.Blocks:
    """Build the Blocks; nothing is launched and no model is loaded."""
    jobs = Jobs()
    with gr.Blocks(
        title="Diptych",
        analytics_enabled=False,
        fill_width=True,
    ) as page:
        visitors = Visitors(playground, page)
        with gr.Tabs() as tabs:
            with gr.Tab("Compare", id="compare"):
                view = compare_view.build(playground, readiness.html())
                weigh = compare_tab.attach(view, playground, jobs, visitors)
                offer = pair_choice.attach(view, playground, weigh)
                arrived = arrival.attach(view, playground, jobs, visitors, weigh, offer)
                report_buttons.attach(view.report, playground, view.shown, view.price)
            with gr.Tab("Sweep", id="sweep") as sweep:
                swept = sweep_view.build(playground)
                show_sweep = sweep_tab.attach(swept, playground, view, jobs, visitors, sweep)
            with gr.Tab("Vote", id="vote") as vote:
                vote_tab.build(playground, view, swept, jobs, visitors, tabs, vote, arrived)
            with gr.Tab("History", id="history") as tab:
                listing = history_tab.build(playground)
                opened = (weigh, offer, *show_sweep)
                history_tab.attach(listing, tabs, tab, view, playground, swept, jobs, visitors, opened)
            with gr.Tab("Prices") as prices:
                prices_tab.build(playground, view, prices)
            with gr.Tab("Models") as models:
                models_tab.build(playground.catalog, visitors, models)
            with gr.Tab("Bundled pair"):
                report_tab.build(ASSETS / "models")
            with gr.Tab("About"):
                gr.Markdown(f"{ABOUT}\nDiptych {__version__}, MIT licence.")
        for script in (NUMBERS_AS_TYPED, compare_tab.KEYS_OR_POINTER):
            page.load(None, js=script)
        tab_address.attach(page, tabs)
        clock = gr.Timer(1.0)
        clock.tick(
            lambda: (readiness.html(), gr.Timer(active=not readiness.settled)),
            None,
            [view.status, clock],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        api.attach(playground, jobs, visitors)
    page.queue(max_size=QUEUE_MAX)
    page._queue.sleep_when_free = QUEUE_POLL_S
    return page
