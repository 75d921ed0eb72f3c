"""What Diptych adds to diffusers: the same request through the engine and through a plain call of the same pipeline.

Engine and plain call take turns, run by run, after a warm-up, each turn with a prompt that neither has seen; which of
the two begins alternates.
``engine_s``: encode + denoise + decode as the engine says it, against the whole plain call: the ratio of the medians
(``total_ratio``) and the 95 % interval of the ratio in general (``ratio_low``, ``ratio_high``; none below 4 runs).
``wall_s``: from Engine.run to the finished picture in the reader's hands (``wall_ratio``). Both share weights and
thread. Leaves out loading, the picture cache (off), previews (off), the look at whether a picture is one (off) and the
page. Target: a total ratio of 1.05 on a processor, whose speed drifts by more, and of 1.02 on a GPU. ``ok``: true
where every interval ends at or below it, false where one begins above it, else null: runs too few or uneven to tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from pipeline.backends import How, Made, OnStep
from pipeline.backends.families import FAMILIES
from pipeline.backends.local import LocalBackend
from pipeline.bench.common import DEFAULT, PROMPT, Subject, different, playground, spread
from pipeline.cards import ModelCard
from pipeline.engine import Engine
from pipeline.events import final_results
from pipeline.request import REPEAT_MAX, ImageRequest
from pipeline.stats import ratio_interval

TARGET = {"cpu": 1.05, "cuda": 1.02}
AN_EMPTY_ONE = {"negative_prompt": ""}
"""Qwen-Image's call takes no negative prompt for no guidance; the engine's is an empty one, as the others' is."""


class Plain(LocalBackend):
    """Calls the pipeline as its documentation has it while ``plain`` is set.

    The plain call comes through the engine too, so that it runs in the device thread: torch keeps helpers for every
    thread that calls it, and two such pools on one processor slow each other, which is nothing of Diptych's doing.
    """

    plain = False

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        if not self.plain:
            return super().make(card, request, how, on_step, stop)
        import torch

        pipe = self.resident(card, request).pipe
        begin = time.perf_counter()
        images = pipe(
            prompt=request.prompt,  # not the first argument everywhere
            **card.call,
            **FAMILIES[card.pipeline].settings(request),
            **(AN_EMPTY_ONE if card.pipeline == "QwenImagePipeline" and card.negative_prompt else {}),
            num_inference_steps=request.steps,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(request.seed),
        ).images  # on the CPU, so the device is done
        return Made(images[0], {"denoise": time.perf_counter() - begin}, False, None)


def run(runs: int, subject: Subject = DEFAULT) -> dict[str, Any]:
    """Engine against a plain diffusers call: ratio of seconds, target 1.05, on a GPU 1.02."""
    with playground(subject) as opened:
        backend, rows = Plain(any_picture=True), []
        engine = Engine(opened.catalog, backend)
        list(engine.warm_up(different(opened)))
        for lane in range(len(different(opened))):
            seconds: dict[bool, list[float]] = {True: [], False: []}
            walls = []
            for turn in range(-1, runs):
                # Both lanes may share the embeddings of a prompt, so that each has its own.
                request = different(opened, f"{PROMPT}, number {lane * REPEAT_MAX + turn}")[lane]
                for backend.plain in (False, True) if turn % 2 else (True, False):
                    begin = time.perf_counter()
                    [result] = final_results(engine.run([request]))
                    wall = time.perf_counter() - begin
                    if turn < 0:  # one more round of warm-up
                        continue
                    seconds[backend.plain].append(result.timings.total)
                    if not backend.plain:
                        walls.append(wall)
            backend.plain = False
            plain = median(seconds[True])
            low, high = ratio_interval(seconds[False], seconds[True]) or (None, None)
            rows.append(
                {
                    "model": request.model,
                    **spread("plain_s", seconds[True]),
                    **spread("engine_s", seconds[False]),
                    "wall_s": median(walls),
                    "total_ratio": median(seconds[False]) / plain,
                    "ratio_low": low,
                    "ratio_high": high,
                    "wall_ratio": median(walls) / plain,
                }
            )
        device = backend.device()
        target = TARGET[device.kind]
    return {
        "device": device.name,
        "rows": rows,
        "target_ratio": target,
        "ok": within([(row["ratio_low"], row["ratio_high"]) for row in rows], target),
    }


def within(intervals: Sequence[tuple[float, float] | tuple[None, None]], target: float) -> bool | None:
    """Whether all lie below the target; None if none is known to lie above it, and one reaches over it."""
    if any(low is not None and low > target for low, _ in intervals):
        return False
    return None if any(high is None or high > target for _, high in intervals) else True
