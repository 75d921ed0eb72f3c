"""Blind votes: which of two pictures people like better, not knowing which model drew it.

A vote is an entry of the history with its own copies of the pictures, so that it outlives what it was made of; each
person's choices are rows beside it, committed before anybody is told. In which order somebody sees the pairs, and who
is on which side, follows from a hash of vote, voter and place: random to them, the same again after a reload, and
nothing of it comes from the browser.

A pair has two roles, which the lanes of its document name: the baseline first (a predecessor, or a sweep's reference),
then the candidate. A choice is kept as the role that was preferred, or as tie or bad. Knows nothing of pages;
``voter`` is whatever its caller says, and is never given out.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.catalog import ROLES
from pipeline.errors import InputError, shown
from pipeline.history import Entry, History
from pipeline.imagefile import readable
from pipeline.stats import Interval, votes_needed, wilson

Side = Literal["left", "right", "tie", "bad"]
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
    """The next pair for one voter. ``left``, ``right``: the role whose picture is there, which they are not told."""

    place: int
    prompt: str
    left: str
    right: str
    done: int
    total: int


@dataclass(frozen=True)
class Cast:
    """One choice of one voter: the role that they preferred, or "tie" or "bad"."""

    place: int
    voter: str
    choice: str
    cast_at: float


@dataclass(frozen=True)
class Tally:
    """What all voters said, of a whole vote or of a part of it."""

    candidate: int
    baseline: int
    tie: int
    bad: int
    voters: int

    @property
    def votes(self) -> int:
        return self.candidate + self.baseline + self.tie + self.bad

    @property
    def scored(self) -> int:
        """Votes that called one of the two good: those that :attr:`score` is of."""
        return self.candidate + self.baseline + self.tie

    @property
    def wins(self) -> Interval | None:
        """How often the candidate's picture was preferred, of the votes that preferred one; None of none."""
        return wilson(self.candidate, self.candidate + self.baseline)

    @property
    def as_good(self) -> Interval | None:
        """How often it was at least as good, of the votes that called one of the two good; None of none."""
        return wilson(self.candidate + self.tie, self.scored)

    @property
    def score(self) -> Interval | None:
        """How often it was preferred, of the votes that called one of the two good, a tie being half a vote for
        either; None of none. One half is a picture that is as good as the baseline, whether people who see no
        difference say so or guess; so this is what tells candidates apart that few voters could tell from it."""
        return wilson(self.candidate + self.tie / 2, self.scored)

    @property
    def needed(self) -> int | None:
        """About how many more votes that prefer one until :attr:`wins` tells who is ahead; None where nothing can be
        foretold."""
        return votes_needed(self.candidate, self.candidate + self.baseline)

    @property
    def even(self) -> bool:
        """Whether what :attr:`needed` votes tell, or these do already, is that they are even. There are some that
        prefer one."""
        preferred = self.candidate + self.baseline
        total = preferred + self.needed
        return not wilson(round(self.candidate / preferred * total), total).decided


def tally_of(casts: Iterable[Cast], roles: tuple[str, str]) -> Tally:
    """Count choices between these roles, the baseline first."""
    casts = list(casts)
    counted = Counter(cast.choice for cast in casts)
    baseline, candidate = roles
    voters = len({cast.voter for cast in casts})
    return Tally(*(counted[choice] for choice in (candidate, baseline, "tie", "bad")), voters)


def last_said(casts: Iterable[tuple[Cast, Hashable]]) -> dict[tuple[str, Hashable], Cast]:
    """By voter and pictures, of one voter's choices on the same pictures in several votes the last: to be asked again
    is not to be another voter. ``casts``: each with what tells its pictures from others."""
    found: dict[tuple[str, Hashable], Cast] = {}
    for cast, pictures in casts:
        known = found.get((cast.voter, pictures))
        if known is None or known.cast_at < cast.cast_at:
            found[cast.voter, pictures] = cast
    return found


def by_pair(entry: Entry, casts: Iterable[Cast]) -> list[Tally]:
    """What was said of each pair of a vote, in their order."""
    pairs: list[list[Cast]] = [[] for _ in entry.document["pairs"]]
    for cast in casts:
        pairs[cast.place].append(cast)
    roles = roles_of(entry)
    return [tally_of(said, roles) for said in pairs]


def roles_of(entry: Entry) -> tuple[str, str]:
    """The roles of a vote's pairs, the baseline first; its pictures lie in this order, two a pair."""
    baseline, candidate = (lane["role"] for lane in entry.document["pairs"][0]["lanes"])
    return baseline, candidate


class Votes:
    """The votes of one history. Safe to use from any thread and from several processes."""

    def __init__(self, history: History):
        self.history = history
        history.make_tables(SCHEMA)

    def open(self, comparisons: Sequence[Entry], owner: str = "") -> str:
        """Make a vote of finished comparisons, one pair of pictures each, and return its id, by which anybody may vote.
        Those of which a picture is lost or damaged are left out.

        Raises InputError if there is none or none is left, if there are too many, or if they are not all of one pair of
        models, and PlaygroundError if it cannot be kept.
        """
        if not 1 <= len(comparisons) <= PAIRS_MAX:
            raise InputError(
                f"A vote needs 1 to {PAIRS_MAX} finished comparisons; got {len(comparisons)}: run some on the Compare "
                "tab, or give prompts to draw."
            )
        pairs = {entry.document.get("pair") for entry in comparisons}
        if len(pairs) > 1 or any(entry.kind != "comparison" for entry in comparisons):
            raise InputError("A vote is on comparisons of one pair of models; choose those of one pair.")
        whole = [entry for entry in comparisons if sorted(entry.files) == [0, 1] and all(map(readable, _files(entry)))]
        if not whole:
            raise InputError(f"The pictures of {shown(comparisons[0].prompt)} are no longer there; run it again.")
        document = {
            "pair": pairs.pop(),
            "models": [lane["model"] for lane in whole[0].document["lanes"]],
            "pairs": [entry.document for entry in whole],
        }
        return self.add(document, [file for entry in whole for file in _files(entry)], owner)

    def add(self, document: Mapping[str, Any], files: Sequence[Path], owner: str = "") -> str:
        """Keep a vote and return its id. ``document``: its ``pairs`` each have a prompt, a seed, a size and two lanes
        with their roles. ``files``: their kept pictures, two a pair. Raises PlaygroundError if it cannot be kept."""
        return self.history.add("vote", {"prompt": document["pairs"][0]["prompt"], **document}, files, owner)

    def get(self, entry: object) -> Entry:
        """The vote of this id, whoever asks: to know it is the permission. Raises InputError."""
        found = self.history.get(entry)
        if found.kind != "vote":
            raise InputError("This link is to no vote; ask for a new one.")
        return found

    def ballot(self, entry: Entry, voter: str) -> Ballot | None:
        """The next pair that this voter has not voted on; None where they have on all."""
        done = {row["place"] for row in self._rows("place", entry.id, voter)}
        total = len(entry.document["pairs"])
        left = [place for place in range(total) if place not in done]
        if not left:
            return None
        place = min(left, key=lambda place: chance(entry.id, voter, place, "order"))
        sides = _sides(entry, voter, place)
        return Ballot(place, entry.document["pairs"][place]["prompt"], *sides, total - len(left), total)

    def cast(self, entry: Entry, voter: str, place: object, side: object) -> str:
        """Keep one choice and return it; on the disk when this returns. A second for the same pair replaces the first.

        Raises InputError for a pair or a choice that does not exist, or if the vote was deleted meanwhile.
        """
        if not isinstance(place, int) or not 0 <= place < len(entry.document["pairs"]):
            raise InputError(f"This vote has no pair {shown(place)}; reload the page.")
        if side not in get_args(Side):
            raise InputError(f"choice must be one of {', '.join(get_args(Side))}; got {shown(side)}.")
        left, right = _sides(entry, voter, place)
        choice = {"left": left, "right": right}.get(side, side)
        self.history.write(
            "INSERT OR REPLACE INTO votes (entry, place, voter, choice, cast_at) VALUES (?,?,?,?,?)",
            (entry.id, place, voter, choice, time.time()),
            "This vote was deleted by whoever made it; there is nothing to vote on.",
        )
        if not entry.starred:
            self.history.star(entry.id, True)  # somebody was asked and has answered: it is the last to go for room
        return choice

    def take_back(self, entry: Entry, voter: str) -> bool:
        """Forget this voter's newest choice, so that its pair comes again; False if there is none."""
        rows = self._rows("place", entry.id, voter)
        if not rows:
            return False
        values = (entry.id, voter, rows[-1]["place"])
        self.history.write("DELETE FROM votes WHERE entry = ? AND voter = ? AND place = ?", values)
        return True

    def tally(self, entry: Entry) -> Tally:
        """Of the whole vote."""
        return tally_of(self.casts(entry), roles_of(entry))

    def of_settings(self, entries: Iterable[Entry], document: Mapping[str, Any]) -> Tally:
        """Of all pairs of these votes that were drawn by the models and settings of a comparison's ``document``; of one
        voter's choices on the same pictures in several votes, the last counts."""
        wanted = _settings_of(document)
        said: list[tuple[Cast, Hashable]] = []
        for entry in entries:
            if "sweep" not in entry.document:
                pairs = entry.document["pairs"]
                alike = {
                    place: recipe_of_pair(pair) for place, pair in enumerate(pairs) if _settings_of(pair) == wanted
                }
                casts = self.casts(entry) if alike else []
                said += [(cast, alike[cast.place]) for cast in casts if cast.place in alike]
        return tally_of(last_said(said).values(), ROLES)

    def settings(self, entry: Entry) -> int:
        """How many different settings its pairs were drawn with; the tally of the whole vote pools them."""
        return len({_settings_of(pair) for pair in entry.document["pairs"]})

    def casts(self, entry: Entry) -> list[Cast]:
        """Every choice, in the order they were made."""
        return [Cast(row["place"], row["voter"], row["choice"], row["cast_at"]) for row in self._rows("*", entry.id)]

    def exported(self, entry: Entry) -> list[dict[str, Any]]:
        """Every choice with what was chosen between, in the order they were made. Voters are numbered, not named."""
        numbers: dict[str, int] = {}
        found = []
        for cast in self.casts(entry):
            pair = entry.document["pairs"][cast.place]
            found.append(
                {
                    "cast_at": datetime.fromtimestamp(cast.cast_at, UTC).isoformat(timespec="seconds"),
                    "voter": numbers.setdefault(cast.voter, len(numbers) + 1),
                    "choice": cast.choice,
                    "prompt": pair["prompt"],
                    "negative_prompt": pair.get("negative_prompt", ""),
                    "seed": pair["seed"],
                    "width": pair["width"],
                    "height": pair["height"],
                    **{f"{lane['role']}_{name}": text for lane in pair["lanes"] for name, text in recipe_of_lane(lane)},
                }
            )
        return found

    def _rows(self, columns: str, entry: str, voter: str | None = None) -> list[Any]:
        """In the order they were cast."""
        one = "" if voter is None else " AND voter = ?"
        values = (entry,) if voter is None else (entry, voter)
        statement = f"SELECT {columns} FROM votes WHERE entry = ?{one} ORDER BY cast_at, place"  # noqa: S608
        return self.history.rows(statement, values)


def _files(entry: Entry) -> list[Path]:
    """In the order of their places."""
    return [entry.files[place] for place in sorted(entry.files)]


def recipe_of_lane(lane: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A lane that was kept before there were switches has none."""
    return [
        *((name, lane[name]) for name in ("model", "steps", "guidance")),
        ("switches", "+".join(lane.get("switches", ()))),
    ]


def recipe_of_pair(document: Mapping[str, Any]) -> tuple[Hashable, ...]:
    """All that two pictures were made with, as far as a document tells."""
    return document["prompt"], document["seed"], *_settings_of(document)


def _settings_of(document: Mapping[str, Any]) -> tuple[Hashable, ...]:
    """The same but prompt and seed. What was kept before documents said the negative prompt counts as without one."""
    same = document.get("negative_prompt", ""), document["width"], document["height"]
    return *same, *(tuple(recipe_of_lane(lane)) for lane in document["lanes"])


def _sides(entry: Entry, voter: str, place: int) -> tuple[str, str]:
    """Whose picture is left and whose right."""
    baseline, candidate = roles_of(entry)
    swapped = chance(entry.id, voter, place, "side") % 2
    return (candidate, baseline) if swapped else (baseline, candidate)


def chance(*said: object) -> int:
    """A number that looks random and is always the same for the same words."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, said)).encode()).digest()[:8])
