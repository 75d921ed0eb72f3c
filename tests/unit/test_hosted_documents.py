"""What is said of hosted pictures: documents, claims, caveats, prices and reports, also beside this machine's own."""

from __future__ import annotations

import html
import re
import threading

import pytest

from pipeline.caveats import caveats, method
from pipeline.claims import claim, claims
from pipeline.compare import compare_document, estimate_document, generate_document, plan, repriced
from pipeline.errors import InputError, ModelError
from pipeline.events import final_results
from pipeline.history import History
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.report import write_report
from pipeline.report_pictures import Item
from pipeline.request import make_request
from pipeline.spending import Spending
from pipeline.stored import FOLDER, load
from pipeline.sweep import plan_sweep, sweep_document
from pipeline.sweep_run import Kept, LeftOut, Sweeps
from pipeline.tradeoff import shares_path
from pipeline.ui import markup, prices_markup
from pipeline.wording import made_by, seed_text

PRICES = load_prices()
T4 = PRICES.profile("hf-t4-small")


@pytest.fixture
def compare(hosted_engine, cards):
    def run(pair: str = "hosted", **how) -> dict:
        requests = plan(cards, cards.pair(pair), "a red apple", seed=7)
        made = final_results(hosted_engine.run(list(requests.values()), **how))
        return compare_document(cards.pair(pair), dict(zip(requests, made, strict=True)), T4)

    return run


def text(said: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", said)).split())


def test_a_saving_by_list_holds_however_long_it_took(compare):
    document = compare(repeat=4)
    chance = {"p": 0.6, "significant": False, "runs_needed": 4, "runs": 4}
    assert claims(document | {"significance": chance}) == [
        "no difference in time beyond chance",
        "91 % cheaper by list",
    ]
    said = text(prices_markup.volume(document | {"significance": chance}, T4, 1000, "From a test"))
    assert "this saves $630.00 a month, paid by use, at the providers' list prices." in said
    assert "machines left on" not in said and "Busy" not in said
    assert said.count("Source: example.com") == 2 and "an hour" not in said


def test_a_machine_against_a_service_is_told_so_and_roughly(compare):
    document = compare("old:swift")
    assert claims(document)[-1].startswith("about ") and "by list" not in claims(document)[-1]
    said = text(prices_markup.volume(document, T4, 1000, "From a test"))
    assert "a machine against a service." in said and "Source: example.com" in said and "$0.40 an hour" in said
    told = caveats(document, T4)
    assert any("compare a machine with a service" in sentence for sentence in told)
    assert any("list prices" in sentence for sentence in told) and any("busy all the time" in each for each in told)
    assert made_by(document) == "CPU, 1 core (fake) and Someone"


def test_what_a_provider_does_not_tell_is_not_claimed(compare):
    document = compare()
    assert [lane["warm"] for lane in document["lanes"]] == [None, None]
    assert [lane["model_evaluations"] for lane in document["lanes"]] == [None, None]
    said = " ".join([*method(document), *caveats(document, T4)])
    assert "warm" not in said and "hole call" in said and "Without a seed" in said
    verdict = text(markup.verdict(document))
    assert "seed 7 (not taken by grand)" in verdict and "evaluation" not in verdict
    assert "network and providers' queues included" in verdict


def test_a_seed_that_nobody_took_is_none(hosted_engine, cards):
    [result] = final_results(hosted_engine.run([make_request(cards.model("grand"), "an apple", seed=7)]))
    document = generate_document(result, T4)
    assert seed_text(document) == "no seed taken"
    assert "Made with no seed taken at 64 × 64 pixels." in method(document)


def test_pictures_without_a_seed_are_no_measure_of_each_other(cards):
    assert not cards.pair("grand:grand").same_path and cards.pair("swift:swift").same_path
    assert not shares_path(cards, "grand", "grand") and shares_path(cards, "swift", "swift")


def test_two_prices_that_are_the_same_are_told_as_that(compare):
    assert claims(compare("grand:grand", repeat=4))[-1] == "the same price by list"


def test_a_machine_at_no_price_saves_nothing_that_can_be_told(compare):
    document = repriced(compare("grand:old"), PRICES.profiles["free"])
    assert document["saving"] is None and "cheaper" not in claim(document)
    said = text(prices_markup.volume(document, PRICES.profiles["free"], 1000, "From a test"))
    assert "no saving is claimed: the price per hour is set to nothing" in said
    assert repriced(document, T4)["saving"] is not None


@pytest.mark.parametrize(
    ("pair", "order"),
    [("hosted", "the order alternating"), ("old:swift", "all of the hosted model's before the other's")],
)
def test_two_machines_do_not_take_turns(compare, pair, order):
    assert any(f"drew 2 times, {order}, nothing out of a cache" in said for said in method(compare(pair, repeat=2)))


def test_what_it_will_cost_is_known_before(hosted_engine, cards):
    requests = plan(cards, cards.pair("hosted"), "an apple")
    estimates = {role: hosted_engine.estimate(request) for role, request in requests.items()}
    said = estimate_document(requests, estimates, T4, 5)
    assert said["cost_usd"] == pytest.approx(5 * (0.002 + 64 * 64 / 1024 * 4000 / 1e6))


def test_what_cannot_be_paid_to_its_end_is_not_begun(hosted_engine, cards, tmp_path):
    playground = Playground(cards, PRICES, hosted_engine, tmp_path, spending=Spending(0.1))
    requests = list(plan(cards, cards.pair("hosted"), "an apple").values())
    playground.check_spending(requests, 2)
    with pytest.raises(
        InputError, match=r"This costs up to \$0\.\d+ at list prices, and \$0\.100 of the \$0\.100 that"
    ):
        playground.check_spending(requests, 6)
    playground.check_spending([make_request(cards.model("old"), "an apple")], 20)
    final_results(hosted_engine.run(requests))
    playground.spending.spent_usd = 0.1
    playground.check_spending(requests)  # both are in the cache
    for how in ({"use_cache": False}, {"repeat": 2}):
        with pytest.raises(InputError, match="This costs up to"):
            playground.check_spending(requests, **how)


def test_many_at_once_spend_no_more_than_one_after_the_other():
    spending, refused = Spending(0.0101), []

    def pay() -> None:
        try:
            with spending.paying(0.001, "It"):
                barrier.wait(5)
        except ModelError:
            refused.append(1)
            barrier.wait(5)

    barrier = threading.Barrier(20)
    threads = [threading.Thread(target=pay) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10 and spending.spent_usd == pytest.approx(0.01)


DECLINED = (400, {}, {"error": {"message": "Input violated the policies."}})


def test_a_prompt_that_is_declined_leaves_the_others_of_a_sweep(hosted_engine, cards, provider, tmp_path):
    sweeps = Sweeps(cards, hosted_engine, History(tmp_path / "history"))
    planned = plan_sweep(cards, {"models": "swift", "prompts": "one\ntwo\nthree", "seeds": "7"})
    entry = sweeps.history.get(sweeps.start(planned, T4))
    assert entry.document["device"] == "Someone"
    provider.answers = [(200, {}, None), DECLINED]
    told = list(sweeps.run(entry))
    assert [event.cell.place for event in told if isinstance(event, Kept)] == [0, 2]
    [left] = [event for event in told if isinstance(event, LeftOut)]
    assert left.place == 1 and "violated the policies" in left.why
    assert [event.cell.place for event in sweeps.run(entry) if isinstance(event, Kept)] == [1], "going on asks again"


@pytest.mark.parametrize("pair", ["hosted", "old:swift", "both"])
def test_a_report_says_who_drew_what_and_for_how_much(compare, cards, hosted_engine, tmp_path, pair):
    history = History(tmp_path / "history")
    requests = plan(cards, cards.pair(pair), "a red apple", seed=7)
    made = final_results(hosted_engine.run(list(requests.values())))
    results = dict(zip(requests, made, strict=True))
    document = compare_document(cards.pair(pair), results, T4)
    entry = history.get(history.add("comparison", document, [results[role] for role in ("predecessor", "efficient")]))
    write_report(tmp_path / "r.html", "Report", [Item(document, pictures=entry.files)], cards, PRICES)
    said = text((tmp_path / "r.html").read_text())
    assert ("Someone" in said) == (pair != "both")
    assert ("output tokens" in said) == (pair == "hosted") and ("per hour" in said) == (pair != "hosted")
    assert ("Call" in said) == (pair != "both") and ("Denoise" in said) == (pair != "hosted")
    assert ("not told" in said) == (pair != "both")


def test_a_sweep_over_a_machine_and_a_provider_names_both(hosted_engine, cards, tmp_path):
    sweeps = Sweeps(cards, hosted_engine, History(tmp_path / "history"))
    planned = plan_sweep(cards, {"models": "new, swift", "prompts": "one", "seeds": "7"})
    entry = sweeps.history.get(sweeps.start(planned, T4))
    list(sweeps.run(entry))
    document = sweep_document(entry.document, sweeps.cells.of(entry.id))
    assert made_by(document) == "CPU, 1 core (fake) and Someone"


def test_what_was_kept_before_there_were_hosted_models_is_shown_as_ever(tmp_path, cards):
    document, _ = load()
    old = document | {
        "lanes": [{key: value for key, value in lane.items() if key != "hosted"} for lane in document["lanes"]]
    }
    write_report(tmp_path / "r.html", "Report", [Item(old, FOLDER)], cards, PRICES)
    assert "× faster" in (tmp_path / "r.html").read_text()
    assert "× faster" in markup.verdict(old) and made_by(old) == document["device"]
    assert "Busy" in prices_markup.volume(old, T4, 1000, "")


def test_what_may_begin_is_drawn_to_its_end(hosted_engine, cards, provider, spending, tmp_path):
    """Whatever the limit: the prompt's tokens, which the provider counts only afterwards, are in the forecast."""
    provider.usage = {"num_output_tokens": 4, "num_input_text_tokens": 8}
    playground, begun = Playground(cards, PRICES, hosted_engine, tmp_path, spending=spending), 0
    requests = list(plan(cards, cards.pair("hosted"), "an apple").values())
    for cents in range(4, 16):
        spending.most_usd, spending.spent_usd = cents / 100, 0.0
        try:
            playground.check_spending(requests, 2)
        except InputError:
            continue
        begun += 1
        assert [len(result.runs) for result in final_results(hosted_engine.run(requests, repeat=2))] == [2, 2]
    assert 0 < begun < 12


def test_a_measurement_that_a_provider_ended_says_so(compare, provider):
    provider.answers = [*[(200, {}, None)] * 8, (500, {}, {})]
    [told] = [each for each in caveats(compare(repeat=5), T4) if "ended" in each]
    assert told.startswith("The measurement ended after 4 of 5 runs a model: Someone failed to draw with Swift (500);")
    assert not [each for each in caveats(compare(repeat=2), T4) if "ended" in each]
