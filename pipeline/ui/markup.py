"""The few pieces of HTML that Gradio has no component for: verdict, stage bars, progress. Everything is escaped here.

Pure functions from documents (pipeline.compare) to text; nothing here knows Gradio or the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pipeline.charts import Stretch, stretches
from pipeline.claims import claims, fidelity_text, interval_text, throughput_text, unclaimed
from pipeline.compare import hosted_of
from pipeline.cost import machine_sum, picture_sum
from pipeline.hosted import HostedCall
from pipeline.judged import NOBODY, evidence, judged_claim
from pipeline.prices import PriceProfile
from pipeline.reading import not_all_read, reading_text
from pipeline.wording import (
    TINY_USD,
    count,
    dollars,
    made_by,
    per_thousand,
    seconds_range,
    seconds_text,
    seed_text,
    shortened,
    takes,
)

WORTH_SAYING_S = 0.01
"""A wait or load shorter than this is left unsaid."""


def verdict(document: Mapping[str, Any], *, stored: str = "") -> str:
    """The answer in words a stakeholder reads. ``stored``: when and where, for a comparison that was not run now."""
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
    if document["speedup"] is None:
        head, why = unclaimed(document)
        said = [head, *filter(None, [judged_claim(document)])]  # which no time of these two pictures is part of
        facts.insert(2, why)
    else:
        said = claims(document)
        if told := interval_text(document.get("significance")):
            facts.insert(3, told)
    head = "".join(f'<strong class="claim">{escape(each)}</strong>' for each in said)
    rate = throughput_text(document["lanes"])
    busy = f"<p>Throughput of a busy machine: {escape(rate)}</p>" if rate else ""
    line = " · ".join(f'<span class="fact">{escape(fact)}</span>' for fact in facts)
    asked = document.get("question")  # entries of older versions have none
    tag = f'<span class="tag">{escape(stored)}</span>' if stored else ""
    question = f'<p class="question"><span class="note">{escape(asked or "")}</span>{tag}</p>' if asked or tag else ""
    unread = not_all_read(document)
    warning = f'<p class="unread">{escape(unread)}</p>' if unread else ""
    return _card(f'{question}<div class="claims">{head}</div>{warning}<p>{line}</p>{busy}{_good_enough(document)}')


def _work(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> list[str]:
    """What the models did for it; providers tell neither whether theirs was warm nor how often it was evaluated."""
    if slow.get("hosted") or fast.get("hosted"):
        return ["network and providers' queues included"]
    return [
        "warm" if slow["warm"] and fast["warm"] else "cold",
        f"{fast['steps']} against {count(slow['steps'], 'step')}, {fast['model_evaluations']} against "
        f"{count(slow['model_evaluations'], 'evaluation')}",
    ]


def _good_enough(document: Mapping[str, Any]) -> str:
    """What is known of the pictures: of many, as far as somebody judged, and of these two."""
    known = evidence(document) or f"{NOBODY}; put some prompts to a blind vote (Vote tab)."
    text = f"Good enough? {known}"
    if near := fidelity_text(document):
        text += f" How near these two pictures are, not how good: {near}."
    return f'<p class="note">{escape(text)}</p>'


def message(text: str, kind: str = "note") -> str:
    """One sentence in the verdict's place. ``kind`` "error" is announced to screen readers at once."""
    role = "alert" if kind == "error" else "status"
    return _card(f'<p class="{kind}" role="{role}">{escape(text)}</p>')


def hint(text: str) -> str:
    """One small line."""
    return f'<p class="note">{escape(text)}</p>'


def fault(text: str) -> str:
    """One sentence beside a control that cannot do what was asked, announced at once."""
    return f'<p class="error" role="alert">{escape(text)}</p>'


def _card(inner: str) -> str:
    return f'<section class="verdict" aria-live="polite">{inner}</section>'


def lane(document: Mapping[str, Any], price: PriceProfile, longest_s: float, device: str) -> str:
    """Under a picture: total, cost, stage bar on the scale of ``longest_s`` seconds, and the sum behind the cost.
    ``device``: this machine's, if it made any."""
    seconds = document["seconds"]
    spread = ""
    if document["runs"] > 1:
        between = seconds_range(document["seconds_min"], document["seconds_max"])
        spread = f' · <span class="note">{between}, {document["runs"]} runs</span>'
    cached = ' <span class="tag">from the cache</span>' if document["cache"] == "hit" else ""
    cost, stages = document["cost_usd"], stretches(seconds, longest_s)
    return (
        '<div class="lane-numbers">'
        f"<p><strong>{seconds_text(seconds['total'])}</strong> · {_cost(cost)}{cached}{spread}</p>"
        f"{_unread(document)}{_unseeded(document)}{_bar(stages)}{_legend(document, stages, device)}"
        f"{_how(document, price, device)}</div>"
    )


def _cost(usd: float | None) -> str:
    """A price that nobody can picture stands behind that of a thousand."""
    if usd is None or usd >= TINY_USD or usd == 0:
        return f"<strong>{dollars(usd)}</strong>"
    return f'<strong>{per_thousand(usd)}</strong> · <span class="note">{dollars(usd)} each</span>'


def _unread(document: Mapping[str, Any]) -> str:
    """That not all of the prompt was read is seen in the picture, and looks like a fault of the model."""
    said = reading_text(document.get("reading"))
    return f'<p class="unread">This model {escape(said)}.</p>' if said else ""


def _unseeded(document: Mapping[str, Any]) -> str:
    if takes(document, "seed"):
        return ""
    return '<p class="note">Takes no seed: drawn again, it is another picture.</p>'


def _bar(stages: Sequence[Stretch]) -> str:
    part = '<span class="stage {}" style="width:{:.3f}%"></span>'
    parts = "".join(part.format(each.stage, 100 * each.width) for each in stages)
    return f'<div class="bar" aria-hidden="true">{parts}</div>'


def _legend(document: Mapping[str, Any], stages: Sequence[Stretch], device: str) -> str:
    items = []
    for each in stages:
        reused = " (reused)" if each.stage == "encode" and document["encode_cached"] else ""
        items.append(f'<span><i class="stage {each.stage}"></i>{each.text}{reused}</span>')
    apart = [
        f"{stage} {seconds_text(document['seconds'][stage])}"
        for stage in ("wait", "load")
        if document["seconds"][stage] >= WORTH_SAYING_S
    ]
    notes = [f"not counted: {' and '.join(apart)}"] if apart else []
    if document["peak_memory_bytes"]:
        whose = " of the whole process" if device.startswith("CPU") else " of this model"
        notes.append(f"peak memory{whose} {document['peak_memory_bytes'] / 1e9:.2f} GB")
    rest = f'<span class="note">{" · ".join(notes)}</span>' if notes else ""
    return f'<p class="legend">{"".join(items)}{rest}</p>'


def _how(document: Mapping[str, Any], price: PriceProfile, device: str) -> str:
    if call := hosted_of(document):
        return _how_hosted(document["seconds"]["total"], price, call)
    read = f", read {price.as_of}" if price.as_of else ""
    return (
        "<details><summary>how?</summary><p>"
        f"{escape(machine_sum(document['seconds']['total'], price).formula)}<br>"
        f"Seconds measured on {escape(device)}; price of {escape(price.name)}. "
        f"Source: {escape(price.source)}{escape(read)}.<br>"
        "Total is encode + denoise + decode on a warm model. The machine is taken to be busy all the time; "
        "idle hours cost extra.</p></details>"
    )


def _how_hosted(seconds: float, price: PriceProfile, call: HostedCall) -> str:
    said = call.price
    whence = ""
    if said:
        source = f"{said.source}, {said.as_of}"
        whence = f"List price of {escape(said.name)}. Source: {escape(source)}. {escape(said.note)}<br>"
    return (
        f"<details><summary>how?</summary><p>{escape(picture_sum(seconds, price, call).formula)}<br>{whence}"
        f"Drawn by {escape(call.provider)}. Total is the whole call as this machine sees it, a connection made anew: "
        "network, the provider's queue and its model. Nobody outside can tell them apart, and they vary with hour and "
        "place.</p></details>"
    )


def progress(text: str, share: float = 0.0) -> str:
    """In the picture's place while it is not finished. ``share``: 0 to 1."""
    if not text:
        return ""
    return (
        f'<div class="progress" role="status"><span>{escape(text)}</span>'
        f'<div class="track"><div style="width:{100 * min(1.0, share):.1f}%"></div></div></div>'
    )


def status(device: str, state: str, kind: str = "ready") -> str:
    """The line at the top right: device and whether it is ready."""
    return (
        f'<p class="status {kind}" role="status"><i aria-hidden="true"></i>'
        f"<span>{escape(device)} · {escape(state)}</span></p>"
    )
