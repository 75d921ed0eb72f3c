"""A kept sweep, judged by a network: what it says of each picture, kept beside the cells, and how the settings stand.

A picture is scored once; whoever comes back reads what is kept. Each scoring takes its turn in the line for the
device, for on the same cores it would be charged to somebody's model. Knows nothing of pages.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipeline import imagefile
from pipeline.cards import JudgeCard
from pipeline.errors import Cancelled, InputError
from pipeline.history import Entry
from pipeline.judges import Judge
from pipeline.labels import setting_of
from pipeline.lock import Line
from pipeline.sweep_run import Sweeps
from pipeline.sweep_votes import Standing, pairs_of, standing_by
from pipeline.votes import Tally
from pipeline.weights import locate_judge

SCHEMA = """
CREATE TABLE IF NOT EXISTS scores (
    entry TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    judge TEXT NOT NULL,
    mark TEXT NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY (entry, place, judge)
) STRICT
"""
LOAD_S, FIRST_S = 5.0, 2.0
"""What loading a judge and scoring a first picture are expected to take of the device."""
HEARTBEAT_S = 0.5


class Judging:
    """What networks said of the sweeps of one history. Safe to use from any thread and from several processes."""

    def __init__(self, sweeps: Sweeps):
        self.sweeps = sweeps
        self._history = sweeps.history
        with self._history.transaction() as database:
            database.execute(SCHEMA)

    def judge(self, entry: Entry, card: JudgeCard, stop: threading.Event | None = None) -> Iterator[tuple[int, int]]:
        """Score what of a sweep was not scored yet; tells how far it is, as done and total, before each picture and at
        the end. Pictures that cannot be read are left out.

        Raises InputError where nothing can be put beside anything, ModelError of the judge's own files, Cancelled once
        ``stop`` is set, PlaygroundError if a score cannot be kept.
        """
        stop = stop or threading.Event()
        places = sorted({place for pair in pairs_of(self.sweeps, entry) for place in pair})
        if not places:
            raise InputError(
                "Nothing can be judged yet: a judge compares pictures of one prompt, seed and size. Finish two such, "
                "or sweep models, steps, guidance or switches."
            )
        known = self.scores(entry.id, card.id, locate_judge(card)[1])
        left = [place for place in places if place not in known]
        if left:
            yield from ((len(known) + done, len(places)) for done in self._score(entry, card, left, stop))
        yield len(places), len(places)

    def _score(self, entry: Entry, card: JudgeCard, places: list[int], stop: threading.Event) -> Iterator[int]:
        """Tells before each of ``places`` how many of them are done."""
        yield 0
        line, took = self.sweeps.engine.line, FIRST_S
        with _turn(line, LOAD_S, stop):
            judge = Judge(card)
        cells = {cell.place: cell.document for cell in self.sweeps.cells.of(entry.id)}
        for done, place in enumerate(places):
            yield done
            try:
                picture, _ = imagefile.read(entry.files[place])
            except (OSError, InputError):  # damaged, or gone meanwhile
                continue
            with _turn(line, took, stop):
                began = time.monotonic()
                score = judge.score(picture, cells[place]["prompt"])
                took = time.monotonic() - began
            self._put(entry.id, place, judge, score)

    def scores(self, entry: str, judge: str, mark: str | None = None) -> dict[int, float]:
        """By place; ``mark``: of these very weights only, else of those that spoke last."""
        rows = self._rows(entry, judge)
        if rows and mark is None:
            mark = rows[-1]["mark"]
        return {row["place"]: row["score"] for row in rows if row["mark"] == mark}

    def judges(self, entry: str) -> list[JudgeCard]:
        """Those that have said anything of a sweep, whoever spoke last first."""
        rows = self._history.rows(
            "SELECT judge FROM scores WHERE entry = ? GROUP BY judge ORDER BY MAX(rowid) DESC", (entry,)
        )
        names = [row["judge"] for row in rows]
        return [self.sweeps.catalog.judges.get(name, JudgeCard(id=name, name=name, path=name)) for name in names]

    def standing(self, entry: Entry, card: JudgeCard) -> Standing | None:
        """How the settings stand by what is kept; None where that is nothing."""
        scores = self.scores(entry.id, card.id)
        return standing_by(card, scores, self.sweeps, entry, pairs_of(self.sweeps, entry)) if scores else None

    def of_settings(self, entries: Iterable[Entry], document: Mapping[str, Any]) -> Iterator[tuple[JudgeCard, Tally]]:
        """What each judge said of a comparison's efficient setting beside its predecessor's, in the first of these
        sweeps, newest first, in which it saw both."""
        wanted, told = [setting_of(lane) for lane in document["lanes"]], set()
        for entry in entries:
            if any(entry.document[side] != document[side] for side in ("width", "height")):
                continue
            for card in self.judges(entry.id):
                found = None if card.id in told else self._beside(entry, card, *wanted)
                if found:
                    told.add(card.id)
                    yield card, found

    def _beside(self, entry: Entry, card: JudgeCard, predecessor: tuple, efficient: tuple) -> Tally | None:
        standing = self.standing(entry, card)
        cells = {cell.place: cell.document for cell in self.sweeps.cells.of(entry.id)}
        if standing is None or setting_of(cells[standing.reference.place]) != predecessor:
            return None
        alike = (one.tally for one in standing.voted if setting_of(cells[one.place]) == efficient)
        return next(alike, None)

    def _rows(self, entry: str, judge: str) -> list:
        return self._history.rows(
            "SELECT place, mark, score FROM scores WHERE entry = ? AND judge = ? ORDER BY rowid", (entry, judge)
        )

    def _put(self, entry: str, place: int, judge: Judge, score: float) -> None:
        with self._history.told("kept in"):
            try:
                with self._history.transaction() as database:
                    database.execute(
                        "INSERT OR REPLACE INTO scores (entry, place, judge, mark, score) VALUES (?,?,?,?,?)",
                        (entry, place, judge.card.id, judge.mark, score),
                    )
            except sqlite3.IntegrityError:
                raise InputError("This sweep was deleted from the history, so its judging has stopped.") from None


@contextmanager
def _turn(line: Line, expected_s: float, stop: threading.Event) -> Iterator[None]:
    """In line like everybody else. Raises Cancelled once ``stop`` is set, BusyError of a full line."""
    ticket = line.join(expected_s)
    try:
        while not stop.is_set() and not ticket.wait(HEARTBEAT_S):
            pass
        if stop.is_set():
            raise Cancelled("The judging was stopped. What is done stays.")
        yield
    finally:
        ticket.leave()
