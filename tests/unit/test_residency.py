"""What is in memory, and where: sharing, eviction by bytes, offloading.

The bundled pair and tiny checkpoints with the very loader that real weights take.
"""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import torch

from pipeline.cards import ModelCard
from pipeline.catalog import load_catalog
from pipeline.device import resident_bytes
from pipeline.errors import ModelError
from pipeline.fit import Plan
from pipeline.residency import Residency

SHIPPED = load_catalog()
OLD, NEW = (SHIPPED.model(SHIPPED.default_pair.lane(role).model) for role in ("predecessor", "efficient"))
WHOLE = Plan("resident", "float32", 0)


@pytest.fixture
def residency() -> Residency:
    return Residency("cpu", 10**12)


def held_by(*modules: torch.nn.Module) -> int:
    return sum(t.nbytes for module in modules for t in (*module.parameters(), *module.buffers()))


def there(residency: Residency, *cards: ModelCard) -> list[bool]:
    return [residency.holds((card.id, ()), WHOLE) for card in cards]


def test_the_pair_shares_one_text_encoder_and_counts_it_once(residency):
    left, right = residency.get(OLD, WHOLE).pipe, residency.get(NEW, WHOLE).pipe
    assert left.text_encoder is right.text_encoder
    assert left.tokenizer is right.tokenizer
    assert left.transformer is not right.transformer
    assert left.scheduler is not right.scheduler
    assert residency.used_bytes() == held_by(left.text_encoder, left.transformer, right.transformer)


def test_eviction_gives_the_bytes_back_and_leaves_what_is_shared(residency):
    residency.get(OLD, WHOLE)
    alone = residency.used_bytes()
    gone = weakref.ref(residency.get(NEW, WHOLE).pipe.transformer)
    assert residency.used_bytes() > alone
    residency.evict((NEW.id, ()))
    assert gone() is None
    assert there(residency, OLD, NEW) == [True, False]
    assert residency.used_bytes() == alone
    assert residency.get(OLD, WHOLE).pipe.text_encoder is not None
    residency.evict((OLD.id, ()))
    residency.evict((OLD.id, ()))
    assert residency.used_bytes() == 0


def transformers_alive() -> int:
    gc.collect()
    return sum(type(thing).__name__ == "PRXTransformer2DModel" for thing in gc.get_objects())


def twenty_switches() -> list[int]:
    """Bytes of the process after each, with room for one model. Raises AssertionError."""
    residency = Residency("cpu", max(OLD.weight_bytes, NEW.weight_bytes))
    encoder, held = residency.get(NEW, WHOLE).pipe.text_encoder, []
    for _ in range(11):
        for card, other in ((OLD, NEW), (NEW, OLD)):
            pipe = residency.get(card, WHOLE, keep={(OLD.id, ()), (NEW.id, ())}).pipe
            assert there(residency, card, other) == [True, False]
            assert pipe.text_encoder is encoder, "what the two share is handed on, not read again"
            held.append(resident_bytes())
    assert residency.used_bytes() == held_by(pipe.text_encoder, pipe.transformer)
    assert transformers_alive() == 1
    return held


def test_twenty_switches_leave_count_and_size_where_they_were():
    """In a process of its own, whose size is of nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        held = fresh.submit(twenty_switches).result(timeout=120)
    assert max(held[2:]) < 1.05 * held[1], "both have been there once"


def test_the_least_recently_used_goes_first_and_who_is_kept_stays(residency):
    third = NEW.model_copy(update={"id": "third"})
    residency.get(OLD, WHOLE)
    residency.get(NEW, WHOLE)
    residency.device_bytes = residency.used_bytes() + third.weight_bytes - 1
    residency.get(OLD, WHOLE)
    residency.get(third, WHOLE, keep={(OLD.id, ())})
    assert there(residency, OLD, NEW, third) == [True, False, True]
    residency.get(NEW, WHOLE, keep={(OLD.id, ())})
    assert there(residency, OLD, NEW, third) == [True, True, False]


def test_room_is_left_for_what_a_picture_takes_beside_the_weights(residency):
    """Else two models would lie side by side that run out of memory as soon as one draws."""
    held = residency.get(OLD, WHOLE) and residency.used_bytes()
    roomy = replace(WHOLE, device_bytes=NEW.weight_bytes + 10**9)
    residency.device_bytes = held + NEW.weight_bytes + 10**9
    residency.get(NEW, roomy)
    assert there(residency, OLD, NEW) == [True, True]
    residency.evict((NEW.id, ()))
    residency.device_bytes -= 1
    residency.get(NEW, roomy)
    assert there(residency, OLD, NEW) == [False, True]


def test_what_is_shared_needs_no_room_of_its_own(residency):
    parts = {"text_encoder": OLD.weight_bytes // 2, "transformer": OLD.weight_bytes // 2}
    card = NEW.model_copy(update={"part_bytes": parts})
    residency.get(OLD, WHOLE)
    residency.device_bytes = residency.used_bytes() + card.weight_bytes // 2
    residency.get(card, WHOLE)
    assert there(residency, OLD, card) == [True, True]


def test_a_tensor_of_tensors_weighs_what_is_inside(residency):
    """As torchao's quantised weights are: torch's own example of one, that shows one half of what it holds."""
    from torch.testing._internal.two_tensor import TwoTensor

    before = residency.get(OLD, WHOLE).pipe.transformer
    used, layer = residency.used_bytes(), before.final_layer.linear
    weight = layer.weight.detach()
    layer.weight = torch.nn.Parameter(TwoTensor(weight, weight.clone()), requires_grad=False)
    assert residency.used_bytes() == used + weight.nbytes


def test_a_model_larger_than_the_machine_is_refused_with_both_numbers(residency):
    residency.device_bytes = 10**6
    with pytest.raises(ModelError, match=r"needs 0\.\d GB for its weights and this machine has 0\.0 GB"):
        residency.get(OLD, WHOLE)


def test_a_pipeline_that_diffusers_does_not_have_is_said(residency):
    with pytest.raises(ModelError, match=r"needs NoSuchPipeline, which diffusers .* does not have"):
        residency.get(OLD.model_copy(update={"pipeline": "NoSuchPipeline"}), WHOLE)


def test_an_offloaded_model_finds_room_beside_a_whole_one_or_alone(residency):
    """Its parts lie on the device in turn while it draws, so room is kept for the largest."""
    parts = Plan("model offload", "float32", 40 * 10**6)
    held = residency.get(OLD, WHOLE) and residency.used_bytes()
    residency.device_bytes, residency.ram_bytes = held + 40 * 10**6, 10**12
    residency.get(NEW, parts)
    assert there(residency, OLD) == [True]
    residency.evict((OLD.id, ()))
    residency.device_bytes = OLD.weight_bytes + 40 * 10**6 - 1
    residency.get(OLD, WHOLE)
    assert not residency.holds((NEW.id, ()), parts)


@pytest.mark.parametrize(("how", "taken"), [("model offload", 1), ("group offload", 1.5)])
def test_offloaded_models_leave_when_the_machines_memory_has_no_room_for_both(residency, how, taken):
    plan = Plan(how, "float32", 10**6)
    residency.device_bytes = 10**12
    residency.ram_bytes = taken * (OLD.weight_bytes + NEW.weight_bytes) * 1.1
    for card in (OLD, NEW):
        residency.get(card, plan)
    assert [residency.holds((card.id, ()), plan) for card in (OLD, NEW)] == [True, True]
    residency.evict_all()
    residency.ram_bytes = taken * (OLD.weight_bytes + NEW.weight_bytes) * 0.95
    for card in (OLD, NEW):
        residency.get(card, plan)
    assert [residency.holds((card.id, ()), plan) for card in (OLD, NEW)] == [False, True]


def test_a_pair_takes_turns_where_only_its_larger_pictures_need_the_room(residency):
    usual, larger = (replace(WHOLE, device_bytes=OLD.weight_bytes + work) for work in (10**6, 50 * 10**6))
    for card in (OLD, NEW):
        residency.get(card, usual)
    residency.device_bytes = residency.used_bytes() + 20 * 10**6
    held = residency.get(OLD, usual)
    assert there(residency, OLD, NEW) == [True, True]
    assert residency.get(OLD, larger, keep=[(NEW.id, ())]) is held
    assert there(residency, OLD, NEW) == [True, False]
    residency.get(OLD, usual)
    residency.get(NEW, usual)
    assert there(residency, OLD, NEW) == [True, True]


def test_whoever_holds_an_evicted_resident_does_not_hold_its_weights(residency):
    held = residency.get(OLD, WHOLE)
    gone = weakref.ref(held.pipe.transformer)
    residency.evict((OLD.id, ()))
    assert gone() is None and held.pipe is None


def test_what_is_left_of_a_failed_load_is_collected(residency, monkeypatch):
    left, given_back = [], []

    def full(pipe, *_):
        left.append(weakref.ref(pipe.transformer))
        ring = [pipe]
        ring.append(ring)  # as an exception and its traceback are, so that nothing but the collector finds it
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("diffusers.DiffusionPipeline.to", full)
    monkeypatch.setattr("pipeline.residency.give_back", given_back.append)
    with pytest.raises(torch.OutOfMemoryError):
        residency.get(OLD, WHOLE)
    assert there(residency, OLD) == [False]
    assert [kept() is None for kept in left] == [False]
    residency.evict_all()
    assert [kept() is None for kept in left] == [True] and given_back == ["cpu"]


def test_only_what_is_called_as_a_whole_is_loaded_ahead(monkeypatch):
    class Part(torch.nn.Module):
        def enable_group_offload(self, **options):
            said[self.name] = options["use_stream"]

        def __init__(self, name):
            super().__init__()
            self.name = name

    said: dict[str, bool] = {}
    parts = {name: Part(name) for name in ("transformer", "vae")} | {"tokenizer": object()}
    Residency("cuda", 1)._offload_groups(SimpleNamespace(components=parts))
    assert said == {"transformer": True, "vae": False}
