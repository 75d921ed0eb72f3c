"""The part of the Sweep tab where a network judges a sweep: which one, begin, and how far it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.errors import Cancelled, InputError, PlaygroundError
from pipeline.judges import judge_of
from pipeline.playground import Playground
from pipeline.ui import markup
from pipeline.ui.jobs import Jobs
from pipeline.ui.sweep_progress import Said, run_of
from pipeline.ui.visitors import Visitors
from pipeline.weights import is_here
from pipeline.wording import count

BUSY = "A run of this page is on; wait for its end, or stop it first."
TOLD_EVERY_S = 0.3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeBox:
    row: gr.Row
    which: gr.Dropdown
    begin: gr.Button
    said: gr.HTML
    """How far it is, or why it cannot be, where the button is."""


def build(playground: Playground) -> JudgeBox:
    """Hidden until a plot by a judge is asked for."""
    judges = playground.catalog.judges
    first = judge_of(playground.catalog, None).id if judges else None
    with gr.Row(visible=False, elem_classes="views", equal_height=True) as row:
        which = gr.Dropdown(_choices(playground), value=first, label="Judge", min_width=240, scale=0)
        begin = gr.Button("Judge this sweep", size="sm", interactive=False, min_width=140, scale=0)
        said = gr.HTML("", elem_classes=["kept-box", "said-box"], min_width=240)
    return JudgeBox(row, which, begin, said)


def _choices(playground: Playground, entry: str | None = None) -> list[tuple[str, str]]:
    """The catalogue's, and any other that has judged this sweep, as from the command line."""
    known = playground.catalog.judges
    others = [card for card in playground.judging.judges(entry) if card.id not in known] if entry else []
    return [
        *((f"{card.name}{'' if is_here(card) else ' · not fetched'}", card.id) for card in known.values()),
        *((f"{card.name} ({card.source})", card.id) for card in others),
    ]


def shown(playground: Playground, up: str, entry: str | None, which: str | None) -> list[Any]:
    """The box, where a plot by a judge is asked for; with what there is now, and what is chosen among it."""
    choices = _choices(playground, entry)
    if which not in [judge for _, judge in choices]:
        which = choices[0][1] if choices else None
    return [gr.Row(visible=up == "judge"), gr.Dropdown(choices, value=which)]


def offered(playground: Playground, visitors: Visitors, request: gr.Request) -> bool:
    """Whether a visitor can do anything with a judge: one is here, or they may fetch one."""
    return visitors.local(request) or any(map(is_here, playground.catalog.judges.values()))


def judging(
    playground: Playground, jobs: Jobs, visitors: Visitors, token: object, entry: object, which: object,
    request: gr.Request,
) -> Iterator[Said]:  # fmt: skip
    """Have the chosen judge look at the sweep on the page."""
    session, told = request.session_hash, 0.0
    if jobs.busy(session):
        yield Said(markup.fault(BUSY))
        return
    try:
        if not entry:
            raise InputError("There is no sweep on the page: press Start sweep first.")
        kept = visitors.get(entry, token, request)
        if which not in playground.catalog.judges:  # never a folder that a visitor names
            raise InputError("This judge is not of the catalogue: have it judge from the command line.")
        card = playground.catalog.judges[which]
        with jobs.running(session, run_of(session)) as stop:
            for done, total in playground.judging.judge(kept, card, stop):
                if time.monotonic() - told >= TOLD_EVERY_S:
                    # Told once that there is something to stop: later it would undo the button's "Stopping".
                    text = markup.hint(f"{card.name} has judged {done} of {total} pictures.")
                    yield Said(text, busy=None if told else True)
                    told = time.monotonic()
        lost = f" {count(total - done, 'picture')} cannot be read." if done < total else ""
        end = markup.hint(f"{card.name} has judged {done} of {total} pictures.{lost}")
    except Cancelled as error:
        end = markup.hint(str(error))
    except PlaygroundError as error:
        end = markup.fault(str(error))
    except Exception:  # whatever it is, a page must not stay busy for ever
        log.exception("a judging failed")
        end = markup.fault("The judging failed; the server's log says where. What is done stays.")
    yield Said(end, busy=False)
