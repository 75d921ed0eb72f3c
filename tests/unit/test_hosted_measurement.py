"""Several runs at a provider that fails in the midst of them: nothing that was paid is lost, and no run is made up."""

from __future__ import annotations

import logging
import threading

import pytest

from pipeline.backends.everywhere import Everywhere
from pipeline.backends.hosted import HostedBackend
from pipeline.compare import compare_document
from pipeline.engine import Engine
from pipeline.errors import Cancelled, ModelError
from pipeline.events import Done, Result, Step
from pipeline.prices import load_prices
from pipeline.recipe import recipe_of, result_from_recipe
from pipeline.spending import Spending
from tests.provider import asked_for, run

PRICE = load_prices().profile("hf-t4-small")
DRAWN = (200, {}, None)
FAILED = (500, {}, {})
ENDED = "The measurement ended after {} of 5 runs a model: Someone failed to draw with {} (500); try again later."


@pytest.fixture
def engine(hosted_engine):
    """In place of the usual one."""
    return hosted_engine


def finals(events) -> list[tuple[int, Result]]:
    """Every final picture that is told."""
    return [(event.lane, event.result) for event in events if isinstance(event, Done) and event.final]


def told_before(events, error: type[Exception]) -> list[tuple[int, Result]]:
    """The final pictures that are told before a run fails."""
    found = []
    with pytest.raises(error):
        for event in events:
            if isinstance(event, Done) and event.final:
                found.append((event.lane, event.result))
    return found


@pytest.mark.parametrize(
    ("drawn", "whole", "failed"),
    [(8, 4, "Swift"), (9, 4, "Grand"), (7, 3, "Swift"), (5, 2, "Grand"), (2, 1, "Grand")],
)
def test_a_measurement_ends_with_the_rounds_that_are_whole(engine, cards, provider, caplog, drawn, whole, failed):
    provider.answers = [*[DRAWN] * drawn, FAILED]
    requests = asked_for(cards)
    with caplog.at_level(logging.WARNING):
        told = finals(engine.run(list(requests.values()), repeat=5))
    assert len(provider.asked) == drawn + 1, "what failed is not asked for again"
    assert [lane for lane, _ in told] == [0, 1], "each is told once as final"
    document = compare_document(
        cards.pair("hosted"), dict(zip(requests, (each for _, each in told), strict=True)), PRICE
    )
    assert [lane["runs"] for lane in document["lanes"]] == [whole, whole]
    assert [lane["hosted"]["cut_short"] for lane in document["lanes"]] == [ENDED.format(whole, failed)] * 2
    assert ENDED.format(whole, failed) in caplog.text
    assert document["speedup"] and (document["significance"] or {"runs": 1})["runs"] == whole
    [kept, _] = run(engine, *requests.values())
    assert (kept.cache, len(kept.runs)) == ("hit", whole) and len(provider.asked) == drawn + 1
    assert result_from_recipe(kept.image, recipe_of(kept)).hosted == kept.hosted


def test_what_broke_off_counts_as_paid_and_is_in_no_run(engine, cards, provider, spending):
    provider.usage, provider.answers = None, [*[DRAWN] * 4, (200, {}, b"<html>")]
    swift, grand = run(engine, *asked_for(cards).values(), repeat=5)
    assert len(swift.runs) == len(grand.runs) == 2
    assert spending.spent_usd == pytest.approx(3 * 0.002 + 2 * 0.016)


def test_the_limit_that_others_have_reached_meanwhile_ends_it_the_same_way(cards, backend, provider):
    spending = Spending(0.0101)
    engine = Engine(cards, Everywhere(backend, HostedBackend(spending)))
    with spending.paying(0.004, "Another visitor's"):
        [swift] = run(engine, asked_for(cards)["efficient"], repeat=5)
    assert len(swift.runs) == len(provider.asked) == 3
    assert swift.hosted.cut_short.startswith("The measurement ended after 3 of 5 runs a model: A picture by Swift cost")


def test_without_a_whole_round_it_fails_and_what_was_drawn_is_in_the_cache(engine, cards, provider):
    provider.answers = [DRAWN, FAILED]
    requests = list(asked_for(cards).values())
    [(lane, swift)] = told_before(engine.run(requests, repeat=5), ModelError)
    assert lane == 0 and len(swift.runs) == 1 and swift.hosted.cut_short is None
    assert engine.is_cached(requests[0]) and not engine.is_cached(requests[1])
    provider.answers = [FAILED]
    assert told_before(engine.run([requests[1]], repeat=5), ModelError) == []


def test_what_is_paid_when_somebody_stops_it_is_in_the_cache(engine, cards, provider):
    requests, stop = list(asked_for(cards).values()), threading.Event()

    def stopping():
        for event in engine.run(requests, repeat=5, stop=stop):
            if isinstance(event, Step) and event.run == 3:
                stop.set()
            yield event

    provider.slow_s = 0.15
    told = told_before(stopping(), Cancelled)
    assert [(lane, len(each.runs), each.hosted.cut_short) for lane, each in told] == [(0, 2, None), (1, 2, None)]
    assert engine.idle(5) and all(map(engine.is_cached, requests))


def test_a_measurement_that_ends_well_says_nothing_and_is_learnt_from_once(engine, cards, provider, caplog):
    requests = list(asked_for(cards).values())
    told = finals(engine.run(requests, repeat=3))
    assert [(lane, len(each.runs), each.hosted.cut_short) for lane, each in told] == [(0, 3, None), (1, 3, None)]
    assert engine.estimate(requests[0]).basis == "measured here, 3 runs" and not caplog.text


@pytest.mark.parametrize("pair", ["old:swift", "swift:new"])
def test_this_machine_draws_no_more_often_than_the_provider_did(engine, cards, backend, provider, pair):
    provider.answers = [DRAWN, DRAWN, FAILED]
    told = finals(engine.run(list(asked_for(cards, pair).values()), repeat=5))
    assert [len(each.runs) for _, each in told] == [2, 2] and len(backend.made) == 2


def test_a_model_of_this_machine_that_fails_is_told_as_ever(engine, cards, backend):
    """It cost nobody anything, and would fail again."""
    requests = asked_for(cards, "both")
    backend.fail, backend.fail_model = ModelError("The weights are damaged."), "old"
    [(lane, drawn)] = told_before(engine.run(list(requests.values()), repeat=3), ModelError)
    assert lane == 0 and len(drawn.runs) == 1 and drawn.hosted is None
