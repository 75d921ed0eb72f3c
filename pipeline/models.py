"""What can run on this machine and what cannot, with the reason. Loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.cards import JudgeCard, ModelCard
from pipeline.catalog import Catalog, Pair
from pipeline.cost import call_sum
from pipeline.device import Facts, on_zerogpu
from pipeline.errors import ModelError
from pipeline.fit import Fit, default_pair, fit_model, fit_pair
from pipeline.loading import package_missing
from pipeline.switches import SWITCHES, lighter
from pipeline.switching import supported
from pipeline.weights import NotDownloaded, is_here, locate, to_fetch
from pipeline.wording import dollars, size_text


def models_document(catalog: Catalog, facts: Facts) -> dict[str, Any]:
    """All models and pairs of the catalogue, and for each whether and how it runs on this machine."""
    fits = {pair.id: fit_pair(catalog, pair, facts) for pair in catalog.pairs.values()}
    models = {card.id: _model(card, facts) for card in catalog.models.values()}
    return {
        "device": facts.name,
        "recommended": default_pair(catalog, facts).id,
        "switches": {switch.id: f"{switch.name}: {switch.about}" for switch in SWITCHES.values()},
        "models": list(models.values()),
        "judges": [_judge(card) for card in catalog.judges.values()],
        "pairs": [
            {
                "id": pair.id,
                "name": pair.name,
                "question": pair.question,
                "predecessor": pair.predecessor.model,
                "efficient": pair.efficient.model,
                "same_path": pair.same_path,
                "note": pair.note,
                "opt_in": pair.opt_in,
                "how": _how(catalog.cards(pair), fits[pair.id]),
                "faster_with": _faster_with(catalog, pair, facts, fits[pair.id]),
                "why_not": _why_not(catalog.cards(pair), fits[pair.id]),
                "downloaded": all(models[card.id]["downloaded"] for card in catalog.cards(pair)),
            }
            for pair in catalog.pairs.values()
        ],
    }


def _how(cards: Sequence[ModelCard], fit: Fit) -> str | None:
    """How these run: here as the plan says, at their providers otherwise; None where one of them does not."""
    if _why_not(cards, fit):
        return None
    hosted = [_price(card) for card in cards if card.hosted]
    return "; ".join([*([fit.plan.words] if fit.plan else []), *dict.fromkeys(hosted)])


def _why_not(cards: Sequence[ModelCard], fit: Fit) -> str | None:
    hosted = (card.hosted.why_not() for card in cards if card.hosted)
    return next((why_not for why_not in (fit.why_not, *hosted) if why_not), None)


def not_yet(catalog: Catalog, pair: Pair, facts: Facts) -> str | None:
    """Why a comparison of this pair cannot begin here as things are, and what to do; None where it can."""
    cards = catalog.cards(pair)
    if why_not := _why_not(cards, fit_pair(catalog, pair, facts)):
        return why_not
    absent = to_fetch(cards)
    if not absent or on_zerogpu():  # there what was placed is in memory, and its files are gone
        return next(filter(None, (package_missing(card) for card in cards if not card.hosted)), None)
    size = size_text(sum(card.weight_bytes for card in absent))
    return (
        f"{' and '.join(card.name for card in absent)} must be fetched first, up to {size}: in the Models tab, or with "
        f"python -m pipeline download --pair {pair.id}"
    )


def _price(card: ModelCard) -> str:
    """Who draws, and what they want for a picture of the usual size."""
    usd, side = call_sum(card.hosted.call(card.size.default, card.size.default)).usd, card.size.default
    asked = "at a price that is not known" if usd is None else f"for {dollars(usd)} a picture of {side} × {side} pixels"
    return f"drawn by {card.hosted.provider} {asked}"


def _faster_with(catalog: Catalog, pair: Pair, facts: Facts, plain: Fit) -> dict[str, str] | None:
    """The switch that leaves so little of both models' weights that they fit in a faster way, and that way; None where
    there is none. Never taken by itself: it changes the pictures, so it is for whoever compares to choose. Not on a
    processor, where casting the weights back costs more than taking turns."""
    if facts.kind == "cpu":
        return None
    cards = catalog.cards(pair)
    if any(card.hosted for card in cards):
        return None
    best = plain.plan
    found = None
    for switch in SWITCHES.values():
        if switch.weights_left == 1 or any(supported(card, facts.kind)[switch.id] for card in cards):
            continue
        plan = fit_pair(catalog, pair, facts, lambda card, switch=switch: lighter(card, [switch.id])).plan
        if plan is not None and (best is None or plan.slower < best.slower):
            best, found = plan, {"switch": switch.id, "how": plan.words}
    return found


def pair_text(pair: dict[str, Any]) -> str:
    """How a pair of the document runs here, for a person."""
    faster = pair["faster_with"]
    if pair["how"]:
        # The type is the same and stands there already.
        more = f"; with {faster['switch']} on both {faster['how'].partition(', ')[2]}" if faster else ""
        return f"{'runs' if pair['downloaded'] else 'would run once fetched'}: {pair['how']}{more}"
    more = f" With {faster['switch']} on both: {faster['how']}." if faster else ""
    return f"does not run: {pair['why_not']}{more}"


def model_text(model: dict[str, Any]) -> str:
    """The same of a model."""
    if model["runs_here"]:
        return f"runs: {model['how']}"
    if model["how"] and not model["downloaded"]:
        return f"would run once fetched: {model['how']}"
    return f"does not run: {model['why_not']}"


def _judge(card: JudgeCard) -> dict[str, Any]:
    wanted = ("id", "name", "source", "licence", "weight_bytes", "puts_first", "note")
    return {**{name: getattr(card, name) for name in wanted}, "downloaded": is_here(card)}


def judge_text(judge: dict[str, Any]) -> str:
    """What a judge of the document is good for, and whether it is here, for a person."""
    here = "judges here" if judge["downloaded"] else "would judge once fetched"
    return f"{here}: puts first {judge['puts_first']}"


def _model(card: ModelCard, facts: Facts) -> dict[str, Any]:
    fit, here = Fit(()) if card.hosted else fit_model(card, facts), True
    try:
        why_not = _why_not([card], fit)
        if not card.hosted:
            locate(card)
            why_not = why_not or package_missing(card)
    except ModelError as error:
        here = not isinstance(error, NotDownloaded)
        why_not = fit.why_not or str(error)
    return {
        "id": card.id,
        "name": card.name,
        "summary": card.summary,
        "source": card.source,
        "licence": card.licence,
        "licence_url": card.licence_url,
        "weight_bytes": card.weight_bytes,
        "steps": card.steps.model_dump(),
        "guidance": card.guidance.model_dump(),
        "size": card.size.model_dump(),
        "negative_prompt": card.negative_prompt,
        "gated": card.gated,
        "memory_bytes": card.memory_bytes,
        "memory_source": card.memory_source,
        "hosted": card.hosted and card.hosted.provider,
        "how": _how([card], fit),
        "downloaded": here,
        "switches": {} if card.hosted else supported(card, facts.kind),
        "runs_here": why_not is None,
        "why_not": why_not,
    }
