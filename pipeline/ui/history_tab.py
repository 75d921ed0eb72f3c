"""The History tab: what this visitor made, newest first; searched, filtered, starred, deleted, and opened again in the
Compare tab without running anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from pipeline.errors import InputError, PlaygroundError
from pipeline.history import KINDS, Entry
from pipeline.playground import Playground
from pipeline.ui import history_markup, history_report, markup, report_buttons, restore_updates, vote_markup
from pipeline.ui.arrival import BUSY, UNREADABLE, outputs
from pipeline.ui.compare_tab import FORGET_LINK
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.opinions import opinions_of
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.served import address, take_back_small
from pipeline.ui.sweep_view import SweepView
from pipeline.ui.visitors import Visitors
from pipeline.wording import size_text

PAGE = 24
ANY = "any"
KIND_NAMES = {"comparison": "Comparisons", "picture": "Single pictures", "sweep": "Sweeps", "vote": "Votes"}
SCRIPT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  const act = button.dataset.act, id = button.closest('[data-id]').dataset.id;
  if (act === 'delete' && !button.dataset.sure) {
    button.dataset.sure = 'asked';
    button.textContent = 'Really delete?';
    setTimeout(() => {
      if (button.dataset.sure) { delete button.dataset.sure; button.textContent = 'Delete'; }
    }, 5000);
  } else if (act === 'open') {
    trigger('restore', {id});
  } else {
    trigger('alter', {act, id});
  }
});
"""
"""One listener for all cards, which come and go within the element. To delete takes two clicks on the same button."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The tab's components."""

    text: gr.Textbox
    which: gr.Dropdown
    kind: gr.Dropdown
    starred: gr.Checkbox
    said: gr.HTML
    report: ReportButtons
    cards: gr.HTML
    more: gr.Button
    shown: gr.State
    """How many entries are shown at most."""


def build(playground: Playground) -> Listing:
    """Lay the tab out; it is filled when it is opened."""
    catalog = playground.catalog
    pairs = [(f"Pair: {pair.name}", f"pair {pair.id}") for pair in catalog.pairs.values()]
    models = [(f"Model: {card.name}", f"model {card.id}") for card in catalog.models.values()]
    with gr.Row(equal_height=True):
        text = gr.Textbox(label="Search", placeholder="Words of the prompt", max_lines=1, min_width=200, scale=3)
        which = gr.Dropdown([("All", ANY), *pairs, *models], value=ANY, label="Pair or model", min_width=200, scale=3)
        kind = gr.Dropdown(
            [("All", ANY), *((KIND_NAMES[kind], kind) for kind in KINDS)],
            value=ANY,
            label="Kind",
            min_width=130,
            scale=2,
        )
        starred = gr.Checkbox(False, label="Starred only", min_width=130, scale=1)
    with gr.Row(elem_classes="views", equal_height=True):
        said = gr.HTML("", elem_classes=["kept-box", "said-box"], min_width=240)
        report = report_buttons.build("history-report-file")
    cards = gr.HTML("", js_on_load=SCRIPT, apply_default_css=False, elem_classes="kept-box")
    more = gr.Button(f"Show {PAGE} more", size="sm", visible=False)
    return Listing(text, which, kind, starred, said, report, cards, more, gr.State(PAGE))


def attach(
    listing: Listing,
    tabs: gr.Tabs,
    tab: gr.Tab,
    view: CompareView,
    playground: Playground,
    swept: SweepView,
    jobs: Jobs,
    visitors: Visitors,
    opened: Sequence[Mapping[str, Any]],
) -> None:
    """Give the tab its behaviour. ``view``, ``swept``: the tabs where an entry is opened. ``opened``: the
    events after that."""
    filters = [listing.text, listing.which, listing.kind, listing.starred]
    asked = [visitors.token, *filters, listing.shown]
    answer = [listing.said, listing.cards, listing.more, listing.shown]

    def votes_of(voter: str, entry: Entry) -> str:
        try:
            return vote_markup.brief(playground.votes, playground.catalog, entry, voter)
        except PlaygroundError:
            log.exception("the votes cannot be read")
            return ""

    def listed(token, text, which, kind, starred, shown, request: gr.Request, problem: str = "") -> tuple:
        """The first ``shown`` entries of what is asked for."""
        asked = history_report.conditions(text, which, kind, starred)
        try:
            found = visitors.find(token, request, **asked, limit=shown + 1)
            used = playground.history.used_bytes()
        except PlaygroundError:
            log.exception("the history cannot be read")
            return markup.fault(UNREADABLE), "", gr.Button(visible=False), shown
        say = partial(votes_of, visitors.owner(token))
        try:
            cards = history_markup.cards(found[:shown], playground.catalog, address, say)
        except PlaygroundError as error:  # a full disk takes no small pictures; what is kept can be deleted yet
            problem = problem or str(error)
            cards = history_markup.cards(found[:shown], playground.catalog, lambda _: None, say)
        said = _told(len(found), any(asked.values()), used, playground)
        told = markup.fault(problem) if problem else markup.hint(said)
        return told, cards, gr.Button(visible=len(found) > shown), shown

    def on_filter(token, text, which, kind, starred, request: gr.Request) -> tuple:
        return listed(token, text, which, kind, starred, PAGE, request)

    def on_more(token, text, which, kind, starred, shown, request: gr.Request) -> tuple:
        return listed(token, text, which, kind, starred, shown + PAGE, request)

    def on_alter(token, text, which, kind, starred, shown, event: gr.EventData, request: gr.Request) -> tuple:
        """Star, unstar or delete: only what this visitor may see."""
        said = event._data if isinstance(event._data, dict) else {}
        problem = ""
        try:
            entry = visitors.get(said.get("id"), token, request)
            match said.get("act"):
                case "star" | "unstar":
                    playground.history.star(entry.id, said["act"] == "star")
                case "delete":
                    playground.history.delete(entry.id)
                    for file in entry.files.values():
                        take_back_small(file)
        except InputError as error:
            problem = str(error)
        except PlaygroundError:
            log.exception("the history cannot be changed")
            problem = "The history cannot be changed; the server's log says why."
        return listed(token, text, which, kind, starred, shown, request, problem)

    def on_open(token, price, event: gr.EventData, request: gr.Request) -> dict:
        said = event._data if isinstance(event._data, dict) else {}
        try:
            if jobs.busy(request.session_hash):
                raise InputError(BUSY)
            entry = visitors.get(said.get("id"), token, request)
            if entry.kind == "sweep":
                return {tabs: gr.Tabs(selected="sweep"), swept.wanted: entry.id, listing.said: ""}
            opinions = partial(opinions_of, playground, visitors, token, request)
            updates = restore_updates.from_history(view, playground, entry, price, opinions)
        except InputError as error:
            return {listing.said: markup.fault(str(error))}
        except PlaygroundError as error:
            log.exception("an entry cannot be opened")
            return {listing.said: markup.fault(str(error))}
        return updates | {tabs: gr.Tabs(selected="compare"), swept.wanted: None, listing.said: ""}

    hidden = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    tab.select(listed, asked, answer, **hidden)
    gr.on(
        [control.change for control in filters],  # input misses what is pasted
        on_filter,
        asked[:-1],
        answer,
        trigger_mode="always_last",
        **hidden,
    )
    listing.more.click(on_more, asked, answer, **hidden)
    # "multiple": who stars two cards quickly means both.
    listing.cards.alter(on_alter, asked, answer, trigger_mode="multiple", **hidden)
    into = [tabs, listing.said, swept.wanted, *outputs(view)]
    following = listing.cards.restore(on_open, [visitors.token, view.price], into, js=FORGET_LINK, **hidden)
    for event in opened:
        following = following.then(**event)
    history_report.attach(listing.report, filters, playground, visitors)


def _told(found: int, filtered: bool, used: int, playground: Playground) -> str:
    """Nothing found, or how much room is taken."""
    if not (found or filtered):
        return "Nothing yet: what you make on the other tabs is kept here."
    most = size_text(playground.history.max_bytes)
    room = f"{size_text(used)} of {most} used. When it is full the oldest go, starred ones last."
    return room if found else f"Nothing here that fits. {room}"
