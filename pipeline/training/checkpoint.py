"""Resumable state, and the clock that a budget in minutes runs on.

Knows files and time; nothing of models. A checkpoint is one safe-to-load torch file, replaced atomically, so that
an interrupted save leaves the old one.
"""

import statistics
import time
from collections import deque
from pathlib import Path

import torch

from pipeline.errors import PlaygroundError


def save(path: Path, state: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load(path: Path) -> dict | None:
    """The saved state on the CPU, or None when there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def missing(what: str, command: str) -> PlaygroundError:
    return PlaygroundError(f"There is no trained {what} yet; run `python -m pipeline.training {command}` first.")


class Budget:
    """How far training is, from 0 to 1, by steps or by active minutes.

    Active: a step counts for at most five times the median step, so that a paused or sleeping process does not
    spend its budget. With a budget in steps the progress, and so the run, is reproducible bit for bit.
    """

    def __init__(self, minutes: float | None, steps: int | None, active: float = 0.0):
        self.minutes, self.steps, self.active = minutes, steps, active
        self._recent: deque[float] = deque(maxlen=101)
        self._last: float | None = None

    def tick(self) -> None:
        """Call once a step."""
        now = time.monotonic()
        if self._last is not None:
            self._recent.append(now - self._last)
            self.active += min(self._recent[-1], 5 * statistics.median(self._recent))
        self._last = now

    def skip(self) -> None:
        """Call after work that is no training (a checkpoint, a sheet): its time is not counted."""
        self._last = time.monotonic()

    @property
    def step_seconds(self) -> float:
        return statistics.median(self._recent) if self._recent else float("nan")

    def progress(self, step: int) -> float:
        return min(1.0, step / self.steps if self.steps else self.active / (60 * self.minutes))


class Average:
    """Exponential moving average of a model's parameters, with a short memory at first (min(decay, (1+n)/(10+n)))."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.model = model
        self.shadow = {k: v.detach().clone() for k, v in model.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.shadow.values()), list(self.model.parameters()), weight)

    def state(self) -> dict:
        return {"shadow": self.shadow, "updates": self.updates}

    def restore(self, state: dict) -> None:
        self.updates = state["updates"]
        for name, value in state["shadow"].items():
            self.shadow[name].copy_(value)
