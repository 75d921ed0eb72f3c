"""What fits which machine, on machines that are made up."""

from __future__ import annotations

import pytest

from pipeline.catalog import load_catalog
from pipeline.device import Facts, cpu_device, find_facts
from pipeline.fit import MACHINES, default_pair, dtype_for, fit_model, fit_pair
from pipeline.models import models_document, pair_text
from pipeline.switches import lighter

SHIPPED = load_catalog()


def gpu(name: str, gb: float, capability: tuple[int, int], ram: float = 64) -> Facts:
    return Facts("cuda", name, int(gb * 0.97e9), int(ram * 1e9), capability >= (8, 0))


T4 = gpu("Tesla T4", 16, (7, 5), ram=16)
A10G = gpu("NVIDIA A10G", 24, (8, 6))
A100 = gpu("NVIDIA A100", 40, (8, 0))
H200 = gpu("NVIDIA H200", 141, (9, 0), ram=128)
LAPTOP = Facts("cpu", "CPU, 4 cores", int(16e9), int(16e9))
XEON = Facts("cpu", "CPU, 4 cores (Intel Xeon)", int(16e9), int(16e9), bf16=True)


def how(pair: str, facts: Facts) -> str | None:
    plan = fit_pair(SHIPPED, SHIPPED.pair(pair), facts).plan
    return plan and plan.how


def why_not(pair: str, facts: Facts) -> str:
    fit = fit_pair(SHIPPED, SHIPPED.pair(pair), facts)
    assert fit.plan is None
    assert fit.why_not.endswith(".") and "\n" not in fit.why_not
    return fit.why_not


@pytest.mark.parametrize(
    ("model", "facts", "dtype"),
    [
        ("sdxl", T4, "float16"),
        ("z-image", T4, None),
        ("z-image", A10G, "bfloat16"),
        ("z-image", LAPTOP, "float32"),
        ("z-image", XEON, "bfloat16"),
        ("sd-turbo", A10G, "float16"),
        ("sd-turbo", XEON, "bfloat16"),
        ("diptych-128", H200, "float32"),
        ("diptych-128", XEON, "float32"),
    ],
)
def test_a_type_is_taken_only_where_the_machine_computes_in_it(model, facts, dtype):
    assert dtype_for(SHIPPED.model(model), facts) == dtype


@pytest.mark.parametrize("facts", [T4, A10G, A100, H200, LAPTOP], ids=lambda facts: facts.name)
def test_the_bundled_pair_runs_everywhere_in_float32(facts):
    plan = fit_pair(SHIPPED, SHIPPED.pair("bundled"), facts).plan
    assert (plan.how, plan.dtype) == ("resident", "float32")


@pytest.mark.parametrize(
    ("pair", "facts", "expected"),
    [
        ("sdxl", T4, "turns"),
        ("sdxl", A10G, "resident"),
        ("flux2-klein", A10G, "turns"),
        ("z-image", A10G, "model offload"),
        ("z-image", A100, "turns"),
        ("z-image", H200, "resident"),
        ("qwen-image", gpu("A100", 40, (8, 0), ram=256), "group offload"),
        ("qwen-image", H200, "resident"),
        ("sd", LAPTOP, "turns"),
        ("sd", XEON, "resident"),
    ],
)
def test_a_pair_runs_the_fastest_way_that_fits(pair, facts, expected):
    assert how(pair, facts) == expected


def test_a_processors_own_word_decides_whether_it_computes_in_bfloat16(monkeypatch):
    import torch

    monkeypatch.setattr("pipeline.device.find_device", cpu_device)
    for units, bf16 in (({"amx_bf16": True}, True), ({"avx512_bf16": True}, False), ({"amx_bf16": False}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda units=units: units, raising=False)
        assert find_facts().bf16 is bf16
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # a torch that cannot tell
    assert not find_facts().bf16


def test_what_a_pair_shares_is_counted_once():
    card = SHIPPED.model("flux2-klein-4b")
    klein = fit_pair(SHIPPED, SHIPPED.pair("flux2-klein"), H200).plan
    drawing = card.memory_bytes - card.weight_bytes
    assert klein.device_bytes == 8_050_000_000 + 170_000_000 + 2 * 7_750_000_000 + drawing
    alone = fit_model(card, H200).plan
    assert alone.device_bytes == card.memory_bytes


def test_why_a_pair_does_not_run_and_on_what_it_would():
    assert why_not("z-image", T4) == (
        "Z-Image and Z-Image-Turbo must run in bfloat16, which Tesla T4 only emulates; an A100 (40 GB) would do."
    )
    assert "many minutes a picture on a processor; a T4 (16 GB) would do" in why_not("sdxl", LAPTOP)
    assert "one model alone needs" in why_not("flux1", gpu("Small", 3, (8, 6), ram=16))


def test_a_machine_with_little_memory_cannot_offload():
    assert "4 GB of memory beside" in why_not("qwen-image", gpu("Lonely", 24, (8, 9), ram=4))


def test_offloading_wants_as_much_memory_as_it_takes_and_a_pair_takes_turns_at_too_little():
    """FLUX.1's models are 34 GB each and share nothing when they are offloaded; layer by layer they are pinned: 51."""
    plans = [
        fit_pair(SHIPPED, SHIPPED.pair("flux1"), gpu("Card", 40, (8, 6), ram=ram)).plans
        for ram in (40, 60, 80, 100, 130)
    ]
    parts, layers = ("model offload", False), ("group offload", False)
    assert [[(plan.how, plan.one_by_one) for plan in found] for found in plans] == [
        [],
        [("model offload", True)],
        [("model offload", True), ("group offload", True)],
        [parts, ("group offload", True)],
        [parts, layers],
    ]
    assert plans[1][0].words == (
        "bfloat16, a model's parts on the GPU in turn, slower, one model in memory at a time, "
        f"{plans[1][0].device_bytes / 1e9:.1f} GB"
    )


def test_each_model_of_a_pair_is_counted_in_its_own_type():
    narrow = SHIPPED.model("sd-turbo")
    wide = narrow.model_copy(update={"id": "wide", "dtypes": ("bfloat16", "float32")})
    catalog = SHIPPED.model_copy(update={"models": SHIPPED.models | {"wide": wide}})
    plans = [fit_pair(catalog, catalog.pair(f"sd-turbo:{other}"), XEON).plan for other in ("sd-2.1", "wide")]
    assert [plan.how for plan in plans] == ["resident", "turns"]


def test_there_is_a_next_plan_for_when_memory_runs_out():
    plans = fit_pair(SHIPPED, SHIPPED.pair("flux2-klein"), H200).plans
    assert [plan.how for plan in plans] == ["resident", "turns", "model offload", "group offload"]
    assert [plan.device_bytes for plan in plans] == sorted((plan.device_bytes for plan in plans), reverse=True)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(T4, "sdxl"), (A10G, "flux2-klein"), (A100, "z-image"), (H200, "z-image"), (LAPTOP, "bundled")],
)
def test_the_default_pair_is_the_best_that_runs_without_offloading(facts, expected):
    assert default_pair(SHIPPED, facts).id == expected


def test_nothing_that_is_not_here_is_a_default():
    assert default_pair(SHIPPED, H200, here=lambda card: card.repo is None).id == "bundled"
    assert default_pair(SHIPPED, H200, here=lambda card: "sdxl" in card.id).id == "sdxl"


def test_half_the_weights_make_a_faster_way_fit_and_the_page_says_which():
    said = {pair["id"]: pair for pair in models_document(SHIPPED, A10G)["pairs"]}
    klein = said["flux2-klein"]
    card = SHIPPED.model("flux2-klein-4b")
    alone = f"{card.memory_bytes / 1e9:.1f} GB"
    assert klein["how"] == f"bfloat16, one model in memory at a time, {alone}"
    left = 8_050_000_000 + 170_000_000 + 2 * 7_750_000_000 * 0.51 + card.memory_bytes - card.weight_bytes
    assert klein["faster_with"] == {
        "switch": "fp8-weights", "how": f"bfloat16, all in memory at once, {left / 1e9:.1f} GB",
    }  # fmt: skip
    assert pair_text(klein).endswith(f"{alone}; with fp8-weights on both all in memory at once, {left / 1e9:.1f} GB")
    assert said["sdxl"]["faster_with"] is None, "there is nothing faster than all at once"
    little = models_document(SHIPPED, gpu("NVIDIA A10G", 24, (8, 6), ram=40))["pairs"]
    flux = next(pair for pair in little if pair["id"] == "flux1")
    assert "would do. With fp8-weights on both: " in pair_text(flux)


@pytest.mark.parametrize("model", ["sdxl", "z-image"])
def test_lighter_weights_are_the_networks_alone(model):
    card = SHIPPED.model(model)
    light = lighter(card, ["compile", "fp8-weights"])
    network = "unet" if model == "sdxl" else "transformer"
    saved = card.part_bytes[network] - light.part_bytes[network]
    assert saved == int(card.part_bytes[network] * 0.49)
    assert card.weight_bytes - light.weight_bytes == card.memory_bytes - light.memory_bytes == saved
    assert {name for name in card.part_bytes if card.part_bytes[name] != light.part_bytes[name]} == {network}
    assert lighter(card, ["compile"]) == card == lighter(card, [])


def test_every_shipped_pair_runs_on_some_usual_machine():
    for pair in SHIPPED.pairs.values():
        if any(card.hosted for card in SHIPPED.cards(pair)):
            continue  # runs at a provider
        assert any(fit_pair(SHIPPED, pair, facts).plan for _, facts in MACHINES), pair.id
