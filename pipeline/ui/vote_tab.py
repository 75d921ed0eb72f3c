"""The Vote tab: pairs without names, by mouse or keyboard; made of prompts, of the history or of a sweep; shared by a
link."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from pipeline import sweep_votes
from pipeline.axes import lines
from pipeline.catalog import Catalog
from pipeline.errors import Cancelled, InputError, PlaygroundError, shown
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.request import random_seed
from pipeline.settings import Settings, page_seed
from pipeline.stored import examples
from pipeline.ui import markup, vote_markup, vote_report
from pipeline.ui.arrival import BUSY
from pipeline.ui.compare_tab import ASIDE_QUEUE, requests_of, settings_of
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.price_box import check_choice, chosen_price
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.series import Pace, in_line
from pipeline.ui.served import address_of, hand_out
from pipeline.ui.sweep_view import SweepView
from pipeline.ui.visitors import Visitors
from pipeline.vote_run import Opened, draw_vote
from pipeline.votes import PAIRS_MAX, recipe_of_pair, roles_of
from pipeline.wording import count

LINK_KEY = "vote"
LEAD = (
    "A blind vote: two pictures without names, their sides drawn by lot. Whoever has its link can vote, by mouse or "
    "arrow keys. It tells how often the efficient picture is preferred, and how sure that is."
)
"""Until there is a vote on the page."""
SIDES = {"left": "← Left", "tie": "↑ Tie", "bad": "↓ Both bad", "right": "Right →"}
KEYS = """
const sides = {ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'tie', ArrowDown: 'bad'};
document.addEventListener('keydown', (event) => {
  const button = document.getElementById('vote-' + sides[event.key]);
  const fields = 'input, textarea, select, [contenteditable], [role=slider], [role=region]';
  const busy = fields + ', [role=tab]:not([aria-selected=true])';
  if (!button || event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.(busy)) return;
  if (button.disabled || button.offsetParent === null) return;
  event.preventDefault();
  if (!event.repeat) button.click();
});
"""
"""Arrow keys vote while the buttons are to be seen and nothing else has a use for them. One that is held votes
once: nobody has looked at what comes meanwhile."""
COPY_LINK = """async (query) => {
  const value = query && location.origin + location.pathname + query;
  let info = 'Copy it from here.';
  try { await navigator.clipboard.writeText(value); info = 'Copied.'; } catch { /* not allowed */ }
  if (/^(localhost|127\\.[\\d.]+|\\[::1\\])$/.test(location.hostname))
    info += ' It works on this machine only: for others, start Diptych with --host or --share.';
  return {__type__: 'update', value, info};
}"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Booth:
    """The tab's components. ``current``: the id of the vote on the page; ``place``: of the pair that is asked about."""

    ballot: gr.HTML
    choosing: gr.Row
    buttons: dict[str, gr.Button]
    back: gr.Button
    show: gr.Button
    share: gr.Button
    link: gr.Textbox
    said: gr.HTML
    result: gr.HTML
    taking: gr.Row
    report: ReportButtons
    making: gr.Accordion
    prompts: gr.Textbox
    draw: gr.Button
    halt: gr.Button
    mine: gr.Button
    current: gr.State
    place: gr.State

    @property
    def changing(self) -> list[gr.blocks.Block]:
        """What a vote may change."""
        return [
            self.ballot, self.choosing, self.back, self.show, self.share, self.link, self.said, self.result,
            self.taking, self.making, self.draw, self.halt, self.current, self.place,
        ]  # fmt: skip


def _lay_out() -> Booth:
    ballot = gr.HTML(markup.hint(LEAD), js_on_load=KEYS, apply_default_css=False, elem_classes="kept-box")
    with gr.Row(visible=False, elem_classes="vote-buttons", equal_height=True) as choosing:
        buttons = {side: gr.Button(name, elem_id=f"vote-{side}", min_width=70) for side, name in SIDES.items()}
    with gr.Row(elem_classes="views", equal_height=True):
        back = gr.Button("Take my last vote back", size="sm", visible=False, min_width=150, scale=0)
        show = gr.Button("Show the result", size="sm", visible=False, min_width=130, scale=0)
        share = gr.Button("Copy the vote's link", size="sm", visible=False, min_width=140, scale=0)
        link = gr.Textbox(visible=False, label="Link of the vote", max_lines=1, min_width=240)
    said = gr.HTML("", elem_classes="kept-box")
    result = gr.HTML("", apply_default_css=False, elem_classes="kept-box")
    with gr.Row(visible=False) as taking:
        report = vote_report.build()
    with gr.Accordion("New vote", open=True) as making:
        prompts = gr.Textbox(
            "\n".join(example["prompt"] for example in examples()),
            label="Prompts of the vote, one a line",
            info="Each is drawn with both models, with the pair, settings and seed of the Compare tab.",
            lines=3,
            max_lines=10,
        )
        with gr.Row(equal_height=True, elem_classes="actions"):
            draw = gr.Button("Draw and start the vote", variant="primary", min_width=180, scale=0)
            halt = gr.Button("Stop drawing", interactive=False, min_width=120, scale=0)
            mine = gr.Button("Vote on my comparisons of this pair", min_width=220, scale=0)
    return Booth(
        ballot, choosing, buttons, back, show, share, link, said, result, taking, report, making, prompts, draw, halt,
        mine, gr.State(None), gr.State(None),
    )  # fmt: skip


def build(
    playground: Playground,
    view: CompareView,
    sweep: SweepView,
    jobs: Jobs,
    visitors: Visitors,
    tabs: gr.Tabs,
    tab: gr.Tab,
    arrived: Any,
) -> None:
    """``view``: the Compare tab, with whose pair, settings and price a vote's pictures are drawn. ``sweep``: the Sweep
    tab, whose pictures can be put to the vote. ``arrived``: the event after which a new visitor's token is known."""
    booth = _lay_out()
    votes = playground.votes
    may_see = partial(vote_report.may_see, playground, visitors)

    def told(error: PlaygroundError) -> dict:
        return {booth.said: markup.fault(str(error))}

    def facing(entry: Entry, token: object, request: gr.Request, said: str = "") -> dict:
        """The vote as this voter has it before them: the next pair, or the result if all are seen. ``said``: HTML."""
        following = votes.ballot(entry, visitors.owner(token))
        updates = {
            booth.current: entry.id,
            booth.choosing: gr.Row(visible=following is not None),
            booth.back: gr.Button(visible=following is None or following.done > 0),
            booth.share: gr.Button(visible=True),
        }
        idle = not jobs.busy(None, run_of(request))  # else a drawing is told of, and is to be stopped yet
        if said or idle:
            updates[booth.said] = said
        if idle:
            updates[booth.making] = gr.Accordion(open=False)
        if following is None:
            return updates | {
                booth.ballot: markup.hint("That was all: thank you. What everybody said:"),
                booth.show: gr.Button("Refresh the result", visible=True),
                booth.result: standing(entry),
                booth.taking: gr.Row(visible=True),
                booth.place: None,
            }
        places = {role: 2 * following.place + i for i, role in enumerate(roles_of(entry))}
        try:
            left, right = (_shown(entry, places[role]) for role in (following.left, following.right))
        except OSError:
            raise InputError("A picture of this vote is no longer there; make the vote anew.") from None
        return updates | {
            booth.ballot: vote_markup.ballot(following, left, right),
            booth.show: gr.Button("Show the result", visible=vote_report.owns(visitors, entry, token, request)),
            booth.result: "",
            booth.taking: gr.Row(visible=False),
            booth.place: following.place,
        }

    def standing(entry: Entry) -> str:
        return vote_markup.standing(votes, playground.catalog, entry)

    def answering(entry: object, token: object, request: gr.Request, act: Callable[[Entry], Any] | None = None) -> dict:
        """Do ``act`` with the vote, then show what comes next; or why not."""
        try:
            vote = votes.get(entry)
            if act is not None:
                act(vote)
            return facing(vote, token, request)
        except InputError as error:
            return told(error)
        except PlaygroundError as error:
            log.exception("a vote cannot be read or kept")
            return told(error)

    def choose(side: str):
        def on_choose(token, entry, at, request: gr.Request) -> dict:
            voter = visitors.owner(token)
            return answering(entry, token, request, lambda vote: votes.cast(vote, voter, at, side))

        return on_choose

    def on_back(token, entry, request: gr.Request) -> dict:
        voter = visitors.owner(token)
        return answering(entry, token, request, lambda vote: votes.take_back(vote, voter))

    def on_show(token, entry, request: gr.Request) -> dict:
        try:
            return {booth.result: standing(may_see(entry, token, request)), booth.taking: gr.Row(visible=True)}
        except PlaygroundError as error:
            return told(error)

    def on_link(token, request: gr.Request) -> dict:
        """A shared link opens its vote."""
        wanted = dict(request.query_params).get(LINK_KEY)
        return {tabs: gr.Tabs(selected="vote"), **answering(wanted, token, request)} if wanted else gr.skip()

    def on_open(token, entry, request: gr.Request) -> dict:
        """The newest vote that this visitor made, unless one is before them, or their link opens one."""
        if entry or LINK_KEY in request.query_params:
            return gr.skip()
        try:
            found = visitors.find(token, request, kind="vote", limit=1)
        except PlaygroundError:
            log.exception("the history cannot be read")
            return gr.skip()
        return answering(found[0].id, token, request) if found else gr.skip()

    def on_mine(token, pair, request: gr.Request) -> dict:
        try:
            found = visitors.find(token, request, kind="comparison", pair=pair, limit=PAIRS_MAX)
            if not found:
                raise InputError("You have no comparison of this pair yet: run some, or draw prompts.")
            found = _unlike(found)
            vote = votes.get(votes.open(found, visitors.owner(token)))
            lost = len(found) - len(vote.document["pairs"])
            said = f"{count(lost, 'comparison')} left out: pictures that are no longer there."
            return facing(vote, token, request, markup.hint(said) if lost else "")
        except PlaygroundError as error:
            return told(error)

    def on_sweep(token, entry, request: gr.Request) -> Iterator[dict]:
        """What is finished of the sweep on the Sweep tab, put to the vote here."""
        yield {sweep.vote: gr.Button("Making the vote", interactive=False)}
        answer = {}
        try:
            if not entry:
                raise InputError("There is no sweep on the page: press Start sweep first.")
            kept = visitors.get(entry, token, request)
            made = sweep_votes.open_vote(votes, playground.sweeps, kept, visitors.owner(token))
            answer = {tabs: gr.Tabs(selected="vote"), **facing(made, token, request)}
        except PlaygroundError as error:
            gr.Warning(str(error))
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("a sweep could not be put to the vote")
            gr.Warning("The vote could not be made; the server's log says why.")
        yield {sweep.vote: gr.Button(sweep.vote.value, interactive=bool(entry)), **answer}

    def on_draw(request: gr.Request, token, price, text, *settings) -> Iterator[dict]:
        ended = {booth.draw: gr.Button(interactive=True), booth.halt: gr.Button("Stop drawing", interactive=False)}
        try:
            if jobs.busy(request.session_hash):
                raise InputError(BUSY)
            check_choice(playground, price)
            planned = _planned(playground.catalog, text, *settings)
            visitors.check_spending([each for _, requests in planned for each in requests.values()], request)
            of, pace, price_of = count(len(planned), "pair"), Pace(), partial(chosen_price, playground, price)
            with (
                jobs.running(request.session_hash, run_of(request)) as stop,
                closing(draw_vote(playground, planned, price_of, visitors.owner(token), stop)) as events,
            ):
                yield {
                    booth.said: markup.hint(f"0 of {of} drawn."),
                    booth.draw: gr.Button(interactive=False),
                    booth.halt: gr.Button("Stop drawing", interactive=True),
                }
                pace.told(None)
                for event in events:
                    if not isinstance(event, Opened) and pace.due(event.event):
                        waiting = in_line(event.event)
                        yield {booth.said: markup.hint(f"{event.done} of {of} drawn{waiting and f'; {waiting}'}.")}
                        pace.told(event.event)
            declined = event.declined
            said = f"{count(len(declined), 'pair')} left out. {declined[0]}" if declined else ""
            ended |= facing(event.vote, token, request)
            yield ended | {booth.said: said and markup.hint(said), booth.making: gr.Accordion(open=False)}
        except Cancelled:
            yield ended | {booth.said: markup.hint("Stopped. What was drawn is in the history; no vote was made.")}
        except PlaygroundError as error:
            yield ended | told(error)
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("drawing for a vote failed")
            yield ended | {booth.said: markup.fault("The drawing failed; the server's log says where.")}

    def on_halt(request: gr.Request) -> Any:
        jobs.stop(None, run_of(request))
        return gr.Button("Stopping", interactive=False)

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    current = [visitors.token, booth.current]
    for side, button in booth.buttons.items():
        button.click(choose(side), [*current, booth.place], booth.changing, **at_once)
    booth.back.click(on_back, current, booth.changing, **at_once)
    booth.show.click(on_show, current, booth.changing, **at_once)
    booth.share.click(
        lambda entry: gr.Textbox(f"?{LINK_KEY}={entry}", visible=True), booth.current, booth.link, **at_once
    ).then(None, booth.link, booth.link, js=COPY_LINK, **at_once)
    sweep.vote.click(on_sweep, [visitors.token, sweep.current], [sweep.vote, tabs, *booth.changing], **hidden)
    booth.mine.click(on_mine, [visitors.token, view.pair], booth.changing, **at_once)
    drawing = [visitors.token, view.price, booth.prompts, *settings_of(view)]
    booth.draw.click(on_draw, drawing, booth.changing, preprocess=False, **hidden, **ASIDE_QUEUE)  # as Compare's
    booth.halt.click(on_halt, None, booth.halt, **at_once)
    tab.select(on_open, current, booth.changing, **at_once)
    arrived.then(on_link, visitors.token, [tabs, *booth.changing], **at_once)
    vote_report.attach(booth.report, booth.current, playground, visitors)


def run_of(request: gr.Request) -> str:
    """What this page's drawing is called, so that its Stop ends nothing else."""
    return f"vote {request.session_hash}"


def _planned(catalog: Catalog, text: object, pair_id, _prompt, negative, seed, *rest) -> list[Settings]:
    """What each line of ``text`` asks for with the other settings of the Compare tab. Raises InputError."""
    if not isinstance(text, str):
        raise InputError(f"prompts must be text, one a line; got {shown(text)}.")
    wanted = lines("prompts", text)
    if not 1 <= len(wanted) <= PAIRS_MAX:
        raise InputError(f"A vote needs 1 to {PAIRS_MAX} prompts, one a line; got {len(wanted)}.")
    chosen = random_seed() if seed is None else page_seed(seed)
    return [requests_of(catalog, pair_id, prompt, negative, chosen, *rest) for prompt in wanted]


def _shown(entry: Entry, place: int) -> str:
    """Where a browser finds a picture of a vote; a copy without the recipe, which would name its model."""
    with Image.open(entry.files[place]) as image:
        return address_of(hand_out(image.convert("RGB")))


def _unlike(found: list[Entry]) -> list[Entry]:
    """One comparison a recipe, the newest, oldest first: to ask twice about the same pictures tells nothing more."""
    kept: dict[tuple, Entry] = {}
    for entry in found:
        kept.setdefault(recipe_of_pair(entry.document), entry)
    return list(kept.values())[::-1]
