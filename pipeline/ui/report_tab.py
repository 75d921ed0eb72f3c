"""The Bundled pair tab: the report of `python -m pipeline.training evaluate`, with its contact sheets."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

PICTURE = re.compile(r"^!\[(?P<label>[^\]]*)\]\((?P<file>[\w.-]+)\)$", re.MULTILINE)


def build(folder: Path) -> None:
    """REPORT.md of ``folder``; its pictures as pictures that can be enlarged."""
    text = (folder / "REPORT.md").read_text(encoding="utf-8")
    done = 0
    for picture in PICTURE.finditer(text):
        gr.Markdown(text[done : picture.start()], elem_classes="report")
        gr.Image(
            str(folder / picture["file"]),
            alt_text=picture["label"],
            label=picture["label"],
            show_label=False,
            interactive=False,
            buttons=["download", "fullscreen"],
        )
        done = picture.end()
    gr.Markdown(text[done:], elem_classes="report")
