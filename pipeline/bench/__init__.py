"""Benchmarks: ``python -m pipeline bench NAME`` prints a table for people, with --json one document after it.

A bench is a function of the number of runs, and most also of what they run on, that returns a plain dict: numbers and
words, and under ``rows`` what belongs into columns. What a number means and what is left out stands at the top of the
bench's file. Nothing here passes or fails anything by time: the targets are printed beside the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.bench import (
    compiled,
    concurrency,
    memory,
    overhead,
    pair,
    peak,
    precision,
    served,
    sharing,
    startup,
    throughput,
)
from pipeline.bench.common import DEFAULT, Subject
from pipeline.errors import InputError, shown
from pipeline.request import REPEAT_MAX, whole

NAMES: dict[str, Callable[..., dict[str, Any]]] = {
    "pair": pair.run,
    "throughput": throughput.run,
    "overhead": overhead.run,
    "served": served.run,
    "startup": startup.run,
    "concurrency": concurrency.run,
    "memory": memory.run,
    "sharing": sharing.run,
    "compile": compiled.run,
    "peak": peak.run,
    "precision": precision.run,
}
DEFAULT_RUNS = {
    "pair": 10, "throughput": 5, "overhead": 10, "served": 10, "startup": 3, "concurrency": 3, "memory": 20,
    "sharing": 4, "compile": 5, "peak": 2, "precision": 3,
}  # fmt: skip
TAKES: dict[str, tuple[str, ...]] = {
    "pair": ("pair", "model_file"),
    "throughput": ("pair", "model_file"),
    "overhead": ("pair", "model", "model_file"),
    "concurrency": ("pair", "model_file"),
    "memory": ("pair", "model_file"),
    "sharing": ("pair", "model_file"),
    "compile": ("pair", "model", "model_file"),
    "peak": ("pair", "model", "model_file"),
    "precision": ("pair", "model", "model_file"),
}
"""What a bench can be told to run on; one that is not here takes only the number of runs."""


def run(name: object, runs: object = None, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Run one bench. ``runs`` None is the bench's own number. Raises InputError for an unknown name or number, or for
    something to run on that this bench does not take."""
    if not isinstance(name, str) or name not in NAMES:
        raise InputError(f"bench must be one of {', '.join(NAMES)}; got {shown(name)}.")
    count = whole("runs", runs, 1, REPEAT_MAX, default=DEFAULT_RUNS[name])
    takes = TAKES.get(name, ())
    for field, value in vars(subject).items():
        if value is not None and field not in takes:
            raise InputError(
                f"{field} is nothing that bench {name} can be told; it takes {' or '.join(takes) or 'none'}."
            )
    if subject.pair and subject.model:
        raise InputError("pair and model exclude each other; name one of them.")
    return {"bench": name, "runs": count, **(NAMES[name](count, subject) if takes else NAMES[name](count))}


def table(document: dict[str, Any]) -> str:
    """The document for people: its rows in columns, then every other value on a line of its own."""
    rows = [{key: _text(value) for key, value in row.items()} for row in document.get("rows", [])]
    lines = []
    if rows:
        lines.append(_columns([dict(zip(rows[0], rows[0], strict=True)), *rows]))
    single = {key: value for key, value in document.items() if key != "rows"}
    width = max(map(len, single))
    lines += [f"{key:<{width}}  {_text(value)}" for key, value in single.items()]
    return "\n".join(lines)


def _columns(rows: list[dict[str, str]]) -> str:
    widths = {key: max(len(row[key]) for row in rows) for key in rows[0]}
    return "\n".join("  ".join(f"{text:<{widths[key]}}" for key, text in row.items()).rstrip() for row in rows) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
