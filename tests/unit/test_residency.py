"""What is in memory, and where: sharing, eviction by bytes, offloading, and what happens when memory runs out.

The bundled pair and tiny checkpoints with the very loader that real weights take; a GPU is made up of facts.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import diffusers
import pytest
import torch

from pipeline.backends import How, key_of
from pipeline.backends.local import LocalBackend
from pipeline.bench.random_weights import save
from pipeline.catalog import ModelCard, load_catalog
from pipeline.device import Facts, resident_bytes
from pipeline.errors import ModelError
from pipeline.fit import Plan, more_work
from pipeline.request import make_request
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


def test_twenty_switches_leave_the_count_where_it_was():
    before = transformers_alive()
    residency = Residency("cpu", max(OLD.weight_bytes, NEW.weight_bytes))
    encoder = residency.get(NEW, WHOLE).pipe.text_encoder
    for _ in range(10):
        for card, other in ((OLD, NEW), (NEW, OLD)):
            pipe = residency.get(card, WHOLE, keep={(OLD.id, ()), (NEW.id, ())}).pipe
            assert there(residency, card, other) == [True, False]
            assert pipe.text_encoder is encoder, "what the two share is handed on, not read again"
    assert transformers_alive() == before + 1
    pipe = residency.get(NEW, WHOLE).pipe
    assert residency.used_bytes() == held_by(pipe.text_encoder, pipe.transformer)


SWITCHING = """
from pipeline.catalog import load_catalog
from pipeline.device import resident_bytes
from pipeline.fit import Plan, more_work
from pipeline.residency import Residency

cards = [load_catalog().model(model) for model in ("diptych-128", "diptych-128-efficient")]
residency, held = Residency("cpu", 60_000_000), []
for turn in range(22):
    residency.get(cards[turn % 2], Plan("resident", "float32", 0))
    held.append(resident_bytes())
print(max(held[2:]) / held[1])
"""


@pytest.mark.skipif(resident_bytes() is None, reason="this system does not say how much memory a process holds")
def test_twenty_switches_leave_the_process_as_large_as_it_was():
    said = subprocess.run([sys.executable, "-c", SWITCHING], capture_output=True, text=True, timeout=120, check=True)
    assert float(said.stdout) < 1.05


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


# A GPU that is made up: the plans are those of one, the work is done on the processor.


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> ModelCard:
    """SDXL's own card on a tiny checkpoint."""
    card = SHIPPED.model("sdxl")
    folder = save(card.pipeline, tmp_path_factory.mktemp("sdxl"))
    size = card.size.model_copy(update={"default": 32, "min": 32, "max": 64})
    return card.model_copy(
        update={"path": str(folder), "repo": None, "revision": None, "variant": None, "replace": {}, "size": size,
                "dtypes": ("float32",)}
    )  # fmt: skip


def gpu(gb: float) -> Facts:
    return Facts("cuda", "NVIDIA Test", int(gb * 1e9), int(gb * 1e9), 64 * 10**9, (8, 6), True)


def run(backend: LocalBackend, card: ModelCard, **fields: object):
    request = make_request(card, "a red apple", **{"seed": 7, "steps": 4, **fields})
    backend.prepare(card, request, frozenset({key_of(request)}), lambda *_: None)
    return backend.make(card, request, How(), lambda *_: None, threading.Event())


@pytest.mark.parametrize(("gb", "how"), [(24, "resident"), (11, "model offload"), (6, "group offload")])
def test_a_card_of_any_size_makes_the_same_picture(card, gb, how):
    roomy = run(LocalBackend(facts=gpu(80)), card).image
    backend = LocalBackend(facts=gpu(gb))
    first, again = run(backend, card), run(backend, card)
    assert backend._plan(card, make_request(card, "x")).how == how
    assert first.image.tobytes() == again.image.tobytes() == roomy.tobytes()


@pytest.mark.parametrize(("gb", "how"), [(24, "resident"), (8.5, "model offload"), (6, "group offload")])
def test_weights_are_lightened_before_they_are_placed_and_need_less_room(card, gb, how, monkeypatch):
    roomy = run(LocalBackend(facts=gpu(80)), card, switches=["fp8-weights"]).image
    order = []
    placed = diffusers.DiffusionPipeline.to

    def to(pipe, *args, **kwargs):
        order.append(next(pipe.unet.down_blocks[0].resnets[0].conv1.parameters()).dtype)
        return placed(pipe, *args, **kwargs)

    monkeypatch.setattr(diffusers.DiffusionPipeline, "to", to)
    backend = LocalBackend(facts=gpu(gb))
    made = run(backend, card, switches=["fp8-weights"])
    assert backend._plan(card, make_request(card, "x", switches=["fp8-weights"])).how == how
    assert order[:1] == [torch.float8_e4m3fn][: how != "group offload"]
    assert made.image.tobytes() == roomy.tobytes()


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed, which slows every other test down")
@pytest.mark.parametrize(("gb", "how"), [(24, "resident"), (9.5, "model offload"), (6, "group offload")])
def test_8_bit_integers_make_the_same_picture_however_they_are_placed(card, gb, how):
    switches = ["int8-weights"]
    whole, light, backend = (LocalBackend(facts=gpu(room)) for room in (80, 80, gb))
    plain, roomy = run(whole, card).image, run(light, card, switches=switches).image
    made = run(backend, card, switches=switches).image
    assert backend._plan(card, make_request(card, "x", switches=switches)).how == how
    assert made.tobytes() == roomy.tobytes() != plain.tobytes()
    assert light.residency.used_bytes() < whole.residency.used_bytes()


def test_what_fits_only_with_lighter_weights_runs_with_them(card):
    # A pair of SDXL's size that has no room whole: 11 GB each, and 2.5 GB less with its network in 8 bits.
    plain, light = (
        LocalBackend(facts=gpu(11))._plan(card, make_request(card, "x", switches=switches)).how
        for switches in ([], ["fp8-weights"])
    )
    assert (plain, light) == ("model offload", "resident")


class Greedy:
    """Makes a pipeline run out of memory in its n-th network evaluations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int):
        self.left = times
        import diffusers

        forward = diffusers.UNet2DConditionModel.forward

        def failing(network, sample, *rest, **more):
            if self.left:
                self.left -= 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            return forward(network, sample, *rest, **more)

        monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", failing)


def test_memory_runs_out_and_the_next_plan_makes_the_very_picture(card, monkeypatch):
    expected = run(LocalBackend(facts=gpu(80)), card).image
    backend = LocalBackend(facts=gpu(24))
    Greedy(monkeypatch, 1)
    made = run(backend, card)
    assert made.image.tobytes() == expected.tobytes()
    assert backend._plan(card, make_request(card, "x", width=64, height=64)).how == "model offload"
    assert len(backend.residency) == 1


def test_a_smaller_picture_is_still_tried_the_fast_way(card, monkeypatch):
    backend = LocalBackend(facts=gpu(24))
    Greedy(monkeypatch, 1)
    run(backend, card, width=64, height=64)
    assert backend._plan(card, make_request(card, "x", width=64, height=64)).how == "model offload"
    assert backend._plan(card, make_request(card, "x", width=32, height=32)).how == "resident"


def test_memory_that_runs_out_while_loading_beside_another_is_not_held_against_it(card, monkeypatch):
    backend = LocalBackend(facts=gpu(24))
    run(backend, OLD, steps=2)
    Greedy(monkeypatch, 1)
    request = make_request(card, "a red apple", seed=7, steps=4)
    backend.prepare(card, request, frozenset(), lambda *_: None)
    assert backend._plan(card, request).how == "resident"


def test_two_failures_in_a_row_still_reach_the_next_plan(card, monkeypatch):
    backend = LocalBackend(facts=gpu(24))
    run(backend, OLD, steps=2)
    Greedy(monkeypatch, 2)
    run(backend, card)
    assert backend._plan(card, make_request(card, "x")).how == "model offload"


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


def test_others_make_room_before_a_slower_plan_is_taken(card, monkeypatch):
    backend = LocalBackend(facts=gpu(24))
    run(backend, OLD, steps=2)
    Greedy(monkeypatch, 1)
    run(backend, card)
    assert backend._plan(card, make_request(card, "x")).how == "resident"
    assert not backend.residency.holds((OLD.id, ()), WHOLE)


def test_in_the_end_there_is_one_sentence_with_the_numbers_and_the_next_run_works(card, monkeypatch):
    backend = LocalBackend(facts=gpu(24))
    greedy = Greedy(monkeypatch, 100)
    with pytest.raises(ModelError) as caught:
        run(backend, card)
    assert str(caught.value) == (
        "SDXL 1.0 ran out of memory at 32 x 32 pixels: NVIDIA Test had 24.0 GB to give; choose a smaller size or model."
    )
    assert len(backend.residency) == 0
    greedy.left = 0
    assert run(backend, OLD, steps=2).image.size == (128, 128)
    assert run(backend, card).image.size == (32, 32)


def test_what_else_takes_of_the_gpu_is_seen_before_each_load_and_when_memory_ran_out(card, monkeypatch):
    free = [24.0]
    monkeypatch.setattr("pipeline.backends.local.find_facts", lambda: gpu(free[0]))
    backend, request = LocalBackend(), make_request(card, "a red apple", seed=7, steps=4)
    expected = run(backend, card).image.tobytes()
    assert backend._plan(card, request).how == "resident"
    free[0] = 11  # somebody else has come
    Greedy(monkeypatch, 1)
    assert run(backend, card).image.tobytes() == expected
    assert backend._plan(card, request).how == "model offload"
    backend.residency.evict_all()
    free[0] = 3
    with pytest.raises(ModelError, match=r"SDXL 1.0: one model alone needs .* GB, and NVIDIA Test has 3.0 GB to give"):
        run(backend, card)
    free[0] = 80
    assert run(backend, card).image.tobytes() == expected


def test_a_shortage_that_is_over_is_forgotten(card, monkeypatch):
    free = [11.0]
    monkeypatch.setattr("pipeline.backends.local.find_facts", lambda: gpu(free[0]))
    backend, request = LocalBackend(), make_request(card, "a red apple", seed=7, steps=4)
    backend._look_again()
    backend._ran_out = {(key_of(request), how): (1, int(11e9)) for how in ("resident", "turns", "model offload")}
    run(backend, card)
    assert backend._plan(card, request).how == "group offload"
    free[0] = 12  # hardly more: the same would happen again
    run(backend, card)
    assert backend._plan(card, request).how == "group offload"
    free[0] = 24  # whoever had it has gone, and the model still lies there
    run(backend, card)
    assert backend._plan(card, request).how == "resident" and not backend._ran_out


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


def test_a_larger_picture_is_given_more_room_beside_others(card):
    backend = LocalBackend(facts=gpu(24))
    usual, larger = (
        backend._plan(card, make_request(card, "x", width=size, height=size)).device_bytes
        for size in (card.size.default, 2 * card.size.default)
    )
    assert larger - usual == 3 * (card.memory_bytes - card.weight_bytes)
    assert more_work(card, 1) == 0


def test_what_is_left_of_a_failed_load_is_collected(residency, monkeypatch):
    given_back = []
    monkeypatch.setattr("pipeline.residency.give_back", given_back.append)
    residency.evict_all()
    assert given_back == ["cpu"]


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


def test_a_gpu_that_has_stopped_working_is_one_sentence(monkeypatch):
    def dead():
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be")

    backend = LocalBackend()
    pipe = SimpleNamespace(maybe_free_model_hooks=lambda: None)
    monkeypatch.setattr(backend, "_cuda", SimpleNamespace(synchronize=dead))
    expected = pytest.raises(ModelError, match=r"illegal memory access was encountered\); restart Diptych\.$")
    with expected, backend._clean_up(pipe):
        raise RuntimeError("whatever came first")


def test_a_processor_that_runs_out_of_memory_says_so_too(card, monkeypatch):
    backend = LocalBackend()

    def failing(*_: object, **__: object):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 99 bytes.")

    monkeypatch.setattr("diffusers.PRXTransformer2DModel.forward", failing)
    with pytest.raises(ModelError, match=r"Diptych 128 ran out of memory at 128 x 128 pixels: CPU, .* GB to give"):
        run(backend, OLD, steps=2)
