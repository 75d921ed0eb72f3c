"""What people said in blind votes of the models and settings that the page shows, for whoever may know it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from pipeline.errors import PlaygroundError
from pipeline.playground import Playground
from pipeline.ui import vote_markup
from pipeline.ui.visitors import Visitors

log = logging.getLogger(__name__)


def people_of(
    playground: Playground, visitors: Visitors, token: object, request: gr.Request
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Gives a comparison's document with ``people``: a sentence on the votes that this visitor had made, for nobody
    shall be swayed by how another's stands; empty where there are none."""

    def add(document: Mapping[str, Any]) -> dict[str, Any]:
        try:
            own = visitors.find(token, request, kind="vote", pair=document["pair"])
            said = vote_markup.people(playground.votes.of_settings(own, document))
        except PlaygroundError:
            log.exception("the votes cannot be read")
            said = ""
        return {**document, "people": said}

    return add
