"""What a reader must know beside the numbers of a document: how it was measured, and what it does not show.

Pure functions from a comparison, sweep or picture (the documents of pipeline.compare and pipeline.sweep) to
sentences. Which of them apply is read off the document alone; nothing here knows of files, pages or reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.claims import significance_text, unsteady
from pipeline.events import disturbed
from pipeline.prices import PriceProfile, names_gpu
from pipeline.reading import reading_text
from pipeline.timing import DISTURBED
from pipeline.wording import count, lanes_of, seed_text, switches_text, takes

Document = Mapping[str, Any]


def is_comparison(document: Document) -> bool:
    return "lanes" in document


def method(document: Document) -> list[str]:
    """What was compared and how."""
    lanes = lanes_of(document)
    size = f"{document['width']} × {document['height']} pixels"
    same = "Both models got" if is_comparison(document) else "Every picture has" if len(lanes) > 1 else "Made with"
    return [
        f"{same} the same {_same(document, size)}." if len(lanes) > 1 else f"{same} {seed_text(document)} at {size}.",
        *_total(lanes),
        _runs(document, lanes),
        "Live previews were on." if any(lane["previews"] for lane in lanes) else "Live previews were off.",
        *_throughput(lanes),
        *_switched(document, lanes),
    ]


def _switched(document: Document, lanes: list[Mapping[str, Any]]) -> list[str]:
    """With which efficiency switches; in a sweep over them every picture says its own."""
    named = list(map(switches_text, lanes))
    if not is_comparison(document):
        said = [f"Switched on: {each}." for each in set(named) if each and len(set(named)) == 1]
    else:
        each = zip(lanes, named, strict=True)
        said = [f"Switched on for the {lane['role']} model: {names}." for lane, names in each if names]
    if any("step-cache" in lane.get("switches", ()) for lane in lanes):
        said.append("A step cache skips evaluations of the network and does not tell how many.")
    return said


def _total(lanes: list[Mapping[str, Any]]) -> list[str]:
    """What the totals are of: here, and at a provider."""
    hosted = [lane for lane in lanes if lane.get("hosted")]
    said = []
    if len(hosted) < len(lanes):
        said.append(
            "Total is encode + denoise + decode, the device drained before the clock is read. Waiting in line and "
            "loading a model are told apart and are in no total, speed-up or cost."
        )
    if hosted:
        said.append(
            "Total of a provider's picture is the whole call as this machine saw it, over a connection made anew: "
            "network, the provider's queue and its model. A wait that the provider asked for before is in no total."
        )
    return said


def _throughput(lanes: list[Mapping[str, Any]]) -> list[str]:
    if not all(lane.get("throughput") for lane in lanes):
        return []
    tried = [batch for lane in lanes for batch in lane["throughput"]["batches"]]
    return [
        "Throughput is another question than speed: pictures a minute with as many made at once as pays best, of up to "
        f"{max(batch['size'] for batch in tried)} tried, the median of {len(tried[0]['seconds'])} calls on a warm "
        "model. A call draws one prompt with different seeds; the prompt's encoding is counted once a picture."
    ]


def _same(document: Document, size: str) -> str:
    """What all pictures have in common; a sweep can vary prompts and seeds."""
    varied = (document.get("rows"), document.get("columns"))
    same = {"prompts": "prompt", "seeds": f"seed ({document['seed']})"}
    if not all(takes(lane, "seed") for lane in lanes_of(document)):
        del same["seeds"]
    *others, last = [*(text for axis, text in same.items() if axis not in varied), f"size ({size})"]
    return f"{', '.join(others)} and {last}" if others else last


def _runs(document: Document, lanes: list[Mapping[str, Any]]) -> str:
    if any(lane["cache"] == "hit" for lane in lanes):
        return "At least one picture was made before and is shown with the times that it took then."
    runs = min(lane["runs"] for lane in lanes)
    warm = "not warm yet" if any(lane["warm"] is False for lane in lanes) else "warm"
    on, once = f" on a {warm} model", f", {warm}"
    if any(lane["warm"] is None for lane in lanes):
        on = once = ""
    if runs > 1:
        each = "Each model drew" if is_comparison(document) else "Each picture was drawn"
        hosted = sum(1 for lane in lanes if lane.get("hosted"))
        order = "all of the hosted model's before the other's" if 0 < hosted < len(lanes) else "the order alternating"
        return (
            f"{each} {runs} times{on}, {order}, nothing out of a cache. The median run is shown with the fastest and "
            "the slowest."
        )
    if is_comparison(document):
        return f"Each model drew once{once}, the efficient one first."
    return f"Each picture was drawn once{on}."


def caveats(document: Document, price: PriceProfile, prompts: int = 1) -> list[str]:
    """The sentences that apply to this document, the gravest first.

    ``price``: the profile behind the document's. ``prompts``: how many different prompts the reader is shown beside
    it, this one among them.
    """
    lanes = lanes_of(document)
    prompts = max(prompts, len({lane.get("prompt") for lane in lanes}))
    said = [*_of_measuring(document, lanes), *_of_pictures(document, lanes, prompts), *_of_money(document, price)]
    return [sentence for applies, sentence in said if applies]


def _of_measuring(document: Document, lanes: list[Mapping[str, Any]]) -> list[tuple[Any, str]]:
    runs = min(lane["runs"] for lane in lanes)
    cpu = document["device"].startswith("CPU")
    tested = document.get("significance")
    hosted = [lane["hosted"] for lane in lanes if lane.get("hosted")]
    cpu = cpu and len(hosted) < len(lanes)
    busy = list(filter(disturbed, lanes))
    return [
        (
            document.get("stored"),
            "This is the example that comes with Diptych, stored: it was not run on the machine that wrote this.",
        ),
        (
            any(lane["cache"] == "hit" for lane in lanes),
            "At least one picture came out of the cache: its times are from when it was made, so no speed-up and no "
            "saving is claimed.",
        ),
        (
            is_comparison(document) and document["speedup"] is None and all(lane["cache"] == "miss" for lane in lanes),
            f"The machine was busy with something else: a model took more than {DISTURBED:g} times as long as at best "
            "here, so no speed-up and no saving is claimed.",
        ),
        (
            busy and is_comparison(document) and document["speedup"] is not None,
            f"The machine was busy with something else: a model took more than {DISTURBED:g} times as long as at best "
            "here. Runs in turn bear that alike, so how many times as fast one is can hold; seconds and costs are too "
            "high.",
        ),
        (
            busy and not is_comparison(document),
            f"{count(len(busy), 'picture')} took more than {DISTURBED:g} times as long as at best here: the machine "
            "was busy with something else, and such a time says little of the model.",
        ),
        *[
            (True, f"{why} What broke off is in no time and in no cost.")
            for why in dict.fromkeys(each.get("cut_short") for each in hosted)
            if why
        ],
        (
            runs == 1,
            "One run only: it does not show how much the times vary. Several runs, in turn and without previews, are "
            "a measurement.",
        ),
        (
            tested and not tested["significant"],
            f"The difference in time is {significance_text(tested)}.",
        ),
        (
            unsteady(lanes),
            "The runs of a model differ by more than half: something else may have used the machine meanwhile.",
        ),
        (any(lane["previews"] for lane in lanes), "Live previews were on, which can slow a run a little."),
        (
            any(lane["warm"] is False for lane in lanes),
            "A model was not warm: its first run is slower than the next ones.",
        ),
        (
            any(lane["encode_cached"] for lane in lanes),
            "A prompt's embedding was used again: its encode time is what it took when it was made.",
        ),
        *[(True, sentence) for sentence in dict.fromkeys(_unread(lane) for lane in lanes) if sentence],
        (
            hosted and len(hosted) < len(lanes),
            "Not all was drawn on this machine, the rest by providers: their times compare a machine with a service, "
            "and not two models.",
        ),
        (
            hosted,
            "A provider's times vary with the hour, the place and its load, and it can change its model at any time.",
        ),
        (
            not all(takes(lane, "seed") for lane in lanes),
            "Without a seed every call gives another picture: no run can be repeated, and one picture is a sample of "
            "one.",
        ),
        (cpu, "Measured on a CPU: on a GPU the times are others, and their ratio can be."),
        (
            cpu and is_comparison(document) and any(lane["peak_memory_bytes"] for lane in lanes),
            "Peak memory is that of the whole process, with everything it had loaded.",
        ),
    ]


def _unread(lane: Mapping[str, Any]) -> str:
    said = reading_text(lane.get("reading"))
    return f"{lane['model']} {said}." if said else ""


def _of_pictures(document: Document, lanes: list[Mapping[str, Any]], prompts: int) -> list[tuple[Any, str]]:
    comparison = is_comparison(document)
    seeds = len({lane.get("seed") for lane in lanes})
    fidelity = document.get("fidelity")
    return [
        (
            comparison and fidelity is None,
            "PSNR and SSIM are missing: they mean something only where both models make the same picture of the same "
            "noise, at the same size.",
        ),
        (
            comparison and fidelity is not None,
            "PSNR and SSIM say how near the efficient picture is to the predecessor's, not how good either is.",
        ),
        (
            prompts == 1,
            f"One prompt and {count(seeds, 'seed') if seeds > 1 else 'one seed'}: other prompts can look better or "
            "worse. Whether the pictures are good enough is for people to say who have seen many.",
        ),
        (prompts > 1, f"{count(prompts, 'prompt')}, chosen by whoever made them: other prompts can look otherwise."),
    ]


def _of_money(document: Document, price: PriceProfile) -> list[tuple[Any, str]]:
    hosted = [lane for lane in lanes_of(document) if lane.get("hosted")]
    unpriced = any(lane["cost_usd"] is None for lane in hosted)
    listed = [
        (unpriced, "No price is known of a provider that drew a picture, so no cost of it is said."),
        (
            hosted and not unpriced,
            "A provider's costs are its list prices; discounts, failed calls and taxes are not in.",
        ),
    ]
    if len(hosted) == len(lanes_of(document)):
        return listed
    usd, own = price.usd_per_hour, price.id == "own"
    rented = usd is not None and usd > 0 and not own
    return [
        *listed,
        (usd is None, "No price is known for this hardware, so no cost is said."),
        (usd == 0, "The price was set to nothing, so the costs say nothing about a saving."),
        (own and usd, "The price per hour was given by whoever made this; it is nobody's list price."),
        (
            rented and (price.gpu or document["device"].startswith("CPU")) and not names_gpu(price, document["device"]),
            f"The seconds are those of {document['device']}; the price is that of another machine (profile "
            f"{price.id}), which can be faster or slower. What the machine measured costs is not known.",
        ),
        (
            usd,
            "Costs are estimates for a machine that is busy all the time. Idle hours, storage, traffic and taxes come "
            "on top, and prices change.",
        ),
    ]
