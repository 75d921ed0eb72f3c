"""The prompts that the pair is judged by, and the real pictures of them. None was ever trained on.

A cell is a picture in a look that captions.held_out keeps from training: a thing in a colour, or on a ground, that
the models saw only apart. Which cells, and their order, follows from the hash of the split alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline.training.batches import show
from pipeline.training.captions import BACKGROUNDS, Look, coloured, held_out, share, short_name, with_article
from pipeline.training.data import CORE, HUES, Pack, Picture

PROMPTS, SEEDS = 100, range(4)  # of everyday things; of every prompt
ON_THE_SHEET = 32

# Things joined, and colours and grounds together that never went together. Shown as they fall. The first two are what
# everybody tries first; training has seen those.
COMPOSED = (
    "a purple apple", "a green cat", "a blue mushroom house", "a robot cat",
    "a purple camel on a yellow background", "a blue pineapple on a pink background",
    "a green lion on an orange background", "a red flamingo on a light blue background",
    "a purple giraffe on a green background", "a pink key on a black background",
    "a yellow rose on a purple background", "a blue taco on a gray background",
    "a green star on a red background", "a red guitar on a yellow background",
    "a cheese car", "a watermelon house", "a snow castle", "a teddy bear rocket", "a pizza moon", "a fire flower",
    "an ice cream tree", "a ghost octopus", "a candy guitar", "a strawberry balloon",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """row: the picture's in the pack; look: how it is shown; prompt: what one would type for it."""

    row: int
    look: Look
    prompt: str


def looks(picture: Picture) -> list[Look]:
    """Every look that a picture can have in training or out of it."""
    tints = [None, *(word for word in HUES if picture.hue is not None and word != picture.colour)]
    return [Look(tint, background) for tint in tints for background in (None, *BACKGROUNDS)]


def said_in_training(pictures: Sequence[Picture]) -> set[str]:
    """Every prompt of this module's form that names something training did show."""
    shown = [picture for picture in pictures if not held_out(picture)]
    return {prompt(p, look) for p in shown for look in looks(p) if not held_out(p, look)}


def cells(pictures: Sequence[Picture], core: bool) -> list[Cell]:
    """Every look with one thing said of it that is held out, in the order of the split's hash.

    core: of data.CORE only, which is what the pair is made for; else of all the others that were trained on. A look
    that shares its prompt with another picture's trained one ("a green heart" is a picture itself) is not in it.
    """
    found, known = [], said_in_training(pictures)
    for row, picture in enumerate(pictures):
        if held_out(picture) or (picture.name in CORE) != core:
            continue
        for look in looks(picture):
            text = prompt(picture, look)
            if (look.tint is None) != (look.background is None) and held_out(picture, look) and text not in known:
                found.append(Cell(row, look, text))
    return sorted(found, key=lambda cell: share("order", cell.prompt))


def prompt(picture: Picture, look: Look) -> str:
    name = short_name(picture).replace("’", "'")
    noun = with_article(coloured(name, look.tint) if look.tint else name)
    return noun if look.background is None else f"{noun} on {with_article(look.background)} background"


def choose(found: Sequence[Cell], pictures: Sequence[Picture]) -> list[Cell]:
    """The first cell of each thing: captions of so many different things."""
    first: dict[str, Cell] = {}
    for cell in found:
        first.setdefault(short_name(pictures[cell.row]), cell)
    return list(first.values())


def real(pack: Pack, shown: Sequence[Cell]) -> torch.Tensor:
    """The cells as the artist's pictures, recoloured by the rule of the training: (N, 3, S, S) in [-1, 1]."""
    pixels = torch.from_numpy(pack.pixels[[cell.row for cell in shown]]).permute(0, 3, 1, 2)
    wanted = [cell.look for cell in shown]
    return show(pixels, [pack.pictures[cell.row] for cell in shown], wanted)
