"""Layout of the Compare tab: which components there are and how they look before anything has run. No behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import gradio as gr
from markupsafe import Markup

from pipeline import stored
from pipeline.cards import ModelCard, Range, Sizes
from pipeline.catalog import ROLES, Catalog, Pair, Role
from pipeline.compare import repriced
from pipeline.device import on_zerogpu
from pipeline.playground import Playground
from pipeline.prices import PriceProfile
from pipeline.quality import difference
from pipeline.switches import SWITCHES
from pipeline.ui import markup, report_buttons
from pipeline.ui.price_box import AUTOMATIC_PRICE, PRICE_ID, chosen_price, kept_in, price_choices
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.served import hand_out, hand_out_result
from pipeline.weights import to_fetch
from pipeline.wording import count

VIEWS = ("side by side", "slider", "difference")
STORED_NOTE = "stored example, not run now: press Compare to run it on this machine"
RUN_CHOICES = [1, 5, 10]
"""None between: below four a side no difference can be significant (pipeline.stats)."""


@dataclass(frozen=True)
class LaneView:
    """One side: heading, picture, what is said over and under it, and its settings."""

    heading: gr.HTML
    image: gr.Image
    progress: gr.HTML
    numbers: gr.HTML
    model: gr.Dropdown
    steps: gr.Slider
    guidance: gr.Slider
    switches: gr.CheckboxGroup

    @property
    def parts(self) -> list[gr.components.Component]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class CompareView:
    """All components that the behaviour needs."""

    status: gr.HTML
    pair: gr.Dropdown
    price: gr.Dropdown
    kept_price: gr.BrowserState
    """The price that this browser's visitor chose last, which outlives the page; nothing else changes it or the box."""
    prompt: gr.Textbox
    compare: gr.Button
    stop: gr.Button
    seed: gr.Number
    dice: gr.Button
    estimate: gr.HTML
    examples: list[tuple[gr.Button, str, int]]
    ticket: gr.Textbox
    """Unseen: of the run that this page has asked for."""
    uncached: gr.Checkbox
    """Unseen: whether that run shall take no picture from the cache, whatever is set."""
    advanced: gr.Accordion
    negative: gr.Textbox
    width: gr.Slider
    height: gr.Slider
    repeat: gr.Radio
    throughput: gr.Checkbox
    use_cache: gr.Checkbox
    verdict: gr.HTML
    view: gr.Radio
    slider: gr.ImageSlider
    difference: gr.Image
    lanes: dict[Role, LaneView]
    shown: gr.State
    """The document of the comparison on the page, or None; its "note" says where it comes from, if not from now. Its
    pictures are files, a stored one's in stored.FOLDER."""
    report: ReportButtons
    recipe_file: gr.File
    recipe_note: gr.HTML
    anew: gr.Button
    """Only while the comparison on the page claims no speed-up."""
    copy_link: gr.Button
    link: gr.Textbox

    @property
    def starters(self) -> list[gr.Button]:
        """What begins a run."""
        return [self.compare, self.anew, *(button for button, _, _ in self.examples)]

    @property
    def choices(self) -> list[gr.Dropdown]:
        """What says whose pictures are shown."""
        return [self.pair, *(lane.model for lane in self.lanes.values())]


def build(playground: Playground, status_html: str) -> CompareView:
    """Lay the tab out. Shows the stored comparison until the first run."""
    catalog = playground.catalog
    pair = catalog.default_pair
    chosen = playground.default_price or AUTOMATIC_PRICE
    first, price = stored.load(), None
    if first:
        price = chosen_price(playground, chosen, first[0]["device"])
        first = repriced(first[0], price), first[1]
    prompt_text = first[0]["prompt"] if first else ""
    seed_value = first[0]["seed"] if first else 0
    cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}

    with gr.Row(elem_classes="header", equal_height=True):
        gr.HTML('<h1 class="name">Diptych</h1>', elem_classes="name-box", min_width=100)
        pair_box = gr.Dropdown(
            **pair_dropdown(catalog, pair),
            label="Pair",
            allow_custom_value=True,  # MODEL:MODEL, as the models chosen under Advanced make it
            min_width=280,
            scale=3,
        )
        price_box = gr.Dropdown(
            price_choices(playground.prices),
            value=chosen,
            label="Hardware price, or $ an hour",
            elem_id=PRICE_ID,
            allow_custom_value=True,
            min_width=280,
            scale=3,
        )
        kept_price = gr.BrowserState(None, **kept_in(price_box.value))
        status = gr.HTML(status_html, elem_classes="status-box", min_width=240)
    with gr.Row(elem_classes="ask", equal_height=True):
        prompt = gr.Textbox(
            prompt_text,
            label="Prompt",
            placeholder="What to draw, then Enter",
            lines=1,
            max_lines=1,
            scale=8,
            min_width=260,
            autofocus=True,
        )
        seed = gr.Number(seed_value, label="Seed", min_width=150, scale=1)
        dice = gr.Button("Random", min_width=100, scale=0)
        compare = gr.Button("Compare", variant="primary", min_width=110, scale=1, elem_id="compare-button")
        stop = gr.Button("Stop", variant="stop", interactive=False, min_width=80, scale=1, elem_id="stop-button")
    with gr.Row(elem_classes="examples"):
        examples = [
            (_example(i, row["prompt"], row["image"]), row["prompt"], row["seed"])
            for i, row in enumerate(stored.examples())
        ]
    with gr.Accordion("Advanced", open=False) as advanced:
        with gr.Row():
            settings = {role: _settings(role, cards[role], pair, list(catalog.models.values())) for role in ROLES}
        with gr.Row():
            negative = gr.Textbox(
                "", label="Negative prompt", info=negative_info(cards), lines=1, max_lines=1, min_width=260
            )
            repeat = gr.Radio(
                RUN_CHOICES,
                value=1,
                label="Runs a model",
                info="Several: the order alternates, no previews",
                min_width=250,
            )
            with gr.Column(min_width=250):
                throughput = gr.Checkbox(False, **throughput_box(cards.values()))
            with gr.Column(min_width=250):
                use_cache = gr.Checkbox(
                    True, label="Use cached pictures", info="Same recipe: show the picture made before"
                )
        with gr.Row():
            width, height = (gr.Slider(**size_slider(name, catalog.sizes(pair))) for name in ("Width", "Height"))
        recipe_file = gr.File(
            label="Recipe of a PNG saved by Diptych", file_types=["image"], height=140, elem_id="recipe-file"
        )
        recipe_note = gr.HTML("", elem_classes="kept-box")
    verdict = gr.HTML(_first_verdict(first), elem_classes="verdict-box")
    with gr.Row(elem_classes="views", equal_height=True):
        view = gr.Radio(VIEWS, value=VIEWS[0], show_label=False, container=False, label="View", min_width=330, scale=0)
        estimate = gr.HTML("", elem_classes="estimate-box", min_width=260)
        anew = gr.Button(
            "Run anew",
            size="sm",
            min_width=90,
            scale=0,
            visible=bool(first) and first[0]["speedup"] is None,
            elem_id="run-anew",
        )
        with gr.Row(elem_classes="take-away"):
            copy_link = gr.Button("Copy link", size="sm", min_width=90, scale=0)
            report = report_buttons.build()
    link = gr.Textbox(
        label="Link to these settings", visible=False, interactive=True, max_lines=3, elem_classes="link-box"
    )
    pictures = [first[1][role].image for role in ROLES] if first else None
    slider = gr.ImageSlider(
        tuple(hand_out(image) for image in pictures) if pictures else None,
        label="Predecessor (left) and efficient (right)",
        format="png",
        type="pil",
        interactive=False,
        visible=False,
        elem_classes="wide-view",
    )
    differing = gr.Image(
        hand_out(difference(*pictures)) if pictures else None,
        label="Where they differ (darker: more)",
        format="png",
        interactive=False,
        visible=False,
        height="var(--wide-view)",
        elem_classes="stretched",
        buttons=["download", "fullscreen"],
    )
    with gr.Row(elem_classes="lanes", equal_height=False):
        lanes = {role: _lane(role, cards[role], settings[role], first, price) for role in ROLES}
    ticket = gr.Textbox(visible="hidden", label="ticket")
    uncached = gr.Checkbox(False, visible="hidden", label="uncached")
    return CompareView(
        status, pair_box, price_box, kept_price, prompt, compare, stop, seed, dice, estimate, examples, ticket,
        uncached, advanced, negative, width, height, repeat, throughput, use_cache, verdict, view, slider,
        differing, lanes,
        gr.State({**first[0], "stored": True, "note": STORED_NOTE} if first else None), report,
        recipe_file, recipe_note, anew, copy_link, link,
    )  # fmt: skip


def pair_dropdown(catalog: Catalog, pair: Pair) -> dict:
    """Arguments of the box of pairs; one that is in no catalogue is offered while it is chosen."""
    choices = pair_choices(catalog)
    if pair.id not in catalog.pairs:
        choices.append((pair.name, pair.id))
    return {"choices": choices, "value": pair.id}


def pair_choices(catalog: Catalog) -> list[tuple[str, str]]:
    """Every pair, and whether its weights are still to be fetched, or its provider cannot be asked."""
    return [(f"{pair.name}{_to_fetch(catalog.cards(pair))}", pair.id) for pair in catalog.pairs.values()]


def _to_fetch(cards: Sequence[ModelCard]) -> str:
    if any(card.hosted and card.hosted.why_not() for card in cards):
        return " · not set up"
    # On ZeroGPU what was placed is in memory, and its files are gone.
    return " · not fetched" if not on_zerogpu() and to_fetch(cards) else ""


def _example(place: int, prompt: str, picture: Path) -> gr.Button:
    icon = picture if picture.is_file() else None
    return gr.Button(prompt, icon=icon, size="sm", min_width=130, elem_id=f"example-{place}")


def _first_verdict(first: tuple | None) -> Markup:
    if first is None:
        return markup.message("Type a prompt and press Enter: both models draw it, with time and cost.")
    return markup.verdict(first[0], stored=STORED_NOTE)


def _settings(role: Role, card: ModelCard, pair: Pair, cards: list[ModelCard]) -> tuple[gr.components.Component, ...]:
    lane = pair.lane(role)
    with gr.Column(min_width=260):
        return (
            gr.Dropdown([(each.name, each.id) for each in cards], value=card.id, label=f"Model, {role}"),
            gr.Slider(**steps_slider(role, card, lane.steps)),
            gr.Slider(**guidance_slider(role, card, lane.guidance)),
            gr.CheckboxGroup(**switches_box(role, [], lane.switches)),
        )


def steps_slider(role: Role, card: ModelCard, value: int | None) -> dict:
    """Arguments of a lane's steps slider."""
    only = f"Made for {count(int(card.steps.default), 'step')} and no other number" if card.steps.single else ""
    info = card.fixed_steps or only
    return {"label": f"Steps, {role}", "info": info, "step": 1} | _within(card.steps, card.fixed_steps, value)


def guidance_slider(role: Role, card: ModelCard, value: float | None) -> dict:
    """Arguments of a lane's guidance slider."""
    info = card.fixed_guidance or "How strictly the prompt is followed"
    return {"label": f"Guidance, {role}", "info": info, "step": 0.1} | _within(
        card.guidance, card.fixed_guidance, value
    )


def _within(limits: Range, why_fixed: str | None, value: float | None) -> dict:
    """A slider's ends and value; what is fixed is disabled, and the info says why. Gradio takes no range of one."""
    fixed = limits.single or bool(why_fixed)
    return {
        "minimum": limits.min,
        "maximum": limits.min + 1 if fixed else limits.max,
        "value": limits.default if value is None else value,
        "interactive": not fixed,
    }


def negative_info(cards: dict[Role, ModelCard]) -> str:
    """Which lanes use a negative prompt, since a distilled model has nothing left to steer."""
    users = [role for role in ROLES if cards[role].negative_prompt]
    if len(users) == 1:
        return f"Used by the {users[0]} only"
    return "Used by both models" if users else "Used by neither model"


def throughput_box(cards: Iterable[ModelCard]) -> dict:
    """Arguments of the box for the throughput, less its value: that of a machine that is not here cannot be had."""
    away = next((card for card in cards if card.hosted), None)
    return {
        "label": "Measure throughput",
        "info": f"Of this machine only, and {away.name} is drawn by {away.hosted.provider}"
        if away
        else "Also pictures a minute, up to 8 at once; takes a while",
        "interactive": away is None,
    }


def switches_box(role: Role, usable: Sequence[str], value: Sequence[str]) -> dict:
    """Arguments of a lane's efficiency switches: only what this model can use on this machine is shown."""
    return {
        "choices": [(f"{SWITCHES[switch].name}: {SWITCHES[switch].about}", switch) for switch in usable],
        "value": [switch for switch in value if switch in usable],
        "label": f"Efficiency switches, {role}",
        "visible": bool(usable),
    }


def size_slider(name: str, sizes: Sizes, value: int | None = None) -> dict:
    """Arguments of the width or height slider; where a pair makes one size only it is disabled and says so."""
    return {
        "minimum": sizes.min - sizes.multiple if sizes.single else sizes.min,
        "maximum": sizes.max,
        "value": sizes.default if value is None else value,
        "step": sizes.multiple,
        "label": f"{name}, pixels",
        "info": "This pair was trained at one size only." if sizes.single else "",
        "interactive": not sizes.single,
    }


def heading(role: Role, card: ModelCard) -> Markup:
    return Markup('<h2 class="lane-name">{} <span class="note">{}</span></h2>').format(role, card.name)


def _lane(
    role: Role,
    card: ModelCard,
    settings: tuple[gr.components.Component, ...],
    first: tuple | None,
    price: PriceProfile | None,
) -> LaneView:
    numbers = ""
    if first:
        documents = {lane["role"]: lane for lane in first[0]["lanes"]}
        longest = max(lane["seconds"]["total"] for lane in documents.values())
        costs = [lane["cost_usd"] for lane in documents.values()]
        numbers = markup.lane(documents[role], price, longest, first[0]["device"], costs)
    with gr.Column(elem_classes="lane", min_width=300):
        name = gr.HTML(heading(role, card))
        progress = gr.HTML("", elem_classes="progress-box")
        image = gr.Image(
            hand_out_result(first[1][role]) if first else None,
            label=role,
            alt_text=f"{role}: {first[0]['prompt']}" if first else role,
            show_label=False,
            format="png",
            interactive=False,
            height=256,
            buttons=["download", "fullscreen"],
            elem_classes="picture",
        )
        under = gr.HTML(numbers)
    return LaneView(name, image, progress, under, *settings)
