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
from pipeline.ui.visitors import Visitors
from pipeline.weights import is_here

TOLD_EVERY_S = 0.3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeBox:
    row: gr.Row
    which: gr.Dropdown
    begin: gr.Button


def build(playground: Playground) -> JudgeBox:
    """Hidden until a plot by a judge is asked for."""
    judges = playground.catalog.judges
    with gr.Row(visible=False, elem_classes="views", equal_height=True) as row:
        which = gr.Dropdown(_choices(playground), value=next(iter(judges), None), label="Judge", min_width=240, scale=0)
        begin = gr.Button("Judge this sweep", size="sm", min_width=140, scale=0)
    return JudgeBox(row, which, begin)


def _choices(playground: Playground) -> list[tuple[str, str]]:
    return [
        (f"{card.name}{'' if is_here(card) else ' · not fetched'}", card.id)
        for card in playground.catalog.judges.values()
    ]


def shown(playground: Playground, up: str) -> Any:
    """The box, where a plot by a judge is asked for; with what is here now."""
    return [gr.Row(visible=up == "judge"), gr.Dropdown(_choices(playground))]


def offered(playground: Playground, visitors: Visitors, request: gr.Request) -> bool:
    """Whether a visitor can do anything with a judge: one is here, or he may fetch one."""
    return visitors.local(request) or any(map(is_here, playground.catalog.judges.values()))


def judging(
    playground: Playground, jobs: Jobs, visitors: Visitors, token: object, entry: object, which: object,
    request: gr.Request,
) -> Iterator[tuple[str, bool]]:  # fmt: skip
    """Have the chosen judge look at the sweep on the page; yields what to say, and whether it is still at it."""
    session, told = request.session_hash, 0.0
    try:
        if jobs.busy(session):
            raise InputError("A run of this page is on; wait for its end, or stop it first.")
        if not entry:
            raise InputError("There is no sweep on the page: press Start sweep first.")
        kept = visitors.get(entry, token, request)
        card = judge_of(playground.catalog, which if which in playground.catalog.judges else None)
        with jobs.running(session, f"sweep {session}") as stop:
            for done, total in playground.judging.judge(kept, card, stop):
                if time.monotonic() - told >= TOLD_EVERY_S:
                    told = time.monotonic()
                    yield markup.hint(f"{card.name} has judged {done} of {total} pictures."), True
        yield markup.hint(f"{card.name} has judged all {total}."), False
    except Cancelled as error:
        yield markup.hint(str(error)), False
    except PlaygroundError as error:
        yield markup.fault(str(error)), False
    except Exception:  # whatever it is, a page must not stay busy for ever
        log.exception("a judging failed")
        yield markup.fault("The judging failed; the server's log says where. What is done stays."), False
