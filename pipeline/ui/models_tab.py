"""The Models tab: every model of the catalogue, whether it runs here, and if not, why not."""

from __future__ import annotations

import gradio as gr

from pipeline.catalog import Catalog
from pipeline.models import models_document

HEADERS = ["Model", "Runs here", "Steps", "Guidance", "Pixels", "Weights", "Licence", "From"]


def build(catalog: Catalog) -> None:
    """A table of models, then the pairs with the question each one answers."""
    document = models_document(catalog)
    gr.Dataframe(
        [
            [
                f"{model['name']}: {model['summary']}",
                "yes" if model["runs_here"] else f"no: {model['why_not']}",
                f"{model['steps']['default']:g} ({model['steps']['min']:g} to {model['steps']['max']:g})",
                f"{model['guidance']['default']:g}",
                f"{model['size']['default']}",
                f"{model['weight_bytes'] / 1e6:.0f} MB",
                model["licence"],
                model["source"],
            ]
            for model in document["models"]
        ],
        headers=HEADERS,
        label="Models",
        interactive=False,
        wrap=True,
        column_widths=["30%", "8%", "10%", "8%", "7%", "8%", "8%", "21%"],
    )
    gr.Dataframe(
        [[pair["name"], pair["question"]] for pair in document["pairs"]],
        headers=["Pair", "Question"],
        label="Pairs",
        interactive=False,
        wrap=True,
    )
