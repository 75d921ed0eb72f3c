"""What people said in blind votes, and networks of a sweep, of the models and settings that the page shows; for whoever
may know it."""

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


def opinions_of(
    playground: Playground, visitors: Visitors, token: object, request: gr.Request, document: Mapping[str, Any]
) -> str:
    """Sentences on the votes and the judged sweeps at a comparison's settings that this visitor had made, for nobody
    shall be swayed by how another's stands; empty where there are none."""
    try:
        votes = visitors.find(token, request, kind="vote", pair=document["pair"])
        people = vote_markup.people(playground.votes.of_settings(votes, document))
        sweeps = visitors.find(token, request, kind="sweep")
        judges = (vote_markup.judge(*said) for said in playground.judging.of_settings(sweeps, document))
        return " ".join(filter(None, (people, *judges)))
    except PlaygroundError:
        log.exception("the votes cannot be read")
        return ""
