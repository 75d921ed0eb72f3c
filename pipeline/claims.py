"""What a comparison claims, in words: of time, cost, throughput and the pictures, and how sure it is of each.

Pure functions from documents (pipeline.compare) to text, for page, report and command line alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pipeline.judged import judged_claim
from pipeline.stats import ALIKE, ALIKE_FEW
from pipeline.wording import figure, per_thousand, percent, saved, speed

MORE_MAY_TELL = 0.1
"""Largest p-value of a difference that more runs are likely to show."""
SHOWN = ("no difference in time beyond chance", "a difference in time is not shown yet")
"""Above it, and up to it."""

UNSTEADY = 1.5
"""Slowest over fastest run, above which the spread is worth a word. By feel: a quiet machine stays below 1.1."""

WIDE = 1.25
"""Upper over lower end of a speed-up's interval, above which a third digit would be made up."""

UNKNOWN = 2.0
"""The same, above which a single figure would be."""


def claims(document: Mapping[str, Any]) -> list[str]:
    """What a measured comparison says in big letters: latency, cost and, where they were measured, throughput and how
    good many pictures were found. They are different things and each is its own claim."""
    if document["speedup"] is None:
        return []
    # A provider's price is no matter of time; else the saving is as sure as the times that it is reckoned from.
    apart = _saved_apart([document])
    timed = None if apart else document["saving"]
    if by_chance(document):
        found = [_undecided(document)]
    elif as_fast(document):
        found = ["about as fast"]
    elif ends := _ends(document):
        found = _between_claims(*ends, timed is not None)
    elif rough(document):
        found = _about(document["speedup"], timed)
    else:
        found = _exactly(document["speedup"], timed)
    found += apart
    if document.get("throughput_gain"):  # entries of older versions have none
        found.append(_throughput_claim(document))
    if good := judged_claim(document):
        found.append(good)
    return found


def _undecided(document: Mapping[str, Any]) -> str:
    """That a difference is not beyond chance does not say that there is none."""
    return SHOWN[document["significance"].get("p", 1.0) <= MORE_MAY_TELL]


def _ends(document: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a speed-up that is certain, though nobody can say how large; None of every other."""
    tested = document.get("significance") or {}
    low, high = tested.get("low"), tested.get("high")
    return (low, high) if tested.get("significant") and low and high > UNKNOWN * low else None


def _between_claims(low: float, high: float, money: bool) -> list[str]:
    """Both ends instead of a middle that the data do not know. ``money``: the saving follows from the times."""
    if low < 1:  # slower, as far as all of the interval is
        told, ends, word = (
            f"{figure(1 / high, 2)} to {figure(1 / low, 2)} × slower",
            (1 / high - 1, 1 / low - 1),
            "dearer",
        )
    else:
        told, ends, word = f"{figure(low, 2)} to {figure(high, 2)} × faster", (1 - 1 / low, 1 - 1 / high), "cheaper"
    least, most = map(percent, ends)
    return [told, f"{least.removesuffix(' %')} to {most} {word}"] if money else [told]


def median_claims(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """What several measured comparisons of the same settings claim of time and cost: the medians of their speed-ups and
    savings, told as "about" where one of them had too few runs; nothing where one found no difference."""
    apart = _saved_apart(documents)
    if chance := list(filter(by_chance, documents)):
        return [f"{max(map(_undecided, chance), key=SHOWN.index)} in {len(chance)} of {len(documents)}", *apart]
    ratio = _middle([document["speedup"] for document in documents])
    few = any(map(rough, documents))
    if _alike(ratio, few):
        return ["about as fast", *apart]
    tell = _about if few else _exactly
    return [*tell(ratio, None if apart else _saving(documents)), *apart]


def _middle(ratios: Sequence[float]) -> float:
    """The median; of an even number the two in the middle are met by their product, so that a saving, which is one less
    a ratio, has the same middle as the speed-up that it follows from."""
    return math.exp(median(map(math.log, ratios)))


def _saving(documents: Sequence[Mapping[str, Any]]) -> float | None:
    """The middle of what is known."""
    left = [1 - document["saving"] for document in documents if document["saving"] is not None]
    if not left:
        return None
    return 1 - (_middle(left) if min(left) > 0 else median(left))


def _saved_apart(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The saving where a provider drew: by its list, or of a list against a machine's time; empty where none did, or
    nothing is known."""
    hosted = [any(lane.get("hosted") for lane in document["lanes"]) for document in documents]
    share, listed = _saving(documents), all(map(by_list, documents))
    if not all(hosted) or share is None:
        return []
    if abs(share) < ALIKE:
        return ["the same price by list" if listed else "about the same cost"]
    return [f"{saved(share)} by list" if listed else f"about {saved(share)}"]


def by_list(document: Mapping[str, Any]) -> bool:
    """Whether what both pictures cost is on price lists, and is no matter of time."""
    return all(lane.get("hosted") for lane in document["lanes"])


def _throughput_claim(document: Mapping[str, Any]) -> str:
    """Each lane's best is of three calls: too few for a third digit, or for any where they overlap."""
    lowest, highest = (
        [lane["throughput"][f"images_per_minute_{end}"] for lane in document["lanes"]] for end in ("min", "max")
    )
    if max(lowest) <= min(highest):
        return "about the same throughput"
    return f"about {figure(document['throughput_gain'], 2)} × the throughput"


def _exactly(ratio: float, saving: float | None) -> list[str]:
    return [speed(ratio)] + ([] if saving is None else [saved(saving)])


def _about(ratio: float, saving: float | None) -> list[str]:
    """What was measured cannot carry a digit more than the percentage beside it has."""
    digits = 2 if max(ratio, 1 / ratio) >= 2 else 3
    return [f"about {speed(ratio, digits)}"] + ([] if saving is None else [f"about {saved(saving)}"])


def as_fast(document: Mapping[str, Any]) -> bool:
    """Whether the speed-up is none with the digits that may be told, and there is no saving either."""
    return _alike(document["speedup"], rough(document))


def _alike(ratio: float, few: bool) -> bool:
    return abs(ratio - 1) < (ALIKE_FEW if few else ALIKE)


def once(document: Mapping[str, Any]) -> bool:
    """Whether a model of this comparison ran one time only."""
    return min(lane["runs"] for lane in document["lanes"]) == 1


def rough(document: Mapping[str, Any]) -> bool:
    """Whether too few runs were made for any difference to be significant (one has no spread, and three do not do), or
    they vary so much that the speed-up is hardly known, though certain."""
    tested = document.get("significance")
    if once(document) or not tested:
        return once(document)
    if not tested["significant"]:
        return not _enough_runs(tested)
    low, high = tested.get("low"), tested.get("high")  # entries of older versions have none
    return bool(low) and high > WIDE * low


def unsteady(lanes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the runs of a model differ so much that something else may have used the machine meanwhile; a provider's
    were made on none of ours."""
    here = (lane for lane in lanes if not lane.get("hosted"))
    return any(lane["seconds_max"] > UNSTEADY * lane["seconds_min"] for lane in here)


def by_chance(document: Mapping[str, Any]) -> bool:
    """Whether enough runs were made to tell the two models' times apart, and they could not be."""
    tested = document.get("significance")
    return bool(tested) and not tested["significant"] and _enough_runs(tested)


def _enough_runs(tested: Mapping[str, Any]) -> bool:
    """Whether so many runs could have been significant at all; entries of older versions do not say how many."""
    return tested.get("runs", tested["runs_needed"]) >= tested["runs_needed"]


def claim(document: Mapping[str, Any]) -> str:
    """The verdict of a comparison in one line, or why there is none."""
    return ", ".join(claims(document)) or ": ".join(unclaimed(document))


def unclaimed(document: Mapping[str, Any]) -> tuple[str, str]:
    """Why a comparison claims no speed-up: in big letters, and in a sentence. Only of one that claims none."""
    lanes = document["lanes"]
    hits = [lane for lane in lanes if lane["cache"] == "hit"]
    usual = [lane for lane in lanes if lane.get("usual_seconds")]  # entries of older versions have none
    if hits or not usual:
        head = "Partly from the cache" if 0 < len(hits) < len(lanes) else "From the cache"
        return head, "cached times are from when the picture was made, so no speed-up is claimed"
    over, role = max((lane["seconds"]["total"] / lane["usual_seconds"], lane["role"]) for lane in usual)
    return "The machine was busy", (
        f"the {role} model took {figure(over, 2)} times as long as at best here, so no speed-up is claimed"
    )


def throughput_text(lanes: Sequence[Mapping[str, Any]]) -> str:
    """Both lanes' pictures a minute at their best, predecessor first in ``lanes``; empty where not measured."""
    old, new = (lane.get("throughput") for lane in lanes)
    if not old or not new:
        return ""
    new_rate, old_rate = (
        f"{figure(said['images_per_minute'])} ({figure(said['images_per_minute_min'])} to "
        f"{figure(said['images_per_minute_max'])})"
        for said in (new, old)
    )
    text = (
        f"{new_rate} against {old_rate} pictures a minute, {new['batch']} against {old['batch']} at once, medians of "
        f"{len(new['batches'][0]['seconds'])} calls"
    )
    if None not in (old["cost_usd"], new["cost_usd"]):
        text += f"; then {per_thousand(new['cost_usd'], old['cost_usd'])}"
    return text


def fidelity_text(document: Mapping[str, Any]) -> str:
    """How near the two pictures of a comparison are; empty where that means nothing."""
    said = document.get("fidelity")
    if said is None:
        return ""
    psnr = "equal pixels" if said["psnr_db"] is None else f"PSNR {said['psnr_db']:.1f} dB"
    return f"{psnr}, SSIM {said['ssim']:.2f}"


def significance_text(said: dict | None) -> str:
    """What may be concluded from a comparison's runs; empty where nothing was tested."""
    if said is None:
        return ""
    p = f"p = {said['p']:.2g}" if said["p"] >= 0.001 else "p < 0.001"
    if said["significant"]:
        return f"significant (rank test, {p}{_between(said)})"
    if not _enough_runs(said):
        return f"not significant (rank test, {p}): measure at least {said['runs_needed']} runs a model"
    if said["p"] <= MORE_MAY_TELL:
        return f"not significant (rank test, {p}): more runs may tell"
    return f"not significant (rank test, {p}): the times may differ by chance alone"


def interval_text(said: Mapping[str, Any] | None) -> str:
    """The same where there is room for one line only: a significant speed-up's interval, else why there is none."""
    if not said or not said["significant"] or not said.get("low"):
        return significance_text(said)
    return f"{figure(said['low'])} to {figure(said['high'])} ×, 95 % interval"


def _between(said: Mapping[str, Any]) -> str:
    """What the speed-up lies between; entries of older versions do not know."""
    if not said.get("low"):
        return ""
    return f"; speed-up {figure(said['low'])} to {figure(said['high'])} ×, 95 % interval"
