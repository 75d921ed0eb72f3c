"""Benchmarks: ``python -m pipeline bench NAME`` prints a table for people, with --json one document after it.

A bench is a function of the number of runs, and most also of what they run on, that returns a plain dict: numbers and
words, and under ``rows`` what belongs into columns. What a number means and what is left out stands at the top of the
bench's file. Nothing here passes or fails anything by time: the targets are printed beside the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from pipeline.catalog import known
from pipeline.errors import InputError
from pipeline.request import REPEAT_MAX, whole

PAIR = ("pair", "model_file")
ALONE = ("pair", "model", "model_file")


@dataclass(frozen=True)
class Bench:
    """``run`` is its function and ``runs`` its own number of them. ``takes``: what it can be told to run on; without
    any, it takes only the number of runs."""

    run: Callable[..., dict[str, Any]]
    runs: int
    takes: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """In one line."""
        return (self.run.__doc__ or "").partition("\n")[0]


BENCHES = {
    "pair": Bench(pair.run, 10, PAIR),
    "throughput": Bench(throughput.run, 5, PAIR),
    "overhead": Bench(overhead.run, 10, ALONE),
    "served": Bench(served.run, 10),
    "startup": Bench(startup.run, 3),
    "concurrency": Bench(concurrency.run, 3, PAIR),
    "memory": Bench(memory.run, 20, PAIR),
    "sharing": Bench(sharing.run, 4, PAIR),
    "compile": Bench(compiled.run, 5, ALONE),
    "peak": Bench(peak.run, 2, ALONE),
    "precision": Bench(precision.run, 3, ALONE),
}


def run(name: object, runs: object = None, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Run one bench. ``runs`` None is the bench's own number. Raises InputError for an unknown name or number, or for
    something to run on that this bench does not take."""
    bench: Bench = known(BENCHES, "bench", name)
    count = whole("runs", runs, 1, REPEAT_MAX, default=bench.runs)
    for field, value in vars(subject).items():
        if value is not None and field not in bench.takes:
            raise InputError(
                f"{field} is nothing that bench {name} can be told; it takes {' or '.join(bench.takes) or 'none'}."
            )
    if subject.pair and subject.model:
        raise InputError("pair and model exclude each other; name one of them.")
    return {"bench": name, "runs": count, **(bench.run(count, subject) if bench.takes else bench.run(count))}


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
