"""Sets of prompts for a sweep that is to be voted on or judged: many prompts say what one cannot."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass

from pipeline.cards import ASSETS
from pipeline.catalog import known

HELD_OUT = 50
"""Of the bundled pair's 100: enough for a first answer, and few enough for a vote."""


@dataclass(frozen=True)
class PromptSet:
    name: str
    prompts: tuple[str, ...]


def prompt_sets() -> dict[str, PromptSet]:
    """By id: those of assets/prompts.toml, and what the bundled pair is judged by."""
    table = tomllib.loads((ASSETS / "prompts.toml").read_text(encoding="utf-8"))["sets"]
    found = {key: PromptSet(one["name"], tuple(one["prompts"])) for key, one in table.items()}
    samples = json.loads((ASSETS / "models" / "samples.json").read_text(encoding="utf-8"))
    held_out = tuple(samples["prompts"]["everyday"][:HELD_OUT])
    return {**found, "held-out": PromptSet(f"{len(held_out)} that the bundled pair never saw", held_out)}


def prompts_of(name: str) -> list[str]:
    """The prompts of a set. Raises InputError with the known ids."""
    return list(known(prompt_sets(), "prompt-set", name).prompts)
