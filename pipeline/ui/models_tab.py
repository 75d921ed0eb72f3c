"""The Models tab: all that the catalogue has, whether and how it runs here, and if not, why not; and for
whoever sits at this machine a way to fetch what is not here yet."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.cards import JudgeCard, ModelCard
from pipeline.catalog import Catalog
from pipeline.device import Facts, find_facts
from pipeline.errors import InputError
from pipeline.fit import fit_model, fit_pair
from pipeline.models import models_document
from pipeline.network import offline
from pipeline.ui import markup, models_markup
from pipeline.ui.downloads import Downloads
from pipeline.ui.visitors import Visitors
from pipeline.weights import to_fetch
from pipeline.wording import size_text

LOOK_S = 1.0
LOOKING = "Asking the libraries what runs on this machine; the first time takes some seconds."


def build(catalog: Catalog, visitors: Visitors, tab: gr.Tab) -> None:
    """Filled when the tab is opened: what runs here is known only once torch has found the device."""
    downloads = Downloads()
    with gr.Column(visible=False) as fetching:
        wanted = gr.Dropdown([], label="Fetch from the Hub", info="what runs on this machine and is not here yet")
        with gr.Row(elem_classes="views"):
            start = gr.Button("Fetch", variant="primary", min_width=140, scale=0)
            stop = gr.Button("Stop fetching", interactive=False, min_width=140, scale=0)
        terms = gr.HTML("", elem_classes="kept-box")
        said = gr.HTML("", elem_classes="kept-box")
    table = gr.HTML(markup.hint(LOOKING), apply_default_css=False, elem_classes="kept-box")
    clock = gr.Timer(LOOK_S, active=False)

    def drawn() -> str:
        return models_markup.catalogue(models_document(catalog, find_facts()))

    def state() -> list[Any]:
        running = downloads.running
        return [downloads.html(), gr.Button(interactive=not (running or offline())), gr.Button(interactive=running)]

    def offered() -> list[Any]:
        """What can be fetched, and what is to be known before."""
        choices = fetchable(catalog, find_facts())
        first = choices[0][1] if choices else None
        return [gr.Dropdown(choices, value=first), terms_of(catalog, first)]

    def on_open(request: gr.Request) -> list[Any]:
        here = visitors.local(request)
        boxes = [*offered(), *state()] if here else [gr.skip()] * 5
        return [gr.Column(visible=here), *boxes, gr.Timer(active=here and downloads.running), drawn()]

    def on_start(chosen: object, request: gr.Request) -> list[Any]:
        try:
            if not visitors.local(request):
                raise InputError("Only whoever sits at this machine can fetch models: python -m pipeline download ID")
            downloads.start(cards_of(catalog, chosen))
        except InputError as error:
            return [markup.fault(str(error)), gr.skip(), gr.skip(), gr.skip()]
        return [*state(), gr.Timer(active=True)]

    def on_stop(request: gr.Request) -> None:
        if visitors.local(request):
            downloads.stop()

    def on_look(request: gr.Request) -> list[Any]:
        if not visitors.local(request):
            return [gr.skip()] * len(looked)
        if downloads.running:
            return [*state(), *[gr.skip()] * (len(looked) - 3)]
        return [*state(), gr.Timer(active=False), *offered(), drawn()]

    at_once = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    looked = [said, start, stop, clock, wanted, terms, table]
    tab.select(on_open, None, [fetching, wanted, terms, said, start, stop, clock, table], **at_once)
    wanted.input(lambda chosen: terms_of(catalog, chosen), wanted, terms, trigger_mode="always_last", **at_once)
    start.click(on_start, wanted, [said, start, stop, clock], **at_once)
    stop.click(on_stop, None, None, **at_once)
    clock.tick(on_look, None, looked, **at_once)


def fetchable(catalog: Catalog, facts: Facts) -> list[tuple[str, str]]:
    """Name and key of what runs on this machine once it is here: pairs first, those that may be a default before
    those that must be asked for."""
    absent = {card.id for card in to_fetch(catalog.models.values())}
    found = []
    for pair in sorted(catalog.pairs.values(), key=lambda pair: bool(pair.opt_in)):
        lacking = [card for card in catalog.cards(pair) if card.id in absent]
        if lacking and fit_pair(catalog, pair, facts).plan:
            found.append((_named(pair.name, lacking), f"pair:{pair.id}"))
    for card in catalog.models.values():
        if card.id in absent and fit_model(card, facts).plan:
            found.append((_named(card.name, [card]), f"model:{card.id}"))
    judges = to_fetch(catalog.judges.values())
    return [*found, *((_named(f"{card.name}, a judge", [card]), f"judge:{card.id}") for card in judges)]


def cards_of(catalog: Catalog, key: object) -> list[ModelCard | JudgeCard]:
    """What is behind a key, to be fetched from the Hub. Raises InputError."""
    kind, _, name = key.partition(":") if isinstance(key, str) else ("", "", "")
    if kind == "pair":
        cards = catalog.cards(catalog.pair(name))
    elif kind == "model":
        cards = [catalog.model(name)]
    elif kind == "judge" and name in catalog.judges:
        cards = [catalog.judges[name]]
    else:
        raise InputError("Choose what to fetch first.")
    return cards


def terms_of(catalog: Catalog, key: object) -> str:
    """Licence, gating and what else is to be known before a model is fetched."""
    if offline():
        return markup.hint("Diptych was started offline, so nothing can be fetched; start it without --offline.")
    try:
        cards = cards_of(catalog, key)
    except InputError:
        return markup.hint("Everything that fits this machine is here.") if key is None else ""
    gated = {card.id: GATED[card.gated] for card in cards if isinstance(card, ModelCard)}
    lines = [f"{card.name}: {card.licence}{gated.get(card.id, '')} · {card.source}" for card in cards]
    return "".join(markup.hint(line) for line in lines)


GATED = {"no": "", "yes": ", gated: needs accepted terms and HF_TOKEN", "unclear": ", may be gated: set HF_TOKEN then"}


def _named(name: str, cards: list[ModelCard] | list[JudgeCard]) -> str:
    return f"{name}, up to {size_text(sum(card.weight_bytes for card in cards))}"
