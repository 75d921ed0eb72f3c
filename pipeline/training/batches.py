"""Training draws: step k -> pictures and token ids, a pure function of (seed, k).

Knows how a Look becomes pixels. Because nothing is drawn from a running generator, "data position" is just the
step number and a resumed run sees exactly what an unbroken one would have seen.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from pipeline.training.captions import BACKGROUNDS, Look, caption, draw_look, held_out
from pipeline.training.data import CORE, HUES, Pack, Picture

CAPTION_DROPOUT = 0.1  # the unconditional branch is the empty prompt (arXiv 2207.12598)
MAX_SCALE, MAX_SHIFT = 0.04, 0.03  # relative; small, and no mirroring: a short run pays for variety in sharpness


@dataclass(frozen=True)
class Batch:
    """images: float32 (B, 3, size, size) in [-1, 1], on the draw's device; tokens: int64 (B, L); mask: bool (B, L)."""

    images: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor


class Draw:
    """The endless training set. Held-out pictures are not in it, held-out looks are never drawn.

    rest_weight: how often a picture outside CORE is drawn, against 1 for one inside; device: where the pictures lie
    and are turned, moved and put on their grounds. What is drawn does not depend on it.
    """

    def __init__(
        self,
        pack: Pack,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        seed: int,
        rest_weight: float,
        device: str = "cpu",
    ):
        self.pictures = pack.pictures
        self.tokenizer, self.max_tokens, self.seed = tokenizer, max_tokens, seed
        self.indices = [i for i, p in enumerate(pack.pictures) if not held_out(p)]
        self.weights = [1.0 if pack.pictures[i].name in CORE else rest_weight for i in self.indices]
        self.pixels = torch.from_numpy(pack.pixels).permute(0, 3, 1, 2).to(device)

    def captions(self, step: int, count: int) -> list[str]:
        """Captions alone, with no dropout: what the distillation asks its teacher to draw."""
        return [text for *_, text in self._choose(step, count, dropout=0.0)]

    def batch(self, step: int, count: int) -> Batch:
        chosen = self._choose(step, count, dropout=CAPTION_DROPOUT)
        noise = np.random.default_rng((self.seed, step))
        looks = [look for _, look, _ in chosen]
        rgba = tint(self.pixels[[i for i, *_ in chosen]], [self.pictures[i] for i, *_ in chosen], looks)
        images = ground(move(rgba, noise), looks)
        tokens, mask = tokenize(self.tokenizer, [text for *_, text in chosen], self.max_tokens)
        return Batch(images, tokens, mask)

    def _choose(self, step: int, count: int, dropout: float):
        rng = random.Random(f"{self.seed}:{step}")
        chosen = []
        for i in rng.choices(self.indices, self.weights, k=count):
            look = draw_look(self.pictures[i], rng)
            text = caption(self.pictures[i], look, rng)
            chosen.append((i, look, "" if rng.random() < dropout else text))
        return chosen


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int):
    """Exactly the pipeline's call: ids int64 (B, max_tokens) and bool mask of the same shape."""
    out = tokenizer(texts, padding="max_length", max_length=max_tokens, truncation=True, return_tensors="pt")
    return out["input_ids"], out["attention_mask"].bool()


def tint(pixels: torch.Tensor, pictures: Sequence[Picture], looks: Sequence[Look]) -> torch.Tensor:
    """Pictures in the colours of their looks: premultiplied RGBA in [0, 1], so that edges carry no hidden colour.

    pixels: uint8 (B, 4, S, S), straight alpha.
    """
    rgba = pixels.float() / 255
    turned = [row for row, look in enumerate(looks) if look.tint is not None]
    if turned:
        degrees = [HUES[looks[r].tint] - pictures[r].hue for r in turned]
        rgba[turned, :3] = turn_hue(rgba[turned, :3], torch.tensor(degrees, device=rgba.device))
    return torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)


def ground(rgba: torch.Tensor, looks: Sequence[Look]) -> torch.Tensor:
    """Premultiplied RGBA (B, 4, S, S) on the grounds of the looks: (B, 3, S, S) in [-1, 1]."""
    colours = np.array([BACKGROUNDS.get(look.background, (255, 255, 255)) for look in looks]) / 255
    below = torch.from_numpy(colours).float().to(rgba.device)[:, :, None, None]
    return (rgba[:, :3] + (1 - rgba[:, 3:]) * below) * 2 - 1


def move(rgba: torch.Tensor, noise: np.random.Generator) -> torch.Tensor:
    """Scale and shift premultiplied (B, 4, S, S)."""
    count = len(rgba)
    scale = torch.from_numpy(1 + noise.uniform(-MAX_SCALE, MAX_SCALE, count)).float()
    shift = torch.from_numpy(noise.uniform(-MAX_SHIFT, MAX_SHIFT, (count, 2)) * 2).float()
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    grid = functional.affine_grid(theta.to(rgba.device), list(rgba.shape), align_corners=False)
    return functional.grid_sample(rgba, grid, align_corners=False)


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
