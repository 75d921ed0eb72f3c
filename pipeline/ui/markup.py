"""The few pieces of HTML that Gradio has no component for: verdict, stage bars, progress. Markup escapes what it is
given.

Pure functions from documents (pipeline.compare); nothing here knows Gradio or the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipeline.charts import Stretch, stretches
from pipeline.claims import claims, fidelity_text, interval_text, throughput_text, unclaimed, unsteady
from pipeline.compare import hosted_of
from pipeline.cost import machine_sum, picture_sum
from pipeline.hosted import HostedCall
from pipeline.judged import NOBODY, evidence, judged_claim
from pipeline.prices import PriceProfile
from pipeline.reading import not_all_read, reading_text
from pipeline.wording import (
    cost_text,
    count,
    dollars,
    evaluations_text,
    made_by,
    seconds_range,
    seconds_text,
    seed_text,
    shortened,
    switches_text,
    takes,
)

WORTH_SAYING_S = 0.01
"""A wait or load shorter than this is left unsaid."""


def verdict(document: Mapping[str, Any], *, stored: str = "", refused: str = "") -> Markup:
    """The answer in words a stakeholder reads. ``stored``: when and where, for a comparison that was not run now.
    ``refused``: why what was asked for since did not begin, or this broke off."""
    slow, fast = document["lanes"]
    runs = min(slow["runs"], fast["runs"])
    counted = f"median of {runs} runs" if runs > 1 else "1 run"
    if slow["previews"] or fast["previews"]:
        counted += ", live previews on"
    facts = [
        f"“{shortened(document['prompt'])}”, {seed_text(document)}",
        f"{seconds_text(fast['seconds']['total'])} against {seconds_text(slow['seconds']['total'])}",
        counted,
        *_work(slow, fast),
        made_by(document),
    ]
    if unsteady([slow, fast]):
        facts.append("a model's runs differ by more than half: the machine may have been busy")
    if document["speedup"] is None:
        head, why = unclaimed(document)
        said = [head, *filter(None, [judged_claim(document)])]  # which no time of these two pictures is part of
        facts.insert(2, why)
    else:
        said = claims(document)
        if told := interval_text(document.get("significance")):
            facts.insert(3, told)
    head = Markup("").join(Markup('<strong class="claim">{}</strong>').format(each) for each in said)
    rate = throughput_text(document["lanes"])
    busy = Markup("<p>Throughput of a busy machine: {}</p>").format(rate) if rate else ""
    line = Markup(" · ").join(Markup('<span class="fact">{}</span>').format(fact) for fact in facts)
    warning = _said_unread(not_all_read(document))
    inner = Markup('{}{}<div class="claims">{}</div>{}<p>{}</p>{}{}').format(
        fault(refused) if refused else "",
        _question(document, stored),
        head,
        warning,
        line,
        busy,
        _good_enough(document),
    )
    return _card(inner, announced=bool(refused))


def _question(document: Mapping[str, Any], stored: str) -> Markup:
    asked = document.get("question") or ""  # entries of older versions have none
    if not asked and not stored:
        return Markup("")
    tag = Markup('<span class="tag">{}</span>').format(stored) if stored else ""
    return Markup('<p class="question"><span class="note">{}</span>{}</p>').format(asked, tag)


def _work(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> list[str]:
    """What the models did for it; providers tell neither whether theirs was warm nor how often it was evaluated."""
    if slow.get("hosted") or fast.get("hosted"):
        return ["network and providers' queues included"]
    return [
        "warm" if slow["warm"] and fast["warm"] else "cold",
        f"{fast['steps']} against {count(slow['steps'], 'step')}, {evaluations_text(fast)} against "
        f"{evaluations_text(slow)} evaluation{'' if slow['model_evaluations'] == 1 else 's'}",
        *_switched(slow, fast),
    ]


def _switched(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> list[str]:
    """What else differs, or not, between the two: nobody may take a switch's doing for the model's."""
    old, new = map(switches_text, (slow, fast))
    if old == new:
        return [f"both: {old}"] if old else []
    return [f"{role}: {said}" for role, said in (("efficient", new), ("predecessor", old)) if said]


def _good_enough(document: Mapping[str, Any]) -> Markup:
    """What is known of the pictures: of many, as far as somebody judged, and of these two."""
    known = evidence(document) or f"{NOBODY}; put some prompts to a blind vote (Vote tab)."
    text = f"Good enough? {known}"
    if near := fidelity_text(document):
        text += f" How near these two pictures are, not how good: {near}."
    return hint(text)


def message(text: str, kind: str = "note") -> Markup:
    """One sentence in the verdict's place. ``kind`` "error" is announced to screen readers at once."""
    if kind == "error":
        return _card(fault(text), announced=True)
    return _card(Markup('<p class="{}">{}</p>').format(kind, text))


def hint(text: str) -> Markup:
    """One small line."""
    return Markup('<p class="note">{}</p>').format(text)


def fault(text: str) -> Markup:
    """One sentence beside a control that cannot do what was asked, announced at once."""
    return Markup('<p class="error" role="alert">{}</p>').format(text)


def _card(inner: Markup, announced: bool = False) -> Markup:
    """``announced``: something within is an alert, and of two live regions in each other all would be read twice."""
    live = "" if announced else Markup(' aria-live="polite"')
    return Markup('<section class="verdict"{}>{}</section>').format(live, inner)


def lane(
    document: Mapping[str, Any],
    price: PriceProfile,
    longest_s: float,
    device: str,
    beside: Sequence[float | None] = (),
) -> Markup:
    """Under a picture: total, cost, stage bar on the scale of ``longest_s`` seconds, and the sum behind the cost.
    ``device``: this machine's, if it made any. ``beside``: the other picture's cost."""
    seconds = document["seconds"]
    spread = ""
    if document["runs"] > 1:
        between = seconds_range(document["seconds_min"], document["seconds_max"])
        spread = Markup(' · <span class="note">{}, {} runs</span>').format(between, document["runs"])
    cached = Markup(' <span class="tag">from the cache</span>') if document["cache"] == "hit" else ""
    stages = stretches(seconds, longest_s)
    parts = [
        Markup("<p><strong>{}</strong> · {}{}{}</p>").format(
            seconds_text(seconds["total"]), _cost(document["cost_usd"], beside), cached, spread
        ),
        _unread(document),
        _unseeded(document),
        hint(f"Switched on: {switches_text(document)}") if document.get("switches") else "",
        _bar(stages),
        _legend(document, stages, device),
        _how(document, price, device),
    ]
    return Markup('<div class="lane-numbers">{}</div>').format(Markup("").join(parts))


def _cost(usd: float | None, beside: Sequence[float | None]) -> Markup:
    """A price that nobody can picture stands behind that of a thousand."""
    said, each = cost_text(usd, beside=beside), dollars(usd)
    more = "" if said == each else Markup(' · <span class="note">{} each</span>').format(each)
    return Markup("<strong>{}</strong>{}").format(said, more)


def _unread(document: Mapping[str, Any]) -> Markup:
    """That not all of the prompt was read is seen in the picture, and looks like a fault of the model."""
    said = reading_text(document.get("reading"))
    return _said_unread(said and f"This model {said}.")


def _said_unread(text: str) -> Markup:
    return Markup('<p class="unread">{}</p>').format(text) if text else Markup("")


def _unseeded(document: Mapping[str, Any]) -> Markup:
    if takes(document, "seed"):
        return Markup("")
    return hint("Takes no seed: drawn again, it is another picture.")


def _bar(stages: Sequence[Stretch]) -> Markup:
    part = Markup('<span class="stage {}" style="width:{:.3f}%"></span>')
    parts = Markup("").join(part.format(each.stage, 100 * each.width) for each in stages)
    return Markup('<div class="bar" aria-hidden="true">{}</div>').format(parts)


def _legend(document: Mapping[str, Any], stages: Sequence[Stretch], device: str) -> Markup:
    items = []
    for each in stages:
        reused = " (reused)" if each.stage == "encode" and document["encode_cached"] else ""
        items.append(Markup('<span><i class="stage {}"></i>{}{}</span>').format(each.stage, each.text, reused))
    apart = [
        f"{stage} {seconds_text(document['seconds'][stage])}"
        for stage in ("wait", "load")
        if document["seconds"][stage] >= WORTH_SAYING_S
    ]
    notes = [f"not counted: {' and '.join(apart)}"] if apart else []
    if document["peak_memory_bytes"]:
        whose = " of the whole process" if device.startswith("CPU") else " of this model"
        notes.append(f"peak memory{whose} {document['peak_memory_bytes'] / 1e9:.2f} GB")
    rest = Markup('<span class="note">{}</span>').format(" · ".join(notes)) if notes else ""
    return Markup('<p class="legend">{}{}</p>').format(Markup("").join(items), rest)


def _how(document: Mapping[str, Any], price: PriceProfile, device: str) -> Markup:
    if call := hosted_of(document):
        return _how_hosted(document["seconds"]["total"], price, call)
    read = f", read {price.as_of}" if price.as_of else ""
    return Markup(
        "<details><summary>how?</summary><p>{}<br>Seconds measured on {}; price: {}. Source: {}{}.<br>"
        "Total is encode + denoise + decode on a warm model. The machine is taken to be busy all the time; "
        "idle hours cost extra.</p></details>"
    ).format(machine_sum(document["seconds"]["total"], price).formula, device, price.name, price.source, read)


def _how_hosted(seconds: float, price: PriceProfile, call: HostedCall) -> Markup:
    said = call.price
    whence = ""
    if said:
        whence = Markup("List price of {}. Source: {}, {}. {}<br>").format(
            said.name, said.source, said.as_of, said.note
        )
    return Markup(
        "<details><summary>how?</summary><p>{}<br>{}Drawn by {}. Total is the whole call as this machine sees it, a "
        "connection made anew: network, the provider's queue and its model. Nobody outside can tell them apart, and "
        "they vary with hour and place.</p></details>"
    ).format(picture_sum(seconds, price, call).formula, whence, call.provider)


def progress(text: str, share: float = 0.0, of: str = "") -> Markup:
    """In the picture's place while it is not finished. ``share``: 0 to 1. ``of``: whose it is. Not a live region: a
    text that changes every second would be read out every second."""
    if not text:
        return Markup("")
    return Markup(
        '<div class="progress" role="progressbar" aria-label="{}" aria-valuenow="{:.0f}" aria-valuetext="{}">'
        '<span>{}</span><div class="track"><div style="width:{:.1f}%"></div></div></div>'
    ).format(f"Progress of the {of}" if of else "Progress", 100 * min(1.0, share), text, text, 100 * min(1.0, share))


def status(device: str, state: str, kind: str = "ready") -> Markup:
    """The line at the top right: device and whether it is ready."""
    return Markup('<p class="status {}" role="status"><i aria-hidden="true"></i><span>{} · {}</span></p>').format(
        kind, device, state
    )
