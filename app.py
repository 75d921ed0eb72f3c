"""Diptych's page: python app.py. A Hugging Face Space runs this very file."""

from __future__ import annotations

import argparse
import os
import sys

from pipeline.device import on_zerogpu
from pipeline.options import Parser, money, places


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line. Everything can be left out."""
    parser = Parser(description="Diptych: one prompt, two models, time and cost.", parents=[places(), money()])
    parser.add_argument("--host", help="address to listen on (default: this machine only; on a Space: everywhere)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument(
        "--fetch",
        metavar="ID,ID,…",
        default=os.environ.get("DIPTYCH_FETCH"),
        help="fetch these pairs or judges of the Hub before the page is up, as far as they are not here (also: "
        "DIPTYCH_FETCH)",
    )
    parser.add_argument("--share", action="store_true", help="a public link through Gradio's tunnel")
    parser.add_argument(
        "--offline", action="store_true", help="never reach for the Hub or a provider (also: DIPTYCH_OFFLINE=1)"
    )
    return parser.parse_args(argv)


def main() -> None:
    """Build the page, answer at once, load the models behind it."""
    chosen = options()
    # Before Gradio and the Hub are imported, which read these once. Whoever has set them already knows why.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_MCP_SERVER", "True")
    from pipeline.network import OFFLINE, tell_hub

    if chosen.offline:
        os.environ[OFFLINE] = "1"
    tell_hub()
    from pipeline.errors import PlaygroundError
    from pipeline.playground import open_playground
    from pipeline.terminal import bring

    try:
        playground = open_playground(chosen.data, chosen.price, chosen.model_file, spend=chosen.spend)
        playground.check_data()
        if chosen.fetch:
            bring(playground.catalog.named(chosen.fetch))
    except PlaygroundError as error:
        fail(str(error))
    from pathlib import Path

    # A folder of our own wherever it lies, for what is old in it is removed.
    elsewhere = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(Path(elsewhere) / "diptych" if elsewhere else playground.data / "served")
    from pipeline.ui.page import build_page, launch_options
    from pipeline.ui.readiness import Readiness
    from pipeline.ui.served import served_folders

    made, uploads = served_folders(Path(os.environ["GRADIO_TEMP_DIR"]))
    for folder in (made, uploads):
        folder.sweep()
    readiness = Readiness(playground)
    try:
        page = build_page(playground, readiness)
    except PlaygroundError as error:  # the history cannot be opened
        fail(str(error))
    except OSError as error:
        fail(f"The page's files cannot be written ({error}); choose another folder with --data.")
    if on_zerogpu():
        readiness.start()
    try:
        page.launch(
            server_name=chosen.host,
            server_port=chosen.port,
            share=chosen.share or None,  # None: as GRADIO_SHARE says
            max_threads=128,
            run_history=False,
            prevent_thread_lock=True,
            **launch_options(uploads),
        )
    except (OSError, OverflowError) as error:
        where = f"port {chosen.port}" if chosen.port else "any port from 7860"
        fail(f"The page cannot listen on {where} ({type(error).__name__}); choose a free one with --port.")
    for folder in (made, uploads):
        folder.protect(str(page.config))
        folder.start()
    if not on_zerogpu():
        readiness.start()
    try:
        page.block_thread()
    finally:
        playground.engine.close()


def fail(sentence: str) -> None:
    """One line on stderr, exit status 2."""
    print(f"app.py: {sentence}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
