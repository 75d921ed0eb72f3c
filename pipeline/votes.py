"""Blind votes: which of two pictures people like better, not knowing which model drew it.

A vote is an entry of the history with its own copies of the pictures, so that it outlives the comparisons it was made
of; each person's choices are rows beside it, committed before anybody is told. In which order somebody sees the pairs,
and on which side the efficient model's picture is, follows from a hash of vote, voter and place: random to him, the
same again after a reload, and nothing of it comes from the browser. Knows nothing of pages; ``voter`` is whatever its
caller says, and is never given out.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pipeline.catalog import ROLES, Role
from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.events import Result
from pipeline.history import Entry, History
from pipeline.stats import Interval, votes_needed, wilson

Side = Literal["left", "right", "tie", "bad"]
Choice = Literal["predecessor", "efficient", "tie", "bad"]
PAIRS_MAX = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    entry TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    voter TEXT NOT NULL,
    choice TEXT NOT NULL,
    cast_at REAL NOT NULL,
    PRIMARY KEY (entry, place, voter)
) STRICT
"""


@dataclass(frozen=True)
class Ballot:
    """The next pair for one voter. ``left``, ``right``: whose picture is where, which he is not told."""

    place: int
    prompt: str
    left: Role
    right: Role
    done: int
    total: int


@dataclass(frozen=True)
class Tally:
    """What all voters said, of a whole vote or of one of its pairs."""

    efficient: int
    predecessor: int
    tie: int
    bad: int
    voters: int

    @property
    def votes(self) -> int:
        return self.efficient + self.predecessor + self.tie + self.bad

    @property
    def wins(self) -> Interval | None:
        """How often the efficient model's picture was preferred, of the votes that preferred one; None of none."""
        return wilson(self.efficient, self.efficient + self.predecessor)

    @property
    def as_good(self) -> Interval | None:
        """How often it was at least as good, of the votes that called one of the two good; None of none."""
        return wilson(self.efficient + self.tie, self.efficient + self.predecessor + self.tie)

    @property
    def needed(self) -> int | None:
        """About how many more votes that prefer one until :attr:`wins` tells who is ahead; None where nothing can be
        foretold."""
        return votes_needed(self.efficient, self.efficient + self.predecessor)


class Votes:
    """The votes of one history. Safe to use from any thread and from several processes."""

    def __init__(self, history: History):
        self.history = history
        with history.transaction() as database:
            database.execute(SCHEMA)

    def open(self, comparisons: Sequence[Entry], owner: str = "") -> str:
        """Make a vote of finished comparisons, one pair of pictures each, and return its id, by which anybody may vote.

        Raises InputError if there is none, too many, or if they are not all of one pair of models, and PlaygroundError
        if it cannot be kept.
        """
        if not 1 <= len(comparisons) <= PAIRS_MAX:
            raise InputError(
                f"A vote needs 1 to {PAIRS_MAX} finished comparisons; got {len(comparisons)}: run some on the Compare "
                "tab, or give prompts to draw."
            )
        pairs = {entry.document.get("pair") for entry in comparisons}
        if len(pairs) > 1 or any(entry.kind != "comparison" for entry in comparisons):
            raise InputError("A vote is on comparisons of one pair of models; choose those of one pair.")
        results: list[Result] = []
        for entry in comparisons:
            found = self.history.results(entry)
            if sorted(found) != [0, 1]:
                raise InputError(f"The pictures of {shown(entry.prompt)} are no longer there; run it again.")
            results += [found[place] for place in range(2)]
        document = {
            "pair": pairs.pop(),
            "models": [result.request.model for result in results[:2]],
            "pairs": [entry.document for entry in comparisons],
        }
        entry = self.history.add("vote", document, results, owner)
        self.history.star(entry, True)  # people were asked: it does not go for room
        return entry

    def get(self, entry: object) -> Entry:
        """The vote of this id, whoever asks: to know it is the permission. Raises InputError."""
        found = self.history.get(entry)
        if found.kind != "vote":
            raise InputError("This link is to no vote; ask for a new one.")
        return found

    def ballot(self, entry: Entry, voter: str) -> Ballot | None:
        """The next pair that this voter has not voted on; None where he has on all."""
        done = {row["place"] for row in self._rows("place", entry.id, voter)}
        total = len(entry.document["pairs"])
        left = [place for place in range(total) if place not in done]
        if not left:
            return None
        place = min(left, key=lambda place: _chance(entry.id, voter, place, "order"))
        sides = _sides(entry.id, voter, place)
        return Ballot(place, entry.document["pairs"][place]["prompt"], *sides, total - len(left), total)

    def cast(self, entry: Entry, voter: str, place: object, side: object) -> Choice:
        """Keep one choice; on the disk when this returns. A second one for the same pair replaces the first.

        Raises InputError for a pair or a choice that does not exist, or if the vote was deleted meanwhile.
        """
        if not isinstance(place, int) or not 0 <= place < len(entry.document["pairs"]):
            raise InputError(f"This vote has no pair {shown(place)}; reload the page.")
        if side not in get_args(Side):
            raise InputError(f"choice must be one of {', '.join(get_args(Side))}; got {shown(side)}.")
        left, right = _sides(entry.id, voter, place)
        choice: Choice = {"left": left, "right": right}.get(side, side)
        self._write(
            "INSERT OR REPLACE INTO votes (entry, place, voter, choice, cast_at) VALUES (?,?,?,?,?)",
            (entry.id, place, voter, choice, time.time()),
        )
        return choice

    def take_back(self, entry: Entry, voter: str) -> bool:
        """Forget this voter's newest choice, so that its pair comes again; False if there is none."""
        rows = self._rows("place", entry.id, voter)
        if not rows:
            return False
        values = (entry.id, voter, rows[-1]["place"])
        self._write("DELETE FROM votes WHERE entry = ? AND voter = ? AND place = ?", values)
        return True

    def tally(self, entry: Entry, place: int | None = None) -> Tally:
        """Of the whole vote, or of one pair."""
        rows = [row for row in self._rows("*", entry.id) if place is None or row["place"] == place]
        counted = Counter(row["choice"] for row in rows)
        voters = len({row["voter"] for row in rows})
        return Tally(*(counted[choice] for choice in ("efficient", "predecessor", "tie", "bad")), voters)

    def exported(self, entry: Entry) -> list[dict[str, Any]]:
        """Every choice with what was chosen between, in the order they were made. Voters are numbered, not named."""
        numbers: dict[str, int] = {}
        found = []
        for row in self._rows("*", entry.id):
            pair = entry.document["pairs"][row["place"]]
            lanes: Mapping[str, Any] = {lane["role"]: lane for lane in pair["lanes"]}
            recipes = {f"{role}_{name}": lanes[role][name] for role in ROLES for name in ("model", "steps", "guidance")}
            found.append(
                {
                    "cast_at": row["cast_at"],
                    "voter": numbers.setdefault(row["voter"], len(numbers) + 1),
                    "choice": row["choice"],
                    "prompt": pair["prompt"],
                    "seed": pair["seed"],
                    "width": pair["width"],
                    "height": pair["height"],
                    **recipes,
                }
            )
        return found

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            with self.history.transaction() as database:
                database.execute(statement, values)
        except sqlite3.IntegrityError:
            raise InputError("This vote was deleted by whoever made it; there is nothing to vote on.") from None
        except sqlite3.Error as error:
            raise PlaygroundError(
                f"The vote could not be kept ({error}); see that {self.history.folder} has room and can be written."
            ) from error

    def _rows(self, columns: str, entry: str, voter: str | None = None) -> list[Any]:
        """In the order they were cast."""
        one = "" if voter is None else " AND voter = ?"
        values = (entry,) if voter is None else (entry, voter)
        statement = f"SELECT {columns} FROM votes WHERE entry = ?{one} ORDER BY cast_at, place"  # noqa: S608
        return self.history.rows(statement, values)


def _sides(entry: str, voter: str, place: int) -> tuple[Role, Role]:
    """Whose picture is left and whose right."""
    predecessor, efficient = ROLES
    swapped = _chance(entry, voter, place, "side") % 2
    return (efficient, predecessor) if swapped else (predecessor, efficient)


def _chance(entry: str, voter: str, place: int, what: str) -> int:
    said = "\0".join((entry, voter, str(place), what))
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8])
