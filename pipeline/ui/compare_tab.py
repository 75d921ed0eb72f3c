"""Behaviour of the Compare tab: which click runs what, and what happens in which order."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from pipeline.catalog import ROLES, Catalog, Role
from pipeline.compare import device_of, estimate_document, plan, price_document, repriced
from pipeline.errors import BusyError, Cancelled, InputError, PlaygroundError
from pipeline.events import Done, Queued, Result, Step
from pipeline.playground import Playground
from pipeline.prices import PriceProfile, unknown_price
from pipeline.request import REPEAT_MAX, ImageRequest, random_seed, whole, yes_or_no
from pipeline.settings import LINK_KEYS, Settings, page_seed
from pipeline.throughput import check_local
from pipeline.ui import compare_updates as updates
from pipeline.ui import markup
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.keeper import Keeper
from pipeline.ui.opinions import opinions_of
from pipeline.ui.pace import (
    MEASURED_ALONE_S,
    MEASURED_STEP_EVERY_S,
    QUICK_S,
    SETTLE_S,
    STEP_EVERY_S,
    is_quick,
    worth_showing,
)
from pipeline.ui.price_box import check_choice, chosen_price, kept_choice
from pipeline.ui.rounds import RoundsLeft
from pipeline.ui.visitors import Visitors
from pipeline.wording import expected, rate_text

DEVICE_QUEUE = {"concurrency_id": "device", "concurrency_limit": 80}
"""How many visitors' comparisons may be open at once. The engine's own line decides who has the device and tells each
one their place; Gradio's queue only holds what comes after these."""
ASIDE_QUEUE = {"concurrency_id": "aside", "concurrency_limit": 20}
"""For what can go on for hours, sweeps, votes and judges: however many are on, there are places to compare."""
FORGET_LINK = f"""(...values) => {{
  const address = new URL(location.href);
  for (const key of {json.dumps(LINK_KEYS)}) address.searchParams.delete(key);
  history.replaceState(null, "", address);
  return values;
}}"""
"""The address no longer says a recipe that the page does not show, so a reload shows what was made last."""

SHOW_VIEW = """() => {
  const show = (tries) => {
    const box = document.querySelector(".wide-view, .stretched");
    if (box?.offsetHeight > 200) box.scrollIntoView({ block: "nearest" });
    else if (tries) setTimeout(show, 100, tries - 1);
  };
  setTimeout(show, 100, 20);
}"""
"""On a phone the pictures that it takes the place of stood far above the finger that chose it. It has no height until
its own pictures are there."""

log = logging.getLogger(__name__)


KEYS_OR_POINTER = """() => {
  addEventListener('keydown', () => { document.body.dataset.keys = ''; }, true);
  addEventListener('pointerdown', () => { delete document.body.dataset.keys; }, true);
}"""
"""Run once by the page, so that :func:`focus_on` knows by which of the two a button was pressed."""


def focus_on(button: gr.Button) -> str:
    """For who goes by the keyboard, once the button that they pressed is disabled, and the focus nowhere."""
    return f"""() => {{
  if (document.body.dataset.keys === undefined) return;
  const move = (tries) => {{
    const to = document.getElementById("{button.elem_id}");
    if (document.activeElement === document.body && to && !to.disabled) to.focus({{ preventScroll: true }});
    else if (tries) setTimeout(move, 100, tries - 1);
  }};
  move(10);
}}"""


def run_of(request: gr.Request) -> str:
    """What this page's comparison is called, so that its Stop ends no sweep beside it."""
    return f"compare {request.session_hash}"


def settings_of(view: CompareView) -> list[gr.components.Component]:
    """The components whose values :func:`requests_of` takes, in its order."""
    lanes = [view.lanes[role] for role in ROLES]
    return [
        view.pair, view.prompt, view.negative, view.seed, view.width, view.height,
        *(lane.steps for lane in lanes), *(lane.guidance for lane in lanes), *(lane.switches for lane in lanes),
    ]  # fmt: skip


def requests_of(
    catalog: Catalog, pair_id, prompt, negative, seed, width, height,
    steps_old, steps_new, guidance_old, guidance_new, switches_old, switches_new,
) -> Settings:  # fmt: skip
    """What the page's controls ask for. Raises InputError."""
    pair = catalog.pair(pair_id)
    fields = {"negative_prompt": negative, "seed": seed, "width": width, "height": height}
    steps = {"predecessor": steps_old, "efficient": steps_new}
    guidance = {"predecessor": guidance_old, "efficient": guidance_new}
    switches = {"predecessor": switches_old, "efficient": switches_new}
    return pair, plan(catalog, pair, prompt, **fields, steps=steps, guidance=guidance, switches=switches)


def asked_of(view: CompareView, catalog: Catalog, said: Mapping[Any, Any]) -> Settings:
    """The same, of all that the page says by component. Raises InputError."""
    return requests_of(catalog, *(said[box] for box in settings_of(view)))


def attach(view: CompareView, playground: Playground, jobs: Jobs, visitors: Visitors) -> dict:
    """Give the tab its behaviour. Returns the event that estimates anew, for whoever changes the settings."""
    catalog, engine = playground.catalog, playground.engine
    lanes = [view.lanes[role] for role in ROLES]
    recipe = settings_of(view)
    pictures = [part for lane in lanes for part in (lane.heading, lane.image, lane.progress, lane.numbers)]
    pictures += [view.anew, view.advanced]
    buttons = [view.stop, *view.starters, *view.report.buttons.values(), *view.choices]
    nothing = {view.verdict: gr.skip()}

    def check_throughput(wanted: bool, requests: Mapping[Role, ImageRequest]) -> None:
        if wanted:
            check_local(catalog.model(each.model) for each in requests.values())

    price_of = partial(chosen_price, playground)

    def on_ask(seed, event: gr.EventData, request: gr.Request) -> dict:
        """Does not wait for Gradio's queue, so that whoever presses a button sees that it was heard."""
        try:
            ticket = jobs.ask(request.session_hash, run_of(request))
        except BusyError as error:
            return updates.told(view, str(error), "error") | {view.ticket: ""}
        if ticket is None:  # Enter, while a run is on
            return {view.ticket: ""}
        examples = {button.elem_id: recipe for button, *recipe in view.examples}
        own = gr.skip(), random_seed() if seed is None else gr.skip()
        pressed = getattr(event.target, "elem_id", None)
        prompt, seed = examples.get(pressed, own)
        fields = {view.prompt: prompt, view.seed: seed, view.uncached: pressed == view.anew.elem_id}
        return updates.asked(view) | fields | {view.ticket: ticket}

    def on_run(said: dict, request: gr.Request) -> Iterator[dict]:
        with jobs.begun(said[view.ticket]) as stop:
            if stop is None:
                yield nothing
            else:
                yield from run(said, stop, request)

    def run(said: dict, stop: threading.Event, request: gr.Request) -> Iterator[dict]:
        results: dict[Role, Result] = {}
        unfinished = list(ROLES)
        begun, waited, settled = False, False, threading.Event()
        alone = True
        owner = visitors.owner(said[visitors.token])
        keeper = Keeper(playground, visitors, owner)
        price_id = said[view.price]

        def keep() -> dict[Role, PriceProfile]:
            """Those pictures that are shown and have no partner. Returns the prices."""
            prices = {role: price_of(price_id, result.device) for role, result in results.items()}
            for role, result in results.items():
                keeper.alone(role, result, prices[role])
            return prices

        def keep_shown() -> None:
            if len(results) == len(ROLES) and not keeper.document:  # of a measurement, each told as of its first run
                for role, result in results.items():
                    keeper.done(pair, role, result, price_of(price_id, device_of(*results.values())))
            keep()

        def ended(text: str, kind: str = "note", note: str = "") -> dict:
            if not begun:
                return updates.refused(view, said[view.shown], text)
            if keeper.document:  # of a measurement that broke off, with the rounds that are whole
                with suppress(Exception):  # as on a full disk: then what is shown already stays
                    return compared(note, text if kind == "error" else "")
            if not results and kind == "note":
                text = "Stopped. No picture was finished; press Compare to run it."
            return updates.stopped(view, results, text, kind, keep())

        def compared(note: str = "", broke_off: str = "") -> dict:
            document, price = keeper.document, price_of(price_id, device_of(*results.values()))
            notes = " ".join(filter(None, [note, document["note"]]))
            opinions = opinions_of(playground, visitors, said[visitors.token], request, document)
            document = {**document, "opinions": opinions, "note": notes}
            return updates.finished(view, document, results, price, broke_off)

        try:
            page_seed(said[view.seed])
            pair, requests = asked_of(view, catalog, said)
            check_choice(playground, price_id)
            use_cache = yes_or_no("use_cache", said[view.use_cache]) and not said[view.uncached]
            throughput = yes_or_no("throughput", said[view.throughput])
            check_throughput(throughput, requests)
            repeat = whole("repeat", said[view.repeat], 1, REPEAT_MAX)
            visitors.check_spending(requests.values(), request, repeat, use_cache)
            begun = True
            jobs.unfinished.begin(owner, (pair, requests))
            measured = repeat != 1 or throughput
            yield updates.begun(view, catalog, pair, measured)
            roles = list(requests)
            every_s = MEASURED_STEP_EVERY_S if measured else STEP_EVERY_S
            estimates = {role: engine.estimate(each) for role, each in requests.items()}
            rounds = RoundsLeft(repeat, [bool(each.hosted) for each in estimates.values()], throughput)
            quick = not measured and is_quick(list(estimates.values()))
            alone_s = MEASURED_ALONE_S if measured else QUICK_S if quick else 0.0
            if alone_s:
                time.sleep(SETTLE_S)
            how = {"repeat": repeat, "throughput": throughput, "use_cache": use_cache, "previews": not quick}
            # closing: a closed tab ends this generator at its next yield, and that must end the run.
            with closing(engine.run(list(requests.values()), stop=stop, settled=settled, **how)) as events:
                for event in worth_showing(events, every_s, alone_s):
                    role = roles[event.lane] if hasattr(event, "lane") else None
                    under = {}
                    if isinstance(event, Done):
                        results[role] = event.result
                        price = price_of(price_id, device_of(*results.values()))
                        if event.final:
                            keeper.done(pair, role, event.result, price)
                            unfinished = [each for each in unfinished if each != role]
                            if event.result.hosted:  # it may have ended early, and ours have as many
                                repeat = len(event.result.runs)
                                rounds = replace(rounds, repeat=repeat)
                            if keeper.document:
                                jobs.unfinished.end(owner, (pair, requests))
                        longest = max((estimates[each].seconds for each in ROLES if each not in results), default=0.0)
                        under = updates.so_far(view, results, dict.fromkeys(results, price), longest)
                    update = updates.step_by_step(view, event, role, unfinished, repeat) | under
                    if measured and isinstance(event, Step):
                        now = {name: engine.estimate(each).seconds for name, each in requests.items()}
                        update |= updates.round_by_round(view, event, rounds, now, unfinished)
                    in_line = isinstance(event, Queued) and event.place > 0
                    if waited and not in_line:
                        update = updates.running(view, measured, unfinished) | update
                    elif measured and alone and isinstance(event, Step):  # which are told once the silence is over
                        alone = False
                        update |= updates.told(view, updates.MEASURING)
                    yield update or nothing
                    waited = in_line
            yield compared()
        except GeneratorExit:  # the page is gone; what it showed stays
            # Gradio closes this in the thread that serves all pages.
            threading.Thread(target=keep_shown, name="keep", daemon=True).start()
            raise
        except Cancelled:
            yield ended("Stopped. Finished pictures stay; press Compare to run again.", note="stopped early")
        except PlaygroundError as error:
            yield ended(str(error), "error")
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("a comparison failed")
            yield ended("The run failed; the server's log says where.", "error")
        finally:
            settled.set()

    def on_estimate(said: dict) -> str:
        """Before the run: how long and how much, and by what the figure is known."""
        of = "Estimate"
        try:
            try:
                _, requests = asked_of(view, catalog, {**said, view.prompt: "x", view.negative: "", view.seed: 0})
            except InputError:
                # Another pair's, which a busy browser has not yet set to what it was just told.
                requests, of = plan(catalog, catalog.pair(said[view.pair]), "x"), "Estimate at the pair's own settings"
            throughput = yes_or_no("throughput", said[view.throughput])
            check_throughput(throughput, requests)
            estimates = {role: engine.estimate(request) for role, request in requests.items()}
            runs = whole("repeat", said[view.repeat], 1, REPEAT_MAX)
            price = unknown_price()
            with suppress(InputError):  # what is wrong with it stands over the pictures
                price = price_of(said[view.price])
            document = estimate_document(requests, estimates, price, runs, throughput)
        except PlaygroundError as error:
            return markup.hint(str(error))
        known = {each.basis: each.here for each in estimates.values()}
        old, new = (lane["cost_usd"] for lane in document["lanes"])
        told = expected(document["seconds"], document["cost_usd"], known, most=throughput, each=(new, old))
        return markup.hint(f"{of}: {told}")

    def on_price(document: dict | None, price_id, request: gr.Request) -> dict:
        """Another price changes the sums, not the times: nothing runs again. In a run it waits for the end."""
        if document is None or jobs.busy(None, run_of(request)):
            return nothing
        try:
            price = price_of(price_id, document["device"])
        except InputError as error:
            stays = f"The costs below stay{rate_text(document) or ' as they were'}."
            return updates.refused(view, document, str(error), stays)
        document = repriced(document, price)
        return updates.numbers(view, document, price, document.get("note", "")) | {view.shown: document}

    def on_choice(price_id) -> Any:
        """What cannot be a price leaves the last one kept."""
        return kept_choice(playground, price_id) or gr.skip()

    def on_end(document: dict | None, price_id, request: gr.Request) -> dict:
        """Another price may have been chosen while it ran. Where none was, the verdict stays: it may say why not."""
        if jobs.busy(None, run_of(request)):  # what ended was a run that had been stopped before it began
            return nothing
        free = updates.busy(view, False)
        if document is None:  # stopped before there was a picture
            free |= {button: gr.Button(interactive=False) for button in view.report.buttons.values()}
        with suppress(InputError):
            if document is None or price_document(price_of(price_id, document["device"])) == document["price"]:
                return free
        return on_price(document, price_id, request) | free

    def on_stop(request: gr.Request) -> dict:
        """Only sets the flag: the run itself tells when it has really stopped, and until then Compare stays off."""
        if jobs.withdraw(run_of(request)):
            return updates.withdrawn(view, "Stopped before it began. Press Compare to run it.")
        if jobs.stop(None, run_of(request)):
            return {view.stop: gr.Button("Stopping", interactive=False)}
        return nothing  # it has just ended by itself

    def on_failure(request: gr.Request) -> dict:
        """Gradio itself could not have it run."""
        jobs.withdraw(run_of(request))
        return updates.withdrawn(view, "The server could not take this on; try again in a minute.", "error")

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    ask = {"fn": on_ask, "inputs": view.seed, "outputs": [view.verdict, *buttons]}
    ask["outputs"] += [view.prompt, view.seed, view.ticket, view.uncached]
    # Hidden also here: Gradio's own running clock is redrawn all the time, on the cores that draw the picture.
    weighed = [view.price, view.repeat, view.throughput]
    begin = {"fn": on_run, "js": FORGET_LINK}
    begin["inputs"] = {visitors.token, view.ticket, view.uncached, view.use_cache, view.shown, *weighed, *recipe}
    # What a browser sends is checked here, in a sentence; Gradio would answer a slider's value that it has just been
    # told to change with an error of its own. Multiple: one that was stopped may wait in Gradio's queue yet.
    begin |= {**hidden, **DEVICE_QUEUE, "preprocess": False, "trigger_mode": "multiple"}
    # Few: each costs the server a millisecond or more at every step that is told, whether it changes or not.
    begin["outputs"] = [view.verdict, view.estimate, view.slider, view.difference, view.shown, *pictures]
    weigh = {"fn": on_estimate, "inputs": {*weighed, *recipe}, "outputs": view.estimate, "preprocess": False, **at_once}
    weigh["trigger_mode"] = "always_last"
    reprice = {"fn": on_price, "inputs": [view.shown, view.price], **at_once}
    reprice["outputs"] = [view.verdict, view.shown, *(lane.numbers for lane in lanes)]
    settle = reprice | {"fn": on_end, "outputs": [*reprice["outputs"], *buttons], "trigger_mode": "always_last"}
    stopping = {"outputs": [view.verdict, *buttons], **at_once}
    asking = [view.prompt.submit, view.seed.submit, *(button.click for button in view.starters)]
    asked = gr.on(asking, **ask, **at_once)
    asked.then(None, js=focus_on(view.stop), **at_once)
    ran = asked.then(**begin)
    ran.failure(on_failure, None, **stopping)
    settled = ran.then(**settle)
    settled.then(None, js=focus_on(view.compare), **at_once)
    # The estimate is then of what was measured now.
    settled.then(**weigh)
    view.stop.click(on_stop, None, **stopping).then(None, js=focus_on(view.compare), **at_once)
    view.dice.click(random_seed, None, view.seed, **at_once)
    view.view.change(
        lambda name: updates.view_chosen(view, name),
        view.view,
        [view.slider, view.difference],
        **at_once,
    ).then(None, js=SHOW_VIEW, **at_once)
    view.price.change(**reprice)
    view.price.change(on_choice, view.price, view.kept_price, **at_once)
    sliders = [*(lane.steps for lane in lanes), *(lane.guidance for lane in lanes), view.width, view.height]
    gr.on([*(box.change for box in weighed), *(slider.release for slider in sliders)], **weigh)
    return weigh
