"""The benches' documents have their shape. What the numbers are is nobody's business here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline import bench, residency
from pipeline.__main__ import main
from pipeline.backends import Made
from pipeline.backends.local import LocalBackend
from pipeline.bench.memory import GIVEN_OUT, TAKEN, TARGET_PERCENT, growth, held_bytes
from pipeline.bench.peak import against_card
from pipeline.bench.random_weights import build
from pipeline.catalog import load_catalog
from pipeline.device import Device
from pipeline.engine import Engine
from pipeline.errors import InputError
from pipeline.estimate import LOADED_S
from pipeline.events import final_results
from pipeline.request import make_request
from tests.fakes import CountingBackend

STAGES = {"encode_s", "denoise_s", "decode_s", "total_s"}


@pytest.fixture(autouse=True)
def no_picture_is_refused(monkeypatch):
    """In 16 bits random weights may overflow, as the full-sized SDXL's do, and the picture is black."""
    monkeypatch.setattr("pipeline.backends.local.refuse_unusable", lambda *_: pytest.fail("a picture was judged"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bench.Subject:
    """SDXL and SDXL-Lightning with tiny random weights, by their model file."""
    return made("sdxl", tmp_path_factory.mktemp("random"))


def made(pair: str, out: Path) -> bench.Subject:
    shipped = load_catalog()
    list(build(shipped, shipped.pair(pair), out, "tiny"))
    return bench.Subject(pair=f"random-{pair}", model_file=str(out / f"{pair}.toml"))


def document(name: str, runs: int = 1, subject: bench.Subject = bench.DEFAULT) -> dict:
    """Run a bench and check what holds for all."""
    found = bench.run(name, runs, subject)
    assert found["bench"] == name
    assert found["runs"] == runs
    assert found["device"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["device"] in bench.table(found)
    return found


def test_every_bench_has_a_line_for_the_list():
    assert all(each.about.endswith(".") for each in bench.BENCHES.values())


@pytest.mark.parametrize("name", ["speed", "", None, 3, ["pair"]])
def test_an_unknown_bench_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=r"bench must be one of pair, throughput, overhead, .*, precision; got"):
        bench.run(name)


@pytest.mark.parametrize("runs", [0, -1, 21, 1.5, True, "3"])
def test_a_wrong_number_of_runs_is_refused(runs):
    with pytest.raises(InputError, match="runs must be a whole number from 1 to 20"):
        bench.run("pair", runs)


def test_the_pairs_document():
    found = document("pair")
    assert [row["lane"] for row in found["rows"]] == ["predecessor", "efficient"]
    assert all(row.keys() >= STAGES for row in found["rows"])
    assert {"speedup", "speedup_low", "speedup_high", "saving", "price", "psnr_db", "ssim"} <= set(found)


def test_the_throughputs_document(tiny):
    found = document("throughput", subject=tiny)
    assert {(row["lane"], row["at_once"]) for row in found["rows"]} >= {("predecessor", 1), ("efficient", 1)}
    assert all(row["images_per_minute"] > 0 for row in found["rows"])
    assert found["throughput_gain"] > 0


def test_one_at_a_time_also_among_eight_visitors():
    found = document("concurrency")
    assert found["peak_overlap"] == 1
    assert 0 < found["finished"] <= found["comparisons"] == 8


def test_visitors_may_also_ask_for_models_that_take_turns_in_memory(catalog):
    engine = Engine(catalog, bench.concurrency.Counted(CountingBackend(load_s=2 * LOADED_S)))
    pair = [make_request(card, "a fox") for card in catalog.models.values()]
    final_results(engine.run(pair))
    assert len(final_results(engine.run(pair, use_cache=False))) == 2, "who asks again is told what loading took"


@pytest.mark.parametrize("pair", ["sdxl", "flux2-klein", "z-image", "sana"])
def test_a_pair_of_a_model_file_can_be_measured_against_plain_diffusers(pair, tmp_path):
    shipped = load_catalog().pair(pair)
    found = document("overhead", subject=made(pair, tmp_path))
    assert [row["model"] for row in found["rows"]] == [
        f"random-{lane.model}" for lane in (shipped.predecessor, shipped.efficient)
    ]
    assert all(row["total_ratio"] > 0 < row["wall_ratio"] for row in found["rows"])
    assert found["ok"] is None and found["rows"][0]["ratio_low"] is None, "one run tells nothing"


@pytest.mark.parametrize(
    ("intervals", "ok"),
    [
        ([(0.97, 1.01), (0.99, 1.02)], True),
        ([(0.97, 1.01), (0.99, 1.03)], None),
        ([(0.97, 1.01), (None, None)], None),
        ([(None, None), (1.03, 1.09)], False),
    ],
)
def test_a_target_is_kept_only_if_the_whole_interval_keeps_it(intervals, ok):
    assert bench.overhead.within(intervals, 1.02) is ok


def test_engine_and_plain_call_take_turns_at_being_first_and_the_ratio_is_the_engines_over_the_plain_calls(monkeypatch):
    begun = []

    def make(self, card, request, how, on_step, stop):
        begun.append((request.prompt, self.plain))
        return Made(Image.new("RGB", (8, 8)), {"denoise": 1.0 if self.plain else 2 + len(begun) / 100}, False, None)

    monkeypatch.setattr(bench.overhead.Plain, "make", make)
    found = document("overhead", 4, bench.Subject(model="diptych-128-efficient"))
    first = [plain for (_, plain), (_, other) in zip(begun[::2], begun[1::2], strict=True) if plain != other]
    assert first == [False, True, False, True, False]
    assert all(one == other for (one, _), (other, _) in zip(begun[::2], begun[1::2], strict=True)), "a prompt a turn"
    [row] = found["rows"]
    assert 2 < row["ratio_low"] < row["total_ratio"] < row["ratio_high"] < 2.2
    assert found["ok"] is False


def test_a_model_alone_has_one_row():
    found = document("overhead", subject=bench.Subject(model="diptych-128-efficient"))
    assert [row["model"] for row in found["rows"]] == ["diptych-128-efficient"]


def test_sharing_saves_exactly_what_is_shared(tiny, monkeypatch):
    loads, load = [], residency.load
    monkeypatch.setattr(residency, "load", lambda card, *how: loads.append(card.id) or load(card, *how))
    found = document("sharing", 2, tiny)
    assert found["shared_parts"] == "vae, text_encoder, text_encoder_2"
    assert found["saved_mb"] == pytest.approx(found["shared_mb"]) and found["ok"]
    once, twice, alone = (row["held_mb"] for row in found["rows"])
    assert alone < once < twice == pytest.approx(2 * alone)
    assert len(loads) == 3 * 2 + 2, "each way loads both, and only where there is room for one, each switch loads again"


def test_the_command_line_takes_a_pair_of_a_model_file(tiny, capsys):
    asked = ["bench", "peak", "--runs", "1", "--pair", tiny.pair, "--model-file", tiny.model_file, "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"][1]["model"] == "random-sdxl-lightning"


@pytest.mark.parametrize("name", ["sharing", "memory"])
def test_a_pair_of_one_model_has_nothing_to_switch_to(name):
    with pytest.raises(InputError, match="must have two different models for this bench; fewer-steps has diptych-128"):
        bench.run(name, 1, bench.Subject(pair="fewer-steps"))


def test_memory_with_models_of_a_file(tiny):
    [row] = document("memory", 2, tiny)["rows"]
    assert row["what"] == "process"
    assert {"before_mb", "after_mb", "late_growth_percent", "target_percent"} <= set(row)
    assert row["growth_percent"] is None or abs(row["growth_percent"]) < 5


def test_on_a_gpu_its_own_memory_is_told_too(monkeypatch):
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda: 5)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda: 6)
    backend = LocalBackend()
    backend.__dict__["_device"] = Device("cuda", "NVIDIA Test", 10**9)
    held = held_bytes(backend)
    assert (held[GIVEN_OUT], held[TAKEN]) == (5, 6)
    assert held.keys() == TARGET_PERCENT.keys()


def test_growth_compares_the_same_model_with_itself():
    held = [200, 100] * 10
    row = growth("process", 100, held)
    assert (row["growth_percent"], row["late_growth_percent"], row["highest_mb"]) == (0, 0, 200 / 1e6)
    held[-1] = 101
    assert growth("process", 100, held)["late_growth_percent"] == pytest.approx(1)


def test_the_page_is_set_beside_the_engine():
    rows = document("served")["rows"]
    assert [row["lane"] for row in rows] == ["predecessor", "efficient"]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["page_s_median"] / row["engine_s_median"])


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_a_compiled_model_is_set_beside_itself(monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "as it was")
    [row] = document("compile", subject=bench.Subject(model="diptych-128-efficient"))["rows"]
    assert row["first_compiled_s"] > row["first_plain_s"]
    assert row["ratio"] == pytest.approx(row["compiled_s_median"] / row["plain_s_median"])
    assert row["psnr_db"] is None or row["psnr_db"] > 40  # the same to the eye
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "as it was"


def test_peak_memory_is_beside_the_cards_figure(tiny):
    found = document("peak", subject=tiny)
    assert [row["size"] for row in found["rows"]] == ["32 x 32", "32 x 32"]
    for row in found["rows"]:
        assert row["peak_mb"] is None or row["peak_mb"] > row["weights_mb"] > 0
        assert row["ratio"] is None  # a process is no GPU


def test_two_types_of_the_same_weights_are_set_side_by_side(tiny):
    for row in document("precision", subject=tiny)["rows"]:
        assert row["ratio"] == pytest.approx(row["sixteen_s_median"] / row["float32_s_median"])
        assert row["sixteen"] == ("float16" if torch.cuda.is_available() else "bfloat16")
        assert row["psnr_db"] > 10  # the same picture but for rounding
    with pytest.raises(InputError, match="must have weights of 16 bits for this bench; diptych-128 has float32"):
        bench.run("precision", 1)


def test_a_gpus_peak_is_compared_and_a_card_without_a_figure_is_not():
    card = load_catalog().model("sdxl")
    found = against_card(int(1.1 * card.memory_bytes), card, "cuda")
    assert found["ratio"] == pytest.approx(1.1)
    assert found["card_source"] == card.memory_source
    assert against_card(1, load_catalog().model("diptych-128"), "cuda")["ratio"] is None
    assert against_card(None, card, "cuda")["ratio"] is None


@pytest.mark.parametrize(
    ("name", "subject", "message"),
    [
        ("startup", bench.Subject(pair="sdxl"), "pair is nothing that bench startup can be told; it takes none"),
        ("sharing", bench.Subject(model="sdxl"), "model is nothing that bench sharing can be told; it takes pair or"),
        ("peak", bench.Subject(pair="sdxl", model="sdxl"), "pair and model exclude each other"),
        ("peak", bench.Subject(pair="none"), "pair must be one of bundled"),
        ("peak", bench.Subject(model="none"), "model must be one of diptych-128"),
    ],
)
def test_what_a_bench_cannot_run_on_is_refused(name, subject, message):
    with pytest.raises(InputError, match=message):
        bench.run(name, 1, subject)


def test_a_table_has_columns_for_rows_and_a_line_for_the_rest():
    shown = bench.table(
        {"bench": "x", "rows": [{"what": "a", "s": 1.23456}, {"what": "longer", "s": None}], "ok": True}
    )
    assert shown.splitlines() == ["what    s", "a       1.235", "longer  –", "", "bench  x", "ok     yes"]
