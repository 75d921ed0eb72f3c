"""One comparison: from a pair and what the user said to two requests, and from two results to one document.

The document is the contract that the command line, the API, the report and the page share. Pure functions: nothing
is run, stored or shown here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.catalog import ROLES, Catalog, Pair, Role
from pipeline.cost import machine_sum, picture_sum, saving
from pipeline.estimate import Estimate
from pipeline.events import Result
from pipeline.hosted import HostedCall, HostedPrice
from pipeline.judged import judged_document
from pipeline.prices import PriceProfile
from pipeline.quality import fidelity
from pipeline.request import ImageRequest, make_request, negative_of
from pipeline.stats import significance
from pipeline.throughput import best, pictures

RUN_ORDER: tuple[Role, ...] = ("efficient", "predecessor")
"""The efficient lane runs first: its picture is there first."""


def plan(catalog: Catalog, pair: Pair, prompt: object, **fields: object) -> dict[Role, ImageRequest]:
    """Both lanes' requests in the order they run. ``fields``: negative_prompt, seed, width, height for both lanes,
    and steps, guidance and switches as {role: value} where a lane differs from its pair's or model's own.

    Raises InputError. A negative prompt goes only to the models that use one.
    """
    own = {name: fields.pop(name, None) or {} for name in ("steps", "guidance", "switches")}
    negative = fields.pop("negative_prompt", "")
    # One size for both, also where nobody says which and the two have other defaults.
    size = catalog.sizes(pair).default
    fields |= {name: size for name in ("width", "height") if fields.get(name) is None}
    requests: dict[Role, ImageRequest] = {}
    for role in RUN_ORDER:
        lane = pair.lane(role)
        card = catalog.model(lane.model)
        settings = {name: _first(own[name].get(role), getattr(lane, name)) for name in own}
        requests[role] = make_request(
            card, prompt, negative_prompt=negative if card.negative_prompt else "", **fields, **settings
        )
    return requests


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def lane_document(result: Result, price: PriceProfile, role: str | None = None) -> dict[str, Any]:
    """One lane. ``image`` is left to the caller, who knows where the file lies."""
    timings = result.timings
    low, high = result.spread
    return {
        **({"role": role} if role else {}),
        "model": result.request.model,
        "image": None,
        "steps": result.request.steps,
        "guidance": result.request.guidance,
        "switches": list(result.request.switches),
        "model_evaluations": result.evaluations,
        "seconds": timings.as_dict(),
        "seconds_min": low,
        "seconds_max": high,
        "usual_seconds": result.usual_s,
        "runs": len(result.runs),
        "warm": result.warm,
        "cache": result.cache,
        "encode_cached": result.encode_cached,
        "previews": result.previews,
        "cost_usd": picture_sum(timings.total, price, result.hosted).usd,
        "hosted": result.hosted and result.hosted.model_dump(mode="json"),
        "peak_memory_bytes": result.peak_memory_bytes,
        "reading": result.reading and result.reading.as_dict(),
        "throughput": throughput_document(result, price),
    }


def throughput_document(result: Result, price: PriceProfile) -> dict[str, Any] | None:
    """Pictures a minute with as many at once as pays best, and what one then costs; null where it was not measured."""
    chosen = best(result.batches)
    if chosen is None:
        return None
    return {
        "images_per_minute": chosen.per_minute,
        "images_per_minute_min": chosen.spread[0],
        "images_per_minute_max": chosen.spread[1],
        "batch": chosen.size,
        "cost_usd": machine_sum(60 / chosen.per_minute, price).usd,
        "batches": [
            {
                "size": batch.size,
                "seconds": list(batch.seconds),
                "images_per_minute": batch.per_minute,
                "peak_memory_bytes": batch.peak_memory_bytes,
            }
            for batch in result.batches
        ],
    }


def price_document(price: PriceProfile) -> dict[str, Any]:
    return {
        "profile": price.id,
        "usd_per_hour": price.usd_per_hour,
        "source": price.source,
        "as_of": price.as_of,
    }


def generate_document(result: Result, price: PriceProfile) -> dict[str, Any]:
    """One picture: its lane, and what the compare document says once for both."""
    return {
        "prompt": result.request.prompt,
        "negative_prompt": result.request.negative_prompt,
        "seed": result.request.seed,
        "width": result.request.width,
        "height": result.request.height,
        "device": result.device,
        "price": price_document(price),
        **lane_document(result, price),
    }


def compare_document(pair: Pair, results: Mapping[Role, Result], price: PriceProfile) -> dict[str, Any]:
    """The whole comparison. Speed-up and saving are null when either picture came out of the cache, or the machine was
    visibly busy with something else in a single run, or for one model alone; significance also below two runs a model.
    """
    lanes = {role: lane_document(results[role], price, role) for role in ROLES}
    slow, fast = (results[role] for role in ROLES)
    # Several runs in turn bear what else uses the machine alike; a single one may have borne all of it.
    alone = slow.disturbed != fast.disturbed or (slow.disturbed and len(slow.runs) == 1)
    measured = slow.cache == fast.cache == "miss" and not alone
    return {
        "prompt": slow.request.prompt,
        "negative_prompt": negative_of((slow.request, fast.request)),
        "seed": slow.request.seed,
        "width": slow.request.width,
        "height": slow.request.height,
        "pair": pair.id,
        "question": pair.question,
        "device": device_of(slow, fast),
        "price": price_document(price),
        "lanes": [lanes[role] for role in ROLES],
        "speedup": slow.timings.total / fast.timings.total if measured and fast.timings.total else None,
        "saving": _saving(*lanes.values()) if measured else None,
        "significance": _significance(slow, fast) if measured else None,
        "throughput_gain": _throughput_gain(lanes),
        "fidelity": fidelity(slow.image, fast.image) if pair.same_path else None,
        "judged": judged_document(pair, {role: results[role].request for role in ROLES}),
    }


def _saving(predecessor: Mapping[str, Any], efficient: Mapping[str, Any]) -> float | None:
    """A machine whose price is set to nothing saves nothing that anybody could tell."""
    if efficient["cost_usd"] == 0 and not efficient.get("hosted"):  # entries of older versions have none
        return None
    return saving(predecessor["cost_usd"], efficient["cost_usd"])


def device_of(*results: Result) -> str:
    """What the machine's price is for: the device that made a picture of these, if only one was made here; else who
    drew them."""
    return next((result.device for result in reversed(results) if result.hosted is None), results[-1].device)


def hosted_of(lane: Mapping[str, Any]) -> HostedCall | None:
    """Who drew a lane's picture and for how much; None for one made here, as all of older versions were."""
    return HostedCall.model_validate(lane["hosted"]) if lane.get("hosted") else None


def listed_prices(lanes: Iterable[Mapping[str, Any]]) -> list[HostedPrice]:
    """The providers' prices behind these lanes' costs, each once."""
    calls = map(hosted_of, lanes)
    return list({call.price.name: call.price for call in calls if call and call.price}.values())


def _throughput_gain(lanes: Mapping[Role, Mapping[str, Any]]) -> float | None:
    """Efficient over predecessor, each at the number of pictures at once that suits it best."""
    old, new = (lanes[role]["throughput"] for role in ROLES)
    return new["images_per_minute"] / old["images_per_minute"] if old and new else None


def _significance(slow: Result, fast: Result) -> dict[str, Any] | None:
    """Whether the two models' totals differ by more than chance, and between what the speed-up lies."""
    found = significance(*([run.total for run in result.runs] for result in (slow, fast)))
    if found is None:
        return None
    if found.low is None:
        return vars(found)
    # The interval is that of all ratios' median; that of the medians, which is told, can lie a little outside of it.
    ratio = slow.timings.total / fast.timings.total
    return vars(found) | {"low": min(found.low, ratio), "high": max(found.high, ratio)}


def repriced(document: Mapping[str, Any], price: PriceProfile) -> dict[str, Any]:
    """The same comparison at another price: times stay, sums change."""
    lanes = [_repriced_lane(lane, price) for lane in document["lanes"]]
    measured = document["speedup"] is not None
    return {
        **document,
        "price": price_document(price),
        "lanes": lanes,
        "saving": _saving(*lanes) if measured else None,
    }


def _repriced_lane(lane: Mapping[str, Any], price: PriceProfile) -> dict[str, Any]:
    said = lane.get("throughput")  # entries of older versions have none
    if said:
        said = {**said, "cost_usd": machine_sum(60 / said["images_per_minute"], price).usd}
    cost = picture_sum(lane["seconds"]["total"], price, hosted_of(lane)).usd
    return {**lane, "cost_usd": cost, "throughput": said}


def estimated_cost(estimate: Estimate, price: PriceProfile) -> float | None:
    """Of one picture; None where nobody knows how long it takes this machine. A provider's price is known before."""
    known = estimate.here or estimate.hosted is not None
    return picture_sum(estimate.seconds, price, estimate.hosted).usd if known else None


def estimate_document(
    requests: Mapping[Role, ImageRequest],
    estimates: Mapping[Role, Estimate],
    price: PriceProfile,
    repeat: int,
    throughput: bool = False,
) -> dict[str, Any]:
    """Before the run: seconds (and their basis) and dollars a lane, and for the whole with ``repeat`` runs and, if it
    goes on to its end, the measurement of the throughput."""
    lanes = [
        {
            "role": role,
            "model": requests[role].model,
            "seconds": estimates[role].seconds,
            "basis": estimates[role].basis,
            "cost_usd": estimated_cost(estimates[role], price),
        }
        for role in ROLES
    ]
    drawn = {role: pictures(requests[role].steps, repeat, throughput) for role in ROLES}
    total = sum(drawn[lane["role"]] * lane["seconds"] for lane in lanes)
    costs = [lane["cost_usd"] and drawn[lane["role"]] * lane["cost_usd"] for lane in lanes]
    return {
        "lanes": lanes,
        "repeat": repeat,
        "seconds": total,
        "cost_usd": None if None in costs else sum(costs),
        "price": price_document(price),
    }
