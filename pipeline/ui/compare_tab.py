"""Behaviour of the Compare tab: from clicks to Engine.run and from its events to what the page shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr
from PIL import Image

from pipeline.catalog import ROLES, Role
from pipeline.compare import compare_document, estimate_document, plan, repriced
from pipeline.cost import PriceProfile, dollars
from pipeline.errors import Cancelled, PlaygroundError
from pipeline.events import Done, Event, Loading, Queued, Result, Step
from pipeline.imagefile import stamped
from pipeline.playground import Playground
from pipeline.quality import difference
from pipeline.recipe import recipe_of
from pipeline.report import seconds_text
from pipeline.request import random_seed
from pipeline.ui import markup
from pipeline.ui.compare_view import AUTOMATIC_PRICE, VIEWS, CompareView, guidance_slider, heading, negative_info
from pipeline.ui.jobs import Jobs

DEVICE_QUEUE = {"concurrency_id": "device", "concurrency_limit": 32}
"""How many visitors' events may be open at once. The engine's own line decides who has the device and tells each one
his place; Gradio's queue only holds what comes after these."""
STEP_EVERY_S = 0.1


def price_of(playground: Playground, wanted: Any, device: str = "") -> PriceProfile:
    """The chosen profile; "auto" and nothing mean the one proposed for the device, which may import torch."""
    if wanted in (AUTOMATIC_PRICE, None):
        return playground.prices.proposed(device or playground.engine.backend.device().name)
    return playground.prices.profile(wanted)


def worth_showing(events: Iterator[Event]) -> Iterator[Event]:
    """All events but the steps that follow the last one shown too fast for an eye, and cost the browser an update."""
    shown = 0.0
    for event in events:
        now = time.monotonic()
        if isinstance(event, Step) and event.preview is None and now - shown < STEP_EVERY_S:
            continue
        shown = now
        yield event


def attach(view: CompareView, playground: Playground, jobs: Jobs) -> None:
    """Give the tab its behaviour."""
    catalog, engine = playground.catalog, playground.engine
    lanes = view.lanes
    settings = [
        view.pair, view.price, view.prompt, view.negative, view.seed, view.width, view.height, view.repeat,
        view.use_cache, *(lanes[role].steps for role in ROLES), *(lanes[role].guidance for role in ROLES),
    ]  # fmt: skip
    outputs = [
        view.verdict, view.compare, view.stop, view.slider, view.difference, view.seed, view.shown,
        *(part for role in ROLES for part in (lanes[role].image, lanes[role].progress, lanes[role].numbers)),
    ]  # fmt: skip

    def requests_of(pair_id, prompt, negative, seed, width, height, steps, guidance):
        pair = catalog.pair(pair_id)
        both = {"steps": dict(zip(ROLES, steps, strict=True)), "guidance": dict(zip(ROLES, guidance, strict=True))}
        fields = {"negative_prompt": negative, "seed": seed, "width": width, "height": height}
        return pair, plan(catalog, pair, prompt, **fields, **both)

    def on_run(
        pair_id, price_id, prompt, negative, seed, width, height, repeat, use_cache,
        steps_predecessor, steps_efficient, guidance_predecessor, guidance_efficient, request: gr.Request,
    ) -> Iterator[dict]:  # fmt: skip
        steps, guidance = (steps_predecessor, steps_efficient), (guidance_predecessor, guidance_efficient)
        seed = random_seed() if seed is None else seed
        try:
            pair, requests = requests_of(pair_id, prompt, negative, seed, width, height, steps, guidance)
            if price_id != AUTOMATIC_PRICE:
                playground.prices.profile(price_id)
            begun = {view.seed: seed, view.verdict: markup.message("Running: the efficient model first.")}
            yield busy(True) | begun | cleared()
            roles = list(requests)
            results: dict[Role, Result] = {}
            with jobs.running(request.session_hash) as stop:
                how = {"repeat": repeat, "previews": True, "use_cache": use_cache, "stop": stop}
                # closing: a closed tab ends this generator at its yield, and that must end the run at once.
                with closing(engine.run(list(requests.values()), **how)) as events:
                    for event in worth_showing(events):
                        yield show(event, roles, results)
            device = results["efficient"].device
            document = compare_document(pair, results, price_of(playground, price_id, device))
            yield finished(document, results, price_id)
        except Cancelled:
            yield stopped()
        except PlaygroundError as error:
            yield stopped(str(error), "error")

    def cleared() -> dict:
        """Both lanes waiting: no old picture stays beside a new one."""
        updates: dict[Any, Any] = {}
        for role in ROLES:
            updates |= {
                lanes[role].image: None,
                lanes[role].numbers: "",
                lanes[role].progress: markup.progress("waiting for the efficient one" if role == ROLES[0] else "next"),
            }
        return updates

    def show(event: Event, roles: list[Role], results: dict[Role, Result]) -> dict:
        match event:
            case Queued():
                wait = f"about {event.expected_wait_s:.0f} s" if event.expected_wait_s >= 1 else "a moment"
                text = f"{event.place} before you in the line, {wait}" if event.place else "starting"
                return {lanes[role].progress: markup.progress(text) for role in ROLES}
            case Loading():
                text = f"loading: {event.part}"
                return {lanes[roles[event.lane]].progress: markup.progress(text, event.done / event.total)}
            case Step():
                lane = lanes[roles[event.lane]]
                left = event.elapsed_s / event.i * (event.n - event.i)
                rest = f", about {seconds_text(left)} left" if left > 1 else ""
                run = f"run {event.run}, " if event.run > 1 else ""
                text = f"{run}step {event.i} of {event.n} · {seconds_text(event.elapsed_s)}{rest}"
                update = {lane.progress: markup.progress(text, event.i / event.n)}
                return update | ({lane.image: event.preview} if event.preview else {})
            case Done():
                role = roles[event.lane]
                first = role not in results
                results[role] = event.result
                state = "" if event.final else markup.progress(f"run {len(event.result.runs)} is done", 1.0)
                return {lanes[role].progress: state} | ({lanes[role].image: picture(event.result)} if first else {})

    def finished(document: dict, results: dict[Role, Result], price_id: Any) -> dict:
        left, right = (results[role].image for role in ROLES)
        return (
            busy(False)
            | numbers(document, price_of(playground, price_id, document["device"]))
            | {
                view.slider: (left, right),
                view.difference: difference(left, right),
                view.shown: document,
            }
        )

    def numbers(document: dict, price: PriceProfile) -> dict:
        longest = max(lane["seconds"]["total"] for lane in document["lanes"])
        under = {lanes[lane["role"]].numbers: markup.lane(lane, price, longest) for lane in document["lanes"]}
        return under | {view.verdict: markup.verdict(document)} | {lanes[role].progress: "" for role in ROLES}

    def busy(now: bool) -> dict:
        return {view.compare: gr.Button(interactive=not now), view.stop: gr.Button(interactive=now)}

    def stopped(text: str = "Stopped. Finished pictures stay; press Compare to run again.", kind: str = "note") -> dict:
        return busy(False) | {view.verdict: markup.message(text, kind)} | {lanes[role].progress: "" for role in ROLES}

    def on_estimate(pair_id, price_id, repeat, steps_predecessor, steps_efficient, guidance_predecessor) -> str:
        """Before the run: how long and how much, and by what the figure is known."""
        steps = (steps_predecessor, steps_efficient)
        try:
            _, requests = requests_of(pair_id, "x", "", 0, None, None, steps, (guidance_predecessor, None))
            estimates = {role: engine.estimate(request) for role, request in requests.items()}
            said = estimate_document(requests, estimates, price_of(playground, price_id), int(repeat))
        except PlaygroundError as error:
            return markup.hint(str(error))
        return markup.hint(
            f"Estimate: {seconds_text(said['seconds'])}, {dollars(said['cost_usd'])} ({said['lanes'][0]['basis']})"
        )

    def reprice(document: dict | None, price_id: Any) -> dict:
        """Another price changes the sums, not the times: nothing runs again."""
        if document is None:
            return {view.verdict: gr.skip()}
        try:
            price = price_of(playground, price_id, document["device"])
        except PlaygroundError as error:
            return {view.verdict: markup.message(str(error), "error")}
        return numbers(repriced(document, price), price)

    def choose_pair(pair_id: str) -> dict:
        """The sliders, headings and reasons of another pair."""
        pair = catalog.pair(pair_id)
        cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}
        updates: dict[Any, Any] = {view.negative: gr.Textbox(info=negative_info(cards))}
        for role in ROLES:
            lane, card = pair.lane(role), cards[role]
            updates |= {
                lanes[role].heading: heading(role, card),
                lanes[role].steps: gr.Slider(card.steps.min, card.steps.max, lane.steps or card.steps.default),
                lanes[role].guidance: gr.Slider(**guidance_slider(role, card, lane.guidance)),
                lanes[role].image: None,
                lanes[role].numbers: "",
            }
        return updates | {view.verdict: markup.message(pair.question), view.shown: None}

    def choose_view(name: str) -> dict:
        return {
            view.side_by_side: gr.Row(visible=name == VIEWS[0]),
            view.slider: gr.ImageSlider(visible=name == VIEWS[1]),
            view.difference: gr.Image(visible=name == VIEWS[2]),
        }

    def on_stop(request: gr.Request) -> dict:
        """Only sets the flag: the run itself tells when it has really stopped, and until then Compare stays off."""
        jobs.stop(request.session_hash)
        return gr.Button(interactive=False)

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    # A visitor who still waits in Gradio's own queue sees his place there; later the page tells it itself.
    waiting = {"api_visibility": "private", "show_progress": "minimal", "show_progress_on": view.verdict}
    gr.on([view.compare.click, view.prompt.submit], on_run, settings, outputs, **waiting, **DEVICE_QUEUE)
    for button, prompt, seed in view.examples:
        filled = button.click(
            lambda prompt=prompt, seed=seed: (prompt, seed), None, [view.prompt, view.seed], queue=False, **hidden
        )
        filled.then(on_run, settings, outputs, **waiting, **DEVICE_QUEUE)
    view.stop.click(on_stop, None, view.stop, queue=False, **hidden)
    view.dice.click(random_seed, None, view.seed, queue=False, **hidden)
    view.view.change(choose_view, view.view, [view.side_by_side, view.slider, view.difference], queue=False, **hidden)
    view.pair.change(
        choose_pair, view.pair,
        [view.verdict, view.shown, view.negative, *(part for role in ROLES for part in (
            lanes[role].heading, lanes[role].steps, lanes[role].guidance, lanes[role].image, lanes[role].numbers))],
        queue=False, **hidden,
    )  # fmt: skip
    view.price.change(reprice, [view.shown, view.price], outputs, queue=False, **hidden)
    weighed = [view.pair, view.price, view.repeat, *(lanes[role].steps for role in ROLES), lanes[ROLES[0]].guidance]
    # Without triggers: when the page is opened, and whenever one of these changes.
    gr.on(None, on_estimate, weighed, view.estimate, queue=False, **hidden)


def picture(result: Result) -> Image.Image:
    """The picture as the page hands it out: its PNG carries the whole recipe."""
    return stamped(result.image, recipe_of(result))
