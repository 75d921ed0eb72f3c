"""A training set of six discs, and settings that train on it in seconds: for the tests of training and evaluation."""

from dataclasses import replace

import numpy as np

from pipeline.training import checkpoint, distil, text, train
from pipeline.training.data import Picture

SIZE = 32
TINY = {
    "in_channels": 3,
    "patch_size": 4,
    "bottleneck_size": 16,
    "context_in_dim": 32,
    "hidden_size": 32,
    "num_heads": 2,
    "depth": 1,
    "mlp_ratio": 2.0,
    "axes_dim": [8, 8],
}
NAMES = ("red disc", "blue square", "cat face", "green leaf", "old key", "owl")


def picture(name: str, group: str = "Animals & Nature", **known) -> Picture:
    return Picture("x", name, ("animal", "sharp", "red", "face"), group, **({"hue": 0.0, "colour": "red"} | known))


def disc(rgb: tuple[int, int, int]) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    rgba = np.zeros((SIZE, SIZE, 4), np.uint8)
    rgba[..., :3] = rgb
    rgba[..., 3] = np.where(x**2 + y**2 < 100, 255, 0)
    return rgba


SETTINGS = train.Settings(
    steps=60, batch=8, learning_rate=3e-3, warmup=5, average=0.9, compile=False, autocast=False, transformer=TINY
)
DISTIL = distil.Settings(
    steps=6, trajectories=16, teacher_steps=6, batch=8, learning_rate=1e-3, warmup=2, compile=False, autocast=False
)


def run_train(pack, work, **changes) -> dict:
    tokenizer, encoder = text.load(work)
    return checkpoint.load(train.train(pack, tokenizer, encoder, work, replace(SETTINGS, **changes)))


def run_distil(pack, work, **changes) -> dict:
    tokenizer, encoder = text.load(work)
    return checkpoint.load(distil.distil(pack, tokenizer, encoder, work, replace(DISTIL, **changes)))
