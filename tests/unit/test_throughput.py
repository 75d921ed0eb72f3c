"""Pictures a minute: what is tried, in which order, when it ends, and what is said of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from pipeline.backends import How, Made, local
from pipeline.backends.families import FAMILIES
from pipeline.backends.local import LocalBackend
from pipeline.catalog import Catalog, load_catalog
from pipeline.caveats import method
from pipeline.claims import claims, throughput_text
from pipeline.compare import compare_document, estimate_document, repriced
from pipeline.engine import Engine
from pipeline.errors import BatchTooLarge, Cancelled, InputError
from pipeline.events import Done, Step, final_results
from pipeline.prices import PriceProfile, load_prices
from pipeline.report import write_report
from pipeline.report_pictures import Item
from pipeline.request import key_of, make_request
from pipeline.throughput import SIZES, Batch, best, most_pictures, pays
from pipeline.ui.markup import verdict
from tests.fakes import CountingBackend

PRICE = PriceProfile(id="own", name="own", usd_per_hour=36.0, source="given by you", as_of="")


def test_the_rate_is_of_the_median_call_and_the_best_is_the_highest():
    batches = [Batch(1, (2.0, 1.0, 9.0)), Batch(2, (3.0, 3.0, 3.0)), Batch(4, (12.0, 12.0, 12.0))]
    assert [batch.per_minute for batch in batches] == [30, 40, 20]
    assert best(batches) is batches[1]
    assert best([]) is None


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], True), ([1.0], True), ([1.0, 1.9], True), ([1.0, 2.04], True), ([1.0, 2.1], False)]
)
def test_a_larger_size_is_tried_while_it_pays(seconds, expected):
    assert pays([Batch(size, (each,)) for size, each in zip(SIZES, seconds, strict=False)]) is expected


@pytest.fixture
def measured(engine: Engine, requests):
    return final_results(engine.run(requests, throughput=True))


@pytest.fixture
def document(measured, catalog: Catalog):
    new, old = measured
    return compare_document(catalog.pair("both"), {"predecessor": old, "efficient": new}, PRICE)


def test_sizes_double_until_memory_ends_and_lanes_take_turns(measured, backend: CountingBackend):
    assert [[batch.size for batch in result.batches] for result in measured] == [[1, 2, 4], [1, 2, 4]]
    assert all(len(batch.seconds) == 3 for result in measured for batch in result.batches)
    order = [(model, size) for model, size, _ in backend.batches]
    # All of one lane in a row, so that whoever was loaded anew is warm again; the other one first the next time.
    assert order == [("old", 2)] * 4 + [("new", 2)] * 4 + [("new", 4)] * 4 + [("old", 4)] * 4
    short = [steps for model, size, steps in backend.batches if model == "old"]
    assert short == [2, 6, 6, 6, 2, 6, 6, 6]  # one of each size is not timed


def test_every_picture_of_a_batch_is_charged_its_own_encoding(measured):
    new, _ = measured
    denoise, encode, decode = 0.001 * 2 * 2.0, 0.002, 0.003
    assert new.batches[2].seconds[0] == pytest.approx(4 * encode + denoise + decode)
    assert new.batches[2].peak_memory_bytes == 4 * 4096


def test_it_ends_where_a_larger_size_does_not_pay(engine, requests, backend):
    backend.most = 8
    made = final_results(engine.run(requests, throughput=True))
    assert [batch.size for batch in made[0].batches] == [1, 2, 4, 8]
    assert best(made[0].batches).size == 4


def test_not_even_two_at_once(engine, requests, backend, catalog):
    backend.most = 1
    new, old = final_results(engine.run(requests, throughput=True))
    assert [batch.size for batch in new.batches + old.batches] == [1, 1]
    assert compare_document(catalog.pair("both"), {"predecessor": old, "efficient": new}, PRICE)["throughput_gain"] > 1


def test_it_is_a_measurement(engine, requests, backend):
    list(engine.run(requests))
    events = list(engine.run(requests, throughput=True, previews=True))
    done = [event for event in events if isinstance(event, Done)]
    assert [(event.lane, event.final) for event in done] == [(0, False), (1, False), (0, True), (1, True)]
    assert {event.result.cache for event in done} == {"miss"}
    assert not any(backend.previews)
    assert {event.batch for event in events if isinstance(event, Step)} == {None, 1, 2, 4}


def test_stop_is_heard_between_the_steps_of_a_batch_and_costs_no_finished_picture(engine, requests, backend):
    backend.step_s, stop, done = 0.01, threading.Event(), []
    with pytest.raises(Cancelled):
        for event in engine.run(requests, throughput=True, stop=stop):
            if isinstance(event, Step) and event.batch == 2:
                stop.set()
            if isinstance(event, Done) and event.final:
                done.append(event.result)
    assert [(len(result.runs), result.batches) for result in done] == [(1, ()), (1, ())]
    assert engine.idle(5)
    assert len(backend.batches) <= 1
    assert final_results(engine.run(requests))


def test_a_size_that_fails_ends_the_sizes_and_not_the_run(engine, requests, backend, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("this operator takes one picture")

    monkeypatch.setattr(backend, "_several", fails)
    made = final_results(engine.run(requests, throughput=True))
    assert [[batch.size for batch in result.batches] for result in made] == [[1], [1]]


def test_a_class_that_tells_no_steps_has_no_decode_of_its_own(engine, requests, backend, monkeypatch):
    """As diffusers' PixArt: its whole call is denoise."""
    make = backend.make

    def untold(*given: Any) -> Made:
        made = make(*given)
        return replace(made, seconds={"encode": 0.0, "denoise": made.seconds["denoise"]})

    monkeypatch.setattr(backend, "make", untold)
    new, _ = final_results(engine.run(requests, throughput=True))
    assert [batch.seconds for batch in new.batches] == [pytest.approx((0.002 * times,) * 3) for times in (1, 1.5, 2)]


@pytest.mark.parametrize("value", ["yes", 1, None, "false"])
def test_only_true_and_false_are_taken(engine, requests, value):
    with pytest.raises(InputError, match="throughput must be true or false; got"):
        engine.run(requests, throughput=value)


def test_the_document_keeps_latency_throughput_and_cost_apart(document):
    old, new = (lane["throughput"] for lane in document["lanes"])
    assert (old["batch"], new["batch"]) == (4, 4)
    assert new["images_per_minute"] == pytest.approx(60 * 4 / 0.015)
    assert document["throughput_gain"] == pytest.approx(new["images_per_minute"] / old["images_per_minute"])
    assert document["throughput_gain"] != pytest.approx(document["speedup"])
    assert new["cost_usd"] == pytest.approx(0.015 / 4 * 36 / 3600)
    assert [batch["size"] for batch in new["batches"]] == [1, 2, 4]
    assert len(claims(document)) == 3
    assert claims(document)[2].endswith("× the throughput")


def test_another_price_changes_what_a_busy_machine_costs_too(document):
    dear = repriced(document, PRICE.model_copy(update={"usd_per_hour": 72.0}))
    for before, after in zip(document["lanes"], dear["lanes"], strict=True):
        assert after["throughput"]["cost_usd"] == pytest.approx(2 * before["throughput"]["cost_usd"])
    free = repriced(document, PRICE.model_copy(update={"usd_per_hour": None}))
    assert free["lanes"][0]["throughput"]["cost_usd"] is None
    assert "$" not in throughput_text(free["lanes"])


def test_a_document_without_it_says_nothing_of_it(engine, requests, catalog):
    new, old = final_results(engine.run(requests))
    plain = compare_document(catalog.pair("both"), {"predecessor": old, "efficient": new}, PRICE)
    assert plain["throughput_gain"] is None
    assert [lane["throughput"] for lane in plain["lanes"]] == [None, None]
    older = {key: value for key, value in plain.items() if key != "throughput_gain"}
    older["lanes"] = [{k: v for k, v in lane.items() if k != "throughput"} for lane in plain["lanes"]]
    for said in (plain, older, repriced(older, PRICE)):
        assert "throughput" not in verdict(said).lower()
        assert not any("Throughput" in sentence for sentence in method(said))


def test_page_and_report_say_it(document, catalog, tmp_path):
    assert "× the throughput" in verdict(document)
    assert "pictures a minute, 4 against 4 at once, medians of 3 calls" in verdict(document)
    assert any(sentence.startswith("Throughput is another question") for sentence in method(document))
    path = tmp_path / "report.html"
    write_report(path, "Both", [Item(document)], catalog, load_prices())
    html = path.read_text()
    assert "<h3>Throughput</h3>" in html
    assert html.count("at once</th>") == 3


def test_the_estimate_counts_every_size_and_the_warm_ups(engine, requests, catalog):
    lanes = dict(zip(("efficient", "predecessor"), requests, strict=True))
    estimates = {role: engine.estimate(request) for role, request in lanes.items()}
    once = {lane["role"]: lane["seconds"] for lane in estimate_document(lanes, estimates, PRICE, 1)["lanes"]}
    both = estimate_document(lanes, estimates, PRICE, 1, throughput=True)
    assert (most_pictures(2), most_pictures(6)) == (60, 50)  # 45 timed ones, and 15 of two steps
    assert both["seconds"] == pytest.approx(61 * once["efficient"] + 51 * once["predecessor"])


def test_a_batch_with_no_room_is_refused_and_evicts_nothing(monkeypatch):
    backend = LocalBackend()
    card = load_catalog().model("diptych-128-efficient")
    request = make_request(card, "a fox")
    arguments = (card, request, How(batch=2), lambda *_: None, threading.Event())
    backend.make(card, request, How(), lambda *_: None, threading.Event())
    with monkeypatch.context() as patch:
        # How much it took depends on what this process had for itself before.
        patch.setattr(backend, "_taken", {(key_of(request), 128, 128, 1): 1000})
        patch.setattr(local, "available_bytes", lambda: 2000)
        with pytest.raises(BatchTooLarge, match="Diptych 128 Efficient has no memory for 2 pictures at once on CPU"):
            backend.make(*arguments)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "_several", _runs_out)
        with pytest.raises(BatchTooLarge):
            backend.make(*arguments)
    assert len(backend.residency) == 1 and not backend._ran_out
    assert backend.make(*arguments).image.size == (128, 128)


def test_a_class_of_no_family_makes_one_at_a_time(monkeypatch):
    card = load_catalog().model("diptych-128-efficient")
    monkeypatch.delitem(FAMILIES, card.pipeline)
    with pytest.raises(BatchTooLarge, match="one picture at a time"):
        LocalBackend().make(card, make_request(card, "a fox"), How(batch=2), lambda *_: None, threading.Event())


def _runs_out(*_: object) -> None:
    raise MemoryError
