"""The engine's promises: order, honest times, flagged hits, one run at a time on one thread."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from pipeline import desk as module
from pipeline.caches import ImageCache
from pipeline.catalog import load_catalog
from pipeline.caveats import caveats
from pipeline.compare import RUN_ORDER, compare_document, plan
from pipeline.engine import Engine
from pipeline.errors import Cancelled, InputError, ModelError
from pipeline.events import Done, Loading, Queued, Step, final_results
from pipeline.prices import load_prices
from pipeline.request import make_request
from tests.fakes import CATALOG, CountingBackend, draw, results

WAIT_S = 5
PRICE = load_prices().profiles["hf-l4"]


def test_two_lanes_give_their_events_in_order(engine, requests):
    events = list(engine.run(requests))
    kinds = [(type(event), event.lane) for event in events]
    assert kinds == [(Loading, 0), (Step, 0), (Step, 0), (Done, 0), (Loading, 1), *[(Step, 1)] * 6, (Done, 1)]
    steps = [(event.run, event.i, event.n) for event in events if isinstance(event, Step)]
    assert steps == [(1, 1, 2), (1, 2, 2), *[(1, i, 6) for i in range(1, 7)]]
    elapsed = [event.elapsed_s for event in events if isinstance(event, Step) and event.lane == 1]
    assert elapsed == sorted(elapsed)


def test_the_efficient_one_is_served_first(engine, requests):
    first, second = (event for event in engine.run(requests) if isinstance(event, Done))
    assert (first.result.request.model, second.result.request.model) == ("new", "old")
    assert first.final
    assert second.final


def test_a_result_says_what_was_made_and_how(engine, requests):
    made = results(engine.run(requests))[1]
    assert made.request == requests[1]
    assert made.image.tobytes() == draw(requests[1]).tobytes()
    assert (made.evaluations, made.cache, made.warm, made.previews) == (12, "miss", True, False)
    assert (made.device, made.dtype, made.revision) == ("CPU, 1 core (fake)", "float32", "revision of old")
    assert made.timings.encode == 0.002
    assert made.timings.total == pytest.approx(0.017)
    assert made.peak_memory_bytes == 4096


def test_loading_and_waiting_are_told_apart_from_the_total(catalog, requests):
    backend = CountingBackend(load_s=0.1)
    made = results(Engine(catalog, backend).run(requests))
    assert all(result.timings.load >= 0.1 for result in made.values())
    assert all(result.timings.total < 0.02 for result in made.values())
    again = results(Engine(catalog, backend).run(requests))
    assert all(result.timings.load < 0.1 for result in again.values())


def test_with_repeats_the_order_alternates(engine, requests, backend):
    events = [event for event in engine.run(requests, repeat=4) if isinstance(event, Done)]
    assert [event.lane for event in events] == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1]
    assert [event.final for event in events] == [False] * 8 + [True] * 2
    assert [len(event.result.runs) for event in events] == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert len(backend.made) == 8


@pytest.mark.parametrize("error", [Cancelled("Stopped."), ModelError("The weights are damaged.")])
@pytest.mark.parametrize(
    ("drawn", "lanes", "runs"), [(0, [], []), (1, [0], [1]), (2, [0, 1], [1, 1]), (5, [0, 1], [2, 2])]
)
def test_a_measurement_that_ends_early_has_its_whole_rounds(
    engine, requests, backend, monkeypatch, drawn, lanes, runs, error
):
    make, told = backend.make, []

    def failing(*args):
        if len(backend.made) == drawn:
            raise error
        return make(*args)

    monkeypatch.setattr(backend, "make", failing)
    with pytest.raises(type(error)):
        told += (event for event in engine.run(requests, repeat=4) if isinstance(event, Done) and event.final)
    assert [event.lane for event in told] == lanes
    assert [len(event.result.runs) for event in told] == runs


def test_of_the_repeats_the_median_run_is_shown_with_its_spread(engine, requests, backend):
    backend.denoise_s = [5.0, 1.0, 3.0]
    made = results(engine.run(requests[:1], repeat=3))[0]
    assert [run.denoise for run in made.runs] == [5.0, 1.0, 3.0]
    assert made.timings.denoise == 3.0
    assert made.spread == (pytest.approx(1.005), pytest.approx(5.005))


@pytest.mark.parametrize("repeat", [0, -1, 21, 1.5, True, "3", None, float("nan")])
def test_a_wrong_repeat_is_refused_before_anything_runs(engine, requests, backend, repeat):
    with pytest.raises(InputError, match="repeat must be a whole number from 1 to 20"):
        engine.run(requests, repeat=repeat)
    assert not backend.served


def test_previews_come_when_asked_for_and_never_in_a_measurement(engine, requests, backend):
    shown = list(engine.run(requests, previews=True, use_cache=False))
    assert all(event.preview is not None for event in shown if isinstance(event, Step))
    assert all(event.result.previews for event in shown if isinstance(event, Done))
    measured = list(engine.run(requests, previews=True, repeat=2))
    assert all(event.preview is None for event in measured if isinstance(event, Step))
    assert backend.previews == [True, True, False, False, False, False]


def test_both_models_of_a_run_are_kept_in_memory(engine, requests, backend):
    results(engine.run(requests))
    assert set(backend.kept) == {frozenset({("old", ()), ("new", ())})}


def test_a_hit_is_flagged_and_carries_the_times_of_when_it_was_made(engine, requests, backend):
    first = results(engine.run(requests))
    backend.denoise_s = [9.0, 9.0]
    events = list(engine.run(requests))
    again = results(events)
    assert [type(event) for event in events] == [Done, Done]
    assert [again[lane].cache for lane in (0, 1)] == ["hit", "hit"]
    assert again[1].runs == first[1].runs
    assert again[1].image.tobytes() == first[1].image.tobytes()
    assert len(backend.made) == 2
    assert first[0].cache == "miss"


def test_a_hit_does_not_stand_in_line(engine, requests):
    results(engine.run(requests))
    holder = engine.line.join()
    assert set(results(engine.run(requests))) == {0, 1}
    holder.leave()


def test_one_lane_can_be_a_hit_and_the_other_not(engine, requests, backend):
    results(engine.run(requests[:1]))
    made = results(engine.run(requests))
    assert (made[0].cache, made[1].cache) == ("hit", "miss")
    assert [request.model for request in backend.made] == ["new", "old"]


def test_a_measurement_never_reads_the_cache(engine, requests, backend):
    results(engine.run(requests))
    assert {result.cache for result in results(engine.run(requests, repeat=2)).values()} == {"miss"}
    assert {result.cache for result in results(engine.run(requests, use_cache=False)).values()} == {"miss"}
    assert len(backend.made) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "red apples"},
        {"negative_prompt": "dogs"},
        {"seed": 8},
        {"width": 48},
        {"height": 48},
        {"steps": 5},
        {"guidance": 2.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_makes_another_picture_and_another_entry(engine, requests, backend, change):
    first = results(engine.run(requests[1:]))[0]
    other = results(engine.run([requests[1].model_copy(update=change)]))[0]
    assert other.cache == "miss"
    assert other.image.tobytes() != first.image.tobytes()


def test_new_versions_of_anything_miss(engine, requests, backend):
    results(engine.run(requests))
    backend.versions = {"fake": "2"}
    assert {result.cache for result in results(engine.run(requests)).values()} == {"miss"}


def test_other_call_arguments_of_the_card_miss(tmp_path, requests, backend):
    cache = ImageCache(tmp_path / "cache")
    for number, call in enumerate(("", "call = { use_resolution_binning = false }")):
        path = tmp_path / f"{number}.toml"
        path.write_text(CATALOG.replace("[models.new]", f"{call}\n[models.new]"))
        engine = Engine(load_catalog(path), backend, cache)
        assert results(engine.run(requests[1:]))[0].cache == "miss"
    assert results(engine.run(requests[1:]))[0].cache == "hit"


def test_a_cached_file_without_its_result_is_a_miss(engine, requests, tmp_path):
    results(engine.run(requests[:1]))
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"damaged")
    assert results(engine.run(requests[:1]))[0].cache == "miss"
    assert results(engine.run(requests[:1]))[0].cache == "hit"


def test_without_a_cache_everything_is_made(catalog, backend, requests):
    engine = Engine(catalog, backend)
    assert [results(engine.run(requests))[1].cache for _ in range(2)] == ["miss", "miss"]


def test_the_same_request_gives_the_same_pixels_whatever_ran_between(engine, catalog, requests):
    def pixels(*lanes) -> dict[str, bytes]:
        made = results(engine.run(lanes, use_cache=False)).values()
        return {result.request.model: result.image.tobytes() for result in made}

    first = pixels(*requests)
    assert first["old"] != first["new"]
    other = plan(catalog, catalog.pair("both"), "something else", seed=8, negative_prompt="dogs").values()
    pixels(*other)
    assert pixels(*requests) == first
    assert pixels(*reversed(requests)) == first
    assert pixels(requests[1]) == {"old": first["old"]}


def test_warm_up_loads_and_makes_nothing(engine, requests, backend):
    assert [type(event) for event in engine.warm_up(requests)] == [Loading, Loading]
    assert backend.loaded == {"old", "new"}
    assert not backend.made
    assert not any(isinstance(event, Loading) for event in engine.run(requests))


def test_eight_readers_are_served_one_at_a_time_by_one_thread(catalog):
    backend = CountingBackend(step_s=0.001)
    engine = Engine(catalog, backend)
    made: dict[int, bytes] = {}

    def read(number: int) -> None:
        request = make_request(catalog.model("old"), "a cat", seed=number)
        with closing(engine.run([request])) as events:
            made[number] = results(events)[0].image.tobytes()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert backend.peak == 1
    assert len(backend.threads) == 1
    alone = {number: draw(make_request(catalog.model("old"), "a cat", seed=number)).tobytes() for number in range(8)}
    assert made == alone


def test_an_idle_engine_says_so(engine):
    assert engine.idle(0)
    ticket = engine.line.join()
    assert not engine.idle(0.05)
    ticket.leave()
    assert engine.idle(0)


def test_the_next_in_line_is_drawn_when_the_last_has_done_with_his_pictures(engine, backend, requests, monkeypatch):
    """Else what the last one does with them is charged to the next one's model, on the same cores."""
    monkeypatch.setattr(module, "SETTLE_S", 30)
    settled = threading.Event()
    first = final_results(engine.run(requests, use_cache=False, settled=settled))
    events = engine.run(requests, use_cache=False)
    assert isinstance(next(events), Queued) and len(backend.made) == len(first)
    settled.set()
    assert len(final_results(events)) == len(first)


def test_a_reader_who_never_says_that_he_is_done_holds_nobody_up(engine, requests, monkeypatch):
    monkeypatch.setattr(module, "SETTLE_S", 0.1)
    for _ in range(2):
        final_results(engine.run(requests, use_cache=False, settled=threading.Event()))


@pytest.mark.parametrize(
    "change",
    [
        {"scheduler": {"name": "DDIMScheduler"}},
        {"variant": "fp16"},
        {"lora": {"repo": "a/b", "file": "other.safetensors"}},
        {"call": {"use_resolution_binning": True}},
    ],
)
def test_another_way_to_draw_is_no_hit(engine, catalog, backend, requests, change):
    final_results(engine.run(requests))
    cards = {key: type(card).model_validate(card.model_dump() | change) for key, card in catalog.models.items()}
    other = Engine(catalog.model_copy(update={"models": cards}), backend, engine.images)
    assert [result.cache for result in final_results(other.run(requests))] == ["miss", "miss"]
    assert [result.cache for result in final_results(engine.run(requests))] == ["hit", "hit"]


def test_a_time_far_above_the_usual_is_told_as_such_and_not_kept(catalog, engine, requests, backend):
    """Something else used the machine: neither that time nor a speed-up from it may be shown for the model's."""
    results(engine.run(requests, use_cache=False))
    quiet = results(engine.run(requests, use_cache=False))
    assert quiet[0].usual_s == pytest.approx(0.007) and not quiet[0].disturbed
    other = [make_request(catalog.model(each.model), "a cat", seed=1) for each in requests]
    backend.denoise_s = [0.2, 0.012]
    busy = results(engine.run(other))
    assert [busy[lane].disturbed for lane in (0, 1)] == [True, False]
    said = compare_document(catalog.pair("both"), dict(zip(RUN_ORDER, busy.values(), strict=True)), PRICE)
    assert (said["speedup"], said["saving"]) == (None, None)
    again = results(engine.run(other))
    assert [again[lane].cache for lane in (0, 1)] == ["miss", "hit"]
    backend.denoise_s = [0.2, 0.012]  # told again with its throughput, it is no less disturbed
    other = [each.model_copy(update={"seed": 2}) for each in other]
    busy = results(engine.run(other, throughput=True))
    assert [busy[lane].disturbed for lane in (0, 1)] == [True, False] and busy[0].batches
    again = results(engine.run(other))
    assert [again[lane].cache for lane in (0, 1)] == ["miss", "hit"]
    backend.denoise_s = [0.2] * 4  # several runs bear it alike, so how many times as fast is said, and that it was busy
    busy = results(engine.run(requests, repeat=2))
    assert all(result.disturbed for result in busy.values())
    said = compare_document(catalog.pair("both"), dict(zip(RUN_ORDER, busy.values(), strict=True)), PRICE)
    assert said["speedup"] and [sum("too high" in each for each in caveats(said, PRICE))] == [1]
    assert results(engine.run(requests, repeat=2))[0].cache == "miss"
    backend.denoise_s = [0.2, 0.012, 0.012, 0.2]  # the efficient one begins, then the order turns round
    busy = results(engine.run(requests, repeat=2))
    assert [busy[lane].disturbed for lane in (0, 1)] == [True, False]
    said = compare_document(catalog.pair("both"), dict(zip(RUN_ORDER, busy.values(), strict=True)), PRICE)
    assert said["speedup"] is None, "one of them alone bore it"
