"""Which caveats a document brings with it, read off real documents of the fake engine."""

from __future__ import annotations

import pytest

from pipeline.caveats import caveats, method
from pipeline.cells import Cell
from pipeline.compare import compare_document, generate_document, plan
from pipeline.prices import PriceProfile, load_prices
from pipeline.request import make_request
from pipeline.sweep import cell_document, head_document, plan_sweep, sweep_document
from pipeline.timing import DISTURBED
from tests.fakes import results

PRICES = load_prices()
ALWAYS = {"One prompt and one seed", "Costs are estimates", "Measured on a CPU", "Peak memory", "The seconds are those"}


@pytest.fixture
def compare(catalog, engine):
    def run(pair: str = "both", price: PriceProfile = PRICES.profiles["hf-l4"], **how):
        requests = plan(catalog, catalog.pair(pair), "a red apple", seed=7)
        made = results(engine.run(list(requests.values()), **how))
        return compare_document(catalog.pair(pair), dict(zip(requests, made.values(), strict=True)), price)

    return run


def beginnings(document, **how) -> set[str]:
    """The caveats, cut to what tells them apart."""
    starts = {
        "One run only", "Measured on a CPU", "Peak memory", "PSNR and SSIM say", "PSNR and SSIM are missing",
        "One prompt and one seed", "The seconds are those", "Costs are estimates", "At least one picture came",
        "Live previews", "The difference in time is not significant", "No price is known", "The price was set",
        "The price per hour was given", "A prompt's embedding", "A model was not warm", "This is the example",
        "2 prompts", "The runs of a model differ",
    }  # fmt: skip
    said = caveats(document, PRICES.described(document["price"]), **how)
    found = {start for start in starts for sentence in said if sentence.startswith(start)}
    assert len(found) == len(said), said
    return found


def test_a_single_run_and_a_measurement(compare):
    assert beginnings(compare()) == ALWAYS | {"One run only", "PSNR and SSIM say"}
    assert beginnings(compare(repeat=5)) == ALWAYS | {"PSNR and SSIM say"}


def test_whether_a_difference_is_called_significant_is_for_the_test_to_say(compare, backend):
    not_significant = "The difference in time is not significant"
    backend.denoise_s = [1.0, 3.0, 2.0, 2.2, 1.2, 2.5]
    said = caveats(compare(repeat=3), PRICES.profiles["free"])
    assert f"{not_significant} (rank test, p = 0.2): measure at least 4 runs a model." in said
    backend.denoise_s = [0.1, 1.0, 1.0, 0.1] * 4 + [0.1, 1.0, 1.0, 1.1]  # the order alternates; a hiccup at the end
    document = compare(repeat=10)
    assert document["significance"]["significant"] and not_significant not in beginnings(document)
    again = compare(repeat=1)
    assert again["lanes"][0]["cache"] == "hit" and not_significant not in beginnings(again)


def test_unsteady_runs_are_named(compare, backend):
    backend.denoise_s = [1.0, 3.0, 3.0, 1.4, 1.2, 3.0]
    assert "The runs of a model differ" not in beginnings(compare(repeat=3))
    backend.denoise_s = [1.0, 3.0, 3.0, 1.6, 1.2, 3.0]
    assert "The runs of a model differ" in beginnings(compare(repeat=3))


def test_how_much_busier_than_usual_a_machine_was_is_said_as_it_is_judged(compare):
    said = caveats({**compare(), "speedup": None}, PRICES.profiles["free"])
    [busy] = [sentence for sentence in said if sentence.startswith("The machine was busy")]
    assert f" took more than {DISTURBED:g} times as long as at best here," in busy


def test_a_picture_out_of_the_cache(compare):
    compare(repeat=5)
    again = compare()
    assert "At least one picture came" in beginnings(again)
    assert "At least one picture was made before and is shown with the times that it took then." in method(again)
    assert not any("nothing out of a cache" in sentence for sentence in method(again))


def test_live_previews(compare):
    assert "Live previews" in beginnings(compare(previews=True))


def test_models_with_different_noise_have_no_fidelity(compare):
    assert "PSNR and SSIM are missing" in beginnings(compare("short"))


@pytest.mark.parametrize(
    ("price", "expected", "missing"),
    [
        (PRICES.profile("2"), {"The price per hour was given"}, {"The seconds are those"}),
        (PRICES.profiles["free"], {"The price was set"}, {"The seconds are those", "Costs are estimates"}),
        (PRICES.profile("0"), {"The price was set"}, {"The price per hour was given", "Costs are estimates"}),
        (PRICES.proposed("an unheard-of GPU"), {"No price is known"}, {"The seconds are those", "Costs are estimates"}),
    ],
)
def test_where_the_price_comes_from(compare, price, expected, missing):
    said = beginnings(compare(price=price))
    assert expected <= said and not missing & said


def test_a_gpu_with_its_own_price_brings_no_word_of_processors(compare):
    document = {**compare(repeat=5), "device": "NVIDIA L4"}
    own = {"One prompt and one seed", "Costs are estimates", "PSNR and SSIM say"}
    assert beginnings(document) == own
    for other in ("Tesla T4", "NVIDIA A100-SXM4-40GB"):
        assert beginnings({**document, "device": other}) == own | {"The seconds are those"}


def test_what_a_lane_says_of_itself(compare):
    document = compare()
    document["lanes"][0] |= {"encode_cached": True, "warm": False}
    assert {"A prompt's embedding", "A model was not warm"} <= beginnings(document)
    assert "This is the example" in beginnings({**document, "stored": True})


def test_several_prompts_are_still_only_those(compare):
    said = beginnings(compare(), prompts=2)
    assert "2 prompts" in said and "One prompt and one seed" not in said


def test_sweeps_and_pictures_have_no_fidelity_to_miss(catalog, engine):
    price = PRICES.profiles["hf-l4"]
    plan = plan_sweep(catalog, {"models": "old", "prompts": "a fox", "steps": "1, 2"})
    cells = list(results(engine.run(list(plan.requests.values()))).values())
    kept = [Cell(place, cell_document(cell, price), None) for place, cell in enumerate(cells)]
    sweep = sweep_document(head_document(plan, price, "CPU"), kept)
    picture = generate_document(cells[0], PRICES.profiles["hf-l4"])
    for document in (sweep, picture):
        assert beginnings(document) == ALWAYS - {"Peak memory"} | {"One run only"}
        assert all(sentence.endswith(".") for sentence in method(document))


@pytest.mark.parametrize(
    ("varied", "same", "caveat"),
    [
        ({"prompts": "a fox\na cat"}, "the same seed (7) and size (32 × 32 pixels)", "2 prompts, chosen by"),
        ({"seeds": "7, 8, 9"}, "the same prompt and size (32 × 32 pixels)", "One prompt and 3 seeds: "),
        ({"seeds": "7, 8", "prompts": "a fox\na cat"}, "the same size (32 × 32 pixels)", "2 prompts, chosen by"),
    ],
)
def test_what_a_sweep_varies_is_not_called_the_same(catalog, engine, varied, same, caveat):
    price = PRICES.profiles["hf-l4"]
    plan = plan_sweep(catalog, {"models": "old", "prompts": "a fox", "seeds": "7", **varied})
    cells = list(results(engine.run(list(plan.requests.values()))).values())
    kept = [Cell(place, cell_document(cell, price), None) for place, cell in enumerate(cells)]
    sweep = sweep_document(head_document(plan, price, "CPU"), kept)
    assert method(sweep)[0] == f"Every picture has {same}."
    assert any(sentence.startswith(caveat) for sentence in caveats(sweep, price))


def test_how_it_was_compared(compare):
    once, measured = method(compare(previews=True)), method(compare(repeat=3))
    assert any("drew once, warm, the efficient one first" in sentence for sentence in once)
    assert "Live previews were on." in once and "Live previews were off." in measured
    assert any("3 times on a warm model, the order alternating" in sentence for sentence in measured)
    assert any("seed (7) and size (32 × 32 pixels)" in sentence for sentence in measured)


def test_a_time_of_a_busy_machine_is_said_of_a_single_picture_and_of_a_sweeps(catalog, engine):
    price = PRICES.profiles["hf-l4"]
    [made] = results(engine.run([make_request(catalog.model("old"), "a fox", seed=7)])).values()
    quiet = cell_document(made, price) | {"usual_seconds": made.timings.total}
    busy = quiet | {"usual_seconds": made.timings.total / (DISTURBED + 1)}
    plan = plan_sweep(catalog, {"models": "old", "prompts": "a fox", "seeds": "7, 8"})
    for cells, said in (([quiet, quiet], []), ([quiet, busy], ["1 picture took more than 3 times as long as at best"])):
        kept = [Cell(place, cell, None) for place, cell in enumerate(cells)]
        document = sweep_document(head_document(plan, price, "CPU"), kept)
        assert [each[: len("1 picture took more than 3 times as long as at best")] for each in caveats(document, price)
                if "as long as at best" in each] == said  # fmt: skip
    single = generate_document(made, price) | {"usual_seconds": made.timings.total / 4}
    assert any(each.startswith("1 picture took more than 3 times") for each in caveats(single, price))
