"""A kept sweep, judged by a network: what it says of each picture, kept beside the cells, and how the settings stand.

A picture is scored once; whoever comes back reads what is kept. Each scoring takes its turn in the line for the
device, for on the same cores it would be charged to somebody's model. Knows nothing of pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline import imagefile
from pipeline.cards import JudgeCard
from pipeline.errors import BusyError, InputError
from pipeline.history import Entry
from pipeline.judges import Judge
from pipeline.labels import setting_of
from pipeline.request import negative_of
from pipeline.sweep_run import Sweeps
from pipeline.sweep_votes import Standing, pairs_of, standing_by
from pipeline.turn import turn
from pipeline.votes import Tally
from pipeline.weights import locate_judge

SCHEMA = """
CREATE TABLE IF NOT EXISTS judges (
    entry TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    judge TEXT NOT NULL,
    mark TEXT NOT NULL,
    card TEXT NOT NULL,
    began_at REAL NOT NULL,
    PRIMARY KEY (entry, judge, mark)
) STRICT;
CREATE TABLE IF NOT EXISTS scores (
    entry TEXT NOT NULL,
    judge TEXT NOT NULL,
    mark TEXT NOT NULL,
    place INTEGER NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY (entry, judge, mark, place),
    FOREIGN KEY (entry, judge, mark) REFERENCES judges ON DELETE CASCADE
) STRICT;
"""
"""A judge is kept with what is known of it, for a later catalogue may not have it; ``mark`` changes with its weights,
and what two of them said is never mixed."""
LOAD_S, FIRST_S = 5.0, 2.0
"""What loading a judge and scoring a first picture are expected to take of the device."""
GONE = "This sweep was deleted from the history, so its judging has stopped."


@dataclass(frozen=True)
class _Heard:
    """What one judge said of a sweep, by place."""

    card: JudgeCard
    mark: str
    scores: dict[int, float]


class Judging:
    """What networks said of the sweeps of one history. Safe to use from any thread and from several processes."""

    def __init__(self, sweeps: Sweeps):
        self.sweeps = sweeps
        self._history = sweeps.history
        self._one = threading.Lock()
        self._history.make_tables(SCHEMA)

    def judge(self, entry: Entry, card: JudgeCard, stop: threading.Event | None = None) -> Iterator[tuple[int, int]]:
        """Score what of a sweep was not scored yet; tells how far it is, as done and total, before each picture and at
        the end, when fewer are done than there are if some could not be read.

        Raises InputError where nothing can be put beside anything, ModelError of the judge's own files, BusyError while
        this process judges another (a judge takes gigabytes), Cancelled once ``stop`` is set, PlaygroundError if a
        score cannot be kept.
        """
        stop = stop or threading.Event()
        wanted = sorted({place for pair in pairs_of(self.sweeps, entry) for place in pair})
        if not wanted:
            raise InputError(
                "Nothing can be judged yet: a judge compares pictures of one prompt, seed and size. Finish two such, "
                "or sweep models, steps, guidance or switches."
            )
        mark, total = locate_judge(card)[1], len(wanted)
        heard = self._by(entry.id, card, mark)
        left = [place for place in wanted if heard is None or place not in heard.scores]
        if not left:
            yield total, total
            return
        for done in self._score(entry, card, mark, left, stop):
            yield total - len(left) + done, total

    def _score(
        self, entry: Entry, card: JudgeCard, mark: str, places: list[int], stop: threading.Event
    ) -> Iterator[int]:
        """Tells before each of ``places``, and at the end, how many of them are done."""
        yield 0
        if not self._one.acquire(blocking=False):
            raise BusyError("A sweep is being judged already; wait for its end, or stop it there.")
        try:
            yield from self._scored(entry, card, mark, places, stop)
        finally:
            self._one.release()

    def _scored(
        self, entry: Entry, card: JudgeCard, mark: str, places: list[int], stop: threading.Event
    ) -> Iterator[int]:
        line, took, done = self.sweeps.engine.line, FIRST_S, 0
        with turn(line, LOAD_S, stop, "judging"):
            judge = Judge(card)
        self._history.write(
            "INSERT OR IGNORE INTO judges (entry, judge, mark, card, began_at) VALUES (?,?,?,?,?)",
            (entry.id, card.id, mark, card.model_dump_json(), time.time()),
            GONE,
        )
        cells = {cell.place: cell.document for cell in self.sweeps.cells.of(entry.id)}
        for place in places:
            yield done
            with turn(line, took, stop, "judging"):
                began = time.monotonic()
                try:
                    picture, _ = imagefile.read(entry.files[place])
                except (OSError, InputError):  # damaged, or gone with its sweep, which is then said
                    self._history.get(entry.id)
                    continue
                score = judge.score(picture, cells[place]["prompt"])
                took = time.monotonic() - began
            self._history.write(
                "INSERT OR REPLACE INTO scores (entry, judge, mark, place, score) VALUES (?,?,?,?,?)",
                (entry.id, card.id, mark, place, score),
                GONE,
            )
            done += 1
        yield done

    def judges(self, entry: str) -> list[JudgeCard]:
        """Those that have said anything of a sweep, whoever began last first."""
        return [heard.card for heard in self._best(entry).values()]

    def standing(self, entry: Entry, card: JudgeCard, mark: str | None = None) -> Standing | None:
        """How the settings stand by what is kept; None where that is nothing, or the sweep cannot be planned any more.
        ``mark``: by these very weights."""
        heard = self._best(entry.id).get(card.id) if mark is None else self._by(entry.id, card, mark)
        return heard and self._standing(entry, heard)

    def standings(self, entry: Entry) -> Iterator[Standing]:
        """By each judge that has said anything, as :meth:`judges` orders them."""
        every = (self._standing(entry, heard) for heard in self._best(entry.id).values())
        return filter(None, every)

    def _standing(self, entry: Entry, heard: _Heard) -> Standing | None:
        try:
            pairs = pairs_of(self.sweeps, entry)
        except InputError:  # made with a model that the catalogue no longer has: which stood beside which, nobody knows
            return None
        return standing_by(heard.card, heard.scores, self.sweeps, entry, pairs)

    def _by(self, entry: str, card: JudgeCard, mark: str) -> _Heard | None:
        """What these very weights said."""
        return next((one for one in self._heard(entry) if (one.card.id, one.mark) == (card.id, mark)), None)

    def _best(self, entry: str) -> dict[str, _Heard]:
        """By the judge's id; of one that was asked with several weights those that have said the most, then the
        newest."""
        found: dict[str, _Heard] = {}
        for heard in self._heard(entry):
            known = found.get(heard.card.id)
            if heard.scores and (known is None or len(known.scores) < len(heard.scores)):
                found[heard.card.id] = heard
        return found

    def _heard(self, entry: str) -> list[_Heard]:
        """Newest first."""
        scores: dict[tuple[str, str], dict[int, float]] = {}
        for row in self._history.rows("SELECT judge, mark, place, score FROM scores WHERE entry = ?", (entry,)):
            scores.setdefault((row["judge"], row["mark"]), {})[row["place"]] = row["score"]
        rows = self._history.rows(
            "SELECT judge, mark, card FROM judges WHERE entry = ? ORDER BY began_at DESC", (entry,)
        )
        found = []
        for row in rows:
            with suppress(ValidationError):  # of another version
                card = JudgeCard.model_validate_json(row["card"])
                found.append(_Heard(card, row["mark"], scores.get((row["judge"], row["mark"]), {})))
        return found

    def of_settings(self, entries: Iterable[Entry], document: Mapping[str, Any]) -> Iterator[tuple[JudgeCard, Tally]]:
        """What each judge said of a comparison's efficient setting beside its predecessor's, in the first of these
        sweeps, newest first, in which it saw both."""
        wanted, told = [setting_of(lane) for lane in document["lanes"]], set()
        negative = document.get("negative_prompt", "")  # comparisons kept by earlier versions do not say it
        models = {lane["model"] for lane in document["lanes"]}
        for entry in entries:
            said = entry.document
            unlike = any(said[side] != document[side] for side in ("width", "height"))
            if unlike or not models <= set(said["models"]):
                continue
            for standing in self.standings(entry):
                card = standing.judge
                if card.id not in told and (found := self._beside(entry, standing, negative, *wanted)):
                    told.add(card.id)
                    yield card, found

    def _beside(
        self, entry: Entry, standing: Standing, negative: str, predecessor: tuple, efficient: tuple
    ) -> Tally | None:
        requests, models = self.sweeps.plan(entry).requests.values(), (predecessor[0], efficient[0])
        if negative_of(request for request in requests if request.model in models) != negative:
            return None
        cells = {cell.place: cell.document for cell in self.sweeps.cells.of(entry.id)}
        if setting_of(cells[standing.reference.place]) != predecessor:
            return None
        alike = (one.tally for one in standing.voted if setting_of(cells[one.place]) == efficient)
        return next(alike, None)
