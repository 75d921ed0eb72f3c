"""A kept sweep, drawn and reported: one function each, which page and command line share. Runs nothing; what
fidelity a report lacks is compared here, and a plot is of what was compared so far.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.report import title_of, write_report
from pipeline.report_pictures import Item
from pipeline.sweep import sweep_document
from pipeline.sweep_plot import POINTS_MIN, fidelity_front, fidelity_plot, votes_front, votes_plot, votes_table
from pipeline.sweep_votes import Standing, cells_of, of_sweep, of_vote, standing_claim, standing_texts, votable
from pipeline.tradeoff import compare_cells, tradeoff

SHOWN = ("width", "height", "model", "models", "device", "price", "rows", "columns")
"""Of a sweep's document, what every picture of it tells anyway."""
UP = ("fidelity", "votes", "judge")
"""What a plot can have on its vertical axis."""


def drawn(
    playground: Playground,
    entry: Entry,
    up: str = "fidelity",
    across: str = "time",
    link: str = "",
    judge: str | None = None,
) -> Markup:
    """The plot of what is finished; by votes or a judge with its numbers below. ``across``, ``link``: as in
    pipeline.sweep_plot. ``judge``: which; None is whichever began last.

    Raises InputError, with what to do, where there is nothing to draw.
    """
    sweeps = playground.sweeps
    if up == "votes":
        standing = of_sweep(playground.votes, sweeps, entry)
        if standing is None:
            raise InputError(
                "Nobody has voted on this sweep yet: press Vote on this sweep, vote, and send others the vote's link."
            )
    elif up == "judge":
        standing = next((one for one in playground.judging.standings(entry) if judge in (None, one.judge.id)), None)
        if standing is None:
            card = playground.catalog.judges.get(judge)
            who = f"{card.name} has not" if card else "No such network has"
            raise InputError(f"{who} judged this sweep yet: press Judge this sweep.")
    else:
        found = tradeoff(sweeps, entry)
        few = len(found.points) < POINTS_MIN  # only then is it worth a look at the votes
        votes = few and (of_sweep(playground.votes, sweeps, entry) or votable(sweeps, entry))
        return fidelity_plot(found, across, link, "Choose votes." if votes else "")
    return votes_plot(standing, across, link) + votes_table(standing)


def write_sweep_report(path: Path, playground: Playground, entry: Entry) -> None:
    """Write what is finished, and what people and networks said of it, as :func:`pipeline.report.write_report` does;
    raises also InputError of no picture."""
    cells = playground.sweeps.cells.of(entry.id)
    if not cells:
        raise InputError("This sweep has no finished picture yet; wait for the first one.")
    kept = playground.history.get(entry.id)  # after the cells, so that none of them lacks its file
    document = sweep_document(kept.document, cells)
    standing = of_sweep(playground.votes, playground.sweeps, kept)
    plot, front, said = Markup(""), [], {}
    with suppress(InputError):
        for _ in compare_cells(playground.sweeps, kept):
            pass
        found = tradeoff(playground.sweeps, kept)
        plot, front = fidelity_plot(found), [fidelity_front(found)]
    for one in filter(None, (standing, *playground.judging.standings(kept))):
        plot += _voted(one)
        said |= _said(one)
        front.append(votes_front(one))
    pictures = {i: kept.files[cell["place"]] for i, cell in enumerate(document["cells"])}
    item = Item(document, pictures=pictures, plot=plot or None, front=" ".join(filter(None, front)))
    _write(path, playground, item, said)


def write_vote_report(path: Path, playground: Playground, vote: Entry) -> None:
    """The same of a vote on a sweep, which may be gone: of what people were shown."""
    standing = of_vote(playground.votes, playground.catalog, vote)
    files = {}
    for i, pair in enumerate(vote.document["pairs"]):
        files |= {pair["reference"]: vote.files.get(2 * i), pair["place"]: vote.files.get(2 * i + 1)}
    cells = cells_of(vote)
    # Whoever voted may have it: nothing of the sweep is in it that the vote did not show.
    shown = {name: vote.document["sweep"][name] for name in SHOWN} | {
        name: vote.document["pairs"][0][name] for name in ("prompt", "seed")
    }
    document = {**shown, "cells": [{"place": place, **cell} for place, cell in cells.items()]}
    pictures = {i: files[place] for i, place in enumerate(cells)}
    item = Item(document, pictures=pictures, plot=_voted(standing) or None, front=votes_front(standing))
    _write(path, playground, item, _said(standing, vote))


def _said(standing: Standing, vote: Entry | None = None) -> dict[str, dict[str, str]]:
    """By whom, and what."""
    by = f"{standing.judge.name} ({standing.judge.source})" if standing.judge else "Votes"
    return {by: {"Verdict": standing_claim(standing), **standing_texts(standing, vote)}}


def _voted(standing: Standing) -> Markup:
    """Without the table: the report has the numbers as text."""
    with suppress(InputError):
        return votes_plot(standing)
    return Markup("")


def _write(path: Path, playground: Playground, item: Item, said: dict[str, dict[str, str]]) -> None:
    title = title_of(item.document, playground.catalog)
    write_report(path, title, [item], playground.catalog, playground.prices, said=said)
