"""The pairs, models and judges of the catalogue as HTML: a table where there is room, else one block each.
Markup escapes what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipeline.charts import column_heads
from pipeline.models import judge_text, model_text, pair_text
from pipeline.prices import source_url
from pipeline.wording import size_text

PAIR_HEADS = ("Pair", "On this machine", "Question")
JUDGE_HEADS = ("Judge", "On this machine", "Weights", "Licence", "From")
MODEL_HEADS = ("Model", "On this machine", "Steps", "Guidance", "Pixels", "Weights", "Licence", "From")


def catalogue(document: Mapping[str, Any]) -> Markup:
    """Of a document of :func:`pipeline.models.models_document`: pairs first, which is what a comparison begins with."""
    pairs = [_pair(pair, pair["id"] == document["recommended"]) for pair in document["pairs"]]
    models = [_model(model) for model in document["models"]]
    judges = [_judge(judge) for judge in document["judges"]]
    return Markup('<p class="note">What runs on {}, and how.</p>{}{}{}').format(
        document["device"],
        _table("Pairs", PAIR_HEADS, pairs),
        _table("Models", MODEL_HEADS, models),
        _table("Judges of a sweep", JUDGE_HEADS, judges),
    )


def _pair(pair: Mapping[str, Any], recommended: bool) -> list[str]:
    said = [pair[name] for name in ("note", "opt_in") if pair[name]]
    remarks = Markup("").join(Markup('<p class="note">{}</p>').format(text) for text in said)
    best = Markup(' <span class="tag">best for this machine</span>') if recommended else ""
    return [
        Markup("<strong>{}</strong>{}").format(pair["name"], best),
        pair_text(pair),
        Markup("<p>{}</p>{}").format(pair["question"], remarks),
    ]


def _model(model: Mapping[str, Any]) -> list[str]:
    steps, hosted = model["steps"], model["hosted"]
    page, licence = model["licence_url"], model["licence"]
    if page and source_url(page):  # a --model-file is no place for other links
        licence = Markup('<a href="{}" target="_blank" rel="noopener">{}</a>').format(page, licence)
    return [
        _named(model["name"], model["summary"]),
        model_text(model),
        _range(steps) if steps["min"] < steps["max"] or not hosted else "not told",
        f"{model['guidance']['default']:g}" if model["guidance"]["max"] > 1 or not hosted else "not told",
        f"{model['size']['default']}",
        "none here" if hosted else size_text(model["weight_bytes"]),
        licence,
        model["source"],
    ]


def _judge(judge: Mapping[str, Any]) -> list[str]:
    return [
        _named(judge["name"], judge["note"]),
        judge_text(judge),
        size_text(judge["weight_bytes"]),
        judge["licence"],
        judge["source"],
    ]


def _named(name: str, note: str) -> Markup:
    return Markup('<strong>{}</strong><p class="note">{}</p>').format(name, note)


def _range(steps: Mapping[str, float]) -> str:
    between = f" ({steps['min']:g} to {steps['max']:g})" if steps["min"] < steps["max"] else ""
    return f"{steps['default']:g}{between}"


def _table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """``rows``: each cell is text, or Markup."""
    body = Markup("").join(_row(heads, *row) for row in rows)
    return Markup(
        '<table class="catalogue"><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
    ).format(name, column_heads(heads), body)


def _row(heads: Sequence[str], first: str, *rest: str) -> Markup:
    cell = Markup('<td data-head="{}"><div>{}</div></td>')
    cells = Markup("").join(cell.format(*each) for each in zip(heads[1:], rest, strict=True))
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(first, cells)
