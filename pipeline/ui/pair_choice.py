"""Which two models are compared: a pair of the catalogue, or any two models; and which of their switches work here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from pipeline.catalog import ROLES
from pipeline.device import find_facts
from pipeline.errors import InputError, PlaygroundError
from pipeline.models import not_yet
from pipeline.playground import Playground
from pipeline.switches import checked
from pipeline.ui import compare_updates as updates
from pipeline.ui import markup
from pipeline.ui.compare_view import CompareView, pair_dropdown, throughput_box


def attach(view: CompareView, playground: Playground, weigh: Mapping[str, Any]) -> dict[str, Any]:
    """Give the boxes their behaviour. ``weigh``: the event that estimates anew. Returns the event that shows which
    switches work here, for whoever fills in other models while somebody may be looking."""
    catalog, backend = playground.catalog, playground.engine.backend
    lanes = [view.lanes[role] for role in ROLES]

    def on_pair(pair_id: str) -> dict:
        try:
            pair = catalog.pair(pair_id)
            return updates.pair_chosen(view, catalog, pair, not_yet(catalog, pair, find_facts()))
        except InputError as error:
            return {view.verdict: markup.message(str(error), "error")}

    def on_models(predecessor: str, efficient: str) -> gr.Dropdown:
        """Two models chosen one by one are a pair too."""
        return gr.Dropdown(**pair_dropdown(catalog, catalog.pair(catalog.pair_id_of(predecessor, efficient))))

    def on_any_pair(pair_id: str) -> gr.Checkbox:
        """Whoever has set it: a visitor, a link or the history."""
        try:
            box = throughput_box(catalog.cards(catalog.pair(pair_id)))
        except InputError:
            return gr.skip()
        return gr.Checkbox(**box) if box["interactive"] else gr.Checkbox(False, **box)

    def on_switches(pair_id: str, *chosen: list[str]) -> list[dict]:
        """Asks the libraries, so only once somebody looks."""
        try:
            pair = catalog.pair(pair_id)
            on = {role: checked(switches) for role, switches in zip(ROLES, chosen, strict=True)}
            why_nots = {role: backend.switches(catalog.model(pair.lane(role).model)) for role in ROLES}
        except PlaygroundError:
            return [gr.skip()] * len(ROLES)
        usable = {role: [switch for switch, why_not in why_nots[role].items() if not why_not] for role in ROLES}
        return updates.switches_found(usable, on)

    # What is chosen while an answer is on its way counts too, and comes last.
    at_once = {"api_visibility": "private", "show_progress": "hidden", "queue": False, "trigger_mode": "always_last"}
    shown = [view.verdict, view.slider, view.difference, view.anew, view.shown]
    parts = [part for lane in lanes for part in lane.parts]
    switches = [lane.switches for lane in lanes]
    models = [lane.model for lane in lanes]
    pair = {"fn": on_pair, "inputs": view.pair, "outputs": [view.negative, view.width, view.height, *parts, *shown]}
    # Not checked by Gradio: a busy browser may still send the switches of the pair before.
    offer = {"fn": on_switches, "inputs": [view.pair, *switches], "outputs": switches, "preprocess": False, **at_once}
    # input: a pair that a link or the history has set is not the visitor's choice, and keeps its settings.
    by_name = view.pair.input(**pair, **at_once)
    by_models = gr.on([box.input for box in models], on_models, models, view.pair, **at_once).then(**pair, **at_once)
    for chosen in (by_name, by_models):
        chosen.then(**weigh).then(**offer)
    view.pair.change(on_any_pair, view.pair, view.throughput, **at_once)
    view.advanced.expand(**offer)
    return offer
