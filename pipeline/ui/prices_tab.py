"""The Prices tab: what a volume of pictures costs and saves, beside hosted models, and every price with its source."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline import stored
from pipeline.compare import repriced
from pipeline.errors import InputError
from pipeline.playground import Playground
from pipeline.request import whole
from pipeline.ui import markup
from pipeline.ui import prices_markup as prices
from pipeline.ui.compare_view import CompareView
from pipeline.ui.price_box import check_choice, chosen_price

IMAGES_A_DAY, IMAGES_A_DAY_MAX = 1000, 10**9
STORED = "From the stored example that comes with Diptych, not run on this machine"
STAYS = "Below is what was reckoned last."
NOTHING = "Nothing has been compared yet: press Compare, then look here again."


def build(playground: Playground, view: CompareView, tab: gr.Tab) -> None:
    """Lay the tab out. ``view``: whose comparison and price it reckons with, looked at whenever the tab is opened."""
    first = stored.load()

    def on_weigh(shown: dict[str, Any] | None, wanted: str | float, images_a_day: float) -> tuple[Any, Any, str]:
        """The volume's cost and the chart, for the comparison on the page or else the stored one. Where they cannot be
        reckoned the last ones stay, and it is said why."""
        document = shown or (first and {**first[0], "stored": True})
        if not document:
            return markup.hint(NOTHING), "", ""
        try:
            if images_a_day is None:
                raise InputError("Say how many images a day, such as 1000.")
            number = whole("images a day", images_a_day, 1, IMAGES_A_DAY_MAX)
            price = chosen_price(playground, wanted, document["device"])
        except InputError as error:
            return gr.skip(), gr.skip(), markup.fault(f"{error} {STAYS}")
        document = repriced(document, price)
        said = prices.volume(document, price, number, _whence(document))
        return said, prices.hosted_chart(document, playground.prices), ""

    def on_own(typed: str) -> dict:
        """A price of one's own holds for the whole page. The field is emptied: whoever only leaves it later does not
        mean that price again."""
        if not typed.strip():
            return gr.skip()
        try:
            check_choice(playground, typed.strip())
        except InputError as error:
            return {fault: markup.fault(f"{error} {STAYS}")}
        return {view.price: typed.strip(), own: "", fault: ""}

    # Before anybody has run anything the device's name is the stored one's: finding our own would import torch.
    begin = on_weigh(None, view.price.value, IMAGES_A_DAY)
    with gr.Row(equal_height=True):
        per_day = gr.Number(
            IMAGES_A_DAY,
            label="Images a day",
            info="Reckoned as 30 equal days a month",
            min_width=260,
        )
        own = gr.Textbox(
            label="Own price, $ an hour",
            info="Enter sets it for the whole page; Compare has the list to go back to",
            placeholder="0.50",
            max_lines=1,
            max_length=20,
            min_width=260,
        )
    fault = gr.HTML("", elem_classes="kept-box")
    volume = gr.HTML(begin[0])
    gr.Markdown("### 1,000 pictures, beside hosted models")
    chart = gr.HTML(begin[1])
    gr.Markdown(
        "### Prices\nPrices change: each has its source and the date it was read. They are kept in "
        "`assets/prices.toml`."
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.HTML(prices.hardware_table(playground.prices))
        with gr.Column(min_width=300):
            gr.HTML(prices.hosted_table(playground.prices))

    at_once = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    gr.on([own.submit, own.blur], on_own, own, [view.price, own, fault], **at_once)
    gr.on(
        [tab.select, per_day.change, view.price.change],
        on_weigh,
        [view.shown, view.price, per_day],
        [volume, chart, fault],
        trigger_mode="always_last",  # what is typed while an answer is on its way counts too
        **at_once,
    )


def _whence(document: dict[str, Any]) -> str:
    said = f"“{document['prompt']}”, seed {document['seed']}, on {document['device']}"
    return f"{STORED}: {said}" if document.get("stored") else f"From the comparison on the page: {said}"
