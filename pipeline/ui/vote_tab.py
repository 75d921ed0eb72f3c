"""The Vote tab: pairs without names, by mouse or keyboard; made of prompts, of the history or of a sweep; shared by a
link."""

from __future__ import annotations

import csv
import io
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from pipeline import sweep_votes
from pipeline.axes import lines
from pipeline.catalog import ROLES
from pipeline.compare import compare_document, device_of
from pipeline.errors import Cancelled, Declined, InputError, PlaygroundError, shown
from pipeline.events import Done, Result
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.report import Item, title_of, write_report
from pipeline.request import random_seed
from pipeline.settings import page_seed
from pipeline.stored import examples
from pipeline.sweep_report import write_vote_report
from pipeline.ui import markup, report_buttons, vote_markup
from pipeline.ui.arrival import BUSY, COPY
from pipeline.ui.compare_tab import DEVICE_QUEUE, requests_of, settings_of
from pipeline.ui.compare_view import CompareView
from pipeline.ui.jobs import Jobs
from pipeline.ui.pace import SETTLE_S, TELL_S
from pipeline.ui.price_box import AUTOMATIC_PRICE, chosen_price
from pipeline.ui.served import address_of, hand_out, new_file
from pipeline.ui.sweep_tab import SweepView
from pipeline.ui.visitors import Visitors
from pipeline.votes import PAIRS_MAX, recipe_of_lane, roles_of
from pipeline.wording import count, slug

LINK_KEY = "vote"
SIDES = {"left": "← Left", "tie": "↑ Tie", "bad": "↓ Both bad", "right": "Right →"}
KEYS = """
const sides = {ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'tie', ArrowDown: 'bad'};
document.addEventListener('keydown', (event) => {
  const button = document.getElementById('vote-' + sides[event.key]);
  const busy = 'input, textarea, select, [contenteditable], [role=tab], [role=slider], [role=region]';
  if (!button || event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.(busy)) return;
  if (button.disabled || button.offsetParent === null) return;
  event.preventDefault();
  if (!event.repeat) button.click();
});
"""
"""Arrow keys vote while the buttons are to be seen and nothing else has a use for them. One that is held votes
once: nobody has looked at what comes meanwhile."""

log = logging.getLogger(__name__)


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
    catalog, history = playground.catalog, playground.history
    ballot = gr.HTML("", js_on_load=KEYS, apply_default_css=False, elem_classes="kept-box")
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
        report = report_buttons.build("vote-report-file", {".csv": "Votes (CSV)"})
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
    current, place = gr.State(None), gr.State(None)
    changing = {
        "ballot": ballot, "choosing": choosing, "back": back, "show": show, "share": share, "link": link, "said": said,
        "result": result, "taking": taking, "making": making, "draw": draw, "halt": halt, "current": current,
        "place": place,
    }  # fmt: skip
    outputs = list(changing.values())

    def update(**values: Any) -> list[Any]:
        """Every output, so that none that was left out is built anew."""
        return [values.get(name, gr.skip()) for name in changing]

    def told(error: PlaygroundError) -> list[Any]:
        return update(
            said=markup.fault(str(error)),
            draw=gr.Button(interactive=True),
            halt=gr.Button("Stop drawing", interactive=False),
        )

    def owns(entry: Entry, token: object, request: gr.Request) -> bool:
        try:
            return visitors.get(entry.id, token, request) is not None
        except InputError:
            return False

    def facing(entry: Entry, token: object, request: gr.Request, said: str = "") -> list[Any]:
        """The vote as this voter has it before him: the next pair, or the result if he has seen all. ``said``: HTML."""
        voter = visitors.owner(token)
        following = playground.votes.ballot(entry, voter)
        common = {
            "current": entry.id,
            "choosing": gr.Row(visible=following is not None),
            "back": gr.Button(visible=following is None or following.done > 0),
            "show": gr.Button("Refresh the result", visible=True)
            if following is None
            else gr.Button("Show the result", visible=owns(entry, token, request)),
            "share": gr.Button(visible=True),
            "making": gr.Accordion(open=False),
            "draw": gr.Button(interactive=True),
            "halt": gr.Button("Stop drawing", interactive=False),
            "said": said,
        }
        if following is None:
            thanks = markup.hint("That was all: thank you. What everybody said:")
            return update(ballot=thanks, result=standing(entry), taking=gr.Row(visible=True), place=None, **common)
        places = {role: 2 * following.place + i for i, role in enumerate(roles_of(entry))}
        try:
            left, right = (_shown(entry, places[role]) for role in (following.left, following.right))
        except OSError:
            raise InputError("A picture of this vote is no longer there; make the vote anew.") from None
        html = vote_markup.ballot(following, left, right)
        return update(ballot=html, result="", taking=gr.Row(visible=False), place=following.place, **common)

    def standing(entry: Entry) -> str:
        return vote_markup.standing(playground.votes, catalog, entry)

    def answering(entry: object, token: object, request: gr.Request, act: Any = None) -> list[Any]:
        """Do ``act`` with the vote, then show what comes next; or why not."""
        try:
            vote = playground.votes.get(entry)
            if act is not None:
                act(vote)
            return facing(vote, token, request)
        except InputError as error:
            return told(error)
        except PlaygroundError as error:
            log.exception("a vote cannot be read or kept")
            return told(error)

    def choose(side: str):
        def on_choose(token, entry, at, request: gr.Request) -> list[Any]:
            voter = visitors.owner(token)
            return answering(entry, token, request, lambda vote: playground.votes.cast(vote, voter, at, side))

        return on_choose

    def on_back(token, entry, request: gr.Request) -> list[Any]:
        voter = visitors.owner(token)
        return answering(entry, token, request, lambda vote: playground.votes.take_back(vote, voter))

    def may_see(entry: object, token: object, request: gr.Request) -> Entry:
        """The vote, for whoever may know how it stands. Raises InputError."""
        vote = playground.votes.get(entry)
        if not owns(vote, token, request) and playground.votes.ballot(vote, visitors.owner(token)) is not None:
            raise InputError("The result is shown when you have voted on all pairs, so that it does not sway you.")
        return vote

    def on_show(token, entry, request: gr.Request) -> list[Any]:
        try:
            return update(result=standing(may_see(entry, token, request)), taking=gr.Row(visible=True))
        except PlaygroundError as error:
            return told(error)

    def on_link(token, request: gr.Request) -> list[Any]:
        """A shared link opens its vote."""
        wanted = dict(request.query_params).get(LINK_KEY)
        if not wanted:
            return [gr.skip(), *update()]
        return [gr.Tabs(selected="vote"), *answering(wanted, token, request)]

    def on_open(token, entry, request: gr.Request) -> list[Any]:
        """The newest vote that this visitor made, unless one is before him."""
        try:
            found = [] if entry else visitors.find(token, request, kind="vote", limit=1)
        except PlaygroundError:
            log.exception("the history cannot be read")
            return update()
        return answering(found[0].id, token, request) if found else update()

    def on_mine(token, pair, request: gr.Request) -> list[Any]:
        try:
            found = visitors.find(token, request, kind="comparison", pair=pair, limit=PAIRS_MAX)
            if not found:
                raise InputError("You have no comparison of this pair yet: run some, or draw prompts.")
            found = _unlike(found)
            vote = playground.votes.get(playground.votes.open(found, visitors.owner(token)))
            lost = len(found) - len(vote.document["pairs"])
            said = f"{count(lost, 'comparison')} left out: pictures that are no longer there."
            return facing(vote, token, request, markup.hint(said) if lost else "")
        except PlaygroundError as error:
            return told(error)

    def on_sweep(token, entry, request: gr.Request) -> Iterator[list[Any]]:
        """What is finished of the sweep on the Sweep tab, put to the vote here."""
        nothing = [gr.skip(), *update()]
        name = sweep.vote.value
        yield [gr.Button("Making the vote", interactive=False), *nothing]
        try:
            if not entry:
                raise InputError("There is no sweep on the page: press Start sweep first.")
            kept = visitors.get(entry, token, request)
            made = sweep_votes.open_vote(playground.votes, playground.sweeps, kept, visitors.owner(token))
            answer = [gr.Tabs(selected="vote"), *facing(made, token, request)]
        except PlaygroundError as error:
            gr.Warning(str(error))
            answer = nothing
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("a sweep could not be put to the vote")
            gr.Warning("The vote could not be made; the server's log says why.")
            answer = nothing
        yield [gr.Button(name, interactive=True), *answer]

    def on_draw(
        token, price, text, pair_id, _prompt, negative, seed, width, height,
        steps_old, steps_new, guidance_old, guidance_new, switches_old, switches_new, request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        rest = (width, height, steps_old, steps_new, guidance_old, guidance_new, switches_old, switches_new)
        settled = threading.Event()
        try:
            if jobs.busy(request.session_hash):
                raise InputError(BUSY)
            if not isinstance(text, str):
                raise InputError(f"prompts must be text, one a line; got {shown(text)}.")
            wanted = lines("prompts", text)
            if not 1 <= len(wanted) <= PAIRS_MAX:
                raise InputError(f"A vote needs 1 to {PAIRS_MAX} prompts, one a line; got {len(wanted)}.")
            playground.check_price(None if price == AUTOMATIC_PRICE else price)
            chosen = random_seed() if seed is None else page_seed(seed)
            planned = [requests_of(catalog, pair_id, prompt, negative, chosen, *rest) for prompt in wanted]
            visitors.check_spending([each for _, requests in planned for each in requests.values()], request)
            owner = visitors.owner(token)
            found, declined, shown_at = [], [], 0.0
            with jobs.running(request.session_hash, f"vote {request.session_hash}") as stop:
                for i, (pair, requests) in enumerate(planned):
                    if time.monotonic() - shown_at >= TELL_S:
                        yield update(
                            said=markup.hint(f"{i} of {count(len(wanted), 'pair')} drawn."),
                            draw=gr.Button(interactive=False),
                            halt=gr.Button("Stop drawing", interactive=True),
                        )
                        time.sleep(SETTLE_S)
                        shown_at = time.monotonic()
                    results: dict[str, Result] = {}
                    roles = list(requests)
                    settled.set()  # the pair before is kept by now
                    settled = threading.Event()
                    try:
                        with closing(playground.engine.run(list(requests.values()), settled=settled)) as events:
                            for event in events:
                                if stop.is_set():
                                    raise Cancelled("The drawing was stopped.")
                                if isinstance(event, Done):
                                    results[roles[event.lane]] = event.result
                    except Declined as error:  # of one prompt among many; the others are still wanted
                        declined.append(error)
                        continue
                    document = compare_document(
                        pair, results, chosen_price(playground, price, device_of(*results.values()))
                    )
                    found.append(history.get(history.add("comparison", document, [results[r] for r in ROLES], owner)))
            if not found and declined:
                raise declined[0]
            made = playground.votes.open(found, owner)
            yield facing(playground.votes.get(made), token, request)
            if declined:
                yield update(said=markup.hint(f"{count(len(declined), 'pair')} left out. {declined[0]}"))
        except Cancelled:
            yield update(
                said=markup.hint("Stopped. What was drawn is in the history; no vote was made."),
                draw=gr.Button(interactive=True),
                halt=gr.Button("Stop drawing", interactive=False),
            )
        except PlaygroundError as error:
            yield told(error)
        except Exception:  # whatever it is, a page must not stay busy for ever
            log.exception("drawing for a vote failed")
            yield told(PlaygroundError("The drawing failed; the server's log says where."))
        finally:
            settled.set()

    def on_halt(request: gr.Request) -> Any:
        jobs.stop(None, f"vote {request.session_hash}")
        return gr.Button("Stopping", interactive=False)

    def report_as(suffix: str):
        def on_report(token, entry, request: gr.Request) -> Path:
            if not entry:
                raise InputError("There is no vote on the page: make one first.")
            vote = may_see(entry, token, request)
            pair = catalog.pairs.get(vote.document.get("pair"))
            path = new_file(f"diptych-vote-{slug(pair.name if pair else vote.prompt)}{suffix}")
            if suffix == ".csv":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_csv(playground.votes.exported(vote)), encoding="utf-8", newline="")
                return path
            if "sweep" in vote.document:
                write_vote_report(path, playground, vote)
                return path
            documents = vote.document["pairs"]
            items = [
                Item(document, pictures={0: vote.files.get(2 * i), 1: vote.files.get(2 * i + 1)})
                for i, document in enumerate(documents)
            ]
            tally = playground.votes.tally(vote)
            votes = {"Verdict": vote_markup.claim(tally), **vote_markup.told(tally, playground.votes.settings(vote))}
            said = {"Votes": votes}
            write_report(path, title_of(documents[0], catalog), items, catalog, playground.prices, said=said)
            return path

        return on_report

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    at_once = {**hidden, "queue": False}
    for side, button in buttons.items():
        button.click(choose(side), [visitors.token, current, place], outputs, **at_once)
    back.click(on_back, [visitors.token, current], outputs, **at_once)
    show.click(on_show, [visitors.token, current], outputs, **at_once)
    share.click(lambda entry: gr.Textbox(f"?{LINK_KEY}={entry}", visible=True), current, link, **at_once).then(
        None, link, link, js=COPY, **at_once
    )
    sweep.vote.click(on_sweep, [visitors.token, sweep.current], [sweep.vote, tabs, *outputs], **hidden)
    mine.click(on_mine, [visitors.token, view.pair], outputs, **at_once)
    drawing = [visitors.token, view.price, prompts, *settings_of(view)]
    draw.click(on_draw, drawing, outputs, preprocess=False, **hidden, **DEVICE_QUEUE)  # as Compare's
    halt.click(on_halt, None, halt, **at_once)
    tab.select(on_open, [visitors.token, current], outputs, **at_once)
    arrived.then(on_link, visitors.token, [tabs, *outputs], **at_once)
    report_buttons.offer(report, report_as, [visitors.token, current])


def _shown(entry: Entry, place: int) -> str:
    """Where a browser finds a picture of a vote; a copy without the recipe, which would name its model."""
    with Image.open(entry.files[place]) as image:
        return address_of(hand_out(image.convert("RGB")))


def _unlike(found: list[Entry]) -> list[Entry]:
    """One comparison a recipe, the newest, oldest first: to ask twice about the same pictures tells nothing more."""
    kept: dict[tuple, Entry] = {}
    for entry in found:
        said = entry.document
        alike = (said["seed"], said["width"], said["height"])
        kept.setdefault((entry.prompt, *alike, *(str(recipe_of_lane(lane)) for lane in said["lanes"])), entry)
    return list(kept.values())[::-1]


def _csv(rows: list[dict[str, Any]]) -> str:
    """A text that a spreadsheet would take for a formula is marked as one that is none."""
    if not rows:
        raise InputError("Nobody has voted yet; there is nothing to export.")
    content = io.StringIO()
    writer = csv.DictWriter(content, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _no_formula(value) for name, value in row.items()})
    return content.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
