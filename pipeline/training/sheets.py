"""Contact sheets: the same prompts and the same noise for every model and every moment of training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from pipeline.training import flow
from pipeline.training.batches import tokenize
from pipeline.training.text import MAX_TOKENS

PATCHES = 8  # pictures are 8 x 8 patches
PATCH = flow.TRANSFORMER["patch_size"]  # pixels
GAP, LINE = 16, 26  # pixels round a labelled block, and for its label
PROMPTS = (
    "a red apple", "a fox", "a guitar", "a rocket", "an octopus", "a house", "a slice of pizza", "a bicycle",
    "a purple apple", "a blue car", "a green heart", "a pink elephant",
    "a fox on a yellow background", "a cactus on a pink background", "a cake on a black background", "a cat",
    "a puppy", "a spaceship", "fruit", "an owl", "a mushroom", "a hot air balloon", "grinning face", "a crown",
)  # fmt: skip


def seeded_noise(seeds: range, size: int) -> torch.Tensor:
    """(len(seeds), 3, size, size); each row is what the pipeline starts from with a CPU generator of that seed."""
    rows = [torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(rows)


@torch.no_grad()
def draw(encode, transformer, tokenizer, levels: torch.Tensor, guidance: float, device: str) -> torch.Tensor:
    """PROMPTS with seeds 0, 1, 2, ...: (B, 3, S, S). encode(tokens, mask) -> text states."""
    transformer.to(device)
    size = PATCHES * transformer.config.patch_size
    tokens, mask = (x.to(device) for x in tokenize(tokenizer, ["", *PROMPTS], MAX_TOKENS))
    noise = seeded_noise(range(len(PROMPTS)), size).to(device)
    with flow.autocast(device):
        text = encode(tokens, mask)
        states = flow.roll_out(transformer, noise, levels, text[1:], mask[1:], (text[:1], mask[:1]), guidance)
    return states[-1]


def write(images: torch.Tensor, path: Path, columns: int = 8) -> Path:
    """images: (B, 3, S, S) in [-1, 1]; rows of `columns`."""
    pixels = ((images.float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    blank = np.full((-len(pixels) % columns, *pixels.shape[1:]), 255, np.uint8)
    pixels = np.concatenate([pixels, blank])
    rows, size = len(pixels) // columns, pixels.shape[1]
    grid = pixels.reshape(rows, columns, size, size, 3).transpose(0, 2, 1, 3, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid.reshape(rows * size, columns * size, 3)).save(path)
    return path


def labelled(blocks: Sequence[tuple[str, Sequence[Sequence[Image.Image]]]], columns: int = 4) -> Image.Image:
    """Blocks of (prompt, rows of pictures), `columns` side by side, each under its prompt; no picture is resized."""
    first = blocks[0][1]
    size = first[0][0].width
    width, height = len(first[0]) * size + GAP, len(first) * size + LINE + GAP
    rows = -(-len(blocks) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for number, (prompt, lines) in enumerate(blocks):
        left, top = GAP + number % columns * width, GAP + number // columns * height
        pen.text((left, top), prompt, fill="black", font=font)
        for i, pictures in enumerate(lines):
            for j, picture in enumerate(pictures):
                sheet.paste(picture, (left + j * size, top + LINE + i * size))
    return sheet
