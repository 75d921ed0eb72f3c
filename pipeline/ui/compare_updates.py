"""What the Compare tab shows for what happens: from engine events and documents to values of components.

A value is put only where something changed. Runs nothing and registers nothing; that is compare_tab's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from pipeline.catalog import ROLES, Catalog, Pair, Role
from pipeline.compare import lane_document, plan
from pipeline.cost import PriceProfile
from pipeline.errors import InputError
from pipeline.events import Done, Event, Loading, Queued, Result, Step
from pipeline.quality import difference
from pipeline.request import ImageRequest, make_request
from pipeline.ui import markup
from pipeline.ui.compare_view import (
    VIEWS,
    CompareView,
    LaneView,
    guidance_slider,
    heading,
    negative_info,
    size_slider,
    steps_slider,
    switches_box,
)
from pipeline.ui.pace import MEASURED_ALONE_S
from pipeline.ui.served import hand_out, hand_out_result
from pipeline.wording import asked_text, count, seconds_text

Updates = dict[Any, Any]
RUNNING = "Running: the efficient model first."
MEASURING = (
    f"Measuring the models in turn. For the first {MEASURED_ALONE_S:.0f} seconds nothing is told, so that telling it "
    "is charged to neither."
)
WAITING: dict[Role, str] = {"predecessor": "waiting for the efficient one", "efficient": "starting"}


def busy(view: CompareView, now: bool) -> Updates:
    """While a run is on there is only Stop: a second run of the same page would fight over the same places."""
    starters = [view.compare, *(button for button, _, _ in view.examples)]
    return {button: gr.Button(interactive=not now) for button in starters} | {
        view.stop: gr.Button("Stop", interactive=now)
    }


def choosable(view: CompareView, now: bool) -> Updates:
    """Whether other models can be chosen: not while two of them run, whose names and settings are on the page."""
    boxes = [view.pair, *(lane.model for lane in view.lanes.values())]
    return {box: gr.Dropdown(interactive=now) for box in boxes}


def refused(view: CompareView, text: str) -> Updates:
    """What was asked for cannot be run; nothing else changes."""
    return busy(view, False) | {view.verdict: markup.message(text, "error")}


def cleared(view: CompareView) -> Updates:
    """Nothing of the last comparison stays beside the next one, in any view."""
    updates: Updates = {view.slider: None, view.difference: None, view.shown: None}
    for lane in view.lanes.values():
        updates |= {lane.image: None, lane.numbers: "", lane.progress: ""}
    return updates


def begun(view: CompareView, seed: int, measured: bool) -> Updates:
    """A run has been asked for; ``seed`` is the one that is used."""
    waiting = {view.lanes[role].progress: markup.progress(WAITING[role]) for role in ROLES}
    note = {view.seed: seed, **running(view, measured)}
    return busy(view, True) | cleared(view) | waiting | note


def running(view: CompareView, measured: bool) -> Updates:
    """It is our turn."""
    return {view.verdict: markup.message(MEASURING if measured else RUNNING)}


def step_by_step(view: CompareView, event: Event, role: Role | None, price: PriceProfile | None) -> Updates:
    """One event of the lane ``role``. ``price`` is needed for the numbers of a finished picture only."""
    match event:
        case Queued():
            if not event.place:  # our turn, nothing new yet
                return {view.verdict: gr.skip()}
            wait = f"about {event.expected_wait_s:.0f} s" if event.expected_wait_s >= 1 else "a moment"
            text = f"{event.place} before you in the line, {wait}"
            waiting = {lane.progress: markup.progress(text) for lane in view.lanes.values()}
            return waiting | {view.verdict: markup.message("Waiting in line: nothing of yours runs yet.")}
        case Loading():
            return {view.lanes[role].progress: markup.progress(f"loading: {event.part}", event.done / event.total)}
        case Step():
            lane = view.lanes[role]
            left = event.elapsed_s / event.i * (event.n - event.i) if event.i else 0.0
            rest = f", about {seconds_text(left)} left" if left > 1 else ""
            run = f"run {event.run}, " if event.run > 1 else ""
            if event.batch is not None:
                run = f"throughput, {count(event.batch, 'picture')} at once, "
            text = f"{run}{asked_text(event.n, event.elapsed_s)}"
            if event.i:
                text = f"{run}step {event.i} of {event.n} · {seconds_text(event.elapsed_s)}{rest}"
            update = {lane.progress: markup.progress(text, event.i / event.n if event.i else 0.0)}
            return update | ({lane.image: hand_out(event.preview)} if event.preview else {})
        case Done():
            lane, result = view.lanes[role], event.result
            state = "" if event.final else markup.progress(f"run {len(result.runs)} is done", 1.0)
            said = lane_document(result, price, role)
            alone = markup.lane(said, price, said["seconds"]["total"], result.device)
            first = finished_lane(lane, role, result) if len(result.runs) == 1 or event.final else {}
            return {lane.progress: state, lane.numbers: alone} | first


def finished_lane(lane: LaneView, role: Role, result: Result) -> Updates:
    return {lane.image: gr.Image(hand_out_result(result), alt_text=f"{role}: {result.request.prompt}")}


def numbers(view: CompareView, document: Mapping[str, Any], price: PriceProfile, stored: str = "") -> Updates:
    """Verdict and both lanes' numbers, on one time scale."""
    longest = max(lane["seconds"]["total"] for lane in document["lanes"])
    under = {
        view.lanes[lane["role"]].numbers: markup.lane(lane, price, longest, document["device"])
        for lane in document["lanes"]
    }
    return under | {view.verdict: markup.verdict(document, stored=stored)}


def finished(view: CompareView, document: dict, results: Mapping[Role, Result], price: PriceProfile) -> Updates:
    """Both pictures are there. The document may carry a "note": where the comparison comes from, if not from now."""
    old, new = (results[role].image for role in ROLES)
    files = {role: hand_out_result(results[role]) for role in ROLES}
    views = {
        view.slider: tuple(files[role] for role in ROLES),
        view.difference: hand_out(difference(old, new)),
        view.shown: {**document, "lanes": [{**lane, "image": files[lane["role"]]} for lane in document["lanes"]]},
    }
    return busy(view, False) | numbers(view, document, price, document.get("note", "")) | views


def stopped(
    view: CompareView,
    results: Mapping[Role, Result],
    text: str,
    kind: str = "note",
    prices: Mapping[Role, PriceProfile] | None = None,
) -> Updates:
    """The run ended early: finished pictures stay, a half-made one does not pass for a picture. ``prices``: of those
    that are finished."""
    updates: Updates = busy(view, False) | {view.verdict: markup.message(text, kind)}
    longest = max((result.timings.total for result in results.values()), default=0.0)
    for role in ROLES:
        lane, result = view.lanes[role], results.get(role)
        updates |= {lane.progress: ""} | ({} if result else {lane.image: None})
        if result and prices:  # on one scale, also where no verdict is to come
            said = lane_document(result, prices[role], role)
            updates |= {lane.numbers: markup.lane(said, prices[role], longest, result.device)}
    return updates


def pair_chosen(view: CompareView, catalog: Catalog, pair: Pair) -> Updates:
    """The controls of another pair at its own settings; the old comparison goes."""
    try:
        requests, said = plan(catalog, pair, "x"), markup.message(pair.question)
    except InputError as error:  # two that cannot be compared: their own settings, and why not
        cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}
        requests = {role: make_request(card, "x") for role, card in cards.items()}
        said = markup.message(str(error), "error")
    return controls(view, catalog, pair, requests) | cleared(view) | {view.verdict: said}


def controls(view: CompareView, catalog: Catalog, pair: Pair, requests: Mapping[Role, ImageRequest]) -> Updates:
    """The sliders, headings and reasons of a pair, set to what the requests say."""
    cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}
    updates: Updates = {view.negative: gr.Textbox(info=negative_info(cards))}
    sizes = cards["predecessor"].size.common(cards["efficient"].size) or cards["predecessor"].size
    for box, name in ((view.width, "Width"), (view.height, "Height")):
        pixels = getattr(requests["predecessor"], name.lower())
        updates |= {box: gr.Slider(**size_slider(name, sizes, pixels))}
    for role in ROLES:
        lane, card, request = view.lanes[role], cards[role], requests[role]
        updates |= {
            lane.heading: heading(role, card),
            lane.model: card.id,
            lane.steps: gr.Slider(**steps_slider(role, card, request.steps)),
            lane.guidance: gr.Slider(**guidance_slider(role, card, request.guidance)),
            # Only those that are on, until somebody looks: to know what works here means to ask the libraries.
            lane.switches: gr.CheckboxGroup(**switches_box(role, request.switches, request.switches)),
        }
    return updates


def switches_found(usable: Mapping[Role, Sequence[str]], chosen: Mapping[Role, Sequence[str]]) -> list[Any]:
    """The efficiency switches that each model of the pair can use here, those on that are on."""
    return [gr.CheckboxGroup(**switches_box(role, usable[role], chosen[role])) for role in ROLES]


def view_chosen(view: CompareView, name: str) -> Updates:
    """One of the three views."""
    return {
        view.side_by_side: gr.Row(visible=name == VIEWS[0]),
        view.slider: gr.ImageSlider(visible=name == VIEWS[1]),
        view.difference: gr.Image(visible=name == VIEWS[2]),
    }
