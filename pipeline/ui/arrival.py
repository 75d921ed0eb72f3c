"""What the page shows when somebody comes: their newest comparison, or what a link says; and the ways to carry settings
elsewhere and back, a link and a PNG. Nothing of it runs a model: that is for Compare."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline import imagefile, settings
from pipeline.errors import InputError, PlaygroundError
from pipeline.playground import Playground
from pipeline.recipe import request_from_recipe
from pipeline.ui import compare_updates as updates
from pipeline.ui import markup, restore_updates
from pipeline.ui.compare_tab import FORGET_LINK, asked_of, settings_of
from pipeline.ui.compare_view import CompareView, pair_choices, pair_dropdown
from pipeline.ui.jobs import Jobs
from pipeline.ui.opinions import opinions_of
from pipeline.ui.price_box import kept_choice
from pipeline.ui.visitors import NEW_TOKEN, Visitors
from pipeline.votes import PAIRS_MAX
from pipeline.wording import shortened

FROM_LINK = "Filled in from the link. Press Compare to run it."
FROM_RUN = "Filled in from the comparison that you began last, which has not finished. Press Compare to run it."
FROM_FILE = "Filled in from the picture's recipe. Press Compare to run it."
BUSY = "A run is on; wait for its end, or press Stop first."
UNREADABLE = "The history cannot be read; the server's log says why."
COPY = """async (query) => {
  const address = query && location.origin + location.pathname + query;
  if (!address) return [address, "Copy link"];
  try { await navigator.clipboard.writeText(address); } catch { return [address, "Select and copy"]; }
  return [address, "Copied"];
}"""
COPIED = """async (...said) => { await new Promise((over) => setTimeout(over, 2000)); return "Copy link"; }"""
THIS_MACHINE = " (works on this machine only; start with --host or --share for others)"

log = logging.getLogger(__name__)


def outputs(view: CompareView) -> list[Any]:
    """Every component that a restored comparison may change."""
    lanes = [part for lane in view.lanes.values() for part in lane.parts]
    controls = [view.pair, view.price, view.prompt, view.negative, view.seed, view.width, view.height]
    return [*controls, *lanes, view.verdict, view.slider, view.difference, view.anew, view.shown]


def attach(
    view: CompareView,
    playground: Playground,
    jobs: Jobs,
    visitors: Visitors,
    weigh: Mapping[str, Any],
    offer: Mapping[str, Any],
) -> Any:
    """Give the tab this behaviour. ``weigh``: the event that estimates anew; ``offer``: the one that shows which
    switches work. Returns the event after which a visitor's token is known and the tab filled in, for what else a link
    may open."""
    catalog = playground.catalog

    first = [view.prompt, view.pair, view.seed, view.shown]

    def begun(said: dict, request: gr.Request) -> bool:
        """Whether a visitor has begun with the page as it came: what they have set and made is not taken from them."""
        return jobs.busy(request.session_hash) or any(said[box] != box.value for box in first)

    def on_arrival(said: dict, request: gr.Request) -> dict:
        """Other weights may have been fetched since the page was built."""
        price = price_of(said)
        shown = {} if begun(said, request) else found(said[visitors.token], price, request)
        if price != said[view.price]:  # what is on the page is then reckoned anew
            shown |= {view.price: price}
        return shown if view.pair in shown else shown | {view.pair: gr.Dropdown(choices=pair_choices(catalog))}

    def price_of(said: dict) -> object:
        """What the visitor chose here already, else what they chose last: a reload does not lose it."""
        here = said[view.price]
        return here if here != view.price.value else kept_choice(playground, said[view.kept_price]) or here

    def found(token: object, price: object, request: gr.Request) -> dict:
        """A link is stronger than what was begun and not finished, and that than the history; whoever has none of them
        sees the stored example."""
        try:
            said = settings.from_link(catalog, dict(request.query_params))
            if said is not None:
                return restore_updates.proposed(view, catalog, said, FROM_LINK)
        except InputError as error:
            return restore_updates.told(view, f"The link cannot be used: {error}")
        if said := jobs.unfinished.of(visitors.owner(token)):
            return restore_updates.proposed(view, catalog, said, FROM_RUN)
        opinions = partial(opinions_of, playground, visitors, token, request)
        try:
            secret = blind(token, request)
            for entry in visitors.find(token, request, kind="comparison", limit=1 + PAIRS_MAX if secret else 1):
                if entry.document not in secret:
                    return restore_updates.from_history(view, playground, entry, price, opinions)
        except InputError as error:  # made with models or settings that are no more: the stored example stays
            log.info("the newest comparison is not restored: %s", error)
        except PlaygroundError:
            log.exception("the history cannot be read")
            return restore_updates.told(view, UNREADABLE)
        return {}

    def blind(token: object, request: gr.Request) -> list[dict]:
        """The comparisons of a vote that this visitor made and has not voted on to its end: to show any of them with
        its models' names would end its being blind."""
        for vote in visitors.find(token, request, kind="vote", limit=1):
            if playground.votes.ballot(vote, visitors.owner(token)):
                return vote.document["pairs"]
        return []

    def on_wait() -> None:
        """To know the machine can take as long as torch takes to be imported. What the visitor does meanwhile is in the
        inputs of the event after this one."""
        _ = playground.default_pair

    def on_own_pair(said: dict, request: gr.Request) -> dict:
        """Another one than the stored example's, where this machine has the weights and the memory for it."""
        pair = playground.default_pair
        if pair is catalog.default_pair or begun(said, request):
            return {view.verdict: gr.skip()}
        return updates.pair_chosen(view, catalog, pair) | {view.pair: gr.Dropdown(**pair_dropdown(catalog, pair))}

    def on_file(path, pair_id, request: gr.Request) -> dict:
        try:
            if jobs.busy(request.session_hash):
                raise InputError(BUSY)
            made = request_from_recipe(_recipe(path))
            said = settings.from_request(catalog, made, catalog.pair(pair_id))
            filled = restore_updates.proposed(view, catalog, said, FROM_FILE)
        except InputError as error:
            return {view.recipe_file: None, view.recipe_note: markup.fault(str(error))}
        return filled | {view.recipe_file: None, view.recipe_note: ""}

    def on_link(said: dict, request: gr.Request) -> dict:
        try:
            pair, requests = asked_of(view, catalog, said)
            settings.page_seed(said[view.seed])
        except InputError as error:
            return {view.link: gr.Textbox("", visible=False), view.estimate: markup.hint(str(error))}
        asked = requests["efficient"]
        label = f"Link to the settings of “{shortened(asked.prompt)}”, seed {asked.seed}, with {pair.name}"
        if visitors.local(request):
            label += THIS_MACHINE
        address = settings.link_of(pair, requests)
        return {view.link: gr.Textbox(address, label=label, visible=True), view.estimate: gr.skip()}

    hidden = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    come = {visitors.token, view.price, view.kept_price, *first}
    coming = {"inputs": come, "outputs": outputs(view), "preprocess": False, **hidden}
    arrived = gr.context.Context.root_block.load(None, visitors.token, visitors.token, js=NEW_TOKEN, **hidden).then(
        on_arrival, **coming
    )
    arrived.then(on_wait, None, None, **hidden).then(on_own_pair, **coming).then(**weigh)
    view.recipe_file.upload(
        on_file,
        [view.recipe_file, view.pair],
        [view.recipe_file, view.recipe_note, *outputs(view)],
        js=FORGET_LINK,
        trigger_mode="multiple",  # a second file may be dropped before the first one's event is wholly over
        **hidden,
    ).then(**weigh).then(**offer)
    view.copy_link.click(on_link, set(settings_of(view)), [view.link, view.estimate], **hidden).then(
        None, view.link, [view.link, view.copy_link], js=COPY, **hidden
    ).then(None, None, view.copy_link, js=COPIED, **hidden)
    return arrived


def _recipe(path: str) -> dict:
    """The recipe in an uploaded file. Raises InputError, whatever the file is."""
    try:
        return imagefile.read_recipe(Path(path))
    except OSError:
        raise InputError("This file is no PNG, or a broken one; drop a PNG that was saved by Diptych.") from None
