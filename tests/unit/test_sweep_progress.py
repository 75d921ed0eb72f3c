"""A sweep of a page on its way, without a page: what is told, what Stop ends, and how it ends."""

from __future__ import annotations

import threading

import pytest

from pipeline import tradeoff
from pipeline.errors import Declined, ModelError
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.tradeoff import left_to_compare
from pipeline.ui import series, sweep_markup, sweep_progress
from pipeline.ui.jobs import Jobs
from pipeline.ui.sweep_progress import FAILED, NOT_COMPARED, STOPPED, compared, made, run_of
from tests.fakes import plan_of


@pytest.fixture(autouse=True)
def told_at_once(monkeypatch):
    """Whatever can be told is told, and nobody waits for a browser."""
    monkeypatch.setattr(series, "TELL_S", 0.0)
    monkeypatch.setattr(series, "SETTLE_S", 0.0)
    monkeypatch.setattr(sweep_progress, "SETTLE_S", 0.0)
    monkeypatch.setattr(sweep_progress, "COMPARED_EVERY_S", 0.0)
    monkeypatch.setattr(sweep_progress, "address", lambda file: None)


@pytest.fixture
def playground(catalog, engine, tmp_path) -> Playground:
    return Playground(catalog, load_prices(), engine, tmp_path)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def begin(playground):
    def make(**given: str):
        plan = plan_of(playground.catalog, **{"models": "new", **given})
        return playground.history.get(playground.sweeps.start(plan, load_prices().profile("36")))

    return make


def test_cells_are_told_as_they_come_then_all_is_compared_and_the_end_is_told(playground, jobs, begin):
    entry = begin(models="old, new", prompts="a fox\na cat", steps="2")
    told = list(made(playground, jobs, "me", entry))
    assert [said.some for said in told if said.some is not None] == [True] * 3  # a first one, all, the end
    assert set().union(*({place for place, _ in said.cells} for said in told)) == {0, 1, 2, 3}
    comparing = [said for said in told if said.html and "Comparing pictures" in said.html]
    assert [said.busy for said in comparing] == [True, None]
    assert "All 4 done." in told[-1].html and (told[-1].busy, told[-1].left) == (False, 0)
    assert left_to_compare(playground.sweeps, playground.history.get(entry.id)) == 0 and not jobs.busy("me")
    assert list(compared(playground, jobs, "me", playground.history.get(entry.id))) == []


def test_a_cell_of_a_busy_machine_says_so(playground, jobs, begin, backend):
    entry = begin(models="old", steps="1, 2, 3, 4, 5")
    backend.denoise_s = [0.02, 0.04, 0.06, 1.0]
    sent: dict[int, str] = {}
    for said in made(playground, jobs, "me", entry):
        sent |= dict(said.cells)
    assert [place for place, html in sent.items() if "· machine was busy" in html] == [3]


def test_stop_ends_the_pictures_and_then_the_comparing(playground, jobs, begin):
    entry = begin(models="old, new", prompts="a fox\na cat\na hat", steps="2")
    told = made(playground, jobs, "me", entry)
    next(said for said in told if len(playground.sweeps.cells.places(entry.id)) == 4)
    assert jobs.stop(None, run_of("me")) == 1
    sent: dict[int, str] = {}
    for said in told:
        sent |= dict(said.cells)
        if said.html and "Comparing pictures: 0" in said.html:
            break
    assert jobs.stop(None, run_of("me")) == 1
    *_, last = told
    assert STOPPED in last.html and NOT_COMPARED in last.html and (last.busy, last.left) == (False, 2)
    assert last.some and [place for place, html in sent.items() if html == sweep_markup.NOT_MADE] == [4, 5]
    entry = playground.history.get(entry.id)
    assert left_to_compare(playground.sweeps, entry) == 1

    told = list(compared(playground, jobs, "me", entry))  # when it is opened again
    assert left_to_compare(playground.sweeps, entry) == 0
    assert "4 pictures of 6 done." in told[-1].html and (told[-1].busy, told[-1].left) == (False, None)


def test_stop_is_heard_while_the_comparing_waits_in_line(playground, jobs, begin, engine, request):
    entry = begin(models="old, new")
    list(playground.sweeps.run(entry))
    request.addfinalizer(engine.line.join().leave)
    told = compared(playground, jobs, "me", playground.history.get(entry.id))
    assert next(told).busy
    threading.Timer(0.1, jobs.stop, (None, run_of("me"))).start()
    assert NOT_COMPARED in next(told).html and list(told) == []


def test_whatever_happens_the_end_is_told(playground, jobs, begin, backend, monkeypatch):
    def end(entry) -> str:
        *_, last = made(playground, jobs, "me", entry)
        assert last.busy is False and not jobs.busy("me")
        return last.html

    entry = begin(prompts="a fox\na cat")
    backend.fail = Declined("Not this one.")
    assert "1 picture left out. Not this one." in end(entry)
    backend.fail = ModelError("It broke.")
    assert "It broke." in end(entry)
    assert "All 2 done." in end(entry)
    monkeypatch.setattr(tradeoff, "fidelity", lambda *_: 1 / 0)
    assert "All 2 done." in end(begin(models="old, new"))
    monkeypatch.setattr(sweep_progress, "cell_html", lambda *_: 1 / 0)
    assert FAILED.replace("'", "&#39;") in end(begin(prompts="a hat"))


def test_the_place_in_the_line_is_told(playground, jobs, begin, engine, request):
    ticket = engine.line.join(5.0)
    request.addfinalizer(ticket.leave)
    told = made(playground, jobs, "me", begin())
    assert "0 of 1 done; 1 before you in the line, about 5 s." in next(told).html
    ticket.leave()
    assert "All 1 done." in list(told)[-1].html
