"""What the command line takes: python -m pipeline COMMAND, its options and their help. Some are app.py's, too."""

from __future__ import annotations

import argparse
import os
from typing import NoReturn

from pipeline.axes import AXES
from pipeline.catalog import ROLES
from pipeline.request import number
from pipeline.spending import MOST_USD


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, not the whole usage."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def listed(text: str) -> list[str]:
    """A comma-separated list of names."""
    return [part.strip() for part in text.split(",") if part.strip()]


def places() -> Parser:
    """Where things are, of the page and of every command."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("DIPTYCH_DATA"),
        help="history, votes and caches (default: the user's data folder; also: DIPTYCH_DATA)",
    )
    parent.add_argument("--model-file", metavar="TOML", help="your own models and pairs, beside the shipped ones")
    return parent


def money() -> Parser:
    """What pictures cost, and may cost."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--price",
        metavar="PROFILE",
        default=os.environ.get("DIPTYCH_PRICE") or None,  # a Space's variable can be empty
        help="a profile of assets/prices.toml, or dollars per hour (also: DIPTYCH_PRICE)",
    )
    parent.add_argument(
        "--spend",
        metavar="USD",
        default=os.environ.get("DIPTYCH_SPEND"),
        help="what hosted pictures may cost at list prices until this ends, those of a page's visitors too (default: "
        f"{MOST_USD:g}, visitors nothing; also: DIPTYCH_SPEND)",
    )
    return parent


def parser() -> Parser:
    main = Parser(prog="python -m pipeline", description="Compare an image model with its efficient successor.")
    commands = main.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="COMMAND")

    everywhere = Parser(add_help=False, parents=[places()])
    everywhere.add_argument("--json", action="store_true", help="print one JSON document as the last line")

    reported = Parser(add_help=False)
    reported.add_argument(
        "--report", metavar="FILE", help="also write one offline page (.html), or a zip with all files"
    )

    prompted = Parser(add_help=False)
    prompted.add_argument("prompt")

    picture = Parser(add_help=False, parents=[money()])
    picture.add_argument("--negative-prompt", default="", metavar="TEXT")
    picture.add_argument("--seed", type=number, metavar="N", help="default: a random one, which is printed")
    picture.add_argument("--width", type=number, metavar="N", help="pixels")
    picture.add_argument("--height", type=number, metavar="N", help="pixels")
    picture.add_argument("--out", metavar="DIR", default="diptych-out", help="where pictures go (default: %(default)s)")
    picture.add_argument("--fresh", action="store_true", help="make pictures anew even if they are in the cache")

    both = commands.add_parser(
        "compare", parents=[prompted, picture, reported, everywhere], help="one prompt through both models of a pair"
    )
    both.add_argument("--pair", metavar="ID", help="or any two models as MODEL:MODEL")
    both.add_argument("--repeat", type=number, default=1, metavar="K", help="runs a model; the median counts")
    both.add_argument("--throughput", action="store_true", help="also pictures a minute, several at once")
    for role in ROLES:
        both.add_argument(f"--{role}-steps", type=number, metavar="N")
        both.add_argument(f"--{role}-guidance", type=number, metavar="G")
        both.add_argument(f"--{role}-switches", type=listed, metavar="S,S,…", help="such as fp8-weights; see models")

    one = commands.add_parser("generate", parents=[prompted, picture, everywhere], help="one picture with one model")
    one.add_argument("--model", required=True, metavar="ID", help="or a folder, or a downloaded Hub id")
    one.add_argument("--steps", type=number, metavar="N")
    one.add_argument("--guidance", type=number, metavar="G")
    one.add_argument("--switches", type=listed, metavar="S,S,…", help="such as fp8-weights; see models")

    grid = commands.add_parser(
        "sweep",
        parents=[picture, reported, everywhere],
        help="a grid over any two of models, prompts, seeds and settings",
    )
    drawn = grid.add_mutually_exclusive_group()
    drawn.add_argument("prompt", nargs="?")
    drawn.add_argument("--prompts-file", metavar="FILE", help="instead of PROMPT: one prompt a line")
    drawn.add_argument("--prompt-set", metavar="ID", help="instead of PROMPT: a set of many, such as general")
    whose = grid.add_mutually_exclusive_group()
    whose.add_argument("--model", metavar="ID,ID,…")
    whose.add_argument("--pair", metavar="ID", help="both models of a pair, or of MODEL:MODEL")
    for axis in AXES:
        if axis.name not in ("models", "prompts"):
            grid.add_argument(f"--{axis.name}", metavar="V,V,…", help=axis.how)
    grid.add_argument("--judge", metavar="ID", help="then have this network judge it, as judge does")
    grid.add_argument("--resume", metavar="ENTRY", help="go on with a sweep that was stopped or killed")

    judge = commands.add_parser(
        "judge", parents=[reported, everywhere], help="have a network judge the pictures of a kept sweep"
    )
    judge.add_argument("entry", metavar="ENTRY", help="the id that sweep prints")
    judge.add_argument("--by", metavar="ID", help="a judge that models lists, or a folder with a CLIP in it")

    commands.add_parser("models", parents=[everywhere], help="what can run here, and if not, why not")

    fetched = commands.add_parser("download", parents=[everywhere], help="bring a model of the Hub onto this machine")
    fetched.add_argument("model", nargs="?", metavar="ID", help="a model of the catalogue, a judge, or a bare Hub id")
    fetched.add_argument("--pair", metavar="ID", help="both models of a pair instead")

    bench = commands.add_parser("bench", parents=[everywhere], help="benchmarks; without a name, the list")
    bench.add_argument("name", nargs="?", metavar="NAME")
    bench.add_argument("--runs", type=number, metavar="N")
    bench.add_argument("--pair", metavar="ID", help="instead of the default pair, or any two models as MODEL:MODEL")
    bench.add_argument("--model", metavar="ID", help="one model alone, in benches that need no pair")

    commands.add_parser("stored", parents=[everywhere], help="remake the page's stored pictures from the bundled pair")
    return main
