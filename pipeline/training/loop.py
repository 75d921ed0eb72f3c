"""The optimisation loop that the predecessor and its distillation share: budget, averaging, checkpoints, log.

Knows optimisers, files and the network's blocks; nothing of pictures or losses, which come in as functions of the step
number.
"""

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import PRXTransformer2DModel

from pipeline.errors import PlaygroundError
from pipeline.training import checkpoint

log = logging.getLogger(__name__)


def cosine(step: int, progress: float, warmup: int, decay_from: float) -> float:
    """Learning-rate factor: linear warm-up, 1 until `decay_from` of the budget, then a cosine down to 0.02."""
    warm = min(1.0, (step + 1) / warmup)
    late = max(0.0, progress - decay_from) / (1 - decay_from)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * late)))


def compiled(network: PRXTransformer2DModel, wanted: bool):
    """The network compiled; where there is no working compiler its code runs eagerly instead of failing.

    On a GPU its blocks are, in place, and once for all of them: what little runs between them costs less time than
    compiling the whole does in a run of minutes.
    """
    if not wanted:
        return network
    torch._dynamo.config.suppress_errors = True
    if next(network.parameters()).is_cuda:
        for block in network.blocks:
            block.compile(dynamic=False)
        return network
    return torch.compile(network, dynamic=False)  # batches have one size; a second one is compiled anew


def run(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    average: checkpoint.Average,
    budget: checkpoint.Budget,
    loss_of: Callable[[int, float], torch.Tensor],
    factor_of: Callable[[int, float], float],
    batch: int,
    save_seconds: float,
    extra: dict,
    after_save: Callable[[], object],
) -> None:
    """Optimise until the budget is spent, continuing from `path` when it exists.

    Raises PlaygroundError if that was begun from other weights than ``extra`` says.
    loss_of(step, progress): the loss with its graph; factor_of(step, progress): multiplies each group's
    `initial_lr`; batch: pictures a step, for the log; extra: saved beside the state; after_save: called after each
    checkpoint but the last, its time not counted.
    """
    step, seen, mean = 0, 0, None
    if (saved := checkpoint.load(path)) is not None:
        if saved["settings"]["start"] != extra["settings"]["start"]:
            begun = saved["settings"]["start"] or "nothing"
            raise PlaygroundError(f"{path} was begun from {begun}; take another folder (--work) to begin elsewhere.")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        average.restore(saved["average"])
        step, seen, budget.active = saved["step"], saved["seen"], saved["active"]
        mean = torch.tensor(saved["loss"], device=next(model.parameters()).device)
        log.info("continuing %s at step %d, %.1f active minutes", path.stem, step, budget.active / 60)

    def keep() -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state()}
        done = {"step": step, "seen": seen, "active": budget.active, "loss": mean.item()}
        checkpoint.save(path, state | done | extra)

    saved_at = budget.active
    while (progress := budget.progress(step)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor_of(step, progress)
        loss = loss_of(step, progress)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update()
        step += 1
        seen += batch
        loss = loss.detach()  # asked for its value only where it is told: a GPU would be waited for
        mean = loss if mean is None else torch.lerp(mean, loss, 0.02)
        budget.tick()
        if step % 25 == 0:
            rate, minutes = batch / budget.step_seconds, budget.active / 60
            log.info("%s step %d  loss %.4f  %.0f pictures/s  %.1f min", path.stem, step, mean.item(), rate, minutes)
        if budget.active - saved_at > save_seconds:
            saved_at = budget.active
            keep()
            after_save()
            budget.skip()
    keep()
