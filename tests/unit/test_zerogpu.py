"""A GPU that is lent for one call in a forked process: the same pictures, and nothing that is learnt is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest

from pipeline import zerogpu
from pipeline.caches import ImageCache
from pipeline.device import on_zerogpu
from pipeline.engine import Engine
from pipeline.errors import BusyError, Cancelled, ModelError, PlaygroundError
from pipeline.events import Done, Loading, Step, final_results
from pipeline.request import make_request
from tests.fakes import CountingBackend, draw
from tests.lender import Spaces

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process")


@pytest.fixture
def spaces(monkeypatch) -> Spaces:
    lender = Spaces()
    monkeypatch.setitem(sys.modules, "spaces", lender)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return lender


@pytest.fixture
def lent(spaces, catalog, backend, tmp_path) -> Engine:
    return Engine(catalog, backend, ImageCache(tmp_path / "cache"))


@pytest.fixture
def requests(catalog):
    return [make_request(catalog.model(model), "a red apple", seed=7) for model in ("old", "new")]


@pytest.mark.parametrize(
    ("said", "active"), [("true", True), ("1", True), ("T", True), ("false", False), (None, False)]
)
def test_it_is_found_as_the_package_finds_it(monkeypatch, said, active):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    if said is not None:
        monkeypatch.setenv("SPACES_ZERO_GPU", said)
    assert on_zerogpu() is active


def test_both_lanes_are_made_in_one_call(lent, spaces, requests, backend):
    events = list(lent.run(requests))
    assert len(spaces.durations) == 1
    assert [type(event) for event in events if isinstance(event, Loading)] == [Loading] * 2
    assert sum(isinstance(event, Step) for event in events) == sum(request.steps for request in requests)
    made = final_results(iter(events))
    assert [result.image.tobytes() for result in made] == [draw(request).tobytes() for request in requests]
    assert backend.made == []  # nothing was made in this process


def test_what_was_made_there_is_known_here(lent, requests):
    assert lent.estimate(requests[0]).basis.startswith("reference")
    final_results(lent.run(requests))
    assert lent.estimate(requests[0]).basis == "measured here, 1 run"
    assert all(result.cache == "hit" for result in final_results(lent.run(requests)))


def test_seconds_asked_for_follow_the_estimate_and_what_must_be_loaded(lent, spaces, requests, backend, monkeypatch):
    monkeypatch.setattr(zerogpu, "LOAD_BYTES_A_S", lent.catalog.model("old").weight_bytes / 100)
    final_results(lent.run(requests[:1], use_cache=False))
    backend.placed = frozenset({"old", "new"})
    seconds = sum(lent.estimate(request).seconds for request in requests) * 3
    final_results(lent.run(requests, repeat=3))
    assert spaces.durations[0] > 100 > spaces.durations[1] == zerogpu.duration(seconds)
    assert zerogpu.duration(0) == zerogpu.BASE_S
    assert zerogpu.duration(10**6) == zerogpu.MOST_S


def test_waiting_for_the_gpu_is_waiting(lent, spaces, requests, monkeypatch):
    monkeypatch.setattr(zerogpu, "duration", lambda seconds: time.sleep(0.5) or 60)  # asked just before it is lent
    made = final_results(lent.run(requests))
    assert all(result.timings.wait >= 0.5 for result in made)
    assert all(result.timings.total < 0.5 for result in made)


def test_stop_is_heard_there_and_the_line_goes_on_only_when_it_is_idle(lent, requests, backend):
    backend.step_s = 0.5
    stop, slow = threading.Event(), requests[0].model_copy(update={"steps": 40})
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        for event in lent.run([slow], stop=stop):
            if isinstance(event, Step):
                stop.set()
    assert lent.idle(5)
    assert time.monotonic() - begin < 10  # of twenty seconds
    backend.step_s = 0
    assert final_results(lent.run(requests))[0].image.tobytes() == draw(requests[0]).tobytes()


def test_a_measurement_that_is_stopped_has_its_whole_rounds(lent, requests, backend):
    backend.step_s = 0.05
    stop, told = threading.Event(), []
    with pytest.raises(Cancelled):
        for event in lent.run(requests, repeat=20, stop=stop):
            told += [event] if isinstance(event, Done) else []
            if sum(not done.final for done in told) == 5:
                stop.set()
    final = [done for done in told if done.final]
    assert [done.lane for done in final] == [0, 1]
    assert len({len(done.result.runs) for done in final}) == 1 and len(final[0].result.runs) >= 2


def test_a_closed_tab_ends_the_call(lent, requests, backend):
    backend.step_s = 0.5
    events = lent.run([requests[0].model_copy(update={"steps": 40})])
    next(event for event in events if isinstance(event, Step))
    events.close()
    assert lent.idle(10)  # of twenty seconds


def test_an_error_there_is_the_sentence_here(lent, requests, backend):
    backend.fail = ModelError("Old has a damaged file x; restore it.")
    with pytest.raises(ModelError, match=r"^Old has a damaged file x; restore it\.$"):
        final_results(lent.run(requests))
    backend.fail = RuntimeError("index 11 is out of bounds")
    with pytest.raises(PlaygroundError, match="The run failed inside the model's code"):
        final_results(lent.run(requests))
    backend.fail = None
    assert len(final_results(lent.run(requests))) == 2


def test_no_quota_is_one_sentence_without_markup(lent, spaces, requests):
    spaces.refusal = 'You have exceeded your GPU quota (60s left). <a href="https://x">Sign in</a>.'
    with pytest.raises(BusyError) as caught:
        final_results(lent.run(requests))
    assert str(caught.value) == (
        "ZeroGPU gave no GPU for this run (You have exceeded your GPU quota (60s left). Sign in); "
        "try again later, or sign in."
    )
    assert len(final_results(lent.run(requests))) == 2


def test_visitors_come_one_after_the_other(lent, requests, backend):
    backend.step_s = 0.01
    seen: list[tuple[float, float]] = []

    def visit(seed: int) -> None:
        steps = []
        for event in lent.run([requests[1].model_copy(update={"seed": seed})]):
            if isinstance(event, (Step, Done)):
                steps.append(time.monotonic())
        seen.append((steps[0], steps[-1]))

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    spans = sorted(seen)
    assert len(spans) == 4
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


SAME_PIXELS = """
import hashlib, os, sys
sys.path.insert(0, ".")
lend = sys.argv[1] == "lent"
if lend:
    from tests.lender import Spaces
    sys.modules["spaces"] = Spaces()
    os.environ["SPACES_ZERO_GPU"] = "true"
from pipeline.backends.local import LocalBackend
from pipeline.catalog import load_catalog
from pipeline.compare import plan
from pipeline.engine import Engine
from pipeline.events import final_results
catalog = load_catalog()
requests = plan(catalog, catalog.default_pair, "a fox", seed=3, steps={"predecessor": 4})
engine = Engine(catalog, LocalBackend())
made = final_results(engine.run(list(requests.values())))
print([hashlib.sha256(result.image.tobytes()).hexdigest() for result in made])
"""


def test_the_bundled_pair_draws_there_what_it_draws_here():
    def pixels(where: str) -> str:
        command = [sys.executable, "-c", SAME_PIXELS, where]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    assert pixels("lent") == pixels("here") != ""


def test_without_it_nothing_is_lent(monkeypatch, catalog, backend, requests):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it would fail
    assert isinstance(backend, CountingBackend)
    assert len(final_results(Engine(catalog, backend).run(requests))) == 2
    assert len(backend.made) == 2
