"""The files that the Vote tab gives whoever may know how a vote stands: a report, or every choice as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import InputError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.report import title_of, write_report
from pipeline.report_pictures import Item
from pipeline.sweep_report import write_vote_report
from pipeline.ui import report_buttons, vote_markup
from pipeline.ui.report_buttons import ReportButtons
from pipeline.ui.served import new_file
from pipeline.ui.visitors import Visitors
from pipeline.wording import slug


def build() -> ReportButtons:
    return report_buttons.build("vote-report-file", {".csv": "Votes (CSV)"})


def attach(report: ReportButtons, current: gr.State, playground: Playground, visitors: Visitors) -> None:
    """``current``: the id of the vote on the page."""

    def report_as(suffix: str):
        def on_report(token, entry, request: gr.Request) -> Path:
            if not entry:
                raise InputError("There is no vote on the page: make one first.")
            vote = may_see(playground, visitors, entry, token, request)
            pair = playground.catalog.pairs.get(vote.document.get("pair"))
            path = new_file(f"diptych-vote-{slug(pair.name if pair else vote.prompt)}{suffix}")
            write(path, playground, vote)
            return path

        return on_report

    report_buttons.offer(report, report_as, [visitors.token, current])


def owns(visitors: Visitors, entry: Entry, token: object, request: gr.Request) -> bool:
    """Whether this visitor made the vote."""
    try:
        return visitors.get(entry.id, token, request) is not None
    except InputError:
        return False


def may_see(playground: Playground, visitors: Visitors, entry: object, token: object, request: gr.Request) -> Entry:
    """The vote, for whoever may know how it stands. Raises InputError."""
    vote = playground.votes.get(entry)
    if not owns(visitors, vote, token, request) and playground.votes.ballot(vote, visitors.owner(token)) is not None:
        raise InputError("The result is shown when you have voted on all pairs, so that it does not sway you.")
    return vote


def write(path: Path, playground: Playground, vote: Entry) -> None:
    """Write what was said of a vote, as the file's suffix says. Raises InputError of no votes where it is CSV, and
    PlaygroundError if a report cannot be written."""
    if path.suffix == ".csv":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv_of(playground.votes.exported(vote)), encoding="utf-8", newline="")
    elif "sweep" in vote.document:
        write_vote_report(path, playground, vote)
    else:
        documents, catalog = vote.document["pairs"], playground.catalog
        items = [
            Item(document, pictures={0: vote.files.get(2 * i), 1: vote.files.get(2 * i + 1)})
            for i, document in enumerate(documents)
        ]
        tally = playground.votes.tally(vote)
        votes = {"Verdict": vote_markup.claim(tally), **vote_markup.tally_texts(tally, playground.votes.settings(vote))}
        said = {"Votes": votes}
        write_report(path, title_of(documents[0], catalog), items, catalog, playground.prices, said=said)


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
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
