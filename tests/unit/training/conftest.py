"""The tiny training set as fixtures."""

import numpy as np
import pytest
import torch

from pipeline.training import captions, text
from pipeline.training.data import Pack, dominant_colour
from tests.unit.training.tiny import NAMES, disc, picture


@pytest.fixture(scope="module")
def pack() -> Pack:
    colours = [(220, 20, 20), (20, 20, 220), (120, 80, 40), (20, 160, 20), (200, 180, 20), (90, 60, 160)]
    pixels = [disc(c) for c in colours]
    pictures = [picture(n, hue=dominant_colour(p)[0], colour=None) for n, p in zip(NAMES, pixels, strict=True)]
    return Pack(np.stack(pixels), tuple(pictures))


@pytest.fixture(scope="module")
def tokenizer(pack):
    words = {w for line in captions.vocabulary(pack.pictures) for w in line.lower().split()}
    return text.make_tokenizer([*text.SPECIAL, ",", "'", *sorted(words)])


@pytest.fixture
def work(tmp_path, tokenizer):
    torch.manual_seed(0)
    text.make_encoder(len(tokenizer), width=32, layers=1, heads=2).save_pretrained(tmp_path / "text" / "encoder")
    tokenizer.save_pretrained(tmp_path / "text" / "tokenizer")
    return tmp_path
