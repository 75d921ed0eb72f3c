"""What the Compare tab's events answer, without a browser: who may overwrite what, and what a run tells its page."""

from __future__ import annotations

import threading
from dataclasses import replace
from html import unescape
from pathlib import Path

import gradio as gr
import pytest

from pipeline import weights
from pipeline.catalog import ROLES
from pipeline.device import Facts
from pipeline.engine import Engine
from pipeline.errors import Cancelled, ModelError, PlaygroundError
from pipeline.events import Queued, Step
from pipeline.history import History
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.ui import arrival, compare_tab, compare_view, pair_choice, restore_updates
from pipeline.ui import compare_updates as updates
from pipeline.ui.jobs import Jobs
from pipeline.ui.visitors import Visitors
from pipeline.wording import lanes_of
from tests.fakes import CountingBackend, draw
from tests.tiny_models import SHIPPED

TOKEN = "A" * 22
NO_PRICES = [None, "gold", "-1", "", float("nan"), True, [], {}, ["2"], {"a": 1}, "9" * 900]
"""What somebody may have put where a browser keeps a price."""


class Tab:
    """The Compare tab of one page, whose events are called as Gradio calls them."""

    def __init__(self, engine: Engine, data: Path, price: str | None = None):
        self.playground = playground = Playground(engine.catalog, load_prices(), engine, data, price)
        self.jobs = Jobs()
        with gr.Blocks() as self.page:
            visitors = Visitors(playground, self.page)
            self.view = compare_view.build(playground, "")
            weigh = compare_tab.attach(self.view, playground, self.jobs, visitors)
            offer = pair_choice.attach(self.view, playground, weigh)
            arrival.attach(self.view, playground, self.jobs, visitors, weigh, offer)
        self.token = visitors.token
        self.request = gr.Request(session_hash="mine", headers={}, query_params={})

    def event(self, name: str):
        return next(each for each in self.page.fns.values() if getattr(each.fn, "__name__", "") == name)

    def said(self, name: str, **now: object) -> dict:
        """What the page as it came says to an event, but for what is ``now``."""
        said = {box: box.value for box in self.event(name).inputs} | {self.token: TOKEN}
        return said | {getattr(self.view, box): value for box, value in now.items()}

    def ask(self) -> dict:
        return self.event("on_ask").fn(7, gr.EventData(self.view.compare, None), self.request)

    def run(self, ticket: str, **now: object) -> list[dict]:
        said = self.said("on_run", ticket=ticket, prompt="a fox", **now)
        return list(self.event("on_run").fn(said, self.request))

    def stop(self) -> dict:
        return self.event("on_stop").fn(self.request)


def nothing(updates: dict) -> bool:
    return all(value == gr.skip() for value in updates.values())


@pytest.fixture
def tab(engine: Engine, tmp_path: Path) -> Tab:
    return Tab(engine, tmp_path)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Tab:
    return Tab(Engine(SHIPPED, CountingBackend()), tmp_path_factory.mktemp("shipped"))


def test_the_first_screens_costs_are_at_the_price_in_the_box(engine: Engine, tmp_path: Path):
    view = Tab(engine, tmp_path, price="50").view
    assert view.price.value == "50" and view.shown.value["price"]["usd_per_hour"] == 50
    for role in ROLES:
        assert "$50 per hour" in view.lanes[role].numbers.value


def test_what_arrives_late_takes_nothing_from_whoever_has_begun(tab: Tab):
    tab.run(tab.ask()[tab.view.ticket])
    come = tab.event("on_arrival").fn
    assert come(tab.said("on_arrival"), tab.request)[tab.view.prompt] == "a fox"
    for touched in ({"prompt": "mine"}, {"pair": "short"}, {"seed": 99}, {"shown": None}):
        assert come(tab.said("on_arrival", **touched), tab.request).keys() == {tab.view.pair}
    tab.ask()
    for name in ("on_arrival", "on_own_pair"):
        assert not tab.event(name).fn(tab.said(name), tab.request).keys() & {tab.view.prompt, tab.view.shown}


@pytest.mark.parametrize(
    ("kept", "box"),
    [("2", "2"), (2.5, "2.5"), ("hf-l4", "hf-l4"), ("auto", "auto"), *((bad, None) for bad in NO_PRICES)],
)
def test_the_price_that_was_chosen_is_there_again_unless_it_is_none(engine: Engine, tmp_path: Path, kept, box):
    tab = Tab(engine, tmp_path, price="50")
    come = tab.event("on_arrival").fn
    assert come(tab.said("on_arrival", kept_price=kept), tab.request).get(tab.view.price) == box
    assert tab.view.price not in come(tab.said("on_arrival", kept_price="2", price="3"), tab.request)
    assert come(tab.said("on_arrival", kept_price="2", prompt="mine"), tab.request)[tab.view.price] == "2"
    assert tab.event("on_choice").fn("gold") == gr.skip() and tab.event("on_choice").fn("3") == "3"
    assert tab.view.kept_price.storage_key == "diptych-price-50"  # where the page begins with another, another's


def test_a_wrong_price_is_said_once_and_which_price_the_costs_below_have(tab: Tab):
    tab.run(tab.ask()[tab.view.ticket])
    document = tab.event("on_arrival").fn(tab.said("on_arrival"), tab.request)[tab.view.shown]
    told = unescape(tab.event("on_price").fn(document, "abc", tab.request)[tab.view.verdict])
    assert (
        "price must be a machine of the list or dollars an hour, such as 0.40, up to 10000; got 'abc'. "
        "The costs below stay at $0.03 an hour.<" in told
    )
    estimate = unescape(tab.event("on_estimate").fn(tab.said("on_estimate", price="abc")))
    assert "s, no price known (" in estimate and "must" not in estimate
    assert "$2 an hour" not in told and "$2 per hour" in str(tab.event("on_price").fn(document, "2", tab.request))
    last = tab.run(tab.ask()[tab.view.ticket], price="abc", shown=document)[-1]
    assert "a machine of the list" in last[tab.view.verdict] and "hf-" not in last[tab.view.verdict]


@pytest.mark.parametrize("kind", ["comparison", "picture"])
def test_what_is_opened_again_is_reckoned_at_the_visitors_price_which_stays(tab: Tab, tmp_path: Path, kind):
    tab.run(tab.ask()[tab.view.ticket], price="36")
    [entry] = History(tmp_path / "history").find(TOKEN)
    if kind == "picture":
        del entry.files[1]
        entry = replace(entry, kind=kind)
    shown = restore_updates.from_history(tab.view, tab.playground, entry, "2", lambda _: "")
    assert "$2 per hour" in shown[tab.view.lanes["predecessor"].numbers] and tab.view.price not in shown
    if kind == "comparison":
        assert shown[tab.view.shown]["price"]["usd_per_hour"] == 2


def test_the_pair_of_this_machine_takes_nothing_either(tab: Tab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Playground, "default_pair", property(lambda self: self.catalog.pair("short")))
    come = tab.event("on_own_pair").fn
    assert come(tab.said("on_own_pair"), tab.request)[tab.view.lanes["efficient"].model] == "old"
    assert nothing(come(tab.said("on_own_pair", prompt="mine"), tab.request))
    tab.ask()
    assert nothing(come(tab.said("on_own_pair"), tab.request))


def test_a_page_runs_one_comparison_and_whoever_asks_again_changes_nothing(tab: Tab, backend: CountingBackend):
    ticket = tab.ask()[tab.view.ticket]
    assert tab.ask() == {tab.view.ticket: ""}  # Enter once more
    [again] = tab.run("")
    assert nothing(again) and nothing(tab.event("on_end").fn(None, "auto", tab.request))
    assert tab.run(ticket)[-1][tab.view.shown]["prompt"] == "a fox"
    assert nothing(tab.run(ticket)[0])  # a ticket is for one run
    assert len(backend.made) == 2
    assert tab.view.compare in tab.event("on_end").fn(None, "auto", tab.request)


def test_there_are_no_reports_while_a_run_is_on(tab: Tab):
    reports = tab.view.report.buttons.values()
    asked = tab.ask()
    assert not any(asked[button].interactive for button in reports)
    tab.run(asked[tab.view.ticket])
    document = tab.event("on_arrival").fn(tab.said("on_arrival"), tab.request)[tab.view.shown]
    ended = tab.event("on_end").fn(document, "auto", tab.request)
    assert all(ended[button].interactive for button in reports)
    stopped = tab.event("on_end").fn(None, "auto", tab.request)  # before there was a picture
    assert not any(stopped[button].interactive for button in reports) and stopped[tab.view.compare].interactive


def test_what_is_stopped_before_it_began_never_begins(tab: Tab, backend: CountingBackend):
    ticket = tab.ask()[tab.view.ticket]
    stopped = tab.stop()
    assert "Stopped" in stopped[tab.view.verdict] and tab.view.compare in stopped
    another = tab.ask()[tab.view.ticket]
    assert nothing(tab.run(ticket)[0]) and backend.made == []
    assert tab.run(another)[-1][tab.view.shown]
    assert nothing(tab.stop())  # nothing is on any more


@pytest.mark.parametrize("pair", [*SHIPPED.pairs, *(f"{model}:{model}" for model in SHIPPED.models)])
def test_every_shipped_pair_can_be_chosen(shipped: Tab, pair: str):
    """Gradio refuses a slider that has one place only, as SDXL-Lightning's 4 steps would be."""
    chosen = shipped.event("on_pair").fn(pair)
    for role in ROLES:
        card, lane = SHIPPED.model(SHIPPED.pair(pair).lane(role).model), shipped.view.lanes[role]
        slider = chosen[lane.steps]
        assert slider.minimum <= slider.value <= slider.maximum
        assert slider.interactive == (card.steps.min < card.steps.max)
        assert bool(slider.info) == (not slider.interactive)


def test_a_pair_that_cannot_be_run_as_things_are_says_so_when_it_is_chosen(shipped: Tab, monkeypatch):
    def said(pair: str, facts: Facts) -> str:
        monkeypatch.setattr(pair_choice, "find_facts", lambda: facts)
        return unescape(shipped.event("on_pair").fn(pair)[shipped.view.verdict])

    processor = Facts("cpu", "CPU, 2 cores", 10**11, 10**11, bf16=False)
    assert "would take many minutes a picture on a processor" in said("sdxl", processor)
    fetch = "SD-Turbo must be fetched first, up to 5.16 GB: in the Models tab, or with python -m pipeline"
    assert f"{fetch} download --pair sd" in said("sd", processor)
    assert "Press Compare." in said("bundled", processor)
    monkeypatch.setattr(weights, "is_here", lambda card: True)
    assert "Press Compare." in said("sdxl", Facts("cuda", "GPU", 10**11, 10**11, bf16=True))


def test_pictures_stand_under_the_names_of_the_models_that_run(tab: Tab):
    updates = tab.run(tab.ask()[tab.view.ticket], pair="short")
    headings = [updates[0][tab.view.lanes[role].heading] for role in ROLES]
    assert all("Old" in heading and "New" not in heading for heading in headings)


def test_nobody_is_told_that_others_are_before_him_while_his_own_run_is_on(tab: Tab, engine, monkeypatch):
    def run(requests, **how):
        yield Queued(1, 8.0)
        yield Step(0, 1, 1, 2, 0.1, draw(requests[0]))
        raise Cancelled("The run was stopped.")

    monkeypatch.setattr(engine, "run", run)
    _, in_line, running, _ = tab.run(tab.ask()[tab.view.ticket])
    lanes = tab.view.lanes
    assert all("1 before you" in in_line[lanes[role].progress] for role in ROLES)
    assert "waiting for the efficient one" in running[lanes["predecessor"].progress]
    assert "step 1 of 2" in running[lanes["efficient"].progress] and "Running" in running[tab.view.verdict]


def test_what_was_begun_and_has_not_finished_is_asked_for_again_after_a_reload(tab: Tab, engine, monkeypatch):
    come = tab.event("on_arrival").fn
    tab.run(tab.ask()[tab.view.ticket])
    run = engine.run

    def stopped(requests, **how):
        raise Cancelled("The run was stopped.")
        yield

    monkeypatch.setattr(engine, "run", stopped)
    tab.run(tab.ask()[tab.view.ticket], seed=8, pair="short")
    found = come(tab.said("on_arrival"), tab.request)
    assert found[tab.view.seed] == 8 and found[tab.view.pair].value == "short"
    assert arrival.FROM_RUN in found[tab.view.verdict] and found[tab.view.shown] is None
    stranger = come({**tab.said("on_arrival"), tab.token: "B" * 22}, tab.request)
    assert tab.view.prompt not in stranger
    tab.request.query_params = {"prompt": "linked"}
    assert come(tab.said("on_arrival"), tab.request)[tab.view.prompt] == "linked"
    tab.request.query_params = {}
    monkeypatch.setattr(engine, "run", run)
    tab.run(tab.ask()[tab.view.ticket], seed=8, pair="short")
    assert come(tab.said("on_arrival"), tab.request)[tab.view.shown]["seed"] == 8


def kept(data: Path) -> list[tuple[str, int]]:
    """Of every entry its kind and how often its pictures were drawn, oldest first."""
    found = [(entry.kind, entry.document) for entry in History(data / "history").find()]
    return [(kind, min(lane["runs"] for lane in lanes_of(document))) for kind, document in found[::-1]]


def after(drawn: int, backend: CountingBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the run be stopped when so many pictures are there."""
    make = backend.make

    def stopping(*args):
        if len(backend.made) == drawn:
            raise Cancelled("The run was stopped.")
        return make(*args)

    monkeypatch.setattr(backend, "make", stopping)


def test_a_measurement_tells_its_round_in_the_estimates_place(tab: Tab, monkeypatch):
    for name in ("MEASURED_ALONE_S", "MEASURED_STEP_EVERY_S"):
        monkeypatch.setattr(compare_tab, name, 0.0)
    told = tab.run(tab.ask()[tab.view.ticket], repeat=4)
    rounds = [update[tab.view.estimate] for update in told if tab.view.estimate in update]
    assert "Round 1 of 4" in rounds[0] and "Round 4 of 4" in rounds[-1]
    lanes = [[update.get(tab.view.lanes[role].progress, "") for update in told] for role in ROLES]
    for lane, done in zip(lanes, (2, 3), strict=True):
        assert all(any(said in text for text in lane) for said in ("run 4 of 4, step", f"run {done} of 4 is done"))
    assert not any(" left" in text for lane in lanes for text in lane)


@pytest.mark.parametrize(("drawn", "entry"), [(1, ("picture", 1)), (2, ("comparison", 1)), (7, ("comparison", 3))])
def test_a_measurement_that_is_stopped_keeps_its_whole_rounds(tab: Tab, backend, tmp_path, monkeypatch, drawn, entry):
    after(drawn, backend, monkeypatch)
    last = tab.run(tab.ask()[tab.view.ticket], repeat=20)[-1]
    assert kept(tmp_path) == [entry]
    found = tab.event("on_arrival").fn(tab.said("on_arrival"), tab.request)
    if entry[0] == "picture":
        assert "Stopped" in last[tab.view.verdict] and arrival.FROM_RUN in found[tab.view.verdict]
    else:
        assert "stopped early" in last[tab.view.verdict] and last[tab.view.shown]["lanes"][0]["runs"] == entry[1]
        assert found[tab.view.shown]["entry"] == last[tab.view.shown]["entry"]


def test_a_throughput_that_is_stopped_leaves_a_comparison(tab: Tab, backend, tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "_several", lambda *_: (_ for _ in ()).throw(Cancelled("The run was stopped.")))
    last = tab.run(tab.ask()[tab.view.ticket], throughput=True)[-1]
    assert "stopped early" in last[tab.view.verdict] and kept(tmp_path) == [("comparison", 1)]
    assert tab.event("on_arrival").fn(tab.said("on_arrival"), tab.request)[tab.view.shown]


def test_what_broke_off_with_whole_rounds_says_why_as_an_error(tab: Tab, backend, monkeypatch):
    make = backend.make

    def failing(*args):
        if len(backend.made) == 5:
            raise ModelError("The weights are damaged.")
        return make(*args)

    monkeypatch.setattr(backend, "make", failing)
    last = tab.run(tab.ask()[tab.view.ticket], repeat=20)[-1]
    assert 'role="alert">The weights are damaged.' in last[tab.view.verdict]
    assert last[tab.view.shown]["lanes"][0]["runs"] == 2


def test_what_broke_off_and_cannot_be_shown_as_a_comparison_says_so(tab: Tab, backend, monkeypatch):
    after(2, backend, monkeypatch)
    monkeypatch.setattr(updates, "finished", lambda *_: (_ for _ in ()).throw(PlaygroundError("The disk is full.")))
    last = tab.run(tab.ask()[tab.view.ticket], repeat=20)[-1]
    assert "Stopped" in last[tab.view.verdict]
    assert all(last[tab.view.lanes[role].progress] == "" for role in ROLES)


def test_a_page_that_goes_away_leaves_what_it_has_shown(tab: Tab, backend, engine: Engine, tmp_path, monkeypatch):
    monkeypatch.setattr(compare_tab, "MEASURED_ALONE_S", 0.0)
    said = tab.said("on_run", ticket=tab.ask()[tab.view.ticket], prompt="a fox", repeat=20)
    running = tab.event("on_run").fn(said, tab.request)
    images = [tab.view.lanes[role].image for role in ROLES]
    backend.step_s = 0.02
    shown = set()
    while len(shown) < 2:
        updates = next(running)
        shown |= {image for image in images if updates.get(image) is not None}
    running.close()
    assert engine.idle(5)
    [keeping] = [thread for thread in threading.enumerate() if thread.name == "keep"] or [None]
    if keeping:
        keeping.join(5)
    assert kept(tmp_path) == [("comparison", 1)]


def test_what_is_refused_leaves_the_last_comparison_with_its_verdict(tab: Tab):
    last = tab.run(tab.ask()[tab.view.ticket])[-1][tab.view.shown]
    [refused] = tab.run(tab.ask()[tab.view.ticket], seed=-4, shown=last)
    verdict = refused[tab.view.verdict]
    assert (
        verdict.index('role="alert">seed must be')
        < verdict.index("below is the last comparison")
        < verdict.index("“a fox”")
    )
    assert refused.keys() == {tab.view.verdict}
    [alone] = tab.run(tab.ask()[tab.view.ticket], seed=-4, shown=None)
    assert "seed must be" in alone[tab.view.verdict] and "last comparison" not in alone[tab.view.verdict]
