"""Numbers and settings as a person reads them. Page, report and command line say all of them through here, so that they
never differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.stats import Interval
from pipeline.switches import SWITCHES


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


def cost_text(*usd: float | None, beside: Iterable[float | None] = ()) -> str:
    """What a picture costs, or of several one "against" the other, all in one unit: by the thousand as soon as one is
    tiny, so that nobody counts zeros to compare them. ``beside``: what stands near it, in the same unit."""
    if len(usd) > 1 and None in usd:
        return AGAINST.join(cost_text(each, beside=[*usd, *beside]) for each in usd)
    if None in usd or not any(map(tiny, [*usd, *beside])):
        return AGAINST.join(map(dollars, usd))
    return per_thousand(*usd)


def tiny(usd: float | None) -> bool:
    """Whether a sum has too many zeros to be read."""
    return bool(usd) and usd < TINY_USD


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
    here. Where one does not, no cost is said, and nobody may take a GPU's seconds for those of their processor.
    ``each``: what one picture of each model costs, told by the thousand at every price; a whole run's cost is named as
    such beside it, unless it is next to nothing."""
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
    """Of a whole run, beside that of its pictures."""
    whole = f"under ${TINY_USD:g}" if tiny(usd) else dollars(usd)
    if not any(each) or None in each:
        return whole
    return f"{per_thousand(*each)}{'' if tiny(usd) else f', this run about {whole}'}"


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
    """1 - efficient's cost over predecessor's: 89 % cheaper, or 25 % dearer; from ten times on, 12 × the cost."""
    if share >= 0:
        return f"{percent(share)} cheaper"
    return f"{percent(-share)} dearer" if share > -9 else f"{figure(1 - share, 2)} × the cost"


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


def switches_text(lane: Mapping[str, Any]) -> str:
    """A lane's efficiency switches by their names; empty where there are none."""
    return ", ".join(SWITCHES[each].name if each in SWITCHES else each for each in lane.get("switches", ()))


def evaluations_text(lane: Mapping[str, Any]) -> str:
    """How often the network was evaluated, or at most: a step cache skips some and does not tell how many."""
    made = lane["model_evaluations"]
    if made is None:
        return "not told"
    return f"at most {made}" if "step-cache" in lane.get("switches", ()) else f"{made}"


def lanes_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pictures' parts of any document: two lanes, a sweep's cells, or the document of one picture itself."""
    return list(document.get("lanes") or document.get("cells") or [document])


def made_by(document: Mapping[str, Any]) -> str:
    """What drew a document's pictures: this device, providers, or both."""
    hosted = [lane["hosted"]["provider"] for lane in lanes_of(document) if lane.get("hosted")]
    return " and ".join(dict.fromkeys([document["device"], *hosted]))


def hourly(usd: float) -> str:
    """A price per hour as price lists have it: $0.40, $2, $1,000; small ones in full."""
    return f"${usd:,.2f}".removesuffix(".00") if usd == round(usd, 2) else f"${usd:g}"


def rate_text(document: Mapping[str, Any]) -> str:
    """The machine's price that a document's costs are at, to stand behind them: " at $0.03 an hour". Empty where none
    is known, or none is part of them."""
    usd = document["price"]["usd_per_hour"]
    alone = all(lane.get("hosted") for lane in lanes_of(document))
    return "" if alone or usd is None else f" at {hourly(usd)} an hour"


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


def raised(text: str) -> str:
    """With a capital first letter; all others stay, for a name has its own."""
    return text[:1].upper() + text[1:]


def shortened(text: str, most: int = 60) -> str:
    """A prompt where there is room for one line only."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def slug(text: str, otherwise: str = "picture") -> str:
    """A part of a file name that is safe on every system."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48].strip("-") or otherwise
