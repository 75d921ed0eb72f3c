"""Two buttons for what a tab shows as one offline file, made when it is asked for; and those of the Compare tab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline import stored
from pipeline.compare import repriced
from pipeline.disk import writing
from pipeline.errors import InputError, PlaygroundError
from pipeline.playground import Playground
from pipeline.report import title_of, write_report
from pipeline.report_pictures import Item
from pipeline.ui.price_box import chosen_price
from pipeline.ui.served import keep_report, new_file
from pipeline.wording import slug

AT_ONCE = 2
"""Reports being written, of all tabs: hundreds of pictures keep a core busy for a minute, and take half a gigabyte of
disk that nobody counts yet."""


@dataclass(frozen=True)
class ReportButtons:
    """``buttons``: by the suffix of the file that each one makes. ``file``: the unseen one that hands it out."""

    buttons: dict[str, gr.Button]
    file: gr.DownloadButton


def build(file_id: str = "report-file", more: Mapping[str, str] | None = None) -> ReportButtons:
    """The buttons, side by side. A download button of Gradio's hands out the file it has had before the click, so it
    stays unseen and is pressed once the file is there. ``more``: other kinds of file, by suffix."""
    names = {".html": "Report (HTML)", ".zip": "Report (zip)", **(more or {})}
    buttons = {suffix: gr.Button(name, size="sm", min_width=110, scale=0) for suffix, name in names.items()}
    return ReportButtons(buttons, gr.DownloadButton(visible="hidden", elem_id=file_id))


def attach(report: ReportButtons, playground: Playground, shown: gr.State, price: gr.Dropdown) -> None:
    """``shown``: the document on the page, with its pictures' paths; ``price``: what the price box says."""

    def report_as(suffix: str):
        def on_report(document: dict[str, Any] | None, wanted: str | float) -> Path:
            if document is None:
                raise InputError("There is no finished comparison on the page: press Compare first.")
            priced = repriced(document, chosen_price(playground, wanted, document["device"]))
            path = new_file(f"diptych-{slug(document['prompt'])}-{document['seed']}{suffix}")
            item, catalog = Item(priced, stored.FOLDER, _kept(playground, document)), playground.catalog
            write_report(path, title_of(priced, catalog), [item], catalog, playground.prices)
            return path

        return on_report

    offer(report, report_as, [shown, price])


def _kept(playground: Playground, document: Mapping[str, Any]) -> Mapping[int, Path] | None:
    """The pictures of a document on the page as the history keeps them, since what the page hands out is swept; None
    where there is no entry, or no more. Its id comes from the server's own state of this page, so its visitor was shown
    it already."""
    with suppress(PlaygroundError):
        return playground.history.get(document.get("entry")).files
    return None


def offer(
    report: ReportButtons, making: Callable[[str], Callable[..., Path]], inputs: list[gr.components.Component]
) -> None:
    """``making``: for a suffix the handler that makes the file of ``inputs`` and returns its path, a ``new_file``, or
    raises PlaygroundError, whose sentence is shown."""
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    few = {"concurrency_id": "report", "concurrency_limit": AT_ONCE}
    for suffix, button in report.buttons.items():
        button.click(_told(making(suffix)), inputs, report.file, **quiet, **few).success(
            None, js=f"() => document.getElementById('{report.file.elem_id}').click()", **quiet
        )


def _told(make: Callable[..., Path]) -> Callable[..., str]:
    @wraps(make)  # Gradio reads from the signature whether it wants the request
    def made(*given: Any) -> str:
        try:
            with writing("the report", "choose another folder with --data"):
                return keep_report(make(*given))
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return made
