"""One offline HTML file for stakeholders: pictures, settings, hardware, prices and times. No request leaves it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.catalog import ASSETS
from pipeline.errors import PlaygroundError
from pipeline.wording import claim, dollars, per_thousand, seconds_text


def write_report(path: Path, title: str, document: Mapping[str, Any], lanes: list[Mapping[str, Any]]) -> None:
    """Write ``document`` with its ``lanes`` (or cells), whose ``image`` is the path of a PNG that exists.

    Every text is escaped by the template engine. Raises PlaygroundError if the file cannot be written.
    """
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "claim": claim,
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


def _inline(path: str) -> str:
    return "data:image/png;base64," + base64.b64encode(Path(path).read_bytes()).decode()
