"""What the engine has torch do beyond a plain call of the same pipeline, counted instead of timed: the same on every
machine, busy or not."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.backends import How
from pipeline.bench.architectures import ARCHITECTURES
from pipeline.bench.overhead import Plain
from pipeline.device import Facts
from pipeline.request import make_request
from tests.tiny_models import SHIPPED, tiny_card

NETWORKS = {"linear", "conv2d", "conv3d", "matmul", "addmm", "mm", "bmm", "scaled_dot_product_attention"}
"""Where a network's time goes."""
ONE_BY_ONE = {"PRXPipeline", "PRXPixelPipeline"}
"""Their calls encode prompt and negative prompt in one batch, the engine never does: both lanes share embeddings."""
MODELS = [card.id for card in SHIPPED.models.values() if card.repo]


class Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.count[operator.overloadpacket.__name__] += 1
        return operator(*args, **(kwargs or {}))


def test_every_class_is_counted():
    assert {SHIPPED.model(model).pipeline for model in MODELS} >= set(ARCHITECTURES) - {"PRXPixelPipeline"}


@pytest.mark.parametrize("model", MODELS)
def test_the_engine_adds_no_network_to_a_plain_call_and_nothing_to_a_step(model, checkpoint):
    card = tiny_card(model, checkpoint)
    backend = Plain(any_picture=True, facts=Facts("cpu", "CPU, 2 cores (Test)", 10**12, 10**12, bf16=False))

    def count(steps: int, plain: bool) -> Counter[str]:
        request = make_request(card, "a red apple", seed=7, steps=steps)
        backend.plain = False
        backend.resident(card, request)
        backend.plain = plain
        # Outside of it torch takes operators apart before they are counted, and only the engine is inside by itself.
        with torch.inference_mode(), Operators() as operators:
            backend.make(card, request, How(reuse=False), lambda *_: None, threading.Event())
        return operators.count

    few = max(3, int(card.steps.min))
    more = min(few + 1, int(card.steps.max))  # some cards know one number of steps only
    added = {}
    for steps in (few, more):
        engine, plain = count(steps, False), count(steps, True)
        if card.pipeline not in ONE_BY_ONE:
            assert {name: engine[name] for name in NETWORKS} == {name: plain[name] for name in NETWORKS}
        added[steps] = {name: engine[name] - plain[name] for name in engine | plain if engine[name] != plain[name]}
    assert added[few] == added[more]
