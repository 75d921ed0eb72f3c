"""A vote drawn from prompts: pair by pair, kept as it goes, stopped, and what cannot be had left out."""

from __future__ import annotations

import threading

import pytest

from pipeline.compare import plan
from pipeline.errors import Cancelled, Declined, ModelError
from pipeline.events import Queued, Step
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.vote_run import Drawing, Opened, draw_vote

PROMPTS = ("a fox", "a cat", "a hat")
NEVER = threading.Event()


@pytest.fixture
def playground(catalog, engine, tmp_path) -> Playground:
    return Playground(catalog, load_prices(), engine, tmp_path)


@pytest.fixture
def drawing(playground):
    """Draw some prompts; gives the events as they come."""
    pair = playground.catalog.pair("both")

    def begin(*prompts: str, stop: threading.Event | None = None):
        planned = [(pair, plan(playground.catalog, pair, prompt, seed=7)) for prompt in prompts]
        return draw_vote(playground, planned, lambda device: playground.price("36", device), "me", stop or NEVER)

    return begin


def kept(playground, kind: str) -> list[str]:
    return [entry.prompt for entry in playground.history.find("me", kind=kind)]


def test_each_pair_is_kept_before_the_next_is_drawn_and_the_vote_is_on_all(playground, drawing, backend):
    events = drawing(*PROMPTS)
    for done, prompt in enumerate(PROMPTS, 1):
        between = next(event for event in events if event == Drawing(done))
        assert between.event is None and kept(playground, "comparison")[0] == prompt
        assert len(backend.made) == 2 * done
    [opened] = events
    assert opened == Opened(playground.votes.get(opened.vote.id), ())
    assert [pair["prompt"] for pair in opened.vote.document["pairs"]] == list(PROMPTS)
    assert {pair["price"]["usd_per_hour"] for pair in opened.vote.document["pairs"]} == {36.0}


def test_what_the_engine_tells_is_handed_on_also_while_others_are_before_us(playground, drawing, engine, request):
    ticket = engine.line.join()
    request.addfinalizer(ticket.leave)
    events = drawing("a fox")
    waiting = next(events)
    assert isinstance(waiting.event, Queued) and (waiting.done, waiting.event.place) == (0, 1)
    ticket.leave()
    rest = list(events)
    assert any(isinstance(event.event, Step) for event in rest[:-1]) and isinstance(rest[-1], Opened)


def test_stopped_or_closed_in_a_pair_those_before_stay_and_there_is_no_vote(playground, drawing, backend, engine):
    for end in ("stop", "close"):
        stop = threading.Event()
        events = drawing(f"a fox, {end}", f"a cat, {end}", stop=stop)
        next(event for event in events if event == Drawing(1))
        backend.gate.clear()
        next(events)
        if end == "stop":
            stop.set()
            with pytest.raises(Cancelled):
                list(events)
        else:
            events.close()
        backend.gate.set()
        assert engine.idle(10)
        assert kept(playground, "comparison")[0] == f"a fox, {end}" and kept(playground, "vote") == []
    assert len(kept(playground, "comparison")) == 2


def test_a_prompt_that_is_declined_is_left_out_and_of_nothing_else_there_is_no_vote(playground, drawing, backend):
    backend.fail = Declined("Not this one.")
    *_, opened = drawing("a fox", "a cat")
    assert [str(error) for error in opened.declined] == ["Not this one."]
    assert [pair["prompt"] for pair in opened.vote.document["pairs"]] == ["a cat"]
    backend.fail = Declined("Nor this.")
    with pytest.raises(Declined, match=r"Nor this\."):
        list(drawing("a hat"))
    backend.fail = ModelError("It broke.")
    with pytest.raises(ModelError, match="It broke"):
        list(drawing("a car", "a bus"))
    assert len(kept(playground, "vote")) == 1


def test_the_next_in_line_waits_until_a_pair_is_kept(playground, drawing, engine, monkeypatch):
    """Else the fidelity of what was drawn would be charged to somebody's model."""
    flags, settled_at = [], []
    run, add = engine.run, playground.history.add

    def ran(*given, settled, **how):
        flags.append(settled)
        return run(*given, settled=settled, **how)

    def added(kind, *given):
        settled_at.append((kind, flags[-1].is_set()))
        return add(kind, *given)

    monkeypatch.setattr(engine, "run", ran)
    monkeypatch.setattr(playground.history, "add", added)
    list(drawing("a fox", "a cat"))
    assert settled_at == [("comparison", False), ("comparison", False), ("vote", True)]
    assert [flag.is_set() for flag in flags] == [True, True]
