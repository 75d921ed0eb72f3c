"""Entries of the history as HTML: one card each. Markup escapes what it is given; buttons only say what they are for,
and history_tab's script passes that on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.catalog import Catalog
from pipeline.claims import claim, unclaimed
from pipeline.history import Entry
from pipeline.ui.sweep_markup import and_more, over
from pipeline.wording import cost_text, count, rate_text, seconds_text, seed_text, switches_text, when

PICTURES_MAX = 4
"""Small pictures on a card; a sweep has more."""


def cards(
    entries: Sequence[Entry],
    catalog: Catalog,
    address: Callable[[Path], str | None],
    votes: Callable[[Entry], str] = lambda _: "",
) -> Markup:
    """All cards, in the order given. ``address``: where a browser finds the small picture of a kept file. ``votes``:
    what was said in a vote, in a few words."""
    items = Markup("").join(_card(entry, catalog, address, votes) for entry in entries)
    return Markup('<ul class="kept-list">{}</ul>').format(items)


def _card(
    entry: Entry, catalog: Catalog, address: Callable[[Path], str | None], votes: Callable[[Entry], str]
) -> Markup:
    said = [*_facts(entry, catalog), *([votes(entry)] if entry.kind == "vote" else [])]
    facts = Markup("").join(Markup('<p class="note">{}</p>').format(fact) for fact in said if fact)
    moment = datetime.fromtimestamp(entry.made_at, UTC).isoformat(timespec="seconds")
    prompts = entry.document.get("values", {}).get("prompts", ()) if entry.kind == "sweep" else ()
    return Markup(
        '<li class="kept" data-id="{}"><div class="kept-pictures">{}</div>'
        '<div class="kept-text"><p class="kept-prompt">{}{}</p>{}'
        '<p class="note"><time datetime="{}">{}</time></p></div><div class="kept-buttons">{}</div></li>'
    ).format(
        entry.id, _pictures(entry, address), entry.prompt, and_more(prompts), facts, moment, when(entry.made_at),
        _buttons(entry),
    )  # fmt: skip


def _pictures(entry: Entry, address: Callable[[Path], str | None]) -> Markup:
    found = []
    for place in sorted(entry.files)[:PICTURES_MAX]:
        where = address(entry.files[place])
        alt = f"{_name(entry, place)}: {entry.prompt}"
        found.append(
            Markup('<img src="{}" alt="{}" loading="lazy" width="80" height="80">').format(where, alt)
            if where
            else Markup('<span class="kept-gone" role="img" aria-label="{}">gone</span>').format(alt)
        )
    return Markup("").join(found)


def _name(entry: Entry, place: int) -> str:
    if entry.kind == "comparison":
        return entry.document["lanes"][place]["role"]
    return "picture"


def _facts(entry: Entry, catalog: Catalog) -> list[str]:
    """What it is, and what it took."""
    if entry.kind == "comparison":
        return _comparison(entry.document, catalog)
    names = ", ".join(catalog.name(model) for model in entry.models)
    if entry.kind == "picture":
        return [
            ", ".join(filter(None, [names, seed_text(entry.document), switches_text(entry.document)])),
            f"{seconds_text(entry.document['seconds']['total'])} · {cost_text(entry.document['cost_usd'])}"
            f"{rate_text(entry.document)}",
        ]
    if entry.kind == "vote":
        return [f"Blind vote on {count(len(entry.document['pairs']), 'pair')}: {names}"]
    return [f"{over(entry.document)}: {count(len(entry.files), 'picture')}", names]


def _comparison(document: Mapping[str, Any], catalog: Catalog) -> list[str]:
    pair = document["pair"]
    name = catalog.pairs[pair].name if pair in catalog.pairs else pair
    slow, fast = document["lanes"]
    head = claim(document) if document["speedup"] is not None else unclaimed(document)[0]
    seconds = f"{seconds_text(fast['seconds']['total'])} against {seconds_text(slow['seconds']['total'])}"
    cost = cost_text(fast["cost_usd"], slow["cost_usd"]) + rate_text(document)
    switched = (f"{lane['role']}: {said}" for lane in (fast, slow) if (said := switches_text(lane)))
    return [", ".join([name, seed_text(document), *switched]), head, f"{seconds} · {cost}"]


def _buttons(entry: Entry) -> Markup:
    star = "★ Starred" if entry.starred else "☆ Star"
    vote = Markup('<a href="?vote={}">Open</a>').format(entry.id)
    opening = vote if entry.kind == "vote" else _button("open", "Open")
    pressed = Markup(' aria-pressed="{}"').format("true" if entry.starred else "false")
    return opening + _button("unstar" if entry.starred else "star", star, pressed) + _button("delete", "Delete")


def _button(act: str, text: str, more: Markup | None = None) -> Markup:
    return Markup('<button type="button" data-act="{}"{}>{}</button>').format(act, more or "", text)
