"""The commands. Each continues where it was interrupted; without an argument they run in order."""

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import torch

from pipeline.errors import PlaygroundError
from pipeline.training import art, captions, data, distil, evaluate, export, judge, text, train

COMMANDS = ("data", "train", "distil", "sheet", "export", "evaluate")
MODELS = Path(__file__).parents[2] / "assets" / "models"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.training", description=__doc__)
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="default: all in order")
    parser.add_argument("--work", type=Path, default=Path(platformdirs.user_cache_dir("diptych")) / "training")
    parser.add_argument("--out", type=Path, default=MODELS, help="where export writes the two models")
    parser.add_argument("--minutes", type=positive(float), help="budget of active minutes for train or distil")
    parser.add_argument(
        "--steps", type=positive(int), help="the same in steps, reproducible (distil: with --trajectories)"
    )
    parser.add_argument(
        "--trajectories",
        type=positive(int),
        help="distil: so many are stored, and --minutes are for what follows (default: 45 %% of them are for storing)",
    )
    parser.add_argument("--no-compile", action="store_true", help="run the networks as they are: for very short runs")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--batch", type=positive(int), help="pictures a step (default 32; a GPU takes more: see README)"
    )
    parser.add_argument("--rate", type=float, dest="learning_rate", help="learning rate (default: 1e-3, distil 3e-4)")
    parser.add_argument("--rest-weight", type=float, help="of pictures beyond the everyday ones, against 1 for those")
    parser.add_argument("--start", help="go on from this exported model (distil: the efficient one)")
    parser.add_argument(
        "--keep", type=float, default=0.0, help="export: share that stays of train's --start and of its student"
    )
    parser.add_argument("--note", default="", help="a sentence for the model cards that export writes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        if options.device == "cuda" and not torch.cuda.is_available():
            raise PlaygroundError("This machine has no CUDA device; use --device cpu.")
        for command in (options.command,) if options.command else COMMANDS:
            run(command, options)
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def positive(kind: type) -> Callable[[str], int | float]:
    """What argparse reads a number above 0 with."""

    def read(text: str) -> int | float:
        if not (number := kind(text)) > 0:
            raise argparse.ArgumentTypeError(f"must be above 0; got {text}")
        return number

    read.__name__ = kind.__name__  # for argparse's own message
    return read


def run(command: str, options: argparse.Namespace) -> None:
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    if command == "data":
        data.fetch(work)
        pictures = data.pack(work).pictures
        (work / "held_out.json").write_text(json.dumps(captions.held_out_list(pictures), indent=0))
        text.build(work, captions.vocabulary(pictures))
        return
    pack = data.load(work)
    tokenizer, encoder = text.load(work)
    given = {name: getattr(options, name) for name in ("minutes", "steps", "batch", "learning_rate")}
    settings = {"device": options.device, "compile": not options.no_compile}
    settings |= {name: value for name, value in given.items() if value is not None}
    if command == "train":
        if options.rest_weight is not None:
            settings["rest_weight"] = options.rest_weight
        train.train(pack, tokenizer, encoder, work, train.Settings(**settings, start=options.start))
    elif command == "distil":
        start = options.start if options.command else None  # in order, it was train's
        distilling = distil.Settings(**settings, start=start, trajectories=options.trajectories)
        distil.distil(pack, tokenizer, encoder, work, distilling)
    elif command == "sheet":
        print(train.sheet(work, tokenizer, encoder, options.device))
        if (work / "efficient.pt").exists():
            print(distil.sheet(work, tokenizer, encoder, options.device))
    elif command == "evaluate":
        seeing = judge.load(work, lambda: art.load(work, pack.pictures))
        print(evaluate.evaluate(pack, seeing, options.out, work))
    else:
        for folder in export.publish(
            work, options.out, tokenizer, encoder, len(pack.pictures), options.note, options.keep
        ):
            print(folder)


if __name__ == "__main__":
    sys.exit(main())
