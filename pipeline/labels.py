"""What one picture of a sweep, or one setting of it, is called. Pure functions of kept documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.wording import guidance_text, steps_text

DEPTH = ("steps", "guidance")
"""What a picture is called by where nothing is varied."""


def cell_label(document: Mapping[str, Any], cell: Mapping[str, Any], model: str) -> str:
    """What sets one picture of a sweep apart from the others; ``model``: its name."""
    return _label(_varied(document) or DEPTH, cell, model)


def setting_label(document: Mapping[str, Any], cell: Mapping[str, Any], model: str) -> str:
    """What sets a cell's setting apart from the others, whatever the prompt and the seed; ``model``: its name."""
    return _label([axis for axis in _varied(document) if axis not in ("prompts", "seeds")] or DEPTH, cell, model)


def setting_of(cell: Mapping[str, Any]) -> tuple:
    """What is the same for cells that differ in prompt and seed only. What was kept before there were switches has
    none."""
    return cell["model"], cell["steps"], cell["guidance"], tuple(cell.get("switches", ()))


def work_of(cell: Mapping[str, Any]) -> tuple | None:
    """What takes a model equally long whenever it is the same: in the cells of a sweep, which have one size, its steps
    and how often its network is evaluated. None where nobody can tell: a provider does not, and a step cache skips as
    it likes."""
    switches = tuple(cell.get("switches", ()))
    if cell["model_evaluations"] is None or "step-cache" in switches:
        return None
    return cell["model"], cell["steps"], cell["model_evaluations"], switches


def _varied(document: Mapping[str, Any]) -> list[str]:
    return [axis for axis in (document.get("rows"), document.get("columns")) if axis]


def _label(axes: Iterable[str], cell: Mapping[str, Any], model: str) -> str:
    said = {
        "models": model,
        "prompts": cell.get("prompt", ""),
        "seeds": f"seed {cell.get('seed')}",
        "steps": steps_text(cell),
        "guidance": guidance_text(cell),
        "switches": " + ".join(cell["switches"]) or "no switch",
    }
    return ", ".join(said[axis] for axis in axes)
