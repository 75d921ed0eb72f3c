"""What people said in blind votes of the models and settings that the page shows, for whoever may know it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import gradio as gr

from pipeline.errors import PlaygroundError
from pipeline.playground import Playground
from pipeline.ui import vote_markup
from pipeline.ui.visitors import Visitors

log = logging.getLogger(__name__)


def people_of(
    playground: Playground, visitors: Visitors, token: object, request: gr.Request, document: Mapping[str, Any]
) -> str:
    """A sentence on the votes at a comparison's settings that this visitor had made, for nobody shall be swayed by how
    another's stands; empty where there are none."""
    try:
        own = visitors.find(token, request, kind="vote", pair=document["pair"])
        return vote_markup.people(playground.votes.of_settings(own, document))
    except PlaygroundError:
        log.exception("the votes cannot be read")
        return ""
