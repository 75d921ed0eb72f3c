"""One offline HTML file for stakeholders: pictures, settings, hardware, prices and times. No request leaves it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.catalog import ASSETS
from pipeline.cost import dollars, per_thousand
from pipeline.errors import PlaygroundError


def write_report(path: Path, title: str, document: Mapping[str, Any], lanes: list[Mapping[str, Any]]) -> None:
    """Write ``document`` with its ``lanes`` (or cells), whose ``image`` is the path of a PNG that exists.

    Every text is escaped by the template engine. Raises PlaygroundError if the file cannot be written.
    """
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "dollars": dollars,
        "per_thousand": per_thousand,
        "inline": _inline,
        "seconds": seconds_text,
    }
    html = environment.get_template("report.html").render(title=title, document=document, lanes=lanes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise PlaygroundError(
            f"The report {path} cannot be written ({error.strerror}); choose another file."
        ) from error


def seconds_text(seconds: float) -> str:
    """Three significant digits with a unit: 2.81 s, 0.0421 s -> 42.1 ms."""
    if seconds >= 0.9995:
        return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"
    return f"{seconds * 1000:.3g} ms"


def _inline(path: str) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()
