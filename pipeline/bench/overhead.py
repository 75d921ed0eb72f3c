"""What Diptych adds to diffusers: the same request through the engine and through a plain call of the same pipeline.

Engine and plain call take turns, run by run, after a warm-up, each turn with a prompt that neither has seen.
``engine_s``: encode + denoise + decode as the engine says it, against the whole plain call (``total_ratio``).
``wall_s``: from Engine.run to the finished picture in the reader's hands (``wall_ratio``). Both share weights and
thread. Leaves out loading, the picture cache (off), previews (off), the look at whether a picture is one (off) and the
page. Target: a total ratio of 1.05 on a processor, whose speed drifts by more, and of 1.02 on a GPU.
"""

from __future__ import annotations

import threading
import time
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

TARGET = {"cpu": 1.05, "cuda": 1.02}


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
                for backend.plain in (False, True):
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
            rows.append(
                {
                    "model": request.model,
                    **spread("plain_s", seconds[True]),
                    **spread("engine_s", seconds[False]),
                    "wall_s": median(walls),
                    "total_ratio": median(seconds[False]) / plain,
                    "wall_ratio": median(walls) / plain,
                }
            )
        device = backend.device()
        target = TARGET[device.kind]
    return {
        "device": device.name,
        "rows": rows,
        "target_ratio": target,
        "ok": all(row["total_ratio"] <= target for row in rows),
    }
