"""The Models tab: every model and pair of the catalogue, whether and how it runs here, and if not, why not."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.catalog import Catalog
from pipeline.device import find_facts
from pipeline.models import models_document, told

HEADERS = ["Model", "Runs here", "Steps", "Guidance", "Pixels", "Weights", "Licence", "From"]
PAIR_HEADERS = ["Pair", "On this machine", "Question"]


def build(catalog: Catalog, tab: gr.Tab) -> None:
    """Two tables, filled when the tab is opened: what runs here is known only once torch has found the device."""
    models = gr.Dataframe(
        headers=HEADERS,
        label="Models",
        interactive=False,
        wrap=True,
        column_widths=["26%", "16%", "9%", "8%", "7%", "8%", "8%", "18%"],
    )
    pairs = gr.Dataframe(
        headers=PAIR_HEADERS, label="Pairs", interactive=False, wrap=True, column_widths=["30%", "35%", "35%"]
    )

    def fill() -> tuple[list[list[str]], list[list[str]]]:
        document = models_document(catalog, find_facts())
        return [_model(model) for model in document["models"]], [_pair(pair) for pair in document["pairs"]]

    tab.select(fill, None, [models, pairs], queue=False, api_visibility="private")


def _model(model: dict[str, Any]) -> list[str]:
    return [
        f"{model['name']}: {model['summary']}",
        f"yes: {model['how']}" if model["runs_here"] else f"no: {model['why_not']}",
        f"{model['steps']['default']:g} ({model['steps']['min']:g} to {model['steps']['max']:g})",
        f"{model['guidance']['default']:g}",
        f"{model['size']['default']}",
        f"{model['weight_bytes'] / 1e6:.0f} MB",
        model["licence"],
        model["source"],
    ]


def _pair(pair: dict[str, Any]) -> list[str]:
    remarks = " ".join(text for text in (pair["question"], pair["note"], pair["opt_in"]) if text)
    return [pair["name"], told(pair), remarks]
