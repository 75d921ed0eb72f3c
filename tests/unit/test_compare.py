"""The comparison's document: its exact shape, and when it says nothing rather than something wrong."""

from __future__ import annotations

import json

import pytest

from pipeline.catalog import load_catalog
from pipeline.compare import (
    compare_document,
    estimate_document,
    generate_document,
    lane_document,
    plan,
    repriced,
)
from pipeline.errors import InputError
from pipeline.estimate import Estimate
from pipeline.events import Result
from pipeline.prices import load_prices
from tests.fakes import results

PRICE = load_prices().profiles["hf-l4"]


@pytest.fixture
def both(engine, requests) -> dict[str, Result]:
    made = results(engine.run(requests))
    return {"efficient": made[0], "predecessor": made[1]}


@pytest.fixture
def document(catalog, both) -> dict:
    return compare_document(catalog.pair("both"), both, PRICE)


def test_its_keys_are_the_contract(document):
    assert list(document) == [
        "prompt",
        "negative_prompt",
        "seed",
        "width",
        "height",
        "pair",
        "question",
        "device",
        "price",
        "lanes",
        "speedup",
        "saving",
        "significance",
        "throughput_gain",
        "fidelity",
        "judged",
    ]
    assert set(document["price"]) == {"profile", "usd_per_hour", "source", "as_of"}
    agreed = {
        "role",
        "model",
        "image",
        "steps",
        "guidance",
        "switches",
        "model_evaluations",
        "hosted",
        "seconds",
        "runs",
        "warm",
        "cache",
    }
    added = {"seconds_min", "seconds_max", "usual_seconds", "encode_cached", "previews"}
    for lane in document["lanes"]:
        assert set(lane) == agreed | added | {"cost_usd", "peak_memory_bytes", "reading", "throughput"}
        assert set(lane["seconds"]) == {"wait", "load", "encode", "denoise", "decode", "total"}
    assert set(document["fidelity"]) == {"psnr_db", "ssim"}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_predecessor_stands_first_whichever_ran_first(document):
    assert [lane["role"] for lane in document["lanes"]] == ["predecessor", "efficient"]
    assert [lane["model"] for lane in document["lanes"]] == ["old", "new"]
    assert [lane["model_evaluations"] for lane in document["lanes"]] == [12, 2]


def test_speed_up_and_saving_follow_from_the_lanes(document):
    slow, fast = document["lanes"]
    assert slow["seconds"]["total"] == pytest.approx(0.017)
    assert fast["seconds"]["total"] == pytest.approx(0.007)
    assert document["speedup"] == pytest.approx(0.017 / 0.007)
    assert document["saving"] == pytest.approx(1 - 0.007 / 0.017)
    assert slow["cost_usd"] == pytest.approx(0.017 * 0.80 / 3600)


def test_waiting_and_loading_are_in_no_speed_up(catalog, both):
    def slowly(result: Result) -> Result:
        runs = tuple(run.__class__(**{**vars(run), "wait": 100.0, "load": 50.0}) for run in result.runs)
        return Result(**{**vars(result), "runs": runs})

    before = compare_document(catalog.pair("both"), both, PRICE)
    after = compare_document(catalog.pair("both"), {**both, "predecessor": slowly(both["predecessor"])}, PRICE)
    assert after["speedup"] == before["speedup"]
    assert after["saving"] == before["saving"]
    assert after["lanes"][0]["seconds"]["wait"] == 100.0


@pytest.mark.parametrize("cached", [{0}, {1}, {0, 1}])
def test_a_hit_on_either_side_gives_no_speed_up(catalog, engine, requests, cached):
    results(engine.run([requests[lane] for lane in cached]))
    made = results(engine.run(requests))
    document = compare_document(catalog.pair("both"), {"efficient": made[0], "predecessor": made[1]}, PRICE)
    assert document["speedup"] is None
    assert document["saving"] is None
    assert [lane["cache"] for lane in document["lanes"]] == ["hit" if lane in cached else "miss" for lane in (1, 0)]
    assert document["fidelity"] is not None


def test_no_fidelity_where_the_noise_leads_elsewhere(catalog, both):
    assert compare_document(catalog.pair("short"), both, PRICE)["fidelity"] is None


def test_at_no_price_there_is_no_saving(catalog, both):
    free = load_prices().profiles["free"]
    document = compare_document(catalog.pair("both"), both, free)
    assert document["saving"] is None
    assert document["lanes"][0]["cost_usd"] == 0
    assert document["speedup"] is not None


def test_a_lane_of_its_own_has_no_role(both):
    assert "role" not in lane_document(both["efficient"], PRICE)


def test_one_picture_says_what_the_comparison_says_once_for_both(both):
    document = generate_document(both["efficient"], PRICE)
    assert (document["prompt"], document["seed"], document["device"]) == ("a red apple", 7, "CPU, 1 core (fake)")
    assert document["price"]["profile"] == "hf-l4"
    assert document.items() >= lane_document(both["efficient"], PRICE).items()


def test_the_negative_prompt_is_that_of_the_lane_that_uses_one(catalog, engine, document):
    pair = catalog.pair("both")
    requests = plan(catalog, pair, "a fox", negative_prompt=" rain ", seed=7)
    made = dict(zip(requests, results(engine.run(list(requests.values()))).values(), strict=True))
    assert compare_document(pair, made, PRICE)["negative_prompt"] == "rain"
    assert [generate_document(made[role], PRICE)["negative_prompt"] for role in requests] == ["", "rain"]
    assert document["negative_prompt"] == ""


def test_what_was_kept_before_there_were_providers_can_have_any_price(document):
    lanes = [{name: value for name, value in lane.items() if name != "hosted"} for lane in document["lanes"]]
    old = document | {"lanes": lanes}
    free, known = (repriced(old, load_prices().profiles[name]) for name in ("free", "hf-l4"))
    assert free["saving"] is None and known["saving"] == document["saving"]


def test_another_price_changes_sums_and_nothing_else(catalog, both, document):
    dearer = load_prices().profiles["hf-l40s"]
    assert repriced(document, dearer) == compare_document(catalog.pair("both"), both, dearer)
    assert repriced(document, PRICE) == document
    assert repriced({**document, "speedup": None, "saving": None}, dearer)["saving"] is None


def test_several_runs_show_the_median_and_its_spread(engine, requests, backend):
    backend.denoise_s = [5.0, 1.0, 3.0]
    lane = lane_document(results(engine.run(requests[:1], repeat=3))[0], PRICE)
    assert lane["runs"] == 3
    assert lane["seconds"]["denoise"] == 3.0
    assert (lane["seconds_min"], lane["seconds_max"]) == (pytest.approx(1.005), pytest.approx(5.005))
    assert lane["cost_usd"] == pytest.approx(3.005 * 0.80 / 3600)


def test_the_estimate_adds_both_lanes_and_every_run(catalog):
    requests = plan(catalog, catalog.pair("both"), "a cat")
    estimates = {
        "predecessor": Estimate(3.0, "reference: a CPU with beads"),
        "efficient": Estimate(0.5, "measured here, 2 runs"),
    }
    document = estimate_document(requests, estimates, PRICE, repeat=3)
    assert [lane["role"] for lane in document["lanes"]] == ["predecessor", "efficient"]
    assert document["seconds"] == pytest.approx(10.5)
    assert document["cost_usd"] == pytest.approx(10.5 * 0.80 / 3600)
    assert document["lanes"][0]["cost_usd"] == pytest.approx(3 * 0.80 / 3600)
    assert document["lanes"][1]["basis"] == "measured here, 2 runs"
    # Another machine's seconds at this one's price would be nobody's cost.
    estimates["predecessor"] = Estimate(3.0, "reference: a GPU", here=False)
    document = estimate_document(requests, estimates, PRICE, repeat=3)
    assert document["seconds"] == pytest.approx(10.5) and document["cost_usd"] is None
    assert [lane["cost_usd"] is None for lane in document["lanes"]] == [True, False]


def test_several_runs_say_whether_the_difference_is_significant(catalog, engine, requests, backend):
    def said(repeat: int, *denoise_s: float) -> dict | None:
        backend.denoise_s = list(denoise_s)
        made = results(engine.run(requests, repeat=repeat, use_cache=False))
        both = {"efficient": made[0], "predecessor": made[1]}
        return compare_document(catalog.pair("both"), both, PRICE)["significance"]

    assert said(1) is None
    assert said(3)["significant"] is False and said(3)["runs_needed"] == 4
    assert said(5, 0.1, 0.5, 0.51, 0.11, 0.12, 0.52, 0.53, 0.13, 0.14, 0.54)["significant"] is True


def test_both_get_one_size_also_where_their_own_differ():
    shipped = load_catalog()
    requests = plan(shipped, shipped.pair("sd-2.1:sdxl"), "a fox")
    assert {(request.width, request.height) for request in requests.values()} == {(512, 512)}
    wide = plan(shipped, shipped.pair("sd-2.1:sdxl"), "a fox", width=768)
    assert {(request.width, request.height) for request in wide.values()} == {(768, 512)}
    with pytest.raises(InputError) as caught:
        plan(shipped, shipped.pair("diptych-128:sdxl"), "a fox")
    assert str(caught.value) == (
        "Diptych 128 and SDXL 1.0 make no pictures of one size (128 and 512 to 1536 pixels), so they cannot be "
        "compared; choose others."
    )
