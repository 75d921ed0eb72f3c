"""However a run ends (stopped, closed, failed, out of line), the device is free afterwards and the next run works."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline import desk as module
from pipeline.engine import Engine
from pipeline.errors import BusyError, Cancelled, InputError, ModelError, PlaygroundError
from pipeline.events import Done, Loading, Queued, Step
from pipeline.lock import Line, Ticket
from tests.fakes import CountingBackend, results

WAIT_S = 5


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats that a test can wait for."""
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)


def steps_in(events) -> int:
    return sum(isinstance(event, Step) for event in events)


def test_closing_mid_run_frees_the_device_and_never_puts_two_on_it(catalog, requests):
    backend = CountingBackend(step_s=0.01)
    engine = Engine(catalog, backend)
    for turn in range(5):
        events = engine.run(requests, use_cache=False)
        while not isinstance(next(events), Step):
            pass
        events.close()
        made = results(engine.run([requests[0].model_copy(update={"seed": turn})]))
        assert made[0].request.seed == turn
    assert engine.idle(WAIT_S)
    assert backend.peak == 1
    assert not [request for request in backend.made if request.model == "old"]


def test_closing_returns_at_once_and_the_lock_stays_until_the_device_is_idle(catalog, requests):
    engine = Engine(catalog, CountingBackend(step_s=0.5))
    events = engine.run(requests)
    next(events)
    events.close()
    assert len(engine.line) == 1, "closing did not wait for the step, and the step still has the device"
    assert not engine.line.join().wait(0)


def test_stop_cancels_before_the_next_step(catalog, requests):
    backend = CountingBackend(step_s=0.02)
    engine, stop, seen = Engine(catalog, backend), threading.Event(), []
    with pytest.raises(Cancelled):
        for event in engine.run(requests[1:], stop=stop):
            seen.append(event)
            if steps_in(seen) == 2:
                stop.set()
    assert steps_in(seen) <= 3
    assert engine.idle(WAIT_S)
    assert not backend.made


def test_stop_between_two_lanes_skips_the_second_models_load(catalog, requests, backend):
    engine, stop = Engine(catalog, backend), threading.Event()
    backend.step_s = 0.2
    kept = None
    with pytest.raises(Cancelled):
        for event in engine.run(requests, stop=stop):
            if isinstance(event, Step):
                stop.set()
            if isinstance(event, Done):
                kept = event.result
    assert backend.loaded == {"new"}
    assert kept is None or kept.request.model == "new"


def test_a_stop_is_heard_while_a_model_is_prepared(catalog, requests):
    class Slow(CountingBackend):
        """Prepares for as long as nobody stops it."""

        def prepare(self, card, request, keep, on_part):
            stop.wait(WAIT_S)
            on_part("warm-up", 1, 2)
            super().prepare(card, request, keep, on_part)

    backend, stop = Slow(), threading.Event()
    engine = Engine(catalog, backend)
    with pytest.raises(Cancelled):
        for event in engine.run(requests, stop=stop):
            stop.set()
            assert not isinstance(event, Done)
    assert engine.idle(WAIT_S)
    assert not backend.served


def test_a_stop_set_before_the_run_cancels_it(engine, requests, backend):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        list(engine.run(requests, stop=stop))
    assert not backend.served
    assert engine.idle(WAIT_S)


def test_the_stop_of_one_run_is_not_the_stop_of_another(engine, requests):
    stop = threading.Event()
    list(engine.run(requests, stop=stop))
    assert stop.is_set()  # whoever watches it knows that the run is over
    assert set(results(engine.run(requests, use_cache=False))) == {0, 1}


def test_stop_while_waiting_leaves_the_line(engine, requests, quick):
    holder, stop = engine.line.join(expected_s=60), threading.Event()
    holder.wait(0)
    events = engine.run(requests, stop=stop)
    queued = next(events)
    assert isinstance(queued, Queued)
    assert queued.place == 1
    assert 59 < queued.expected_wait_s <= 60
    stop.set()
    with pytest.raises(Cancelled):
        list(events)
    assert len(engine.line) == 1


def test_who_waits_is_told_of_what_those_before_have_to_load(catalog, requests, quick):
    backend = CountingBackend(load_s=0.5)
    engine = Engine(catalog, backend)
    list(engine.run(requests[:1], use_cache=False))  # so it is known what its loading takes

    def waiting_behind_one() -> float:
        holder = engine.line.join()
        holder.wait(0)
        first, second = (engine.run(requests[:1], use_cache=False) for _ in range(2))
        next(first)
        expected = next(second).expected_wait_s
        first.close()
        second.close()
        holder.leave()
        assert engine.idle(WAIT_S)
        return expected

    there = waiting_behind_one()
    backend.loaded.clear()
    assert waiting_behind_one() >= there + 0.5


def test_closing_while_waiting_leaves_the_line(engine, requests, backend, quick):
    holder = engine.line.join()
    events = engine.run(requests)
    assert isinstance(next(events), Queued)
    events.close()
    assert len(engine.line) == 1
    holder.leave()
    assert set(results(engine.run(requests))) == {0, 1}
    assert backend.peak == 1


def test_the_place_counts_down_and_the_wait_is_told(catalog, requests, quick):
    engine = Engine(catalog, CountingBackend())
    holders = [engine.line.join(), engine.line.join()]
    seen = []
    for event in engine.run(requests):
        seen.append(event)
        if isinstance(event, Queued) and holders:
            holders.pop(0).leave()
    assert [event.place for event in seen if isinstance(event, Queued)][:2] == [2, 1]
    assert 0.02 <= results(seen)[0].timings.wait < 5


def test_a_full_line_is_said(catalog, requests, backend):
    engine = Engine(catalog, backend, line=Line(max_waiting=0))
    holder = engine.line.join()
    with pytest.raises(BusyError):
        list(engine.run(requests))
    holder.leave()
    assert set(results(engine.run(requests))) == {0, 1}


@pytest.mark.parametrize("error", [ModelError("The weights are damaged."), Cancelled("The run was stopped.")])
def test_an_error_a_user_may_see_comes_as_it_is_and_the_next_run_works(engine, requests, backend, error):
    backend.fail = error
    with pytest.raises(type(error), match=str(error)):
        list(engine.run(requests))
    assert set(results(engine.run(requests))) == {0, 1}
    assert backend.peak == 1


@pytest.mark.parametrize("error", [IndexError("25 is out of bounds"), MemoryError(), OSError("/home/someone/secret")])
def test_a_librarys_error_is_one_sentence_and_the_next_run_works(engine, requests, backend, caplog, error):
    backend.fail = error
    with pytest.raises(PlaygroundError) as caught:
        list(engine.run(requests))
    assert "log says where" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert type(error).__name__ in caplog.text
    assert engine.idle(WAIT_S)
    assert set(results(engine.run(requests))) == {0, 1}


def test_a_failure_in_the_second_lane_keeps_the_first_ones_picture(engine, requests, backend):
    backend.fail, backend.fail_model, done = ModelError("The weights are damaged."), "old", []
    with pytest.raises(ModelError):
        for event in engine.run(requests):
            if isinstance(event, Done):
                done.append(event)
    assert [event.result.request.model for event in done] == ["new"]
    assert results(engine.run(requests))[0].cache == "hit"


def test_an_unknown_model_is_said_and_nothing_is_left_behind(engine, requests):
    with pytest.raises(InputError, match="model must be one of"):
        list(engine.run([requests[0].model_copy(update={"model": "newest"})]))
    assert engine.idle(WAIT_S)


def test_silence_while_loading_is_filled_with_the_loading(catalog, requests, quick):
    events = list(Engine(catalog, CountingBackend(load_s=0.2)).run(requests[:1]))
    loading = [event for event in events if isinstance(event, Loading)]
    assert len(loading) >= 3
    assert len(set(loading)) == 1
    assert isinstance(events[-1], Done)


def test_silence_in_a_step_is_filled_with_its_time_running_on(catalog, requests, quick):
    engine = Engine(catalog, CountingBackend(step_s=0.2))
    steps = [event for event in engine.run(requests[:1], previews=True) if isinstance(event, Step)]
    assert [step.i for step in steps] == sorted(step.i for step in steps)
    assert len(steps) >= 4
    assert [step.elapsed_s for step in steps] == sorted(step.elapsed_s for step in steps)
    assert sum(step.preview is not None for step in steps) == 2, "no preview comes twice"


def test_silence_before_the_first_event_and_after_a_picture_is_place_nought(catalog, requests, quick):
    backend = CountingBackend(step_s=0.1)
    backend.loaded = {"new", "old"}
    events = list(Engine(catalog, backend).run(requests))
    assert events[0] == Queued(0, 0.0)
    done = [index for index, event in enumerate(events) if isinstance(event, Done)]
    assert len(done) == 2, "no picture comes twice"
    assert events[done[0] + 1] == Queued(0, 0.0)


def test_a_reader_who_stops_reading_holds_up_nobody(catalog, requests, quick):
    backend = CountingBackend(step_s=0.02)
    engine = Engine(catalog, backend)
    first = engine.run(requests, use_cache=False)
    next(first)
    asleep = engine.run([requests[0].model_copy(update={"seed": 1})])
    next(asleep)  # in line, and never read again
    assert results(engine.run([requests[0].model_copy(update={"seed": 2})]))[0].request.seed == 2
    assert backend.peak == 1
    assert [event.result.request.seed for event in asleep if isinstance(event, Done)] == [1]


def test_a_process_that_ends_waits_for_no_more_than_the_step_that_runs(catalog, requests, quick):
    backend = CountingBackend(step_s=0.3)
    engine, ends = Engine(catalog, backend), []

    def read(seed: int) -> None:
        try:
            list(engine.run([requests[1].model_copy(update={"seed": seed, "steps": 50})]))
        except Cancelled:
            ends.append(seed)

    readers = [threading.Thread(target=read, args=(seed,), daemon=True) for seed in range(3)]
    for reader in readers:
        reader.start()
    while len(engine.line) < len(readers) or not backend.served:
        time.sleep(0.01)
    engine.close()
    with pytest.raises(Cancelled, match="was ended"):
        next(engine.run(requests))
    engine._device.thread.shutdown(wait=True)  # as the interpreter does at its end
    for reader in readers:
        reader.join(WAIT_S)
    assert sorted(ends) == [0, 1, 2] and backend.made == [] and not len(engine.line)


def test_what_was_given_up_before_its_turn_is_never_begun(engine, backend, requests, monkeypatch):
    """Also where its turn comes between leaving the line and the end being told."""
    holder = engine.line.join()
    events = engine.run(requests, use_cache=False)
    assert isinstance(next(events), Queued)
    leave = Ticket.leave

    def slow(ticket: Ticket) -> None:
        leave(ticket)
        if ticket is not holder:
            leave(holder)
            time.sleep(0.3)  # long enough for the device thread to look

    monkeypatch.setattr(Ticket, "leave", slow)
    events.close()
    assert engine.idle(WAIT_S)
    time.sleep(0.3)
    assert backend.made == []
