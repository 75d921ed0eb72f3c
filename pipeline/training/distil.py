"""The efficient one: a copy of the predecessor that takes its 24 guided steps in 3 unguided ones.

Piecewise endpoint regression on the teacher's own roll-outs with guidance baked in (the piecewise idea of PeRFlow,
arXiv 2405.07510; training on the student's own states after FlowSteer, arXiv 2511.18834). Regression only, nothing
adversarial, so the noise-to-picture path is kept: the same seed gives nearly the same picture.

1. Trajectories: the teacher draws captions from noise; the states at the student's own noise levels are stored.
   Between two Euler states the path is a straight line, so states at other levels are exact, not approximate.
2. Offline: the student learns to reach the next stored state in one step.
3. On its own roll-out: it starts where its own steps brought it, and still aims at the teacher's stored state.
"""

import logging
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import PRXTransformer2DModel
from transformers import BertModel, PreTrainedTokenizerBase

from pipeline.errors import PlaygroundError
from pipeline.training import checkpoint, flow, loop, sheets, text, train
from pipeline.training.batches import Choice, tokenize
from pipeline.training.data import Pack

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """minutes are active minutes for all phases, with `trajectories` for the optimisation alone; with `steps` and
    `trajectories` the run is exactly reproducible. They must fit into the device's memory, 0.4 MB each."""

    minutes: float = 18.0
    steps: int | None = None
    trajectories: int | None = None  # at least so many; None: as many as fit into storing_share of the minutes
    storing_share: float = 0.45
    own_states_from: float = 0.55  # share of the optimisation after which the student starts from its own states
    teacher_steps: int = 16  # the path differs from the 24-step one by less than the student's own error
    batch: int = 32
    learning_rate: float = 3e-4
    warmup: int = 30
    average: float = 0.995
    save_seconds: float = 240.0
    seed: int = 1
    device: str = "cpu"
    compile: bool = True
    autocast: bool = True
    start: str | None = None  # an exported student's folder, to go on from; None: from the teacher

    @property
    def storing_minutes(self) -> float:
        return 0.0 if self.trajectories else self.minutes * self.storing_share


@dataclass(frozen=True)
class Trajectories:
    """states: float16 (N, FEW_STEPS + 1, 3, S, S) from noise to picture; tokens int64 (N, L); mask bool (N, L)."""

    states: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor


def at_levels(states: list[torch.Tensor], levels: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """States of an Euler path at other noise levels, by its straight pieces: (B, len(wanted), 3, S, S).

    states[i] is the state at levels[i]; both `levels` and `wanted` fall from 1 to 0.
    """
    out = []
    for level in wanted.tolist():
        i = max(1, int((levels > level).sum()))  # levels[i - 1] >= level >= levels[i]
        share = (levels[i - 1].item() - level) / (levels[i - 1] - levels[i]).item()
        out.append(torch.lerp(states[i - 1], states[i], share))
    return torch.stack(out, 1)


def endpoint_target(now: torch.Tensor, then: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The prediction P with which the pipeline's Euler step from `now` at level a lands on `then` at level b."""
    a, b = a[:, None, None, None], b[:, None, None, None]
    return now - a.clamp(min=flow.T_FLOOR) * (now - then) / (a - b)


def store(teacher: train.Predecessor, choice: Choice, folder: Path, settings: Settings) -> None:
    """Add files of teacher trajectories to `folder` until the budget for storing is spent."""
    denoiser = loop.compiled(teacher.transformer, settings.compile)
    levels = flow.sigmas(flow.PREDECESSOR_SCHEDULE, settings.teacher_steps)
    wanted = flow.sigmas(flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)
    size = sheets.PATCHES * teacher.transformer.config.patch_size
    folder.mkdir(parents=True, exist_ok=True)
    before = checkpoint.load(folder.with_suffix(".clock")) or {"active": 0.0, "files": 0, "stored": 0}
    files, stored = before["files"], before["stored"]
    budget = checkpoint.Budget(settings.storing_minutes, settings.trajectories, before["active"])
    budget.skip()
    while budget.progress(stored) < 1:
        captions = choice.captions(files, settings.batch)
        tokens, mask = tokenize(choice.tokenizer, ["", *captions], text.MAX_TOKENS)
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + files)
        noise = torch.randn((settings.batch, 3, size, size), generator=generator).to(settings.device)
        on_device = mask.to(settings.device)
        with torch.no_grad(), flow.autocast(settings.device, settings.autocast):
            encoded = teacher.encode(tokens.to(settings.device), on_device)
            empty = (encoded[:1], on_device[:1])
            states = flow.roll_out(denoiser, noise, levels, encoded[1:], on_device[1:], empty, flow.GUIDANCE)
        picked = at_levels(states, levels, wanted).half().cpu()
        checkpoint.save(folder / f"{files:05d}.pt", {"states": picked, "tokens": tokens[1:], "mask": mask[1:]})
        files, stored = files + 1, stored + settings.batch
        budget.tick()
        checkpoint.save(folder.with_suffix(".clock"), {"active": budget.active, "files": files, "stored": stored})
        log.info("trajectories %d  %.1f min", stored, budget.active / 60)


def trajectories(work: Path, saved_teacher: dict) -> Path:
    """The folder of this teacher's trajectories."""
    return work / f"trajectories-{saved_teacher['step']:06d}"


def clock(work: Path, saved_teacher: dict) -> Path:
    """Where it is kept how much has been stored, and how many seconds that took."""
    return trajectories(work, saved_teacher).with_suffix(".clock")


def load_trajectories(folder: Path, device: str) -> Trajectories:
    """All of a folder, on the device."""
    shards = [checkpoint.load(path) for path in sorted(folder.glob("*.pt"))]
    return Trajectories(*(torch.cat([s[key] for s in shards]).to(device) for key in ("states", "tokens", "mask")))


def beginning(teacher: PRXTransformer2DModel, old_teacher: str | None, start: str | None) -> PRXTransformer2DModel:
    """The student before its first step: the teacher's copy, or the exported student in `start`.

    To that is added what the teacher has learned since, the difference of its weights to the exported `old_teacher`'s
    from which its own training went on (as in task arithmetic, arXiv 2212.04089). Raises PlaygroundError without one.
    """
    student = PRXTransformer2DModel.from_config(teacher.config)
    student.load_state_dict(teacher.state_dict())
    if start is None:
        return student
    if old_teacher is None:
        raise PlaygroundError(
            f"The predecessor was trained from nothing, so that {start} is not its student; leave --start away."
        )
    old_student, old = (exported(Path(folder)) for folder in (start, old_teacher))
    with torch.no_grad():
        for weight, ours, theirs in zip(student.parameters(), old_student.parameters(), old.parameters(), strict=True):
            weight += ours - theirs
    return student


def exported(folder: Path) -> PRXTransformer2DModel:
    """The transformer of an exported model, in float32."""
    return PRXTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)


def distil(pack: Pack, tokenizer: PreTrainedTokenizerBase, encoder: BertModel, work: Path, settings: Settings) -> Path:
    """Store trajectories, train the student, and return its checkpoint's path; continues where it stopped."""
    teacher, saved = train.load_average(work, encoder)
    teacher.to(settings.device)
    folder = trajectories(work, saved)
    path = work / "efficient.pt"
    if (old := checkpoint.load(path)) is not None and old["teacher_step"] != saved["step"]:
        raise PlaygroundError(f"{path} was distilled from another predecessor; move it away to distil this one.")
    rest_weight = saved["settings"]["rest_weight"]
    store(teacher, Choice(pack.pictures, tokenizer, text.MAX_TOKENS, settings.seed, rest_weight), folder, settings)
    kept = load_trajectories(folder, settings.device)
    student = beginning(teacher.transformer, saved["settings"]["start"], settings.start).to(settings.device)
    denoiser, patch = loop.compiled(student, settings.compile), student.config.patch_size
    levels = flow.sigmas(flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)
    levels_there, all_rows = levels.to(settings.device), torch.arange(settings.batch, device=settings.device)

    def loss_of(step: int, progress: float) -> torch.Tensor:
        seed = settings.seed * 1_000_003 + step
        dice = {"generator": torch.Generator(settings.device).manual_seed(seed), "device": settings.device}
        rows = torch.randint(len(kept.states), (settings.batch,), **dice)
        tokens, mask, states = kept.tokens[rows], kept.mask[rows], kept.states[rows].float()
        with flow.autocast(settings.device, settings.autocast):
            encoded = teacher.encode(tokens, mask)
            if progress < settings.own_states_from:
                segment = torch.randint(flow.FEW_STEPS, (settings.batch,), **dice)
                now = states[all_rows, segment]
            else:
                reached = random.Random(seed).randrange(flow.FEW_STEPS)  # known without waiting for a GPU
                segment = torch.full((settings.batch,), reached, device=settings.device)
                now = flow.roll_out(denoiser, states[:, 0], levels[: reached + 1], encoded, mask)[-1]
        a, b = levels_there[segment], levels_there[segment + 1]
        target = endpoint_target(now, states[all_rows, segment + 1], a, b)
        # A block of its own: weights that were cast for the roll-out, without a graph, would be taken again.
        with flow.autocast(settings.device, settings.autocast):
            error = (flow.predict(denoiser, now, a, encoded, mask) - target) / a[:, None, None, None]
        return error.square().mean() + flow.SEAM_WEIGHT * flow.seams(error, patch)

    optimizer = torch.optim.AdamW(
        [{"params": list(student.parameters()), "initial_lr": settings.learning_rate}],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        fused=True,
    )
    loop.run(
        path=path,
        model=student,
        optimizer=optimizer,
        average=checkpoint.Average(student, settings.average),
        budget=checkpoint.Budget(settings.minutes - settings.storing_minutes, settings.steps),
        loss_of=loss_of,
        factor_of=lambda step, progress: loop.cosine(step, progress, settings.warmup, 0.2),
        batch=settings.batch,
        save_seconds=settings.save_seconds,
        extra={
            "settings": asdict(settings),
            "hardware": train.hardware(settings.device),
            "teacher_step": saved["step"],
            "trajectories": len(kept.states),
            "before": train.history(settings.start, "trajectories"),
        },
        after_save=lambda: sheet(work, tokenizer, encoder, settings.device),
    )
    return path


def load_average(work: Path, saved_teacher: dict) -> tuple[PRXTransformer2DModel, dict]:
    """The averaged student in evaluation mode, and its checkpoint."""
    saved = checkpoint.load(work / "efficient.pt")
    if saved is None or saved["teacher_step"] != saved_teacher["step"]:
        raise checkpoint.missing("efficient model of this predecessor", "distil")
    student = PRXTransformer2DModel(**saved_teacher["settings"]["transformer"])
    student.load_state_dict(saved["average"]["shadow"])
    return student.eval().requires_grad_(False), saved


def sheet(work: Path, tokenizer: PreTrainedTokenizerBase, encoder: BertModel, device: str) -> Path:
    """A contact sheet of the student in its own few steps, with the noise of the predecessor's sheet."""
    teacher, saved_teacher = train.load_average(work, encoder)
    student, saved = load_average(work, saved_teacher)
    levels = flow.sigmas(flow.EFFICIENT_SCHEDULE, flow.FEW_STEPS)
    images = sheets.draw(teacher.to(device).encode, student, tokenizer, levels, 1.0, device)
    return sheets.write(images, work / "sheets" / f"efficient-{saved['step']:06d}.png")
