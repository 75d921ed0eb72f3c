"""A sweep run cell by cell: kept as it goes, stopped, gone on with, deleted."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager

import pytest

from pipeline import imagefile
from pipeline.device import Device
from pipeline.errors import BusyError, Cancelled, InputError, ModelError, PlaygroundError
from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.sweep import cell_document
from pipeline.sweep_run import Kept, Sweeps, Working
from pipeline.tradeoff import compare_cells, tradeoff
from tests.fakes import draw, plan_of

PRICE = load_prices().profile("36")
"""A cent a second."""


@pytest.fixture
def sweeps(catalog, engine, tmp_path):
    return Sweeps(catalog, engine, History(tmp_path / "history"))


def begin(sweeps, **given):
    return sweeps.history.get(sweeps.start(plan_of(sweeps.catalog, **given), PRICE))


def test_cells_are_kept_as_they_finish_and_found_after_a_restart(sweeps, backend):
    entry = begin(sweeps, models="old, new", steps="1, 2")
    told = []
    for said in sweeps.run(entry):
        if isinstance(said, Kept):
            told.append(said.cell.place)
            again = History(sweeps.history.folder).get(entry.id)
            assert sorted(again.files) == sorted(told)  # before anybody is told
            assert imagefile.read(again.files[said.cell.place])[0].tobytes() == said.result.image.tobytes()
        else:
            assert isinstance(said, Working) and said.place not in told
    assert told == [0, 1, 2, 3]
    assert [request.model for request in backend.made] == ["old", "old", "new", "new"]
    found = sweeps.history.get(entry.id)
    assert (found.kind, found.prompt, found.models) == ("sweep", "a fox", ("old", "new"))
    document = sweeps.cells.at(entry.id, 3).document
    assert (document["model"], document["steps"], document["seed"]) == ("new", 2, 7)
    assert document["cost_usd"] == pytest.approx(document["seconds"]["total"] / 100)
    assert sweeps.left(found) == []


def test_a_switch_that_a_model_cannot_take_is_refused_before_anything_is_kept(sweeps, backend):
    with pytest.raises(ModelError, match=r"^Step cache cannot be used with Old: It has none\.$"):
        begin(sweeps, switches="none, step-cache+fp8-weights")
    assert sweeps.history.find() == [] and backend.made == []
    asked = []
    supported, backend.switches = backend.switches, lambda card: asked.append(card.id) or supported(card)
    begin(sweeps, models="old, new", steps="2")
    assert asked == []  # what asks the libraries, and imports them
    begin(sweeps, models="old, new", switches="none, fp8-weights", steps="2")
    assert asked == ["old", "new"]


def test_stop_keeps_what_is_done_and_resume_makes_only_the_rest(sweeps, backend):
    entry = begin(sweeps, steps="1..6")
    stop = threading.Event()
    with pytest.raises(Cancelled):
        for said in sweeps.run(entry, stop=stop):
            if isinstance(said, Kept) and said.cell.place == 2:
                stop.set()
    assert sweeps.cells.places(entry.id) == {0, 1, 2} and sweeps.left(entry) == [3, 4, 5]
    assert sweeps.engine.idle(5) and not sweeps.running(entry.id)
    backend.made.clear()
    restarted = Sweeps(sweeps.catalog, sweeps.engine, History(sweeps.history.folder))
    rest = [said.cell.place for said in restarted.run(entry, use_cache=False) if isinstance(said, Kept)]
    assert rest == [3, 4, 5] and [request.steps for request in backend.made] == [4, 5, 6]


def test_a_stop_in_a_long_cell_ends_it_and_leaves_no_half_of_it(sweeps, backend):
    backend.step_s = 0.05
    entry = begin(sweeps, steps="50")
    stop = threading.Event()
    with pytest.raises(Cancelled):
        for _ in sweeps.run(entry, stop=stop):
            stop.set()
    assert sweeps.engine.idle(5)
    assert sweeps.cells.places(entry.id) == set() and backend.made == []


def test_closing_the_generator_ends_the_run(sweeps, backend):
    backend.step_s = 0.05
    entry = begin(sweeps, steps="2, 50")
    running = sweeps.run(entry)
    while not isinstance(next(running), Kept):
        pass
    running.close()
    assert sweeps.engine.idle(5) and not sweeps.running(entry.id)
    assert sweeps.cells.places(entry.id) == {0}


def test_others_get_their_turn_between_two_cells(sweeps, backend, catalog):
    """Never one hold of the lock for the whole sweep."""
    backend.step_s = 0.02
    entry = begin(sweeps, seeds="1..8", steps="2")
    running = sweeps.run(entry)
    next(running)
    other = threading.Thread(
        target=lambda: list(sweeps.engine.run([make_request(catalog.model("old"), "another visitor", steps=2)]))
    )
    other.start()
    for _ in running:
        pass
    other.join(10)
    assert backend.served[0] == backend.served[-1] == "a fox" and "another visitor" in backend.served[1:-1]
    assert backend.peak == 1


def test_a_sweep_runs_once_at_a_time(sweeps, backend):
    backend.step_s = 0.05
    entry = begin(sweeps, steps="20")
    running = sweeps.run(entry)
    next(running)
    assert sweeps.running(entry.id)
    with pytest.raises(BusyError, match="running already"):
        next(sweeps.run(entry))
    running.close()
    assert sweeps.engine.idle(5)


def test_a_fault_ends_it_and_it_can_be_gone_on_with(sweeps, backend):
    entry = begin(sweeps, seeds="1..3", steps="2")
    backend.fail = PlaygroundError("The device is tired; try again.")
    with pytest.raises(PlaygroundError, match="tired"):
        list(sweeps.run(entry))
    assert [said.cell.place for said in sweeps.run(entry) if isinstance(said, Kept)] == [0, 1, 2]


def test_two_processes_at_one_sweep_make_every_cell_once(sweeps, backend):
    """Each has its own Sweeps, so neither knows of the other."""
    backend.step_s = 0.002
    entry = begin(sweeps, seeds="1..12", steps="2")
    others = [Sweeps(sweeps.catalog, sweeps.engine, History(sweeps.history.folder)) for _ in range(3)]
    threads = [threading.Thread(target=lambda one=one: list(one.run(entry, use_cache=False))) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sweeps.cells.places(entry.id) == set(range(12))
    kept = sweeps.history.get(entry.id).files
    assert sorted(kept) == list(range(12))
    assert set((sweeps.history.folder / "pictures").iterdir()) == set(kept.values())


def test_deleting_the_entry_takes_cells_and_files(sweeps):
    entry, other = begin(sweeps, steps="1, 2, 3"), begin(sweeps, seeds="1, 2")
    for one in (entry, other):
        list(sweeps.run(one))
    files = list(sweeps.history.get(entry.id).files.values())
    sweeps.history.delete(entry.id)
    assert len(files) == 3 and not any(file.exists() for file in files)
    assert sweeps.history.rows("SELECT DISTINCT entry FROM cells")[0]["entry"] == other.id
    assert all(file.exists() for file in sweeps.history.get(other.id).files.values())


def test_deleting_it_while_it_runs_ends_it_in_one_sentence_without_a_file(sweeps):
    entry = begin(sweeps, steps="1, 2, 3")
    with pytest.raises(InputError, match="deleted from the history, so it has stopped"):
        for said in sweeps.run(entry):
            if isinstance(said, Kept):
                sweeps.history.delete(entry.id)
    assert list((sweeps.history.folder / "pictures").iterdir()) == []


def test_a_cells_text_counts_as_its_picture_does(sweeps):
    entry = begin(sweeps)
    before = sweeps.history.used_bytes()
    [kept] = [said for said in sweeps.run(entry) if isinstance(said, Kept)]
    picture = sweeps.history.get(entry.id).files[0].stat().st_size
    assert sweeps.history.used_bytes() - before == picture + len(json.dumps(kept.cell.document))


def test_a_sweep_keeps_the_history_to_its_limit(sweeps):
    older = begin(sweeps, steps="1, 2")
    list(sweeps.run(older))
    sweeps.history.max_bytes = 3 * sweeps.history.used_bytes() // 2
    newer = begin(sweeps, seeds="1, 2")
    list(sweeps.run(newer))
    assert [entry.id for entry in sweeps.history.find()] == [newer.id]
    assert len(sweeps.history.get(newer.id).files) == 2


def test_on_another_device_a_sweep_is_not_gone_on_with_since_its_times_and_price_are_the_firsts(sweeps, backend):
    entry = begin(sweeps, seeds="1..3", steps="2")
    running = sweeps.run(entry)
    while not isinstance(next(running), Kept):
        pass
    running.close()
    backend.device = lambda: Device("cuda", "Tesla T4", 16 * 10**9)
    with pytest.raises(InputError, match=r"begun on CPU, 1 core \(fake\) and this is Tesla T4: start a new one"):
        next(sweeps.run(entry))
    del backend.device
    assert [said.cell.place for said in sweeps.run(entry) if isinstance(said, Kept)] == [1, 2]


def test_on_a_full_disk_pictures_are_compared_again_the_next_time(sweeps, monkeypatch):
    @contextmanager
    def full():
        raise sqlite3.OperationalError("database or disk is full")
        yield

    entry = begin(sweeps, models="old, new")
    list(sweeps.run(entry))
    entry = sweeps.history.get(entry.id)
    with monkeypatch.context() as patch:
        patch.setattr(sweeps.history, "transaction", full)
        assert list(compare_cells(sweeps, entry)) == [(0, 1)]
    assert tradeoff(sweeps, entry).points == ()
    assert list(compare_cells(sweeps, entry)) == [(0, 1)] and len(tradeoff(sweeps, entry).points) == 1
    assert list(compare_cells(sweeps, entry)) == []


def test_only_sweeps_are_gone_on_with(sweeps, engine, catalog):
    entry = sweeps.history.add("picture", {}, [])
    with pytest.raises(InputError, match="is no sweep"):
        next(sweeps.run(sweeps.history.get(entry)))


def test_a_cell_out_of_the_cache_says_so(sweeps, backend):
    for _ in range(2):
        entry = begin(sweeps, steps="1, 2")
        list(sweeps.run(entry))
    assert [cell.document["cache"] for cell in sweeps.cells.of(entry.id)] == ["hit", "hit"]
    assert len(backend.made) == 2


def test_cells_come_in_the_order_they_were_finished(sweeps):
    entry = begin(sweeps, steps="1..5")
    list(sweeps.run(entry))
    assert [cell.place for cell in sweeps.cells.of(entry.id)] == [0, 1, 2, 3, 4]
    for place in (9, -1, None, "0", 1.5):
        with pytest.raises(InputError, match="no such cell"):
            sweeps.cells.at(entry.id, place)


def test_a_cells_document_is_a_lane_with_its_prompt_and_seed(sweeps):
    entry = begin(sweeps)
    [kept] = [said for said in sweeps.run(entry) if isinstance(said, Kept)]
    assert kept.cell.document == json.loads(json.dumps(cell_document(kept.result, PRICE)))
    assert kept.result.image.tobytes() == draw(kept.result.request).tobytes()
