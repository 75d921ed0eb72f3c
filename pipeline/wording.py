"""Numbers as a person reads them. Page, report and command line all say them through here, so they never differ."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from pipeline.judged import judged_claim
from pipeline.stats import Interval

WIDE = 1.25
"""Upper over lower end of a speed-up's interval, above which a third digit would be made up."""
UNKNOWN = 2.0
"""The same, above which a single figure would be."""


def figure(number: float, digits: int = 3) -> str:
    """So many significant digits, or all before the point, without an exponent: 9.42, 89.1, 1,230."""
    if abs(number) >= 10**digits - 0.5:
        return f"{number:,.0f}"
    return f"{number:#.{digits}g}".rstrip(".")


def seconds_text(seconds: float) -> str:
    """Three significant digits with a unit: 2.81 s, 42.1 ms."""
    return f"{figure(seconds)} s" if seconds >= 0.9995 else f"{figure(seconds * 1000)} ms"


def seconds_range(low: float, high: float) -> str:
    """868 to 919 ms, 0.900 to 1.20 s: the unit once where both have the same."""
    first, last = seconds_text(low), seconds_text(high)
    if first == last:
        return first
    number, unit = first.split(" ")
    return f"{number if last.endswith(f' {unit}') else first} to {last}"


def dollars(usd: float | None, digits: int = 3) -> str:
    """Three significant digits, never in scientific notation; None is said as what it is."""
    if usd is None:
        return "no price known"
    if usd == 0:
        return "$0"
    decimals = max(2, digits - 1 - math.floor(math.log10(abs(usd))))
    return f"${usd:,.{decimals}f}"


AGAINST = " against "
TINY_USD = 0.01
"""A smaller sum has too many zeros to be read: one picture's is said by the thousand, a whole run's as under a cent."""


def cost_text(*usd: float | None) -> str:
    """What a picture costs, or of several one "against" the other, all in one unit: by the thousand as soon as one is
    tiny, so that nobody counts zeros to compare them."""
    if len(usd) > 1 and None in usd:
        return AGAINST.join(map(cost_text, usd))
    return per_thousand(*usd) if any(each and each < TINY_USD for each in usd) else AGAINST.join(map(dollars, usd))


HERE = "measured here"
"""How the basis of an estimate begins that is of this very process."""


def expected(
    seconds: float,
    usd: float | None,
    known: Mapping[str, bool],
    most: bool = False,
    each: Sequence[float | None] = (),
) -> str:
    """Time and cost of what has not run yet, and how they are known: ``known`` has every basis, and whether it counts
    here. Where one does not, no cost is said, and nobody may take a GPU's seconds for those of his processor.
    ``each``: what one picture of each model costs, which is told instead of a whole that is next to nothing: it stands
    under the pictures again when they are there."""
    about = f"about {seconds_text(seconds)}{' if all of it is measured' if most else ''}"
    whence = f" ({'; '.join(known)})" if known else ""
    if len(known) > 1 and all(basis.startswith(HERE) for basis in known):
        whence = f" ({HERE})"
    if all(known.values()):
        return f"{about}, {_whole_cost(usd, each)}{whence}"
    cost = "" if usd is None else f", {_whole_cost(usd, each)}"  # a provider's, which no time is needed for
    if any(known.values()):
        return f"not all timed here yet; {about}{cost}{whence}"
    return f"not timed here yet; elsewhere {about}{cost}{whence}"


def _whole_cost(usd: float | None, each: Sequence[float | None]) -> str:
    """Of a whole run, or of its pictures."""
    if not usd or usd >= TINY_USD:
        return dollars(usd)
    return cost_text(*each) if each else f"under ${TINY_USD:g}"


def per_thousand(*usd: float) -> str:
    """Tiny sums are easier to judge by the thousand."""
    return f"{AGAINST.join(dollars(1000 * each) for each in usd)} per 1,000"


def size_text(size: float) -> str:
    """Bytes with three significant digits: 12.3 kB, 1.50 GB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit * 0.9995:
            return f"{figure(size / unit)} {name}"
    return f"{figure(size / 1e3)} kB"


def when(seconds: float) -> str:
    """Seconds since 1970 as a date that means the same everywhere: 24 November 2026, 03:47 UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def percent(share: float) -> str:
    """A share as a percentage; what is not all of it never reads 100 %."""
    value = share * 100
    return f"{min(value, 99.9):.1f} %" if 99 <= value < 100 else f"{value:.0f} %"


def share_text(found: Interval) -> str:
    """A share with its interval: 90 % (60 % to 98 %)."""
    return f"{percent(found.share)} ({percent(found.low)} to {percent(found.high)})"


def speed(ratio: float, digits: int = 3) -> str:
    """Predecessor's seconds over efficient's: 9.42 × faster, or 1.50 × slower."""
    return f"{figure(ratio, digits)} × faster" if ratio >= 1 else f"{figure(1 / ratio, digits)} × slower"


def saved(share: float) -> str:
    """1 - efficient's cost over predecessor's: 89 % cheaper, or 25 % dearer."""
    return f"{percent(share)} cheaper" if share >= 0 else f"{percent(-share)} dearer"


def claims(document: Mapping[str, Any]) -> list[str]:
    """What a measured comparison says in big letters: latency, cost and, where they were measured, throughput and how
    good many pictures were found. They are different things and each is its own claim."""
    if document["speedup"] is None:
        return []
    # A provider's price is no matter of time; else the saving is as sure as the times that it is reckoned from.
    apart = _saved_apart([document])
    timed = None if apart else document["saving"]
    if by_chance(document):
        found = ["no difference in time beyond chance"]
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
    if chance := sum(map(by_chance, documents)):
        return [f"no difference in time beyond chance in {chance} of {len(documents)}", *apart]
    ratio = median(document["speedup"] for document in documents)
    few = any(map(rough, documents))
    if _alike(ratio, few):
        return ["about as fast", *apart]
    savings = [document["saving"] for document in documents if document["saving"] is not None]
    tell = _about if few else _exactly
    return [*tell(ratio, median(savings) if savings and not apart else None), *apart]


def _saved_apart(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The saving where a provider drew: by its list, or of a list against a machine's time; empty where none did, or
    nothing is known."""
    hosted = [any(lane.get("hosted") for lane in document["lanes"]) for document in documents]
    savings = [document["saving"] for document in documents if document["saving"] is not None]
    if not all(hosted) or not savings:
        return []
    said = saved(median(savings))
    return [f"{said} by list" if all(map(by_list, documents)) else f"about {said}"]


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
    return abs(ratio - 1) < (0.05 if few else 0.005)


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


def by_chance(document: Mapping[str, Any]) -> bool:
    """Whether enough runs were made to tell the two models' times apart, and they could not be."""
    tested = document.get("significance")
    return bool(tested) and not tested["significant"] and _enough_runs(tested)


def _enough_runs(tested: Mapping[str, Any]) -> bool:
    """Whether so many runs could have been significant at all; entries of older versions do not say how many."""
    return tested.get("runs", tested["runs_needed"]) >= tested["runs_needed"]


def claim(document: Mapping[str, Any]) -> str:
    """The verdict of a comparison in one line, or why there is none."""
    return ", ".join(claims(document)) or (
        "From the cache: times are from when the pictures were made, so no speed-up is claimed"
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
    if said["p"] <= 0.1:
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


def asked_text(of: int, seconds: float) -> str:
    """What a provider does that tells no steps; ``of``: the number of steps of an event, see events.Step."""
    return f"the provider {'draws' if of else 'is busy and wants a wait'} · {seconds_text(seconds)}"


def takes(lane: Mapping[str, Any], setting: str) -> bool:
    """False where a provider decides about it, and does not tell."""
    hosted = lane.get("hosted")  # entries of older versions have none
    return not hosted or setting in hosted["takes"]


def steps_text(lane: Mapping[str, Any]) -> str:
    """A lane's steps; those of a provider that takes none are not told."""
    return count(lane["steps"], "step") if takes(lane, "steps") else "steps not told"


def guidance_text(lane: Mapping[str, Any]) -> str:
    """The same of its guidance."""
    return f"guidance {lane['guidance']:g}" if takes(lane, "guidance") else "guidance not told"


def lanes_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pictures' parts of any document: two lanes, a sweep's cells, or the document of one picture itself."""
    return list(document.get("lanes") or document.get("cells") or [document])


def made_by(document: Mapping[str, Any]) -> str:
    """What drew a document's pictures: this device, providers, or both."""
    hosted = [lane["hosted"]["provider"] for lane in lanes_of(document) if lane.get("hosted")]
    return " and ".join(dict.fromkeys([document["device"], *hosted]))


def seed_text(document: Mapping[str, Any]) -> str:
    """The seed, as far as anybody took it."""
    lanes = lanes_of(document)
    several = {lane["seed"] for lane in lanes if "seed" in lane} or document.get("values", {}).get("seeds", ())
    without = [lane["model"] for lane in lanes if not takes(lane, "seed")]
    if len(without) == len(lanes):
        return "no seed taken"
    unseeded = f" (not taken by {' and '.join(dict.fromkeys(without))})" if without else ""
    seeds = count(len(several), "seed") if len(several) > 1 else f"seed {document['seed']}"
    return f"{seeds}{unseeded}"


def count(number: int, noun: str) -> str:
    """1 step, 4 steps, 1,000 steps."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """A long time in the unit a person would take: 101 ms, 42.0 s, 15.1 minutes, 3.02 hours, 12.4 days."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{figure(seconds / length)} {unit}"
    return seconds_text(seconds)


def shortened(text: str, most: int = 60) -> str:
    """A prompt where there is room for one line only."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def slug(text: str, otherwise: str = "picture") -> str:
    """A part of a file name that is safe on every system."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48].strip("-") or otherwise
