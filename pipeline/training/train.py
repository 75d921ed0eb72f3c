"""The predecessor: a text encoder and a pixel transformer trained jointly by flow matching.

Knows what is optimised; the conventions are in flow.py, the data in batches.py, the loop in loop.py. Weights are
float32 and the arithmetic bfloat16 by autocast (weights in bf16 cost PRX 3.5 FID). Every random number of step k
comes from (seed, k), on a GPU from another generator than on a processor.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from diffusers import PRXTransformer2DModel
from transformers import BertModel, PreTrainedTokenizerBase

from pipeline.device import cpu_device
from pipeline.training import checkpoint, flow, loop, sheets, text
from pipeline.training.batches import Choice, Draw
from pipeline.training.data import Pack


@dataclass(frozen=True)
class Settings:
    """minutes are active minutes; a budget in steps, when given, goes before and is exactly reproducible."""

    minutes: float = 60.0
    steps: int | None = None
    batch: int = 32
    learning_rate: float = 1e-3
    embedding_rate: float = 0.02  # word embeddings learn this much slower, so that unseen words keep their place
    rest_weight: float = 0.02  # fifteen draws in sixteen are of data.CORE; 1.0 for a run long enough for everything
    warmup: int = 200
    decay_from: float = 0.7
    average: float = 0.999
    save_seconds: float = 300.0
    seed: int = 0
    device: str = "cpu"
    compile: bool = True
    autocast: bool = True
    transformer: dict = field(default_factory=lambda: dict(flow.TRANSFORMER))
    start: str | None = None  # an exported predecessor's folder, whose training goes on; None: from nothing


class Predecessor(torch.nn.Module):
    """encoder: token ids -> (B, L, D); transformer: the denoiser. One module, so that one average covers both."""

    def __init__(self, encoder: BertModel, transformer: PRXTransformer2DModel):
        super().__init__()
        self.encoder, self.transformer = encoder, transformer

    def encode(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state


def build(encoder: BertModel, settings: Settings) -> Predecessor:
    torch.manual_seed(settings.seed)
    transformer = PRXTransformer2DModel(**settings.transformer)
    flow.initialise(transformer)
    return Predecessor(encoder, transformer).to(settings.device)


def published(folder: Path, settings: Settings) -> Predecessor:
    """The exported predecessor in `folder`, to be trained further. Its vocabulary must be the work folder's."""
    transformer = PRXTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)
    encoder = BertModel.from_pretrained(folder / "text_encoder", add_pooling_layer=False, dtype=torch.float32)
    return Predecessor(encoder, transformer).to(settings.device)


def history(start: str | None, counted: str) -> dict:
    """What was trained before this run, and on what: steps, minutes, hardware, and how many of what is counted."""
    if start is None:
        return {"steps": 0, counted: 0, "minutes": 0.0, "hardware": ""}
    said = json.loads((Path(start) / "training.json").read_text())
    return {key: said[key] for key in ("steps", counted, "minutes", "hardware")}


def hardware(device: str) -> str:
    """The name of what is trained on, for the model's card; it may be exported elsewhere."""
    return torch.cuda.get_device_name(0) if device == "cuda" else cpu_device().name


def optimiser(model: Predecessor, settings: Settings) -> torch.optim.AdamW:
    words = model.encoder.embeddings.word_embeddings.weight
    rest = [p for p in model.parameters() if p is not words]
    rate = settings.learning_rate
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.01, "initial_lr": rate},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "initial_lr": rate},
        {"params": [words], "weight_decay": 0.0, "initial_lr": rate * settings.embedding_rate},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def train(pack: Pack, tokenizer: PreTrainedTokenizerBase, encoder: BertModel, work: Path, settings: Settings) -> Path:
    """Train until the budget is spent, continuing from the checkpoint in `work`; returns the checkpoint's path."""
    path = work / "predecessor.pt"
    model = build(encoder, settings) if settings.start is None else published(Path(settings.start), settings)
    denoiser, patch = loop.compiled(model.transformer, settings.compile), model.transformer.config.patch_size
    choice = Choice(pack.pictures, tokenizer, text.MAX_TOKENS, settings.seed, settings.rest_weight)
    draw = Draw(pack, choice, settings.device)

    def loss_of(step: int, progress: float) -> torch.Tensor:
        images, tokens, mask = draw.batch(step, settings.batch)
        generator = torch.Generator(settings.device).manual_seed(settings.seed * 1_000_003 + step)
        t = flow.draw_levels(len(images), progress, generator)
        noise = torch.randn(images.shape, generator=generator, device=settings.device)
        with flow.autocast(settings.device, settings.autocast):
            return flow.velocity_loss(denoiser, images, model.encode(tokens, mask), mask, t, noise, patch)

    loop.run(
        path=path,
        model=model,
        optimizer=optimiser(model, settings),
        average=checkpoint.Average(model, settings.average),
        budget=checkpoint.Budget(settings.minutes, settings.steps),
        loss_of=loss_of,
        factor_of=lambda step, progress: loop.cosine(step, progress, settings.warmup, settings.decay_from),
        batch=settings.batch,
        save_seconds=settings.save_seconds,
        extra={
            "settings": asdict(settings),
            "hardware": hardware(settings.device),
            "before": history(settings.start, "pictures_seen"),
        },
        after_save=lambda: sheet(work, tokenizer, text.load(work)[1], settings.device),
    )
    return path


def load_average(work: Path, encoder: BertModel) -> tuple[Predecessor, dict]:
    """The averaged predecessor in evaluation mode, and its checkpoint. `encoder` is overwritten and used."""
    saved = checkpoint.load(work / "predecessor.pt")
    if saved is None:
        raise checkpoint.missing("predecessor", "train")
    model = Predecessor(encoder, PRXTransformer2DModel(**saved["settings"]["transformer"]))
    model.load_state_dict(saved["average"]["shadow"], strict=False)  # parameters only: buffers are constants
    return model.eval().requires_grad_(False), saved


def sheet(work: Path, tokenizer: PreTrainedTokenizerBase, encoder: BertModel, device: str) -> Path:
    """A contact sheet of the averaged predecessor at its own settings."""
    model, saved = load_average(work, encoder)
    levels = flow.sigmas(flow.PREDECESSOR_SCHEDULE, flow.STEPS)
    images = sheets.draw(model.encode, model.to(device).transformer, tokenizer, levels, flow.GUIDANCE, device)
    return sheets.write(images, work / "sheets" / f"predecessor-{saved['step']:06d}.png")
