"""The pairs, models and judges of the catalogue as HTML: a table where there is room, else one block each.
Everything is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pipeline.models import told, told_of_judge, told_of_model
from pipeline.wording import size_text

PAIR_HEADS = ("Pair", "On this machine", "Question")
JUDGE_HEADS = ("Judge", "On this machine", "Weights", "Licence", "From")
MODEL_HEADS = ("Model", "On this machine", "Steps", "Guidance", "Pixels", "Weights", "Licence", "From")


def catalogue(document: Mapping[str, Any]) -> str:
    """Of a document of :func:`pipeline.models.models_document`: pairs first, which is what a comparison begins with."""
    pairs = [_pair(pair, pair["id"] == document["recommended"]) for pair in document["pairs"]]
    models = [_model(model) for model in document["models"]]
    judges = [_judge(judge) for judge in document["judges"]]
    return (
        f'<p class="note">What runs on {escape(document["device"])}, and how.</p>'
        f"{_table('Pairs', PAIR_HEADS, pairs)}{_table('Models', MODEL_HEADS, models)}"
        f"{_table('Judges of a sweep', JUDGE_HEADS, judges)}"
    )


def _pair(pair: Mapping[str, Any], recommended: bool) -> list[str]:
    remarks = "".join(f'<p class="note">{escape(pair[name])}</p>' for name in ("note", "opt_in") if pair[name])
    best = ' <span class="tag">best for this machine</span>' if recommended else ""
    return [
        f"<strong>{escape(pair['name'])}</strong>{best}",
        escape(told(pair)),
        f"<p>{escape(pair['question'])}</p>{remarks}",
    ]


def _model(model: Mapping[str, Any]) -> list[str]:
    steps, hosted = model["steps"], model["hosted"]
    page = model["licence_url"]
    licence = escape(model["licence"])
    return [
        f'<strong>{escape(model["name"])}</strong><p class="note">{escape(model["summary"])}</p>',
        escape(told_of_model(model)),
        _range(steps) if steps["min"] < steps["max"] or not hosted else "not told",
        f"{model['guidance']['default']:g}" if model["guidance"]["max"] > 1 or not hosted else "not told",
        f"{model['size']['default']}",
        "none here" if hosted else size_text(model["weight_bytes"]),
        f'<a href="{escape(page)}" target="_blank" rel="noopener">{licence}</a>' if page else licence,
        escape(model["source"]),
    ]


def _judge(judge: Mapping[str, Any]) -> list[str]:
    return [
        f'<strong>{escape(judge["name"])}</strong><p class="note">{escape(judge["note"])}</p>',
        escape(told_of_judge(judge)),
        size_text(judge["weight_bytes"]),
        escape(judge["licence"]),
        escape(judge["source"]),
    ]


def _range(steps: Mapping[str, float]) -> str:
    between = f" ({steps['min']:g} to {steps['max']:g})" if steps["min"] < steps["max"] else ""
    return f"{steps['default']:g}{between}"


def _table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``rows``: HTML, escaped already."""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(
            f'<td data-head="{text}"><div>{cell}</div></td>' for text, cell in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<table class="catalogue"><caption>{name}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )
