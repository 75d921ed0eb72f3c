"""How long a picture will take: the card's reference at first, then what was measured here."""

from __future__ import annotations

import pytest

from pipeline.estimate import KEPT_RUNS, Estimator
from pipeline.request import key_of, make_request
from pipeline.timing import Timings
from tests.fakes import results


@pytest.fixture
def card(catalog):
    return catalog.model("old")


def test_before_any_run_the_cards_reference_counts(card):
    found = Estimator().estimate(card, make_request(card, "a cat", steps=6, guidance=3))
    assert found.seconds == pytest.approx(12 * 0.25)
    assert found.basis == "reference: a CPU with beads"


def test_the_reference_grows_with_evaluations_and_pixels(card):
    estimator = Estimator()
    assert estimator.estimate(card, make_request(card, "a", guidance=1)).seconds == pytest.approx(6 * 0.25)
    larger = make_request(card, "a", guidance=1, width=64, height=64)
    assert estimator.estimate(card, larger).seconds == pytest.approx(4 * 6 * 0.25)


def test_after_a_run_what_was_measured_counts(card):
    estimator = Estimator()
    request = make_request(card, "a cat", steps=6, guidance=3)
    estimator.record(card, request, Timings(wait=99, load=99, encode=0.1, denoise=1.0, decode=0.1))
    found = estimator.estimate(card, make_request(card, "another", steps=12, guidance=1, seed=5))
    assert found.seconds == pytest.approx(1.2)  # as many evaluations: 12 x 1 as 6 x 2
    assert found.basis == "measured here, 1 run"


def test_more_steps_encode_and_decode_no_more_often(card):
    estimator = Estimator()
    request = make_request(card, "a cat", steps=1, guidance=1)
    estimator.record(card, request, Timings(encode=0.5, denoise=4.0, decode=12.0))
    assert estimator.estimate(card, request).seconds == pytest.approx(16.5)
    assert estimator.estimate(card, make_request(card, "a cat", steps=4, guidance=1)).seconds == pytest.approx(28.5)


def test_the_median_of_the_last_runs_counts(card):
    estimator = Estimator()
    request = make_request(card, "a cat", steps=1, guidance=1)
    for denoise in (1.0, 50.0, 2.0):
        estimator.record(card, request, Timings(denoise=denoise))
    assert estimator.estimate(card, request).seconds == 2.0
    assert estimator.estimate(card, request).basis == "measured here, 3 runs"
    for _ in range(KEPT_RUNS):
        estimator.record(card, request, Timings(denoise=7.0))
    assert estimator.estimate(card, request).seconds == 7.0


def test_what_is_usual_is_the_best_of_all_runs_however_long_the_machine_stays_busy(card):
    estimator = Estimator()
    request = make_request(card, "a cat", steps=1, guidance=1)
    found = []
    for denoise, decode in ((2.0, 0.5), (1.0, 50.0), *[(50.0, 50.0)] * 2 * KEPT_RUNS):
        found.append(estimator.usual(card, request))
        estimator.record(card, request, Timings(denoise=denoise, decode=decode))
    assert found[:2] == [None, 2.5] and set(found[2:]) == {1.5}
    twice = make_request(card, "a cat", steps=2, guidance=1)
    assert estimator.usual(card, twice) == 2.5 and estimator.estimate(card, twice).seconds == 150.0


def test_what_was_usual_is_forgotten_where_the_model_is_loaded_anew(card):
    """Part by part on a full GPU it takes several times as long, and for ever."""
    estimator = Estimator()
    request = make_request(card, "a cat", steps=1, guidance=1)
    estimator.record(card, request, Timings(denoise=2.0))
    estimator.record_loading(key_of(request), 0.01)  # it was there
    assert estimator.usual(card, request) == 2.0
    estimator.record_loading(("another", ()), 30.0)
    assert estimator.usual(card, request) == 2.0
    estimator.record_loading(key_of(request), 30.0)
    assert estimator.usual(card, request) is None
    estimator.record(card, request, Timings(denoise=20.0))
    assert estimator.usual(card, request) == 20.0


def test_loading_is_what_it_took_when_something_was_loaded():
    estimator, plain, compiled = Estimator(), ("old", ()), ("old", ("compile",))
    assert estimator.loading(plain) == 0.0
    estimator.record_loading(plain, 30.0)
    estimator.record_loading(plain, 0.001)
    assert estimator.loading(plain) == 30.0 and estimator.loading(compiled) == 0.0


def test_other_models_and_sizes_are_not_concerned(card, catalog):
    estimator = Estimator()
    estimator.record(card, make_request(card, "a cat"), Timings(denoise=100.0))
    assert "reference" in estimator.estimate(card, make_request(card, "a cat", width=16)).basis
    other = catalog.model("new")
    assert "reference" in estimator.estimate(other, make_request(other, "a cat")).basis


def test_the_engine_learns_from_its_runs_and_not_from_its_cache(engine, backend, requests):
    assert "reference" in engine.estimate(requests[1]).basis
    results(engine.run(requests))
    found = engine.estimate(requests[1])
    assert found.basis == "measured here, 1 run"
    assert found.seconds == pytest.approx(0.002 + 0.012 + 0.003)
    results(engine.run(requests))
    assert len(backend.made) == 2
    assert engine.estimate(requests[1]).basis == "measured here, 1 run"
