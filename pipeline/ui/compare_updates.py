"""What the Compare tab shows for what happens: from engine events and documents to values of components.

A value is put only where something changed. Runs nothing and registers nothing; that is compare_tab's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from pipeline.catalog import ROLES, Catalog, Pair, Role
from pipeline.compare import RUN_ORDER, lane_document, plan
from pipeline.errors import InputError
from pipeline.events import Done, Event, Loading, Queued, Result, Step
from pipeline.prices import PriceProfile
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
from pipeline.ui.rounds import RoundsLeft
from pipeline.ui.series import in_line
from pipeline.ui.served import hand_out, hand_out_result
from pipeline.wording import asked_text, count, seconds_text

Updates = dict[Any, Any]
RUNNING = "Running: the efficient model first."
LAST = "Nothing was run: below is the last comparison."
MEASURING = "Measuring the models in turn."
MEASURING_ALONE = (
    f"{MEASURING} For the first {MEASURED_ALONE_S:.0f} seconds nothing is told, so that telling it is charged to "
    "neither."
)


def busy(view: CompareView, now: bool) -> Updates:
    """While a run is on or asked for there is only Stop: a second run of the same page would fight over the same
    places, other models could be chosen than those whose pictures are to come, and there is nothing to report yet."""
    return (
        {button: gr.Button(interactive=not now) for button in (*view.starters, *view.report.buttons.values())}
        | {box: gr.Dropdown(interactive=not now) for box in view.choices}
        | {view.stop: gr.Button("Stop", interactive=now)}
    )


def asked(view: CompareView) -> Updates:
    """At once, whatever the server has to do before the run begins. The last comparison stays until then."""
    return busy(view, True) | told(view, "Waiting in line for a free place.")


def withdrawn(view: CompareView, text: str, kind: str = "note") -> Updates:
    """What was asked for never began."""
    return busy(view, False) | told(view, text, kind)


def told(view: CompareView, text: str, kind: str = "note") -> Updates:
    """One sentence, and nothing else changes."""
    return {view.verdict: markup.message(text, kind)}


def refused(view: CompareView, document: Mapping[str, Any] | None, text: str, below: str = LAST) -> Updates:
    """What was asked for cannot begin. The last comparison, ``document``, stays: its pictures are still there, and
    nobody shall take them for those of the new prompt. ``below``: says so."""
    if document is None:
        return told(view, text, "error")
    said = f"{text} {below}"
    return {view.verdict: markup.verdict(document, stored=document.get("note", ""), refused=said)}


def cleared(view: CompareView) -> Updates:
    """Nothing of the last comparison stays beside the next one, in any view."""
    updates: Updates = {view.slider: None, view.difference: None, view.shown: None}
    updates |= {view.anew: gr.Button(visible=False)}
    for lane in view.lanes.values():
        updates |= {lane.image: None, lane.numbers: "", lane.progress: ""}
    return updates


def begun(view: CompareView, catalog: Catalog, pair: Pair, measured: bool) -> Updates:
    """A run of ``pair`` has begun, whichever was shown before: pictures stand under the names of their models, and no
    open settings push them out of the window."""
    headings = {view.lanes[role].heading: heading(role, catalog.model(pair.lane(role).model)) for role in ROLES}
    return cleared(view) | headings | running(view, measured, ROLES) | {view.advanced: gr.Accordion(open=False)}


def running(view: CompareView, measured: bool, unfinished: Sequence[Role]) -> Updates:
    """It is our turn."""
    first = next((role for role in RUN_ORDER if role in unfinished), None)
    texts = {role: "starting" if role == first else f"waiting for the {first} one" for role in unfinished}
    return {view.lanes[role].progress: markup.progress(text, of=role) for role, text in texts.items()} | told(
        view, MEASURING_ALONE if measured else RUNNING
    )


def round_by_round(
    view: CompareView, step: Step, rounds: RoundsLeft, seconds: Mapping[Role, float], unfinished: Sequence[Role]
) -> Updates:
    """How far a measurement is, in the estimate's place, and what of the model whose turn it is not. ``seconds``: what
    a picture of each takes, in the order of the lanes."""
    roles = list(seconds)
    updates: Updates = {view.estimate: markup.hint(rounds.text(step, list(seconds.values())))}
    for lane, role in enumerate(roles):
        if role in unfinished and lane != step.lane:
            done = rounds.done(lane, step)
            text = f"run {done} of {rounds.repeat} is done" if done else f"waiting for the {roles[step.lane]} one"
            updates[view.lanes[role].progress] = markup.progress(text, done / rounds.repeat, role)
    return updates


def step_by_step(
    view: CompareView, event: Event, role: Role | None, unfinished: Sequence[Role], repeat: int = 1
) -> Updates:
    """One event of the lane ``role``; the numbers of what is finished are for :func:`so_far`. ``repeat``: how many runs
    each model has; of several it is for :func:`round_by_round` to say how long they will take."""
    match event:
        case Queued():
            text = in_line(event)
            if not text:  # our turn, nothing new yet
                return {}
            waiting = {view.lanes[each].progress: markup.progress(text, of=each) for each in unfinished}
            return waiting | told(view, "Waiting in line: nothing of yours runs yet.")
        case Loading():
            text = f"loading: {event.part}"
            return {view.lanes[role].progress: markup.progress(text, event.done / event.total, role)}
        case Step():
            lane = view.lanes[role]
            left = event.elapsed_s / event.i * (event.n - event.i) if event.i else 0.0
            rest = f", about {seconds_text(left)} left" if left > 1 and repeat == 1 else ""
            run = f"run {event.run} of {repeat}, " if repeat > 1 else ""
            if event.batch is not None:
                run = f"throughput, {count(event.batch, 'picture')} at once, "
            text = f"{run}{asked_text(event.n, event.elapsed_s)}"
            if event.i:
                text = f"{run}step {event.i} of {event.n} · {seconds_text(event.elapsed_s)}{rest}"
            share = event.i / event.n if event.i else 0.0
            if event.batch is None:  # of all runs; how many calls the throughput takes nobody knows
                share = (event.run - 1 + share) / repeat
            update = {lane.progress: markup.progress(text, share, role)}
            return update | ({lane.image: hand_out(event.preview)} if event.preview else {})
        case Done():
            lane, result = view.lanes[role], event.result
            runs = len(result.runs)
            state = "" if event.final else markup.progress(f"run {runs} is done", runs / repeat, role)
            first = finished_lane(lane, role, result) if runs == 1 or event.final else {}
            return {lane.progress: state} | first


def so_far(
    view: CompareView, results: Mapping[Role, Result], prices: Mapping[Role, PriceProfile], expected_s: float = 0.0
) -> Updates:
    """The numbers of what is finished, on one time scale: that of the longest, be it only expected."""
    longest = max((result.timings.total for result in results.values()), default=0.0)
    longest = max(longest, expected_s)
    lanes = {role: lane_document(result, prices[role], role) for role, result in results.items()}
    costs = [lane["cost_usd"] for lane in lanes.values()]
    return {
        view.lanes[role].numbers: markup.lane(lane, prices[role], longest, results[role].device, costs)
        for role, lane in lanes.items()
    }


def finished_lane(lane: LaneView, role: Role, result: Result) -> Updates:
    return {lane.image: gr.Image(hand_out_result(result), alt_text=f"{role}: {result.request.prompt}")}


def numbers(
    view: CompareView, document: Mapping[str, Any], price: PriceProfile, stored: str = "", refused: str = ""
) -> Updates:
    """Verdict and both lanes' numbers, on one time scale. ``stored``, ``refused``: see markup.verdict."""
    longest = max(lane["seconds"]["total"] for lane in document["lanes"])
    costs = [lane["cost_usd"] for lane in document["lanes"]]
    under = {
        view.lanes[lane["role"]].numbers: markup.lane(lane, price, longest, document["device"], costs)
        for lane in document["lanes"]
    }
    return under | {view.verdict: markup.verdict(document, stored=stored, refused=refused)}


def finished(
    view: CompareView, document: dict, results: Mapping[Role, Result], price: PriceProfile, broke_off: str = ""
) -> Updates:
    """Both pictures are there. The document may carry a "note": where the comparison comes from, if not from now.
    ``broke_off``: why its measurement did."""
    old, new = (results[role].image for role in ROLES)
    files = {role: hand_out_result(results[role]) for role in ROLES}
    views = {
        view.slider: tuple(files[role] for role in ROLES),
        view.difference: hand_out(difference(old, new)),
        view.anew: gr.Button(visible=document["speedup"] is None),
        view.shown: {**document, "lanes": [{**lane, "image": files[lane["role"]]} for lane in document["lanes"]]},
    }
    # Again, though each was shown when it was done: of updates that follow each other within moments, as of a quick
    # run's, a browser can lose one, and with it the picture.
    for role, result in results.items():
        views |= finished_lane(view.lanes[role], role, result)
    return numbers(view, document, price, document.get("note", ""), broke_off) | views


def stopped(
    view: CompareView,
    results: Mapping[Role, Result],
    text: str,
    kind: str = "note",
    prices: Mapping[Role, PriceProfile] | None = None,
) -> Updates:
    """The run ended early: finished pictures stay, a half-made one does not pass for a picture. ``prices``: of those
    that are finished."""
    updates = told(view, text, kind) | (so_far(view, results, prices) if prices else {})
    for role in ROLES:
        lane = view.lanes[role]
        updates |= {lane.progress: ""} | ({} if role in results else {lane.image: None})
    return updates


def pair_chosen(view: CompareView, catalog: Catalog, pair: Pair, not_yet: str | None = None) -> Updates:
    """The controls of another pair at its own settings; the old comparison goes. ``not_yet``: why it cannot be run as
    things are."""
    try:
        requests, said = plan(catalog, pair, "x"), markup.message(f"{pair.question} {not_yet or 'Press Compare.'}")
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
    """One of the three views. The style sheet hides the lanes' pictures beside another view, and nothing else of them:
    a run may go on and put its pictures there."""
    return {
        view.slider: gr.ImageSlider(visible=name == VIEWS[1]),
        view.difference: gr.Image(visible=name == VIEWS[2]),
    }
