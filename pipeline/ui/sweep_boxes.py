"""The boxes of the Sweep tab in which a person writes what it goes over, and what stands in them before they do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.axes import AXES
from pipeline.cards import ModelCard, Range
from pipeline.catalog import Catalog, Pair
from pipeline.errors import InputError
from pipeline.playground import Playground
from pipeline.prompt_sets import prompt_sets, prompts_of
from pipeline.sweep import Plan, over_pair
from pipeline.ui.compare_view import CompareView

FEW_STEPS = 8
"""A model that takes no more can be tried at each of them."""
FIRST_PROMPT = "a red apple"
TAKE_OFFER = """(offer, offered, ...boxes) => {
  const untouched = JSON.stringify(boxes) === JSON.stringify(offered);
  return untouched ? [offer, ...offer] : [offered, ...boxes].map(() => ({__type__: "update"}));
}"""
"""In the browser, so that nothing is lost of what somebody types meanwhile."""


@dataclass(frozen=True)
class SweepBoxes:
    """``all``: one an axis, in the order of AXES. ``sets``: fills them for two models over many prompts. ``offer``,
    ``offered``: what stands in them if nobody has written anything, by now and before."""

    all: list[gr.components.Component]
    sets: gr.Dropdown
    offer: gr.JSON
    offered: gr.JSON


def build(playground: Playground) -> SweepBoxes:
    """With what belongs to the default pair."""
    catalog = playground.catalog
    named = [(card.name, card.id) for card in catalog.models.values()]
    first = offer_of(catalog, playground.default_pair, FIRST_PROMPT)
    at = dict(zip([axis.name for axis in AXES], first, strict=True))
    how = hints(catalog, at["models"])
    with gr.Row():
        models = gr.Dropdown(
            named, value=at["models"], multiselect=True, label="Models of the sweep", min_width=240, scale=3
        )
        prompts = gr.Textbox(at["prompts"], label="Prompts, one a line", lines=1, max_lines=6, min_width=240, scale=3)
        sets = gr.Dropdown(
            [(one.name, key) for key, one in prompt_sets().items()],
            value=None,
            label="Or the pair over many prompts",
            min_width=220,
            scale=2,
        )
    with gr.Row():
        numbers = [
            gr.Textbox(
                at[name],
                label=f"{name.capitalize()} of the sweep",
                info=info,
                max_lines=1,
                min_width=160,
            )
            for name, info in how.items()
        ]
    hidden = [gr.JSON(first, visible="hidden") for _ in range(2)]
    return SweepBoxes([models, prompts, *numbers], sets, *hidden)


def attach(
    boxes: SweepBoxes, view: CompareView, catalog: Catalog, tab: gr.Tab, start: gr.Button, weigh: dict[str, Any]
) -> None:
    """``weigh``: the event that tells what the boxes come to."""

    def on_offer(pair_id, prompt) -> Any:
        with suppress(InputError):
            return offer_of(catalog, catalog.pair(pair_id), prompt or FIRST_PROMPT)
        return gr.skip()

    def on_set(pair_id, key) -> dict:
        if key is None:  # emptied, below
            return gr.skip()
        updates = {boxes.sets: None}
        try:
            filled = over_many(catalog, catalog.pair(pair_id), prompts_of(key))
            updates |= dict(zip(boxes.all, filled, strict=True))
        except InputError as error:
            gr.Info(str(error))
        return updates

    def on_models(models) -> list[gr.Textbox]:
        return [gr.Textbox(info=info) for info in hints(catalog, models or []).values()]

    at_once = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    models, _, *numbers = boxes.all
    models.change(on_models, models, numbers, trigger_mode="always_last", **at_once)
    # What was started with is no longer an offer.
    start.click(None, None, boxes.offered, js="() => null", **at_once)
    tab.select(on_offer, [view.pair, view.prompt], boxes.offer, **at_once).then(
        None, [boxes.offer, boxes.offered, *boxes.all], [boxes.offered, *boxes.all], js=TAKE_OFFER, **at_once
    ).then(**weigh)
    boxes.sets.input(on_set, [view.pair, boxes.sets], [boxes.sets, *boxes.all], **at_once)


def hints(catalog: Catalog, models: Sequence[str]) -> dict[str, str]:
    """How to write several values of each setting, by the name of its axis, with examples that all of these models
    take: whoever copies one is not refused."""
    cards = [catalog.models[model] for model in models if model in catalog.models]
    said = {axis.name: axis.how for axis in AXES if axis.name not in ("models", "prompts")}
    hosted = next((card for card in cards if card.hosted), None)
    if cards:
        said["steps"] = _steps_hint(cards)
        said["guidance"] = _guidance_hint(cards)
    if hosted:
        said["switches"] = f"leave it empty: none for {hosted.name}"
    return said


def _steps_hint(cards: Sequence[ModelCard]) -> str:
    """4 to 100: 4, 8, 16 or 4..7."""
    low, high = _shared([card.steps for card in cards])
    single = next((card.name for card in cards if card.fixed_steps or card.steps.single), None)
    if single or low >= high:
        return _own_only(single)
    few = ", ".join(f"{low * factor:g}" for factor in (1, 2, 4) if low * factor <= high)
    return f"{low:g} to {high:g}: {few} or {low:g}..{min(low + 3, high):g}; empty: its own"


def _guidance_hint(cards: Sequence[ModelCard]) -> str:
    """1 to 10: 1, 1.5 or 1, 1.5, .., 3."""
    low, high = _shared([card.guidance for card in cards])
    single = next((card.name for card in cards if card.fixed_guidance or card.guidance.single), None)
    if single or low >= high:
        return _own_only(single)
    step = min(0.5, (high - low) / 2)
    few, last = f"{low:g}, {low + step:g}", low + step * min(4, int((high - low) / step + 1e-9))
    return f"{low:g} to {high:g}: {few} or {few}, .., {last:g}; empty: its own"


def _shared(ranges: Sequence[Range]) -> tuple[float, float]:
    """What is in all of them; the first is larger than the second where nothing is."""
    return max(limits.min for limits in ranges), min(limits.max for limits in ranges)


def _own_only(model: str | None) -> str:
    """``model``: the name of one that knows a single value."""
    return f"leave it empty: {f'fixed for {model}' if model else 'no two suit all of these models'}"


def offer_of(catalog: Catalog, pair: Pair, prompt: str) -> list[Any]:
    """What the boxes say of a pair until somebody changes them: its efficient model over some steps; of one that takes
    none both models instead."""
    card = catalog.model(pair.efficient.model)
    if card.fixed_steps or card.steps.single:
        return _filled([each.id for each in catalog.cards(pair)], prompts=prompt)
    steps = _steps_around(int(pair.efficient.steps or card.steps.default), card.steps)
    return _filled([card.id], prompts=prompt, steps=steps)


def over_many(catalog: Catalog, pair: Pair, prompts: Sequence[str]) -> list[Any]:
    """The same for many prompts: what compares the pair; where nothing differs, its one model over some steps."""
    text, found = "\n".join(prompts), over_pair(catalog, pair)
    if len(found) == 1 == len(found["models"]):
        return offer_of(catalog, pair, text)
    models = found.pop("models")
    return _filled(models, prompts=text, **{name: ", ".join(values) for name, values in found.items()})


def boxes_of(plan: Plan) -> list[Any]:
    """What the boxes say to ask for such a sweep again, but for what they do not know, as its size."""
    between = {"prompts": "\n"}
    texts = {axis.name: between.get(axis.name, ", ").join(map(str, plan.values[axis.name])) for axis in AXES[1:]}
    return _filled(list(plan.values["models"]), **texts)


def _filled(models: list[str], **texts: str) -> list[Any]:
    """A value for each box; what is not given is each model's own."""
    texts = {"seeds": "7", **texts}
    return [models, *(texts.get(axis.name, "") for axis in AXES[1:])]


def _steps_around(usual: int, limits: Range) -> str:
    """All from the fewest to a little above the usual ones; or these and their halves, where they are many."""
    if usual <= FEW_STEPS:
        return f"{limits.min:g}..{min(limits.max, usual + 2):g}"
    return ", ".join(str(usual >> halved) for halved in (3, 2, 1, 0) if usual >> halved >= limits.min)
