"""Hosted models against a provider on loopback: what is asked, what is paid, what is timed, and every way to fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from pipeline.backends import hosted as module
from pipeline.backends.everywhere import Everywhere
from pipeline.backends.hosted import HostedBackend, body
from pipeline.catalog import load_catalog
from pipeline.compare import compare_document, device_of, repriced
from pipeline.cost import picture_sum
from pipeline.engine import Engine
from pipeline.errors import Cancelled, InputError, ModelError, PlaygroundError
from pipeline.events import Done, Queued, Step
from pipeline.prices import load_prices
from pipeline.recipe import recipe_of, result_from_recipe
from pipeline.request import make_request
from pipeline.spending import Spending
from pipeline.switches import SWITCHES
from tests.fakes import CATALOG
from tests.provider import CARDS, KEY, asked_for, run

PRICE = load_prices().profile("hf-t4-small")


@pytest.fixture
def engine(hosted_engine):
    """In place of the usual one."""
    return hosted_engine


def test_each_is_asked_in_its_own_words(engine, cards, provider):
    requests = asked_for(cards)
    swift, grand = run(engine, *requests.values())
    (path_1, headers_1, body_1), (path_2, headers_2, body_2) = provider.asked
    assert (path_1, body_1) == (
        "/swift",
        {
            "model": "swift-1",
            "prompt": "a red apple",
            "size": "64x64",
            "seed": 7,
            "num_inference_steps": 4,
            "response_format": "b64_json",
        },
    )
    assert (path_2, body_2) == (
        "/grand",
        {"model": "grand-1", "prompt": "a red apple", "width": 64, "height": 64},
    )
    assert headers_1["Authorization"] == f"Bearer {KEY}" and "api-key" not in headers_1
    assert headers_2["api-key"] == KEY and "Authorization" not in headers_2
    assert swift.image.size == grand.image.size == (64, 64)
    assert swift.evaluations is None and swift.device == grand.device == "Someone"
    assert grand.revision.startswith("grand-1, asked as ") and swift.warm is None


def test_the_total_is_the_whole_call_and_nothing_else(engine, cards, provider):
    provider.slow_s = 0.2
    [result] = run(engine, asked_for(cards)["efficient"])
    assert 0.2 <= result.timings.call == result.timings.total < 2
    assert result.timings.encode == result.timings.denoise == result.timings.decode == 0


def test_what_the_provider_counted_is_what_is_paid(engine, cards, provider, spending):
    results = dict(zip(asked_for(cards), run(engine, *asked_for(cards).values()), strict=True))
    document = compare_document(cards.pair("hosted"), results, PRICE)
    old, new = document["lanes"]
    assert old["cost_usd"] == pytest.approx(5 * 4000 / 1e6 + 3 * 1000 / 1e6)
    assert new["cost_usd"] == pytest.approx(0.002)
    assert spending.spent_usd == pytest.approx(0.025)
    formula = picture_sum(1.0, PRICE, results["predecessor"].hosted).formula
    assert formula == "5 output tokens × $4000 ÷ 1,000,000 + 3 prompt tokens × $1000 ÷ 1,000,000 = $0.0230"
    assert document["saving"] == pytest.approx(1 - 0.002 / 0.023)
    assert document["device"] == "Someone"
    again = repriced(document, load_prices().profile(99))
    assert [lane["cost_usd"] for lane in again["lanes"]] == [lane["cost_usd"] for lane in document["lanes"]]


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "many",
        {"num_output_tokens": "5"},
        {"num_output_tokens": -5},
        {"num_output_tokens": True},
        {"input_tokens_details": 3},
    ],
)
def test_without_a_count_it_is_reckoned_from_the_size(engine, cards, provider, usage):
    provider.usage = usage
    [result] = run(engine, asked_for(cards)["predecessor"])
    document = compare_document(cards.pair("hosted"), {"predecessor": result, "efficient": result}, PRICE)
    assert document["lanes"][0]["cost_usd"] == pytest.approx(64 * 64 / 1024 * 4000 / 1e6)


def test_openai_counts_elsewhere(engine, cards, provider):
    provider.usage = {"output_tokens": 7, "input_tokens": 9, "input_tokens_details": {"text_tokens": 2}}
    [result] = run(engine, asked_for(cards)["predecessor"])
    assert (result.hosted.output_tokens, result.hosted.prompt_tokens) == (7, 2)


def test_a_recipe_brings_all_of_it_back(engine, cards):
    [result] = run(engine, asked_for(cards)["predecessor"])
    again = result_from_recipe(result.image, recipe_of(result))
    assert again == result


def test_the_same_recipe_comes_out_of_the_cache_and_costs_nothing(engine, cards, provider, spending):
    requests = asked_for(cards)
    run(engine, *requests.values())
    spent = spending.spent_usd
    assert [result.cache for result in run(engine, *requests.values())] == ["hit", "hit"]
    assert len(provider.asked) == 2 and spending.spent_usd == spent
    run(engine, *requests.values(), repeat=2)
    assert len(provider.asked) == 6, "a measurement asks every time"


def test_a_machine_and_a_provider_can_be_compared(engine, cards):
    requests = asked_for(cards, "old:swift")
    results = dict(zip(requests, run(engine, *requests.values()), strict=True))
    document = compare_document(cards.pair("old:swift"), results, PRICE)
    old, new = document["lanes"]
    assert document["device"] == device_of(*results.values()) == "CPU, 1 core (fake)"
    assert old["hosted"] is None and old["seconds"]["denoise"] > 0 and "call" not in old["seconds"]
    assert old["cost_usd"] == pytest.approx(old["seconds"]["total"] * PRICE.usd_per_hour / 3600)
    assert new["hosted"]["provider"] == "Someone" and new["cost_usd"] == pytest.approx(0.002)


def test_one_machine_at_a_time_and_no_provider_keeps_the_device(engine, cards, backend, provider):
    """A mixed comparison is two orders: whoever waits for the device gets it while the provider draws."""
    provider.slow_s = 0.5
    requests = asked_for(cards, "swift:new")
    drawing = threading.Event()
    done = []

    def mixed() -> None:
        for event in engine.run(list(requests.values())):
            if isinstance(event, Step) and event.i == 0:
                drawing.set()
            if isinstance(event, Done):
                done.append(event)

    thread = threading.Thread(target=mixed)
    thread.start()
    assert drawing.wait(5)
    run(engine, make_request(cards.model("old"), "a pear"))
    assert thread.is_alive() and len(done) == 1, "the device was kept while the provider drew"
    thread.join()
    assert len(done) == 2


def test_nobody_waits_for_the_device_while_a_provider_draws(engine, cards, backend, provider):
    provider.slow_s = 0.5
    began = threading.Event()

    def ask() -> None:
        for event in engine.run([asked_for(cards)["efficient"]]):
            if isinstance(event, Step):
                began.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert began.wait(5)
    local = engine.run([make_request(cards.model("new"), "an apple")])
    assert not any(isinstance(event, Queued) and event.place for event in local)
    assert thread.is_alive(), "the provider should still be at it"
    thread.join()


def test_stop_ends_a_call_at_once(engine, cards, provider):
    provider.slow_s = 5
    stop, begin = threading.Event(), time.monotonic()
    with pytest.raises(Cancelled):
        for event in engine.run([asked_for(cards)["efficient"]], stop=stop):
            if isinstance(event, Step):
                stop.set()
    assert engine.idle(4) and time.monotonic() - begin < 4.5


def test_what_was_given_up_counts_as_paid(engine, cards, provider, spending):
    provider.slow_s, stop = 1, threading.Event()
    with pytest.raises(Cancelled):
        for event in engine.run([asked_for(cards)["efficient"]], stop=stop):
            if isinstance(event, Step):
                stop.set()
    assert engine.idle(2) and spending.spent_usd == pytest.approx(0.002)


def test_stopping_a_wait_that_the_provider_wants_costs_nothing(engine, cards, provider, spending):
    provider.answers, stop = [(429, {"retry-after": "60"}, {})], threading.Event()
    with pytest.raises(Cancelled):
        for event in engine.run([asked_for(cards)["efficient"]], stop=stop):
            if isinstance(event, Step) and event.n == 0:
                stop.set()
    assert engine.idle(2) and spending.spent_usd == 0


def test_too_many_requests_are_waited_for_and_the_wait_is_in_no_total(engine, cards, provider):
    provider.answers = [(429, {"retry-after-ms": "300"}, {}), (503, {"Retry-After": "0.3"}, {}), (429, {}, {})]
    begin = time.monotonic()
    [result] = run(engine, asked_for(cards)["efficient"])
    assert time.monotonic() - begin > 0.6 > result.timings.total
    assert len(provider.asked) == len(provider.connections) == 4, "each over a new connection, as each is timed"


def test_an_address_where_nobody_is_costs_nothing(engine, cards, spending, monkeypatch, tmp_path):
    path = tmp_path / "nobody.toml"
    path.write_text(CATALOG + CARDS.format(address="http://127.0.0.1:9"), encoding="utf-8")
    there = load_catalog(path)
    lost = Engine(there, Everywhere(engine.backend.local, HostedBackend(spending)))
    with pytest.raises(ModelError, match=r"cannot be reached at 127\.0\.0\.1:9 \(.+\); see to its address and the"):
        run(lost, asked_for(there)["efficient"])
    assert spending.spent_usd == 0


def test_a_slow_provider_is_given_up(engine, cards, provider, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    provider.slow_s = 1
    with pytest.raises(ModelError, match="did not answer within"):
        run(engine, asked_for(cards)["efficient"])


def test_no_more_is_spent_than_was_allowed(cards, backend, provider, tmp_path):
    spending = Spending(0.005)
    engine = Engine(cards, Everywhere(backend, HostedBackend(spending)))
    swift = asked_for(cards)["efficient"]
    run(engine, swift, repeat=2)
    with pytest.raises(
        ModelError, match=r"A picture by Swift costs up to \$0\.00200, and \$0\.00100 of the \$0\.00500"
    ):
        run(engine, swift)
    assert len(provider.asked) == 2


@pytest.mark.parametrize("given", ["x", "-1", "nan", "1e9", True, [], "inf"])
def test_spend_must_be_dollars(given):
    with pytest.raises(InputError, match="spend must be dollars from 0 to 100000; got"):
        Spending.of(given)


def test_who_names_a_sum_opens_it_to_visitors():
    assert (Spending.of(None).most_usd, Spending.of(None).visitors) == (1.0, False)
    assert (Spending.of("").visitors, Spending.of("$2.5").most_usd, Spending.of(0).visitors) == (False, 2.5, True)


def test_without_its_key_it_says_so_before_anything_is_asked(engine, cards, provider, monkeypatch):
    monkeypatch.delenv("DIPTYCH_TEST_KEY")
    with pytest.raises(
        ModelError, match=r"Swift cannot be drawn yet\. Someone draws it; set DIPTYCH_TEST_KEY in the env"
    ):
        run(engine, asked_for(cards)["efficient"])
    assert not provider.asked


def test_offline_nothing_is_asked(engine, cards, provider, monkeypatch):
    monkeypatch.setenv("DIPTYCH_OFFLINE", "1")
    for model in ("swift", "own-server"):
        with pytest.raises(ModelError, match="was started offline"):
            run(engine, make_request(cards.model(model), "an apple"))
    assert not provider.asked


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://example.com", "never sent over plain http"),
        ("ftp://example.com", "must be the address of Someone"),
        ("example.com", "must be the address of Someone"),
        ("https://[", "must be the address of Someone"),
        ("https://example.com:443x", "must be the address of Someone"),
        ("https://example.com:99999", "must be the address of Someone"),
    ],
)
def test_a_key_goes_nowhere_unsafe(cards, provider, address, said):
    there = cards.model("swift").hosted.model_copy(update={"endpoint": address})
    assert said in there.why_not()


def test_a_server_of_ones_own_needs_no_key_and_has_no_price(engine, cards, provider):
    [result] = run(engine, make_request(cards.model("own-server"), "an apple"))
    assert {"api-key", "Authorization"}.isdisjoint(provider.asked[0][1])
    document = compare_document(cards.pair("hosted"), {"predecessor": result, "efficient": result}, PRICE)
    assert document["lanes"][0]["cost_usd"] is None and document["saving"] is None
    on_the_lan = cards.model("own-server").hosted.model_copy(update={"endpoint": "http://192.0.2.1:30000/v1"})
    assert on_the_lan.address() == "http://192.0.2.1:30000/v1/swift"


def test_what_a_provider_does_not_take_is_refused_and_not_swallowed(engine, cards):
    grand, swift = cards.model("grand"), cards.model("swift")
    with pytest.raises(InputError, match=r"left out for Grand; got 2\. Someone decides, and does not tell\."):
        make_request(grand, "an apple", steps=2)
    with pytest.raises(InputError, match="negative_prompt is not used by Swift"):
        make_request(swift, "an apple", negative_prompt="pears")
    with pytest.raises(ModelError, match="takes no efficiency switches"):
        run(engine, make_request(swift, "an apple", switches=("compile",)))
    assert set(engine.backend.switches(swift)) == set(SWITCHES) and all(engine.backend.switches(swift).values())
    with pytest.raises(InputError, match="throughput is that of this machine, and Swift is drawn by Someone"):
        run(engine, make_request(swift, "an apple"), throughput=True)


def test_an_empty_negative_prompt_is_not_sent(cards):
    card = cards.model("swift")
    takes = card.hosted.model_copy(update={"fields": {"negative_prompt": "negative"}})
    request = make_request(card.model_copy(update={"negative_prompt": True}), "an apple")
    assert "negative" not in body(takes, request)
    assert body(takes, request.model_copy(update={"negative_prompt": "pears"}))["negative"] == "pears"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("price = ", "prices = "), "hosted.prices"),
        (('key_variable = "A', 'key_variable = "a'), "hosted.key_variable"),
        (('price = "MAI-Image-2.6"', 'price = "MAI-Image-9"'), "has no 'MAI-Image-9'"),
    ],
)
def test_a_wrong_card_is_named(tmp_path, change, said):
    card = """
    [models.mai]
    name = "MAI"
    summary = "S"
    licence = "L"
    size = { default = 1024, min = 768, max = 1024, multiple = 16 }
    reference_seconds_per_evaluation = 30
    reference_device = "a guess"
    [models.mai.hosted]
    provider = "P"
    endpoint_variable = "AZURE_ENDPOINT"
    model = "M"
    key_variable = "AZURE_API_KEY"
    price = "MAI-Image-2.6"
    """
    path = tmp_path / "own.toml"
    path.write_text(card, encoding="utf-8")
    assert load_catalog(more=path).model("mai").hosted.price.usd == 38.0
    path.write_text(card.replace(*change), encoding="utf-8")
    with pytest.raises(PlaygroundError, match=said):
        load_catalog(more=path)


def test_the_shipped_ones_ask_as_their_providers_want(monkeypatch):
    catalog = load_catalog()
    monkeypatch.setenv("AZURE_ENDPOINT", "https://me.services.ai.azure.com/")
    monkeypatch.setenv("AZURE_API_KEY", "k")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    mai, gpt = catalog.model("mai-image-2.6-flash"), catalog.model("gpt-image-2-low")
    assert mai.hosted.why_not() is None
    assert mai.hosted.address() == "https://me.services.ai.azure.com/mai/v1/images/generations"
    assert body(mai.hosted, make_request(mai, "a fox", seed=7)) == {
        "model": "MAI-Image-2.6-Flash", "prompt": "a fox", "width": 1024, "height": 1024,
    }  # fmt: skip
    assert gpt.hosted.address() == "https://api.openai.com/v1/images/generations"
    assert body(gpt.hosted, make_request(gpt, "a fox", seed=7)) == {
        "model": "gpt-image-2", "prompt": "a fox", "size": "1024x1024", "quality": "low", "output_format": "png",
    }  # fmt: skip


FIRST_CALL = """
import pathlib, sys, threading
from pipeline.backends import How
from pipeline.backends.hosted import HostedBackend
from pipeline.catalog import load_catalog
from pipeline.request import make_request

card = load_catalog(more=pathlib.Path(sys.argv[1])).model("swift")
backend, request = HostedBackend(), make_request(card, "an apple")
backend.prepare(card, request, frozenset(), print)
before = set(sys.modules)
backend.make(card, request, How(), lambda *_: None, threading.Event())
print(*(name for name in set(sys.modules) - before if name.startswith("anyio")))
"""


def test_the_first_call_is_not_charged_with_what_is_imported_once(provider, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(CARDS.format(address=provider.address), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", FIRST_CALL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "" and len(provider.asked) == 1
