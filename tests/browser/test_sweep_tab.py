"""The Sweep tab in a real browser: weighed, run, stopped, gone on with, restored, reported; never more than the changed
cells in an event."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from pipeline import quality, tradeoff
from pipeline.engine import Engine
from pipeline.errors import PlaygroundError
from pipeline.ui import served
from pipeline.ui.visitors import Visitors
from tests.browser.test_history_tab import Guest
from tests.browser.test_report_and_prices import download
from tests.browser.visit import PHONE, WIDE, playwright
from tests.fakes import CountingBackend

WATCH = """() => {
  const parse = JSON.parse;
  window.sent = [];
  JSON.parse = (text, ...more) => {
    const value = parse(text, ...more);
    if (Array.isArray(value) && typeof value[0]?.[0] === "number") window.sent.push(value.map(([place]) => place));
    return value;
  };
}"""
"""Writes down which cells each event brings to the page."""
HOSTILE = "<script>alert(1)</script>"


class Sweeper(Guest):
    def __init__(self, browser, url: str, viewport: dict = WIDE, scheme: str = "light"):
        super().__init__(browser, url, viewport, scheme)
        self.tab("Sweep")
        self.start = self.page.get_by_role("button", name="Start sweep")
        self.halt = self.page.get_by_role("button", name="Stop sweep")
        self.resume = self.page.get_by_role("button", name="Go on")
        self.done = self.page.locator(".sweep td[id] img")
        self.start.wait_for()

    def fill(self, **texts: str) -> None:
        for label, text in texts.items():
            self.page.get_by_label("Prompts, one a line" if label == "prompts" else f"{label} of the sweep").fill(text)

    def said(self, words: str, timeout: int = 30_000) -> None:
        playwright.expect(self.page.get_by_text(re.compile(words)).first).to_be_visible(timeout=timeout)


def test_a_sweep_is_weighed_run_restored_and_reported(serve, engine: Engine, browser, tmp_path: Path):
    url = serve(engine)
    visit = Sweeper(browser, url)
    of_pictures = [
        visit.page.get_by_role("button", name=name).and_(visit.page.locator(":visible"))
        for name in ("Vote on this sweep", "Report (HTML)", "Report (zip)")
    ]
    for button in of_pictures:
        playwright.expect(button).to_be_disabled()
    visit.fill(prompts=HOSTILE, Steps="1, 2, 3", Guidance="1, 2")
    visit.said("must be|fixed|guidance")
    visit.page.get_by_label("Models of the sweep").click()
    visit.page.get_by_role("option", name="Old").first.click()
    visit.page.keyboard.press("Escape")
    visit.fill(Guidance="")
    visit.said("^New sweep: 6 pictures, about")
    weighed = visit.page.locator(".said-box:visible").first
    for width in (720, 768, 1024):
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert weighed.bounding_box()["height"] < 60, width
    visit.page.set_viewport_size(WIDE)
    visit.start.click()
    visit.said("All 6 done")
    playwright.expect(visit.done).to_have_count(6)
    playwright.expect(visit.page.locator(".sweep td[id]").first).to_contain_text("ms")
    visit.page.reload()
    visit.tab("Sweep")
    playwright.expect(visit.done).to_have_count(6)
    visit.said("6 pictures of 6 done")
    for button in of_pictures:
        playwright.expect(button).to_be_enabled()
    page = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 6 and "<script" not in page
    assert visit.faults == [] and visit.sideways() <= 0


class Comparer(Sweeper):
    """Somebody who chooses a pair first."""

    def choose(self, pair: str) -> None:
        self.tab("Compare")
        self.page.get_by_label("Pair", exact=True).click()
        self.page.get_by_role("option", name=pair, exact=True).click()
        playwright.expect(self.page.locator(".estimate-box").first).to_contain_text("Estimate")

    def offers(self, models: list[str], prompt: str, steps: str) -> None:
        self.tab("Sweep")
        panel = self.page.get_by_role("tabpanel").and_(self.page.locator(":visible")).first
        playwright.expect(self.page.get_by_label("Steps of the sweep")).to_have_value(steps)
        playwright.expect(self.page.get_by_label("Prompts, one a line")).to_have_value(prompt)
        playwright.expect(panel.locator(".token")).to_have_text(models)


def test_what_belongs_to_the_chosen_pair_is_offered_until_somebody_changes_a_box(serve, engine: Engine, browser):
    visit = Comparer(browser, serve(engine))
    visit.choose("Old, short")
    visit.prompt.fill("a boat")
    visit.offers(["Old"], "a boat", "1..5")
    visit.said("^New sweep: 5 pictures")
    visit.said(re.escape("1 to 50: 1, 2, 4 or 1..4; empty: its own"))
    visit.choose("Old and new")
    visit.offers(["New"], "a boat", "1..4")
    visit.said("^New sweep: 4 pictures")
    visit.said(re.escape("1 to 4: 1, 2, 4 or 1..4; empty: its own"))
    visit.said("leave it empty: fixed for New")
    visit.fill(Seeds="7, 8")
    visit.choose("Old, short")
    visit.prompt.fill("a fox")
    visit.tab("Sweep")
    visit.page.wait_for_timeout(1000)
    visit.offers(["New"], "a boat", "1..4")
    assert visit.page.get_by_label("Seeds of the sweep").input_value() == "7, 8"
    assert visit.faults == []


def test_boxes_that_a_sweep_was_started_with_are_offers_no_more(serve, engine: Engine, browser):
    visit = Comparer(browser, serve(engine))
    visit.start.click()
    visit.said("All 4 done")
    visit.choose("Old, short")
    visit.tab("Sweep")
    visit.page.wait_for_timeout(1000)
    visit.offers(["New"], "a red apple", "1..4")
    playwright.expect(visit.done).to_have_count(4)
    visit.page.reload()
    visit.choose("Old, short")
    visit.offers(["Old"], "a red apple", "1..5")  # nobody has touched the new page's, and the sweep is shown
    playwright.expect(visit.done).to_have_count(4)
    assert visit.faults == []


def test_an_older_sweep_is_opened_from_the_history(serve, engine: Engine, browser, monkeypatch):
    looked_for = []
    find = Visitors.find

    def found(self, token, request, **filters):
        looked_for.append(filters.get("kind"))
        return find(self, token, request, **filters)

    monkeypatch.setattr(Visitors, "find", found)
    visit = Comparer(browser, serve(engine))
    for prompt, steps, number in (("a fox", "1, 2", 2), ("a red apple", "1, 2, 3", 3)):
        visit.fill(prompts=prompt, Steps=steps, Guidance="")
        visit.start.click()
        visit.said(f"All {number} done")
    visit.page.goto(visit.page.url.split("#")[0])  # not to the Sweep tab, which opens the newest
    looked_for.clear()
    visit.tab("History")
    card = visit.page.locator(".kept", has_text="a fox")
    card.get_by_role("button", name="Open").click()
    playwright.expect(visit.done).to_have_count(2)
    visit.said("2 pictures of 2 done")
    playwright.expect(visit.page.get_by_role("heading", name="“a fox”")).to_be_visible()
    visit.said("^Sweep over steps: New · seed 7")
    visit.said("^New sweep: 2 pictures")
    visit.offers(["New"], "a fox", "1, 2")
    assert "sweep" not in looked_for  # the newest, which would replace it if it came later
    visit.tab("History")
    visit.tab("Sweep")
    playwright.expect(visit.done).to_have_count(2)
    visit.page.wait_for_timeout(500)
    visit.offers(["New"], "a fox", "1, 2")  # and no offer in its place
    assert visit.faults == []


def test_what_an_opened_sweep_lacks_is_compared_with_stop(serve, engine: Engine, browser, monkeypatch):
    gate, compared = threading.Event(), []

    def fidelity(*pictures):
        assert gate.wait(60)
        compared.append(len(engine.line))
        return quality.fidelity(*pictures)

    monkeypatch.setattr(tradeoff, "fidelity", fidelity)
    visit = Sweeper(browser, serve(engine))
    visit.fill(prompts="a fox\na cat\na hat", Steps="1, 2")
    visit.start.click()
    yet = "The pictures are not all compared with their references yet"
    for left, end, plot in ((3, "^All 6 done", yet), (2, "^6 pictures of 6 done", "Fidelity says how near")):
        visit.said(f"Comparing pictures: 0 of {left}")
        visit.halt.click()
        playwright.expect(visit.page.get_by_role("button", name="Stopping")).to_be_disabled()
        gate.set()  # the one that is on is kept
        visit.said(end)
        visit.said("The comparing was stopped")
        visit.said(plot)
        playwright.expect(visit.start).to_be_enabled()
        gate.clear()
        visit.page.reload()
        visit.tab("Sweep")
    gate.set()
    playwright.expect(visit.page.locator(".front svg")).to_be_visible()
    visit.said("6 pictures of 6 done")
    deadline = time.monotonic() + 30  # the plot of what is known comes before the last of it
    while len(compared) < 3 and time.monotonic() < deadline:
        visit.page.wait_for_timeout(50)
    playwright.expect(visit.halt).to_be_disabled()
    assert compared == [1] * 3 and visit.faults == []


def test_stop_keeps_what_is_done_and_go_on_makes_the_rest(serve, backend: CountingBackend, engine, browser):
    backend.step_s = 0.15
    visit = Sweeper(browser, serve(engine), PHONE, "dark")
    visit.fill(Seeds="1..40", Steps="2")
    visit.said("^New sweep: 40 pictures")
    visit.start.click()
    playwright.expect(visit.done.nth(1)).to_be_visible()
    visit.halt.click()
    visit.said("Stopped. What is done stays")
    made = len(backend.made)
    assert 2 <= made < 40
    playwright.expect(visit.page.locator(".sweep td", has_text="not made")).to_have_count(40 - visit.done.count())
    playwright.expect(visit.page.locator(".sweep td", has_text="waiting")).to_have_count(0)
    backend.step_s = 0.0
    visit.resume.click()
    visit.said("All 40 done")
    playwright.expect(visit.done).to_have_count(40)
    assert len(backend.made) == 40
    assert visit.faults == [] and visit.sideways() <= 0


def test_a_refusal_goes_at_the_next_action_and_a_full_disk_is_told(serve, backend, engine, browser, monkeypatch):
    def full(_):
        raise PlaygroundError("The disk is full, make room.")

    visit = Sweeper(browser, serve(engine))
    visit.tab("Compare")
    backend.step_s = 1.0
    visit.prompt.fill("a fox")
    visit.prompt.press("Enter")
    playwright.expect(visit.stop).to_be_enabled()
    visit.tab("Sweep")
    visit.start.click()
    refusal = visit.page.get_by_text("A run of this page is on")
    playwright.expect(refusal).to_be_visible()
    visit.tab("Compare")
    visit.stop.click()
    playwright.expect(visit.compare).to_be_enabled()
    backend.step_s = 0.0
    visit.tab("Sweep")
    playwright.expect(refusal).to_have_count(0)
    visit.fill(Steps="0")
    visit.start.click()
    alert = visit.page.get_by_role("alert").and_(visit.page.locator(":visible"))
    playwright.expect(alert).to_contain_text("steps")
    visit.fill(Steps="1, 2", Switches="none, step-cache+fp8-weights")
    playwright.expect(alert).to_have_count(0)
    visit.said("^New sweep: 4 pictures, about")  # the libraries are asked only at the start
    visit.start.click()
    playwright.expect(alert).to_have_text("Step cache cannot be used with New: It has none.")
    playwright.expect(visit.resume).to_have_count(0)
    visit.fill(Switches="")
    playwright.expect(alert).to_have_count(0)
    for _ in range(2):  # the same again fills a grid as the last
        visit.page.evaluate("() => document.querySelector('.sweep')?.classList.add('last')")
        visit.start.click()
        playwright.expect(visit.page.locator(".sweep.last")).to_have_count(0)  # else what is said is of the last
        visit.said("All 2 done")
        playwright.expect(visit.done).to_have_count(2)
    monkeypatch.setattr(served, "hand_out_small", full)
    assert visit.faults == []
    visit.page.reload()
    visit.faults.clear()  # the console tells of a stream that a reload has cut off
    visit.tab("Sweep")
    playwright.expect(alert).to_have_text("The disk is full, make room.")
    assert visit.faults == []


def test_stop_is_heard_as_soon_as_it_can_be_pressed(serve, backend: CountingBackend, engine, browser):
    backend.step_s = 0.5
    visit = Sweeper(browser, serve(engine))
    visit.fill(Seeds="1..40", Steps="2")
    visit.start.click()
    visit.halt.click()
    visit.said("Stopped. What is done stays")
    assert len(backend.made) < 10
    assert visit.faults == []


def test_a_hundred_cells_come_one_by_one_and_go_together(serve, engine, browser, backend, tmp_path: Path):
    backend.step_s = 0.05
    visit = Sweeper(browser, serve(engine))
    visit.fill(Seeds="1..50", Steps="1, 2")
    visit.said("^New sweep: 100 pictures")
    visit.page.evaluate(WATCH)
    visit.start.click()
    playwright.expect(visit.done.nth(20)).to_be_attached(timeout=60_000)
    visit.tab("Prices")  # the page answers meanwhile
    playwright.expect(visit.page.get_by_role("tab", name="Prices")).to_have_attribute("aria-selected", "true")
    visit.tab("Sweep")
    visit.said("All 100 done", timeout=120_000)
    playwright.expect(visit.done).to_have_count(100)
    sent = visit.page.evaluate("window.sent")
    assert set().union(*sent) == set(range(100))
    assert max(len(places) for places in sent) < 50  # those of the last seconds, never the grid
    assert visit.faults == []
    files = list(tmp_path.rglob("*.png"))
    visit.tab("History")
    visit.cards.first.get_by_role("button", name="Delete").click()
    visit.cards.first.get_by_role("button", name="Really delete?").click()
    playwright.expect(visit.cards).to_have_count(0)
    assert len(files) >= 100 and len(list(tmp_path.rglob("*.png"))) <= len(files) - 100


def test_both_models_of_the_pair_over_a_set_of_prompts_in_one_choice(serve, engine, browser):
    visit = Sweeper(browser, serve(engine))
    sets = visit.page.get_by_label("Or the pair over many prompts")
    sets.click()
    visit.page.get_by_role("option", name="40 general prompts").click()
    visit.said("^New sweep: 80 pictures, about")
    playwright.expect(visit.page.get_by_label("Prompts, one a line")).to_have_value(
        re.compile("^a ripe tomato .*rope$", re.S)
    )
    playwright.expect(visit.page.get_by_label("Steps of the sweep")).to_have_value("")
    playwright.expect(visit.page.get_by_text("must be one of")).to_have_count(0)
    playwright.expect(sets).to_have_value("")  # so that the same can be chosen again for another pair
    assert visit.faults == []
