"""What happens when memory is short or runs out: plans for GPUs of any size, the next plan, and one sentence at last.

A GPU is made up of facts: the plans are those of one, the work is done on the processor.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from types import SimpleNamespace

import diffusers
import pytest
import torch

from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.cards import ModelCard
from pipeline.device import Facts, available_bytes
from pipeline.errors import ModelError
from pipeline.fit import Plan, more_work
from pipeline.request import key_of, make_request
from tests.tiny_models import SHIPPED, card_on

OLD = SHIPPED.model(SHIPPED.default_pair.predecessor.model)
WHOLE = Plan("resident", "float32", 0)


@pytest.fixture
def card(checkpoint) -> ModelCard:
    """SDXL's own card on a tiny checkpoint, said to need 11 GB for a picture."""
    card = SHIPPED.model("sdxl")
    return card_on(checkpoint(card.pipeline), card, dtypes=("float32",), memory_bytes=11 * 10**9)


def gpu(gb: float) -> Facts:
    return Facts("cuda", "NVIDIA Test", int(gb * 1e9), 64 * 10**9, True)


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
    # A model that has no room whole: 11 GB, and 2.5 GB less with its network in 8 bits.
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
    for how in ("resident", "turns", "model offload"):
        backend._ran_out.note(key_of(request), how, pixels=1, room=int(11e9))
    run(backend, card)
    assert backend._plan(card, request).how == "group offload"
    free[0] = 12  # hardly more: the same would happen again
    run(backend, card)
    assert backend._plan(card, request).how == "group offload"
    free[0] = 24  # whoever had it has gone, and the model still lies there
    run(backend, card)
    assert backend._plan(card, request).how == "resident" and not backend._ran_out


def test_a_larger_picture_is_given_more_room_beside_others(card):
    backend = LocalBackend(facts=gpu(24))
    usual, larger = (
        backend._plan(card, make_request(card, "x", width=size, height=size)).device_bytes
        for size in (card.size.default, 2 * card.size.default)
    )
    assert larger - usual == 3 * (card.memory_bytes - card.weight_bytes)
    assert more_work(card, 1) == 0


def test_memory_that_files_left_in_a_container_can_still_be_taken(tmp_path, monkeypatch):
    counts = "anon 100\ninactive_file 700\nactive_file 90"
    for name, text in (("memory.max", "1000"), ("memory.current", "900"), ("memory.stat", counts)):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("pipeline.device.CGROUP", tmp_path)
    assert available_bytes() == 800
    (tmp_path / "memory.max").write_text("max")
    assert available_bytes() > 10**6


def test_a_gpu_that_has_stopped_working_is_one_sentence(monkeypatch):
    def dead():
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be")

    backend = LocalBackend()
    pipe = SimpleNamespace(maybe_free_model_hooks=lambda: None)
    monkeypatch.setattr(backend, "_cuda", SimpleNamespace(synchronize=dead))
    expected = pytest.raises(ModelError, match=r"illegal memory access was encountered\); restart Diptych\.$")
    with expected, backend._clean_up(pipe):
        raise RuntimeError("whatever came first")


@pytest.mark.parametrize("words", ["can't allocate memory", "not enough memory"], ids=["Linux", "Windows"])
def test_a_processor_that_runs_out_of_memory_says_so_too(card, monkeypatch, words):
    backend = LocalBackend()

    def failing(*_: object, **__: object):
        raise RuntimeError(f"[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: {words}: 99 bytes.")

    monkeypatch.setattr("diffusers.PRXTransformer2DModel.forward", failing)
    with pytest.raises(ModelError, match=r"Diptych 128 ran out of memory at 128 x 128 pixels: CPU, .* GB to give"):
        run(backend, OLD, steps=2)
