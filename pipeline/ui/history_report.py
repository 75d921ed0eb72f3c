"""The report of what the History tab shows: its comparisons and single pictures in one offline file, newest first.

It asks for the entries as the tab does, so it holds nothing that its visitor may not see. What it leaves out, and why,
stands in the report and is told on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.catalog import Catalog
from pipeline.errors import InputError
from pipeline.history import KINDS, Entry
from pipeline.playground import Playground
from pipeline.report import BYTES_MAX, size_of, title_of, write_report
from pipeline.report_pictures import Item
from pipeline.ui import report_buttons
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.served import new_file
from pipeline.ui.visitors import Visitors
from pipeline.wording import count, size_text

ENTRIES_MAX = 50
"""More than a reader looks at; on paper every comparison has pages of its own."""
REPORTED = {"comparison": "comparison", "picture": "single picture"}
"""Kind of an entry -> what one is called. A sweep and a vote have more to tell than a page of many has room for."""


def attach(
    report: ReportButtons, filters: Sequence[gr.components.Component], playground: Playground, visitors: Visitors
) -> None:
    """``filters``: what the tab's listing is asked by, in the order :func:`conditions` takes them."""

    def report_as(suffix: str):
        def on_report(token, text, which, kind, starred, request: gr.Request) -> Path:
            path = new_file(f"diptych-history{suffix}")
            remarks = write(path, conditions(text, which, kind, starred), token, request, playground, visitors)
            if remarks[1:]:
                gr.Info(" ".join(remarks[1:]))
            return path

        return on_report

    report_buttons.offer(report, report_as, [visitors.token, *filters])


def write(
    path: Path, asked: dict[str, Any], token: object, request: gr.Request, playground: Playground, visitors: Visitors
) -> list[str]:
    """Write what this visitor's history has for :func:`conditions` and return what :func:`told` says of it.

    Raises InputError if there is nothing to write, PlaygroundError if it cannot be written.
    """
    catalog = playground.catalog
    fits = visitors.kinds(token, request, **asked)
    entries = [
        entry
        for kind in REPORTED
        if fits.get(kind)
        for entry in visitors.find(token, request, **{**asked, "kind": kind}, limit=ENTRIES_MAX)
    ]
    chosen = newest(entries)
    remarks = told(chosen, fits, asked, catalog)
    if not chosen:
        raise InputError(" ".join(remarks))
    titles = {title_of(entry.document, catalog) for entry in chosen}
    title = titles.pop() if len(titles) == 1 else "From the history"
    items = [Item(entry.document, pictures=entry.files) for entry in chosen]
    write_report(path, title, items, catalog, playground.prices, remarks=remarks)
    return remarks


def conditions(text: object, which: object, kind: object, starred: object) -> dict[str, Any]:
    """What the tab's controls say, as the history is asked for it."""
    subject, _, name = str(which).partition(" ")
    return {
        "text": str(text or ""),
        "kind": kind if kind in KINDS else None,
        "starred": bool(starred),
        **({subject: name} if subject in ("pair", "model") else {}),
    }


def newest(entries: Sequence[Entry]) -> list[Entry]:
    """The newest of ``entries``, as many as a report takes; one at least, whatever its size."""
    chosen, room = [], BYTES_MAX
    for entry in sorted(entries, key=lambda entry: entry.made_at, reverse=True)[:ENTRIES_MAX]:
        room -= sum(size_of(file) for file in entry.files.values())
        if chosen and room < 0:
            break
        chosen.append(entry)
    return chosen


def told(chosen: Sequence[Entry], fits: dict[str, int], asked: dict[str, Any], catalog: Catalog) -> list[str]:
    """First what is in the report and by what it was chosen, then a sentence for everything that was left out."""
    there = sum(fits.get(kind, 0) for kind in REPORTED)
    where = f"in the history{_by(asked, catalog)}"
    if not chosen:
        said = [f"There are no comparisons and no single pictures {where} to report."]
    elif len(chosen) < there:
        said = [
            f"The newest {len(chosen)} of {there:,} comparisons and single pictures {where}, newest first.",
            f"A report takes {ENTRIES_MAX} entries and {size_text(BYTES_MAX)} of pictures at most: "
            f"{count(there - len(chosen), 'older one')} left out; narrow the search to have them.",
        ]
    else:
        numbers = {noun: sum(entry.kind == kind for entry in chosen) for kind, noun in REPORTED.items()}
        what = " and ".join(count(number, noun) for noun, number in numbers.items() if number)
        said = [f"{what} {where}, newest first."]
    others = [count(fits[kind], kind) for kind in ("sweep", "vote") if fits.get(kind)]
    if others:
        said.append(f"{' and '.join(others)} left out: the Sweep and Vote tabs write reports of their own.")
    return said


def _by(asked: dict[str, Any], catalog: Catalog) -> str:
    """By what the entries were chosen, as the rest of a sentence."""
    words = asked["text"].split()
    pair, model = asked.get("pair"), asked.get("model")
    said = [
        f"with {' and '.join(f'“{word}”' for word in words)} in the prompt" if words else "",
        f"of the pair {catalog.pairs[pair].name}" if pair in catalog.pairs else "",
        f"by the model {catalog.models[model].name}" if model in catalog.models else "",
        "starred" if asked["starred"] else "",
    ]
    return "".join(f", {part}" for part in said if part)
