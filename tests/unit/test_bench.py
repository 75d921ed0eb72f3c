"""The benches' documents have their shape. What the numbers are is nobody's business here."""

from __future__ import annotations

import json

import pytest

from pipeline import bench
from pipeline.errors import InputError

STAGES = {"encode_s", "denoise_s", "decode_s", "total_s"}


def document(name: str, runs: int = 1) -> dict:
    """Run a bench and check what holds for all."""
    found = bench.run(name, runs)
    assert found["bench"] == name
    assert found["runs"] == runs
    assert found["device"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["device"] in bench.table(found)
    return found


def test_every_bench_has_a_default_and_a_line_for_the_list():
    assert set(bench.NAMES) == set(bench.DEFAULT_RUNS)
    assert all((run.__doc__ or "").splitlines()[0].endswith(".") for run in bench.NAMES.values())


@pytest.mark.parametrize("name", ["speed", "", None, 3, ["pair"]])
def test_an_unknown_bench_is_refused_with_the_known_ones(name):
    with pytest.raises(
        InputError, match="bench must be one of pair, throughput, overhead, startup, concurrency, memory; got"
    ):
        bench.run(name)


@pytest.mark.parametrize("runs", [0, -1, 21, 1.5, True, "3"])
def test_a_wrong_number_of_runs_is_refused(runs):
    with pytest.raises(InputError, match="runs must be a whole number from 1 to 20"):
        bench.run("pair", runs)


def test_the_pairs_document():
    found = document("pair")
    assert [row["lane"] for row in found["rows"]] == ["predecessor", "efficient"]
    assert all(row.keys() >= STAGES for row in found["rows"])
    assert {"speedup", "saving", "price", "psnr_db", "ssim"} <= set(found)


def test_the_throughputs_document():
    found = document("throughput")
    assert {(row["lane"], row["at_once"]) for row in found["rows"]} >= {("predecessor", 1), ("efficient", 1)}
    assert all(row["images_per_minute"] > 0 for row in found["rows"])
    assert found["throughput_gain"] > 0


def test_the_overheads_document():
    found = document("overhead")
    assert len(found["rows"]) == 2
    assert all(row["total_ratio"] > 0 < row["wall_ratio"] for row in found["rows"])
    assert isinstance(found["ok"], bool)


def test_the_memorys_document():
    found = document("memory")
    assert {"before_mb", "after_mb", "growth_percent", "late_growth_percent"} <= set(found)


def test_one_at_a_time_also_among_eight_visitors():
    found = document("concurrency")
    assert found["peak_overlap"] == 1
    assert 0 < found["finished"] <= found["comparisons"] == 8


def test_a_table_has_columns_for_rows_and_a_line_for_the_rest():
    shown = bench.table(
        {"bench": "x", "rows": [{"what": "a", "s": 1.23456}, {"what": "longer", "s": None}], "ok": True}
    )
    assert shown.splitlines() == ["what    s", "a       1.235", "longer  –", "", "bench  x", "ok     yes"]
