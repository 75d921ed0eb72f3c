"""What is said on the terminal: of work and of a download a line of progress, of each picture a line of numbers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cards import JudgeCard, ModelCard
from pipeline.download import Plan, fetch, plan_cards
from pipeline.events import Event, Loading, Queued, Step, disturbed
from pipeline.reading import reading_text
from pipeline.weights import to_fetch
from pipeline.wording import (
    asked_text,
    cost_text,
    count,
    evaluations_text,
    seconds_range,
    seconds_text,
    size_text,
    steps_text,
    switches_text,
)


def progress(event: Event | None, names: Sequence[str]) -> None:
    """What a run does just now; ``names``: of its lanes. None: it does nothing any more."""
    match event:
        case Queued():
            text = f"{event.place} before you, about {event.expected_wait_s:.0f} s"
        case Loading():
            text = f"{names[event.lane]}: loading {event.part}"
        case Step():
            what = f"run {event.run}" if event.batch is None else f"{count(event.batch, 'picture')} at once"
            step = f"step {event.i} of {event.n}" if event.i else asked_text(event.n, event.elapsed_s)
            text = f"{names[event.lane]}: {what}, {step}"
        case _:
            text = ""
    line(text)


def line(text: str) -> None:
    """Progress, in the place of the last that was told; only a terminal gets it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def fetch_here(plan: Plan) -> None:
    """Fetch what is missing, told in place on a terminal, else in a line at every tenth."""
    told = -1

    def tell_bytes(done: int, total: int, file: str) -> None:
        nonlocal told
        said = f"{size_text(done)} of {size_text(total)}"
        tenth = 10 * done // total if total else 10
        line(f"{said} {file}")
        if tenth > told and not sys.stderr.isatty():
            print(said, flush=True)
        told = max(told, tenth)

    print(f"{plan.name}: {size_text(plan.missing_bytes)} of {size_text(plan.total_bytes)} to fetch, into {plan.place}")
    fetch(plan, tell_bytes, threading.Event())
    print("\nEverything is here." if sys.stderr.isatty() else "Everything is here.", flush=True)


def bring(cards: Sequence[ModelCard | JudgeCard]) -> None:
    """Fetch those of these that are not here; nothing is asked of the Hub if all are."""
    if absent := to_fetch(cards):
        fetch_here(plan_cards(absent))


def tell(label: str, lane: Mapping[str, Any], lanes: Sequence[Mapping[str, Any]] = ()) -> None:
    """One picture in one line, its cost in the unit of all ``lanes``, and a second one where not all of its prompt was
    read."""
    work = steps_text(lane)
    if (made := lane["model_evaluations"]) is not None:
        work += f", {evaluations_text(lane)} evaluation{'' if made == 1 else 's'}"
    if lane["switches"]:
        work += f", {switches_text(lane)}"
    took = seconds_text(lane["seconds"]["total"])
    if lane["runs"] > 1:
        took += f" ({seconds_range(lane['seconds_min'], lane['seconds_max'])}, {lane['runs']} runs)"
    if lane["cache"] == "hit":
        took += " (from the cache)"
    if disturbed(lane):
        took += " (the machine was busy)"
    cost = cost_text(lane["cost_usd"], beside=[each["cost_usd"] for each in lanes])
    print(f"{label:<12} {lane['model']:<22} {work:<27} {took:>8}  {cost}  {lane['image']}")
    if unread := reading_text(lane.get("reading")):
        print(f"{'':<12} {lane['model']} {unread}")
