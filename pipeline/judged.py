"""What an evaluation on many prompts said of a pair's pictures, in words: the answer to "good enough?" that two
pictures cannot give.

The numbers are data (the catalogue's ``judged``); which way they point is decided here, by their interval. Pure
functions; knows nothing of pages or of how anything was judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.catalog import ROLES, Pair, Role
from pipeline.reading import Reading
from pipeline.request import ImageRequest
from pipeline.stats import NARROW

HOW_OFTEN = {"better": "more often", "as good": "as often", "worse": "less often"}
NOBODY = "Nobody has said at these settings"


def judged_document(pair: Pair, requests: Mapping[Role, ImageRequest]) -> dict[str, Any] | None:
    """What was said of ``pair``; null where nothing was, or where these requests are not what was judged."""
    said = pair.judged
    if said is None:
        return None
    asked = [requests[role] for role in ROLES]
    if any(each.negative_prompt or said.size not in (None, each.width) or each.width != each.height for each in asked):
        return None
    at = [(each.steps, each.guidance, each.switches) for each in asked]
    if at != [(steps, guidance, ()) for steps, guidance in zip(said.steps, said.guidance, strict=True)]:
        return None
    return {**said.model_dump(mode="json"), "verdict": _verdict(said.low, said.high)}


def _verdict(low: float, high: float) -> str:
    """By the interval of the difference. "as good" excludes a loss of five points; else it is "unclear"."""
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "as good" if low > -NARROW else "unclear"


def judged_claim(document: Mapping[str, Any]) -> str:
    """In big letters beside speed and cost: recognised as often on 467 prompts. Empty where nothing can be claimed, or
    a model did not read all of this prompt: those of which it was found were read."""
    said = document.get("judged")  # entries of older versions have none
    if not said or said["verdict"] not in HOW_OFTEN or _unread(document):
        return ""
    return f"{said['verb']} {HOW_OFTEN[said['verdict']]} on {said['prompts']} prompts"


def judged_text(document: Mapping[str, Any]) -> str:
    """The numbers behind it, in one or two sentences; empty where nothing was judged."""
    said = document.get("judged")
    if not said:
        return ""
    gain = 100 * (said["efficient"] - said["predecessor"])
    gained, low, high = _signed(gain, 2), *(_signed(100 * said[name]) for name in ("low", "high"))
    ends = {
        "better": "by this measure it is better.",
        "as good": f"which excludes a loss of {100 * NARROW:g} points or more.",
        "worse": "by this measure it is worse.",
        "unclear": "too few prompts to tell.",
    }
    return (
        f"On {said['prompts']} prompts {said['by']} {said['verb']} {_share(said['efficient'])} % of the efficient "
        f"model’s pictures and {_share(said['predecessor'])} % of the predecessor’s: a difference of {gained} "
        f"points (95 % interval {low} to {high}), {ends[said['verdict']]} Source: {said['source']}."
    )


def evidence(document: Mapping[str, Any]) -> str:
    """All that is known of many of the pair's pictures: what was judged, and what votes and judged sweeps say where the
    page has looked ("opinions"). Empty where nobody has said anything."""
    return " ".join(text for text in (judged_text(document), document.get("opinions")) if text)


def _unread(document: Mapping[str, Any]) -> bool:
    found = (Reading.from_dict(lane.get("reading")) for lane in document.get("lanes", ()))
    return any(reading and not reading.whole for reading in found)


def _share(share: float) -> str:
    """In per cent, with no more decimals than it needs and with enough that two of them give their difference."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".")


def _signed(points: float, most: int = 1) -> str:
    """With one decimal, or ``most`` where one is not enough."""
    decimals = 1 if round(points, 1) == round(points, most) else most
    return f"{points:+.{decimals}f}".replace("-", "−")
