"""What the Compare tab shows for settings that came from elsewhere and for entries of the history: from these to values
of components. Runs nothing and registers nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from pipeline import settings
from pipeline.catalog import ROLES, Catalog, Role
from pipeline.compare import lane_document, repriced
from pipeline.errors import InputError
from pipeline.events import Result
from pipeline.history import Entry
from pipeline.playground import Playground
from pipeline.prices import PriceProfile
from pipeline.request import negative_of
from pipeline.settings import Settings
from pipeline.ui import markup
from pipeline.ui.compare_updates import Updates, cleared, controls, finished, finished_lane
from pipeline.ui.compare_view import CompareView, negative_info, pair_dropdown
from pipeline.ui.price_box import chosen_price
from pipeline.wording import when


def filled_in(view: CompareView, catalog: Catalog, said: Settings) -> Updates:
    """Every control at these settings, and nothing else changed. Raises InputError for a seed that no browser holds."""
    pair, requests = said
    first = requests["predecessor"]
    negative = negative_of(requests.values())
    cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}
    updates = controls(view, catalog, pair, requests)
    updates |= {view.negative: gr.Textbox(negative, info=negative_info(cards))}
    updates |= {view.pair: gr.Dropdown(**pair_dropdown(catalog, pair))}
    return updates | {view.prompt: first.prompt, view.seed: settings.page_seed(first.seed)}


def proposed(view: CompareView, catalog: Catalog, said: Settings, text: str) -> Updates:
    """Settings to be run: no picture stands beside them, and ``text`` says where they come from."""
    return filled_in(view, catalog, said) | cleared(view) | {view.verdict: markup.message(text)}


def told(view: CompareView, text: str) -> Updates:
    """What was asked for cannot be had: one sentence, and the page works."""
    return cleared(view) | {view.verdict: markup.message(text, "error")}


def from_history(
    view: CompareView,
    playground: Playground,
    entry: Entry,
    price: str | float | None,
    opinions: Callable[[Mapping[str, Any]], str],
) -> Updates:
    """A kept comparison or picture as it was when it was made, with its settings, at the ``price`` that the box says:
    that is the visitor's, and stays. ``opinions``: says of a document what was voted and judged at its settings.
    Raises InputError."""
    found = playground.history.results(entry)
    note = f"from your history, made {when(entry.made_at)}"
    if entry.kind == "comparison" and len(found) == len(ROLES):
        said = {**entry.document, "opinions": opinions(entry.document), "entry": entry.id, "note": note}
        at = _price_at(playground, price, entry.document["device"])
        return _comparison(view, playground, said, dict(zip(ROLES, found.values(), strict=True)), at)
    if not found or entry.kind == "sweep":
        raise InputError("The pictures of this entry are gone or damaged; delete it and make it again.")
    result = found[min(found)]
    return _picture(view, playground, result, note, _price_at(playground, price, result.device))


def _price_at(playground: Playground, wanted: str | float | None, device: str) -> PriceProfile:
    """What the box says, or would say of itself: a price that was refused there is no reason to open nothing here."""
    try:
        return chosen_price(playground, wanted, device)
    except InputError:
        return playground.proposed_price(device)


def _comparison(
    view: CompareView,
    playground: Playground,
    said: Mapping[str, Any],
    results: Mapping[Role, Result],
    price: PriceProfile,
) -> Updates:
    pair = playground.catalog.pair(said["pair"])
    requests = {role: result.request for role, result in results.items()}
    again = settings.again(playground.catalog, pair, requests)
    updates = filled_in(view, playground.catalog, again) | cleared(view)
    for role in ROLES:
        updates |= finished_lane(view.lanes[role], role, results[role])
    return updates | finished(view, repriced(said, price), results, price)


def _picture(view: CompareView, playground: Playground, result: Result, note: str, price: PriceProfile) -> Updates:
    """One picture in its lane; the other is empty until Compare is pressed."""
    pair, requests = settings.from_request(playground.catalog, result.request)
    role = next(role for role in ROLES if requests[role] == result.request)
    lane, said = view.lanes[role], lane_document(result, price, role)
    text = f"One picture {note}. Press Compare to draw it with both models."
    updates = proposed(view, playground.catalog, (pair, requests), text)
    updates |= finished_lane(lane, role, result)
    return updates | {lane.numbers: markup.lane(said, price, said["seconds"]["total"], result.device)}
