"""Votes on a sweep: which of its cells are put beside which, and what people or a network said of each setting.

A setting is all that differ in prompt and seed only. Each cell stands beside its reference, as pipeline.tradeoff ranks
those of the same prompt and seed; unlike for fidelity, the two need share no path, since people can compare any two
pictures of one size. Knows nothing of pages, and of a plot only what its points are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from pipeline.cards import JudgeCard
from pipeline.catalog import Catalog
from pipeline.errors import InputError
from pipeline.events import disturbed
from pipeline.history import Entry
from pipeline.imagefile import readable
from pipeline.labels import setting_label, setting_of, work_of
from pipeline.request import ImageRequest
from pipeline.sweep_run import Sweeps
from pipeline.tradeoff import best, chosen, names_of, rank
from pipeline.votes import PAIRS_MAX, Cast, Tally, Votes, chance, last_said, tally_of
from pipeline.wording import count, seconds_text, share_text

ROLES = ("reference", "setting")
"""Of the two pictures of a pair, the baseline first."""

NO_PERSON = "What a network prefers is not what people do; a vote says that."

Cells = Mapping[int, Mapping[str, Any]]
"""Documents of finished cells, by place."""


@dataclass(frozen=True)
class Setting:
    """One setting: medians of its cells, and what was said of it beside the reference. ``place``: its first cell.
    ``cached``: one of the times is from when its picture was made before this sweep. ``model``: its name. ``runs``: the
    fewest that a cell's time is of. ``mean``: of what a network said of its
    pictures, where one did; ``gain``: the mean difference to what it said of their references. ``disturbed``: the
    machine was busy with something else at one of its cells. ``listed``: the costs are of a provider's list, and no
    matter of time. ``work``: see work_of."""

    label: str
    place: int
    seconds: float
    cost_usd: float | None
    tally: Tally
    cached: bool = False
    model: str = ""
    runs: int = 1
    mean: float | None = None
    gain: float | None = None
    disturbed: bool = False
    listed: bool = False
    work: tuple | None = None


@dataclass(frozen=True)
class Standing:
    """How the settings of a sweep stand. ``reference``: the one that the others were put beside. ``settings``: in the
    order of the grid, also those without a vote. ``tally``: of all of them. ``chosen``, ``models``: as of a
    :class:`pipeline.tradeoff.Tradeoff`. ``judge``: the network that said it all, where it was not people."""

    reference: Setting
    settings: tuple[Setting, ...]
    tally: Tally
    chosen: str = "the picture with the most steps"
    models: tuple[str, ...] = ()
    judge: JudgeCard | None = None

    @property
    def one(self) -> str:
        """What is counted: a network judges each picture once."""
        return "picture" if self.judge else "vote"

    @property
    def voted(self) -> list[Setting]:
        """Those of which anything can be said."""
        return [setting for setting in self.settings if setting.tally.score]


def open_vote(votes: Votes, sweeps: Sweeps, entry: Entry, owner: str = "") -> Entry:
    """The vote on what is finished of a sweep: a new one, or the owner's newest if it asks the very same.

    Of more pairs than a vote may have the settings take turns, the same prompts and seeds first as far as they are
    finished, in an order that follows from a hash. Raises InputError if there is nothing to compare.
    """
    requests, documents = _there(sweeps, entry)
    every = _pairs(sweeps.catalog, requests, documents)
    if not every:
        raise InputError(
            "Nothing can be voted on yet: a vote puts pictures of one prompt, seed and size beside one of them. Finish "
            "two such, or sweep steps, guidance, models or switches."
        )
    asked = _spread(entry.id, every, documents)
    for kept in votes.history.find(owner, nobodys=False, kind="vote", sweep=entry.id, limit=1):
        same = [(pair["reference"], pair["place"]) for pair in kept.document["pairs"]] == asked
        if same and all(map(readable, kept.files.values())):
            return kept
    files = [entry.files[place] for pair in asked for place in pair]
    if not all(map(readable, files)):
        raise InputError("A picture of this sweep cannot be read any more; make the sweep anew.")
    document = {
        "models": entry.document["models"],
        "sweep": {**entry.document, "id": entry.id},
        "finished": len(every),
        "pairs": [_pair(reference, place, requests[place], documents) for reference, place in asked],
    }
    return votes.get(votes.add(document, files, owner))


def votable(sweeps: Sweeps, entry: Entry) -> bool:
    """Whether :func:`open_vote` finds anything to ask."""
    return bool(pairs_of(sweeps, entry))


def pairs_of(sweeps: Sweeps, entry: Entry) -> list[tuple[int, int]]:
    """Reference and cell of all that can be put beside each other, as places."""
    return _pairs(sweeps.catalog, *_there(sweeps, entry))


def _there(sweeps: Sweeps, entry: Entry) -> tuple[dict[int, ImageRequest], dict[int, dict[str, Any]]]:
    """Requests and documents of the finished cells whose files are there, by place."""
    cells = {cell.place: cell.document for cell in sweeps.cells.of(entry.id)}
    requests = {
        place: request
        for place, request in sweeps.plan(entry).requests.items()
        if place in cells and place in entry.files and entry.files[place].exists()
    }
    return requests, {place: cells[place] for place in requests}


def _pairs(catalog: Catalog, requests: Mapping[int, ImageRequest], documents: Cells) -> list[tuple[int, int]]:
    """Reference and cell. All have the same setting as reference: a sweep that was stopped has prompts whose best
    cell is not made yet, and what is beside another one cannot be counted together."""
    measured_by = best(catalog, requests)
    if not measured_by:
        return []
    first = max(measured_by.values(), key=lambda place: rank(catalog, requests[place], place))
    return [
        (at, place)
        for place, at in sorted(measured_by.items())
        if place != at
        and setting_of(documents[at]) == setting_of(documents[first])
        and (requests[at].width, requests[at].height) == (requests[place].width, requests[place].height)
    ]


def _spread(sweep: str, every: Sequence[tuple[int, int]], documents: Cells) -> list[tuple[int, int]]:
    """At most as many pairs as a vote may have: one of each setting, then a second of each, and so on."""
    turns: dict[tuple, int] = {}
    order = []
    for pair in sorted(every, key=lambda pair: chance(sweep, documents[pair[1]]["prompt"], documents[pair[1]]["seed"])):
        setting = setting_of(documents[pair[1]])
        turns[setting] = turns.get(setting, 0) + 1
        order.append((turns[setting], chance(sweep, setting), pair))
    return sorted(pair for _, _, pair in sorted(order)[:PAIRS_MAX])


def _pair(reference: int, place: int, request: ImageRequest, documents: Cells) -> dict[str, Any]:
    lanes = [{"role": role, **documents[at]} for role, at in zip(ROLES, (reference, place), strict=True)]
    same = {name: getattr(request, name) for name in ("prompt", "seed", "width", "height")}
    return {**same, "reference": reference, "place": place, "lanes": lanes}


def of_vote(votes: Votes, catalog: Catalog, vote: Entry) -> Standing:
    """What one vote says by itself, also when its sweep is gone."""
    pairs = vote.document["pairs"]
    return _standing(catalog, vote.document["sweep"], pairs, votes.casts(vote), cells_of(vote))


def of_sweep(votes: Votes, sweeps: Sweeps, entry: Entry) -> Standing | None:
    """What all votes on a sweep say together; None of none that says anything.

    A sweep that was gone on with can have been put to the vote twice. Votes count together if their reference has the
    same setting as that of the newest; of one voter's choices on the same pair in two votes, the last counts.
    """
    cells = {cell.place: cell.document for cell in sweeps.cells.of(entry.id)}
    every = ((vote, votes.casts(vote)) for vote in votes.history.find(kind="vote", sweep=entry.id, limit=-1))
    found = [(vote, said) for vote, said in every if said]
    pairs: dict[tuple[int, int], dict[str, Any]] = {}
    casts: list[tuple[Cast, tuple[int, int]]] = []
    for vote, said in found:
        if _reference(vote) != _reference(found[0][0]):
            continue
        for cast in said:
            pair = vote.document["pairs"][cast.place]
            at = pair["reference"], pair["place"]
            if at[0] in cells and at[1] in cells:
                pairs.setdefault(at, pair)
                casts.append((cast, at))
    if not casts:
        return None
    numbers = {at: i for i, at in enumerate(pairs)}
    renumbered = [replace(cast, place=numbers[at]) for (_, at), cast in last_said(casts).items()]
    return _standing(sweeps.catalog, entry.document, list(pairs.values()), renumbered, cells)


def _reference(vote: Entry) -> tuple:
    return setting_of(vote.document["pairs"][0]["lanes"][0])


def cells_of(vote: Entry) -> dict[int, dict[str, Any]]:
    """The cells of a sweep that a vote shows, by place."""
    found = {}
    for pair in vote.document["pairs"]:
        for name, lane in zip(("reference", "place"), pair["lanes"], strict=True):
            found[pair[name]] = {key: value for key, value in lane.items() if key != "role"}
    return dict(sorted(found.items()))


def standing_by(
    judge: JudgeCard, scores: Mapping[int, float], sweeps: Sweeps, entry: Entry, pairs: Iterable[tuple[int, int]]
) -> Standing | None:
    """What a network says of the settings: it prefers the picture of a pair that it gives the higher score. ``scores``:
    by place; pairs that lack one are left out. None of none."""
    cells = {cell.place: cell.document for cell in sweeps.cells.of(entry.id)}
    scored = [
        {"reference": at, "place": place, "lanes": [cells[at], cells[place]]}
        for at, place in pairs
        if {at, place} <= scores.keys() & cells.keys()
    ]
    if not scored:
        return None
    # What has nothing beside it says nothing of its setting against the others.
    scores = {place: scores[place] for pair in scored for place in (pair["reference"], pair["place"])}
    casts = [
        Cast(i, judge.id, _preferred(scores[pair["reference"]], scores[pair["place"]]), 0.0)
        for i, pair in enumerate(scored)
    ]
    return replace(_standing(sweeps.catalog, entry.document, scored, casts, cells, scores), judge=judge)


def _preferred(reference: float, setting: float) -> str:
    return "tie" if reference == setting else ROLES[setting > reference]


def _standing(
    catalog: Catalog,
    document: Mapping[str, Any],
    pairs: Sequence[Mapping[str, Any]],
    casts: Iterable[Cast],
    cells: Cells,
    scores: Mapping[int, float] | None = None,
) -> Standing:
    """``scores``: of a network, by place, of all places of these pairs."""
    casts, scores = list(casts), scores or {}
    reference = setting_of(pairs[0]["lanes"][0])
    settings = {}
    for key in dict.fromkeys(setting_of(cells[place]) for place in sorted(cells)):
        alike = [place for place in sorted(cells) if setting_of(cells[place]) == key]
        costs = [cells[place]["cost_usd"] for place in alike]
        beside = [pair for pair in pairs if setting_of(pair["lanes"][1]) == key]
        settings[key] = Setting(
            setting_label(document, cells[alike[0]], catalog.name(key[0])),
            alike[0],
            median(cells[place]["seconds"]["total"] for place in alike),
            None if None in costs else median(costs),
            tally_of((cast for cast in casts if setting_of(pairs[cast.place]["lanes"][1]) == key), ROLES),
            any(cells[place]["cache"] == "hit" for place in alike),
            catalog.name(key[0]),
            min(cells[place]["runs"] for place in alike),
            _mean(scores[place] for place in alike if place in scores),
            _mean(scores[pair["place"]] - scores[pair["reference"]] for pair in beside if scores),
            any(disturbed(cells[place]) for place in alike),
            all(cells[place].get("hosted") for place in alike),
            work_of(cells[alike[0]]),
        )
    first = settings.pop(reference)
    why = chosen(catalog, cells.values(), [cells[first.place]])
    return Standing(first, tuple(settings.values()), tally_of(casts, ROLES), why, names_of(catalog, cells))


def standing_document(standing: Standing) -> dict[str, Any]:
    """As the command line gives it: shares from 0 to 1, and what a network said in its own unit."""

    def one(setting: Setting) -> dict[str, Any]:
        names = ("label", "place", "seconds", "cost_usd", "mean", "gain")
        return {name: getattr(setting, name) for name in names}

    def counted(tally: Tally) -> dict[str, Any]:
        said = {"better": tally.candidate, "as_good": tally.tie, "worse": tally.baseline}
        return {**said, "score": tally.score and vars(tally.score)}

    settings = [{**one(setting), **counted(setting.tally)} for setting in standing.settings]
    return {"claim": standing_claim(standing), "reference": one(standing.reference), "settings": settings}


def _mean(numbers: Iterable[float]) -> float | None:
    """None of none."""
    found = list(numbers)
    return fmean(found) if found else None


def pair_label(catalog: Catalog, vote: Entry, pair: Mapping[str, Any]) -> str:
    """What one pair of a vote is called."""
    cell = pair["lanes"][1]
    setting = setting_label(vote.document["sweep"], cell, catalog.name(cell["model"]))
    return f"“{pair['prompt']}”, seed {pair['seed']}: {setting}"


def share_of(tally: Tally) -> str:
    """A setting's score with its interval."""
    return share_text(tally.score) if tally.score else "nothing said"


def said_of(tally: Tally, one: str = "vote") -> str:
    """The votes that a setting's score is of, told apart; and those that called neither picture good. ``one``: what is
    counted, as :attr:`Standing.one`."""
    bad = f"; besides {tally.bad} both bad" if tally.bad else ""
    said = f"{tally.candidate} better, {tally.tie} as good, {tally.baseline} worse"
    return f"{count(tally.scored, one)}: {said}{bad}"


def standing_claim(standing: Standing) -> str:
    """How the settings stand to the reference, in a few words that promise no more than the votes do."""
    if not standing.voted:
        return "No preference yet"
    scores = [setting.tally.score for setting in standing.voted]
    groups = {
        "preferred to the reference": sum(score.low > 0.5 for score in scores),
        "not as good as the reference": sum(score.high < 0.5 for score in scores),
        "too close to call": sum(not score.decided for score in scores),
    }
    said = ", ".join(f"{count(number, 'setting')} {words}" for words, number in groups.items() if number)
    return f"By {standing.judge.name}: {said}" if standing.judge else said


def standing_texts(standing: Standing, vote: Entry | None = None) -> dict[str, str]:
    """All of it as label and text, for page and report. ``vote``: the one that it is of, if it is of one only."""
    reference, tally = standing.reference, standing.tally
    if standing.judge:
        found = {"Judge": f"{standing.judge.name} ({standing.judge.source}), {count(tally.votes, 'picture')}"}
    else:
        found = {"Votes": f"{tally.votes:,} by {count(tally.voters, 'voter')}"}
    found["Reference"] = f"{reference.label}, {standing.chosen} of each prompt and seed"
    for setting in standing.settings:
        if setting.tally.votes:
            means = f"; {mean_text(setting)}" if standing.judge else ""
            said = f"score {share_of(setting.tally)}, of {said_of(setting.tally, standing.one)}{means}"
            found[setting.label] = f"{said}; {seconds_text(setting.seconds)} against {seconds_text(reference.seconds)}"
    if vote and len(vote.document["pairs"]) < vote.document["finished"]:
        found["What was asked"] = (
            f"{len(vote.document['pairs'])} of {vote.document['finished']:,} finished pictures, spread evenly over the "
            "settings"
        )
    if standing.judge:
        found["How it was judged"] = _how_judged(standing.judge)
    else:
        found["How it was asked"] = (
            "each picture beside its reference without names, sides and order random for each voter; a reference can "
            "come again, so who looks closely may know it. The score is the share of votes for the setting, a tie "
            "being half a vote for either and both bad left out; 95 % Wilson intervals, which take each vote as "
            "independent; one in twenty of them misses by chance"
        )
    return found


def mean_text(setting: Setting) -> str:
    """What a network said of a setting's pictures, in its own unit: mean 31.2, -0.3 to the reference's. Empty where it
    said nothing."""
    if setting.mean is None:
        return ""
    gain = "" if setting.gain is None else f", {setting.gain:+.2f} to the reference’s"
    return f"mean {setting.mean:.2f}{gain}".replace("-", "−")


def _how_judged(judge: JudgeCard) -> str:
    note = f" {judge.note}" if judge.note else ""
    return (
        f"of each picture and its reference of the same prompt and seed it puts first {judge.puts_first}: the one with "
        "the higher 100 × cosine of picture and prompt. The score is the share of pictures that it puts before their "
        "reference, equal ones half; 95 % Wilson intervals, for more such prompts, or more seeds of the one prompt; "
        f"one in twenty of them misses by chance. {NO_PERSON}{note}"
    )
