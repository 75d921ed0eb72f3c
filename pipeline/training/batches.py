"""Training draws: step k -> pictures and token ids, a pure function of (seed, k).

Knows how a Look becomes pixels. Because nothing is drawn from a running generator, "data position" is just the
step number and a resumed run sees exactly what an unbroken one would have seen. What is chosen is worked out in
numbers on the processor, for a GPU by other processes ahead of time; pixels are changed where the training is.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from pipeline.device import available_cores
from pipeline.training.captions import BACKGROUNDS, Look, caption, draw_look, held_out
from pipeline.training.data import CORE, HUES, Pack, Picture

CAPTION_DROPOUT = 0.1  # the unconditional branch is the empty prompt (arXiv 2207.12598)
MAX_SCALE, MAX_SHIFT = 0.04, 0.03  # relative; small, and no mirroring: a short run pays for variety in sharpness
WORKERS = min(6, available_cores())  # processes that choose for a GPU


class Batch(NamedTuple):
    """images: float32 (B, 3, size, size) in [-1, 1]; tokens: int64 (B, L); mask: bool (B, L); on the draw's device."""

    images: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor


class Turns(NamedTuple):
    """Whose hue is turned, and by how much. rows: int64 (K,), of a batch; degrees: float32 (K,)."""

    rows: torch.Tensor
    degrees: torch.Tensor


class Chosen(NamedTuple):
    """A batch before there are pixels. pictures: int64 (B,), rows of the pack; grounds: see `grounds_of`; moves: see
    `moves_of`; tokens and mask: as in Batch."""

    pictures: torch.Tensor
    turns: Turns
    grounds: torch.Tensor
    moves: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor


class Choice:
    """Which pictures, in what looks, with what captions. Held-out pictures and looks are never chosen.

    rest_weight: how often a picture outside CORE is chosen, against 1 for one inside.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        seed: int,
        rest_weight: float,
    ):
        self.pictures = pictures
        self.tokenizer, self.max_tokens, self.seed = tokenizer, max_tokens, seed
        self.indices = [i for i, p in enumerate(pictures) if not held_out(p)]
        self.weights = [1.0 if pictures[i].name in CORE else rest_weight for i in self.indices]

    def captions(self, step: int, count: int) -> list[str]:
        """Captions alone, with no dropout: what the distillation asks its teacher to draw."""
        return [text for *_, text in self.chosen(step, count, dropout=0.0)]

    def batch(self, step: int, count: int) -> Chosen:
        chosen = self.chosen(step, count, dropout=CAPTION_DROPOUT)
        looks = [look for _, look, _ in chosen]
        return Chosen(
            torch.tensor([i for i, *_ in chosen]),
            turns_of([self.pictures[i] for i, *_ in chosen], looks),
            grounds_of(looks),
            moves_of(count, np.random.default_rng((self.seed, step))),
            *tokenize(self.tokenizer, [text for *_, text in chosen], self.max_tokens),
        )

    def chosen(self, step: int, count: int, dropout: float) -> list[tuple[int, Look, str]]:
        """(row of the pack, look, caption) of each."""
        rng = random.Random(f"{self.seed}:{step}")
        chosen = []
        for i in rng.choices(self.indices, self.weights, k=count):
            look = draw_look(self.pictures[i], rng)
            text = caption(self.pictures[i], look, rng)
            chosen.append((i, look, "" if rng.random() < dropout else text))
        return chosen


class _Steps(Dataset):
    """Step k -> what is chosen for it, as torch's loader wants it."""

    def __init__(self, choice: Choice, count: int):
        self.choice, self.count = choice, count

    def __getitem__(self, step: int) -> Chosen:
        return self.choice.batch(step, self.count)


class Draw:
    """The endless training set: a choice, and the pictures on the device where they are turned, moved and put on their
    grounds. What is drawn does not depend on the device, but for rounding, nor on `workers`: how many other processes
    choose ahead of time, by themselves those of a GPU alone."""

    def __init__(self, pack: Pack, choice: Choice, device: str = "cpu", workers: int | None = None):
        self.choice = choice
        self.pixels = torch.from_numpy(pack.pixels).permute(0, 3, 1, 2).to(device)
        self.workers = workers if workers is not None else WORKERS if self.pixels.is_cuda else 0
        self._ahead: Iterator[Chosen] = iter(())
        self._next: tuple[int, int] | None = None

    def batch(self, step: int, count: int) -> Batch:
        """Quickest if the steps are asked for in turn."""
        if self._next != (step, count):
            self._ahead = iter(
                DataLoader(
                    _Steps(self.choice, count),
                    sampler=itertools.count(step),
                    batch_size=None,
                    num_workers=self.workers,
                    pin_memory=self.pixels.is_cuda,
                )
            )
        self._next = (step + 1, count)
        return self._make(next(self._ahead))

    def _make(self, chosen: Chosen) -> Batch:
        def here(part: torch.Tensor) -> torch.Tensor:
            return part.to(self.pixels.device, non_blocking=True)

        turns = Turns(*map(here, chosen.turns))
        rgba = move(turn(self.pixels[here(chosen.pictures)], turns), here(chosen.moves))
        return Batch(ground(rgba, here(chosen.grounds)), here(chosen.tokens), here(chosen.mask))


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int):
    """Exactly the pipeline's call: ids int64 (B, max_tokens) and bool mask of the same shape."""
    out = tokenizer(texts, padding="max_length", max_length=max_tokens, truncation=True, return_tensors="pt")
    return out["input_ids"], out["attention_mask"].bool()


def show(pixels: torch.Tensor, pictures: Sequence[Picture], looks: Sequence[Look]) -> torch.Tensor:
    """Pictures, uint8 (B, 4, S, S) with straight alpha, in their looks: (B, 3, S, S) in [-1, 1]."""
    return ground(turn(pixels, turns_of(pictures, looks)), grounds_of(looks))


def turns_of(pictures: Sequence[Picture], looks: Sequence[Look]) -> Turns:
    rows = [row for row, look in enumerate(looks) if look.tint is not None]
    degrees = [HUES[looks[row].tint] - pictures[row].hue for row in rows]
    return Turns(torch.tensor(rows, dtype=torch.int64), torch.tensor(degrees, dtype=torch.float32))


def grounds_of(looks: Sequence[Look]) -> torch.Tensor:
    """The colours of the grounds: float32 (B, 3), sRGB in [0, 1]."""
    return torch.tensor([BACKGROUNDS.get(look.background, (255, 255, 255)) for look in looks]) / 255


def moves_of(count: int, noise: np.random.Generator) -> torch.Tensor:
    """Random scales and shifts as affine matrices: float32 (B, 2, 3)."""
    scale = torch.from_numpy(1 + noise.uniform(-MAX_SCALE, MAX_SCALE, count)).float()
    shift = torch.from_numpy(noise.uniform(-MAX_SHIFT, MAX_SHIFT, (count, 2)) * 2).float()
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    return theta


def turn(pixels: torch.Tensor, turns: Turns) -> torch.Tensor:
    """Pictures with some hues turned: premultiplied RGBA in [0, 1], so that edges carry no hidden colour.

    pixels: uint8 (B, 4, S, S), straight alpha.
    """
    rgba = pixels.float() / 255
    if len(turns.rows):
        rgba[turns.rows, :3] = turn_hue(rgba[turns.rows, :3], turns.degrees)
    return torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)


def ground(rgba: torch.Tensor, grounds: torch.Tensor) -> torch.Tensor:
    """Premultiplied RGBA (B, 4, S, S) on grounds of one colour each, (B, 3): (B, 3, S, S) in [-1, 1]."""
    return (rgba[:, :3] + (1 - rgba[:, 3:]) * grounds[:, :, None, None]) * 2 - 1


def move(rgba: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
    """Scale and shift premultiplied (B, 4, S, S)."""
    return functional.grid_sample(
        rgba, functional.affine_grid(moves, list(rgba.shape), align_corners=False), align_corners=False
    )


def turn_hue(rgb: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Turn the HSV hue of (B, 3, H, W) in [0, 1] by `degrees` (B,); value and saturation stay.

    The closed form of HSV -> RGB (Wikipedia, "HSL and HSV", alternative conversion).
    """
    value, low = rgb.amax(1), rgb.amin(1)
    chroma = value - low
    r, g, b = rgb.unbind(1)
    safe = chroma.clamp(min=1e-6)
    hue = torch.where(value == r, (g - b) / safe, torch.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
    hue = hue + degrees[:, None, None] / 60
    out = []
    for n in (5, 3, 1):
        k = (n + hue) % 6
        out.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(out, 1)
