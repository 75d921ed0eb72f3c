"""Checkpoints with random weights, in the Hub's layout: what a bench needs where the real files are not at hand.

    python -m pipeline.bench.random_weights PAIR OUT [--tiny]

writes both models of a shipped pair below OUT, in full size and their own dtype, and OUT/PAIR.toml, a model file that
knows them as random-MODEL and random-PAIR. Components that the cards hold once are written once (hard links).
Time, memory and what is shared are the real models' own, for they follow from shapes; pictures are noise, and so is
all that is said about them. The tokenizer has one token a byte: a text is longer than with the models' own, which
lengthens the encoding of Z-Image, SANA and SANA-Sprint.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.bench.architectures import ARCHITECTURES, Part, Size
from pipeline.cards import Dtype, ModelCard
from pipeline.catalog import ROLES, Catalog, Pair, load_catalog
from pipeline.errors import InputError, PlaygroundError
from pipeline.weights import INDEX

PREFIX = "random-"
TINY_SIZE = {"default": 32, "min": 32, "max": 64}
"""Pixels of a tiny model."""
CHAT = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}"


def tokenizer(length: int) -> Any:
    """One token a byte, so that any text has one."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    special = pad, begin, end = "<pad>", "<s>", "</s>"
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=pad, bos_token=begin, eos_token=end, model_max_length=length
    )
    made.chat_template = CHAT
    return made


def component(part: Part, size: Size) -> Any:
    """One component; a network's weights are on the meta device, which takes no memory."""
    import diffusers
    import torch
    import transformers

    config = {**part.both, **(part.tiny if size == "tiny" else part.full)}
    if part.kind == "tokenizer":
        return tokenizer(**config)
    if kind := getattr(diffusers, part.kind, None):
        with torch.device("meta") if issubclass(kind, torch.nn.Module) else torch.device("cpu"):
            return kind(**config)
    kind = getattr(transformers, part.kind)
    with torch.device("meta"):
        return kind(kind.config_class(**config))


def part_bytes(pipeline: str, size: Size, dtype: Dtype) -> dict[str, int]:
    """Bytes of every network of a pipeline class; a tensor that two layers share counts once."""
    import torch

    width = torch.empty((), dtype=getattr(torch, dtype)).itemsize
    found = {}
    for name, part in ARCHITECTURES[pipeline].parts.items():
        made = component(part, size)
        if isinstance(made, torch.nn.Module):
            tensors = {id(tensor): tensor.numel() for tensor in made.state_dict(keep_vars=True).values()}
            found[name] = width * sum(tensors.values())
    return found


def save(
    pipeline: str,
    folder: Path,
    seed: int = 0,
    *,
    size: Size = "tiny",
    dtype: Dtype = "float32",
    options: dict[str, bool] | None = None,
    same: dict[str, Path] | None = None,
) -> Path:
    """Write a checkpoint of a pipeline class; equal seeds give equal weights.

    ``options``: further arguments of the pipeline's constructor. ``same``: folders of components that are not made
    but linked. One component at a time is in memory, on the GPU where there is one.
    """
    import diffusers
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    architecture, same = ARCHITECTURES[pipeline], same or {}
    index: dict[str, Any] = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__}
    for number, (name, part) in enumerate(architecture.parts.items()):
        made = component(part, size)
        index[name] = [type(made).__module__.partition(".")[0], type(made).__name__]
        if name in same:
            shutil.copytree(same[name], folder / name, copy_function=_link)
            continue
        if isinstance(made, torch.nn.Module):
            _materialise(made, getattr(torch, dtype), 1000 * seed + number)
        made.save_pretrained(folder / name)
    settings = architecture.options | (options or {})
    index |= {name: [None, None] if value is None else value for name, value in settings.items()}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _materialise(network: Any, dtype: Any, seed: int) -> None:
    """Random weights that keep a signal about as large as it came: nothing overflows, and no picture is flat."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dice = torch.Generator(device).manual_seed(seed)
    made: dict[int, torch.Tensor] = {}
    weights = {}
    for name, meta in network.state_dict(keep_vars=True).items():
        if id(meta) not in made:  # two names for one tensor stay one
            tensor = torch.zeros(meta.shape, dtype=dtype if meta.is_floating_point() else meta.dtype, device=device)
            if tensor.ndim > 1:
                tensor.normal_(0, math.prod(tensor.shape[1:]) ** -0.5, generator=dice)
            elif name.endswith(("weight", "running_var")):  # of a norm
                tensor.fill_(1)
            made[id(meta)] = tensor
        weights[name] = made[id(meta)]
    network.load_state_dict(weights, assign=True)
    if hasattr(network, "tie_weights"):
        network.tie_weights()


def build(catalog: Catalog, pair: Pair, out: Path, size: Size = "full") -> Iterator[tuple[ModelCard, float]]:
    """Write both models of ``pair`` and the model file; yields the card and the seconds of each as it is done.

    Raises InputError: no full size is known, the folder is there already, or the disk has no room.
    """
    cards = {role: catalog.model(pair.lane(role).model) for role in ROLES}
    for card in cards.values():
        if card.pipeline not in ARCHITECTURES or not ARCHITECTURES[card.pipeline].has(size):
            raise InputError(f"{card.name} has no {size} size in pipeline/bench/architectures.py; choose another pair.")
        if (out / f"{PREFIX}{card.id}").exists():
            raise InputError(f"{out / f'{PREFIX}{card.id}'} is there already; remove it or choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    sizes = {role: part_bytes(card.pipeline, size, card.dtypes[0]) for role, card in cards.items()}
    old, new = (cards[role] for role in ROLES)
    common = [name for name, key in new.shared.items() if old.shared.get(name) == key]
    needed = sum(sum(found.values()) for found in sizes.values()) - sum(
        sizes["efficient"].get(name, 0) for name in common
    )
    free = shutil.disk_usage(out).free
    if needed > free:
        raise InputError(f"The pair needs {needed / 1e9:.1f} GB in {out}, which has {free / 1e9:.1f} GB free.")
    made = []
    for number, role in enumerate(ROLES):
        begin = time.perf_counter()
        card, folder = cards[role], out / f"{PREFIX}{cards[role].id}"
        same = {name: out / f"{PREFIX}{old.id}" / name for name in common} if role == "efficient" else {}
        options = _options(card)
        save(card.pipeline, folder, number, size=size, dtype=card.dtypes[0], options=options, same=same)
        made.append(own_card(card, sizes[role], size))
        yield made[-1], time.perf_counter() - begin
    text = "\n".join([*(_table("models", card) for card in made), _table("pairs", own_pair(pair))])
    (out / f"{pair.id}.toml").write_text(text, encoding="utf-8")


def _options(card: ModelCard) -> dict[str, bool]:
    """The only option that differs within a pair: it says whether a FLUX.2 is to be guided."""
    return {"is_distilled": not card.negative_prompt} if card.pipeline == "Flux2KleinPipeline" else {}


def own_card(card: ModelCard, sizes: dict[str, int], size: Size) -> ModelCard:
    """The card of the random model: a shipped one's with the built bytes, and keys that are shared with no real one."""
    changed = {
        "id": f"{PREFIX}{card.id}",
        "name": f"{card.name} (random weights)",
        "summary": "Random weights: its times and bytes are real, its pictures are noise.",
        "path": f"{PREFIX}{card.id}",
        "licence": "none: random numbers",
        "gated": "no",
        "shared": {name: f"{PREFIX}{key}" for name, key in card.shared.items()},
        "weight_bytes": sum(sizes.values()),
        "part_bytes": sizes,
    }
    if size == "tiny":
        changed |= {"cpu": True, "size": card.size.model_dump() | TINY_SIZE}
    dropped = {"repo", "revision", "variant", "replace", "lora", "licence_url"}
    dropped |= {"memory_bytes", "memory_source"} if size == "tiny" else set()
    return ModelCard.model_validate(card.model_dump(exclude_unset=True, exclude=dropped) | changed)


def own_pair(pair: Pair) -> Pair:
    """The shipped pair with the random models in its lanes."""
    lanes = {role: pair.lane(role).model_copy(update={"model": f"{PREFIX}{pair.lane(role).model}"}) for role in ROLES}
    named = {"id": f"{PREFIX}{pair.id}", "name": f"{pair.name} (random weights)", "same_path": False}
    return pair.model_copy(update={**named, **lanes})


def _table(table: str, entry: ModelCard | Pair) -> str:
    fields = entry.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items() if name != "id"]
    return "\n".join([f"[{table}.{json.dumps(entry.id)}]", *lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {_toml(held)}' for name, held in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Build a pair and say how to use it. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.bench.random_weights", description=__doc__.splitlines()[0]
    )
    parser.add_argument("pair", metavar="PAIR", help="a pair of the catalogue")
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder that gets both models and PAIR.toml")
    parser.add_argument("--tiny", action="store_true", help="a few thousand weights instead of all")
    options = parser.parse_args(argv)
    try:
        catalog = load_catalog()
        pair = catalog.pair(options.pair)
        for card, seconds in build(catalog, pair, options.out, "tiny" if options.tiny else "full"):
            parts = ", ".join(f"{name} {size / 1e9:.3g}" for name, size in card.part_bytes.items())
            print(f"{card.id}: {card.weight_bytes / 1e9:.4g} GB ({parts}) in {seconds:.1f} s", flush=True)
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"--model-file {options.out / f'{pair.id}.toml'} --pair {PREFIX}{pair.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
