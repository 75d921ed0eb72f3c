"""Behaviour of the Compare tab: which click runs what, and what happens in which order."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from functools import partial

import gradio as gr

from pipeline.catalog import ROLES, Catalog, Role
from pipeline.compare import device_of, estimate_document, plan, price_document, repriced
from pipeline.errors import Cancelled, InputError, PlaygroundError
from pipeline.events import Done, Queued, Result
from pipeline.playground import Playground
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
from pipeline.ui.price_box import AUTOMATIC_PRICE, chosen_price
from pipeline.ui.visitors import Visitors
from pipeline.wording import expected

DEVICE_QUEUE = {"concurrency_id": "device", "concurrency_limit": 90}
"""How many visitors' events may be open at once. The engine's own line decides who has the device and tells each one
his place; Gradio's queue only holds what comes after these."""
FORGET_LINK = f"""(...values) => {{
  const address = new URL(location.href);
  for (const key of {json.dumps(LINK_KEYS)}) address.searchParams.delete(key);
  history.replaceState(null, "", address);
  return values;
}}"""
"""The address no longer says a recipe that the page does not show, so a reload shows what was made last."""

log = logging.getLogger(__name__)


def run_of(request: gr.Request) -> str:
    """What this page's comparison is called, so that its Stop ends no sweep beside it."""
    return f"compare {request.session_hash}"


def settings_of(view: CompareView) -> list[gr.components.Component]:
    """The components whose values :func:`requests_of` takes."""
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


def attach(view: CompareView, playground: Playground, jobs: Jobs, visitors: Visitors) -> dict:
    """Give the tab its behaviour. Returns the event that estimates anew, for whoever changes the settings."""
    catalog, engine = playground.catalog, playground.engine
    lanes = [view.lanes[role] for role in ROLES]
    recipe = settings_of(view)
    pictures = [part for lane in lanes for part in (lane.image, lane.progress, lane.numbers)]
    shown = [view.verdict, view.slider, view.difference, view.shown, *pictures]
    buttons = [view.compare, view.stop, *(button for button, _, _ in view.examples)]

    def check_throughput(wanted: bool, requests: Mapping[Role, ImageRequest]) -> None:
        if wanted:
            check_local(catalog.model(each.model) for each in requests.values())

    price_of = partial(chosen_price, playground)

    def on_run(
        token, price_id, repeat, throughput, use_cache, pair_id, prompt, negative, seed, width, height,
        steps_old, steps_new, guidance_old, guidance_new, switches_old, switches_new, request: gr.Request,
    ) -> Iterator[dict]:  # fmt: skip
        rest = (width, height, steps_old, steps_new, guidance_old, guidance_new, switches_old, switches_new)
        results: dict[Role, Result] = {}
        begun, waited, settled = False, False, threading.Event()
        keeper = Keeper(playground, visitors, token)

        def ended(text: str, kind: str = "note") -> dict:
            if not begun:  # the last comparison stays as it is
                return updates.refused(view, text)
            prices = {role: price_of(price_id, result.device) for role, result in results.items()}
            for role, result in results.items():
                keeper.alone(role, result, prices[role])
            return updates.stopped(view, results, text, kind, prices) | updates.choosable(view, True)

        try:
            with jobs.running(request.session_hash, run_of(request)) as stop:
                seed = random_seed() if seed is None else page_seed(seed)
                pair, requests = requests_of(catalog, pair_id, prompt, negative, seed, *rest)
                playground.check_price(None if price_id == AUTOMATIC_PRICE else price_id)
                use_cache = yes_or_no("use_cache", use_cache)
                check_throughput(yes_or_no("throughput", throughput), requests)
                repeat = whole("repeat", repeat, 1, REPEAT_MAX)
                visitors.check_spending(requests.values(), request, repeat, use_cache)
                begun = True
                measured = repeat != 1 or throughput
                yield updates.begun(view, seed, measured) | updates.choosable(view, False)
                roles = list(requests)
                every_s = MEASURED_STEP_EVERY_S if measured else STEP_EVERY_S
                quick = not measured and is_quick([engine.estimate(each) for each in requests.values()])
                alone_s = MEASURED_ALONE_S if measured else QUICK_S if quick else 0.0
                if alone_s:
                    time.sleep(SETTLE_S)
                how = {"repeat": repeat, "throughput": throughput, "use_cache": use_cache, "previews": not quick}
                # closing: a closed tab ends this generator at its next yield, and that must end the run.
                with closing(engine.run(list(requests.values()), stop=stop, settled=settled, **how)) as events:
                    for event in worth_showing(events, every_s, alone_s):
                        role = roles[event.lane] if hasattr(event, "lane") else None
                        price = None
                        if isinstance(event, Done):
                            results[role] = event.result
                            price = price_of(price_id, device_of(*results.values()))
                            if event.final:
                                keeper.done(pair, role, event.result, price)
                        update = updates.step_by_step(view, event, role, price)
                        in_line = isinstance(event, Queued) and event.place > 0
                        yield update | updates.running(view, measured) if waited and not in_line else update
                        waited = in_line
            price = price_of(price_id, device_of(*results.values()))
            opinions = opinions_of(playground, visitors, token, request, keeper.document)
            document = {**keeper.document, "opinions": opinions}
            yield updates.finished(view, document, results, price) | updates.choosable(view, True)
        except Cancelled:
            yield ended("Stopped. Finished pictures stay; press Compare to run again.")
        except PlaygroundError as error:
            yield ended(str(error), "error")
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("a comparison failed")
            yield ended("The run failed; the server's log says where.", "error")
        finally:
            settled.set()

    def on_estimate(price_id, repeat, throughput, pair_id, prompt, negative, seed, *rest) -> str:
        """Before the run: how long and how much, and by what the figure is known."""
        of = "Estimate"
        try:
            try:
                _, requests = requests_of(catalog, pair_id, "x", "", 0, *rest)
            except InputError:
                # Another pair's, which a busy browser has not yet set to what it was just told.
                requests, of = plan(catalog, catalog.pair(pair_id), "x"), "Estimate at the pair's own settings"
            check_throughput(yes_or_no("throughput", throughput), requests)
            estimates = {role: engine.estimate(request) for role, request in requests.items()}
            runs = whole("repeat", repeat, 1, REPEAT_MAX)
            said = estimate_document(requests, estimates, price_of(price_id), runs, throughput)
        except PlaygroundError as error:
            return markup.hint(str(error))
        known = {each.basis: each.here for each in estimates.values()}
        old, new = (lane["cost_usd"] for lane in said["lanes"])
        told = expected(said["seconds"], said["cost_usd"], known, most=throughput, each=(new, old))
        return markup.hint(f"{of}: {told}")

    def on_price(document: dict | None, price_id) -> dict:
        """Another price changes the sums, not the times: nothing runs again."""
        if document is None:
            return {view.verdict: gr.skip()}
        try:
            price = price_of(price_id, document["device"])
        except InputError as error:
            return {view.verdict: markup.message(str(error), "error")}
        document = repriced(document, price)
        return updates.numbers(view, document, price, document.get("note", "")) | {view.shown: document}

    def on_end(document: dict | None, price_id) -> dict:
        """Another price may have been chosen while it ran. Where none was, the verdict stays: it may say why not."""
        with suppress(InputError):
            if document is None or price_document(price_of(price_id, document["device"])) == document["price"]:
                return {view.verdict: gr.skip()}
        return on_price(document, price_id)

    def on_stop(request: gr.Request) -> dict:
        """Only sets the flag: the run itself tells when it has really stopped, and until then Compare stays off."""
        jobs.stop(None, run_of(request))
        return gr.Button("Stopping", interactive=False)

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    # Hidden also here: Gradio's own running clock is redrawn all the time, on the cores that draw the picture.
    how = [view.repeat, view.throughput, view.use_cache]
    run = {"fn": on_run, "inputs": [visitors.token, view.price, *how, *recipe], "js": FORGET_LINK}
    # What a browser sends is checked here, in a sentence; Gradio would answer a slider's value that it has just been
    # told to change with an error of its own.
    run |= {**hidden, **DEVICE_QUEUE, "preprocess": False}
    run["outputs"] = [view.seed, *buttons, *shown, view.pair, *(lane.model for lane in lanes)]
    weighed = [view.price, view.repeat, view.throughput]
    weigh = {"fn": on_estimate, "inputs": [*weighed, *recipe], "outputs": view.estimate, "preprocess": False, **at_once}
    reprice = {"fn": on_price, "inputs": [view.shown, view.price], **at_once}
    reprice["outputs"] = [view.verdict, view.shown, *(lane.numbers for lane in lanes)]
    settle = reprice | {"fn": on_end}
    # The estimate is then of what was measured now.
    gr.on([view.compare.click, view.prompt.submit], **run).then(**weigh).then(**settle)
    for button, prompt, seed in view.examples:
        filled = button.click(
            lambda prompt=prompt, seed=seed: (prompt, seed), None, [view.prompt, view.seed], **at_once
        )
        filled.then(**run).then(**weigh).then(**settle)
    view.stop.click(on_stop, None, view.stop, **at_once)
    view.dice.click(random_seed, None, view.seed, **at_once)
    view.view.change(
        lambda name: updates.view_chosen(view, name),
        view.view,
        [view.side_by_side, view.slider, view.difference],
        **at_once,
    )
    view.price.change(**reprice)
    sliders = [*(lane.steps for lane in lanes), *(lane.guidance for lane in lanes), view.width, view.height]
    gr.on([*(box.change for box in weighed), *(slider.release for slider in sliders)], **weigh)
    return weigh
