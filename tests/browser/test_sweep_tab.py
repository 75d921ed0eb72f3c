"""The Sweep tab in a real browser: weighed, run, stopped, gone on with, restored, reported; never more than the changed
cells in an event."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.engine import Engine
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
    visit.fill(prompts=HOSTILE, Steps="1, 2, 3", Guidance="1, 2")
    visit.said("must be|fixed|guidance")
    visit.page.get_by_label("Models of the sweep").click()
    visit.page.get_by_role("option", name="Old").first.click()
    visit.page.keyboard.press("Escape")
    visit.fill(Guidance="")
    visit.said("^6 pictures, about")
    visit.start.click()
    visit.said("All 6 done")
    playwright.expect(visit.done).to_have_count(6)
    playwright.expect(visit.page.locator(".sweep td[id]").first).to_contain_text("ms")
    visit.page.reload()
    visit.tab("Sweep")
    playwright.expect(visit.done).to_have_count(6)
    visit.said("6 pictures of 6 done")
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
    visit.said("^5 pictures")
    visit.choose("Old and new")
    visit.offers(["New"], "a boat", "1..4")
    visit.said("^4 pictures")
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


def test_an_older_sweep_is_opened_from_the_history(serve, engine: Engine, browser):
    visit = Sweeper(browser, serve(engine))
    for prompt, steps, number in (("a fox", "1, 2", 2), ("a red apple", "1, 2, 3", 3)):
        visit.fill(prompts=prompt, Steps=steps, Guidance="")
        visit.start.click()
        visit.said(f"All {number} done")
    visit.tab("History")
    card = visit.page.locator(".kept", has_text="a fox")
    card.get_by_role("button", name="Open").click()
    playwright.expect(visit.done).to_have_count(2)
    visit.said("2 pictures of 2 done")
    visit.tab("History")
    visit.tab("Sweep")
    playwright.expect(visit.done).to_have_count(2)
    assert visit.faults == []


def test_stop_keeps_what_is_done_and_go_on_makes_the_rest(serve, backend: CountingBackend, engine, browser):
    backend.step_s = 0.15
    visit = Sweeper(browser, serve(engine), PHONE, "dark")
    visit.fill(Seeds="1..40", Steps="2")
    visit.said("^40 pictures")
    visit.start.click()
    playwright.expect(visit.done.nth(1)).to_be_visible()
    visit.halt.click()
    visit.said("Stopped. What is done stays")
    made = len(backend.made)
    assert 2 <= made < 40
    backend.step_s = 0.0
    visit.resume.click()
    visit.said("All 40 done")
    playwright.expect(visit.done).to_have_count(40)
    assert len(backend.made) == 40
    assert visit.faults == [] and visit.sideways() <= 0


def test_stop_is_heard_as_soon_as_it_can_be_pressed(serve, backend: CountingBackend, engine, browser):
    backend.step_s = 0.5
    visit = Sweeper(browser, serve(engine))
    visit.fill(Seeds="1..40", Steps="2")
    visit.start.click()
    visit.halt.click()
    visit.said("Stopped. What is done stays")
    assert len(backend.made) < 10
    assert visit.faults == []


def test_two_hundred_cells_come_one_by_one_and_go_together(serve, engine, browser, backend, tmp_path: Path):
    backend.step_s = 0.05
    visit = Sweeper(browser, serve(engine))
    visit.fill(Seeds="1..100", Steps="1, 2")
    visit.said("^200 pictures")
    visit.page.evaluate(WATCH)
    visit.start.click()
    playwright.expect(visit.done.nth(20)).to_be_attached(timeout=60_000)
    visit.tab("Prices")  # the page answers meanwhile
    playwright.expect(visit.page.get_by_role("tab", name="Prices")).to_have_attribute("aria-selected", "true")
    visit.tab("Sweep")
    visit.said("All 200 done", timeout=120_000)
    playwright.expect(visit.done).to_have_count(200)
    sent = visit.page.evaluate("window.sent")
    assert set().union(*sent) == set(range(200))
    assert max(len(places) for places in sent) < 50  # those of the last seconds, never the grid
    assert visit.faults == []
    files = list(tmp_path.rglob("*.png"))
    visit.tab("History")
    visit.cards.first.get_by_role("button", name="Delete").click()
    visit.cards.first.get_by_role("button", name="Really delete?").click()
    playwright.expect(visit.cards).to_have_count(0)
    assert len(files) >= 200 and len(list(tmp_path.rglob("*.png"))) <= len(files) - 200


def test_both_models_of_the_pair_over_a_set_of_prompts_in_one_choice(serve, engine, browser):
    visit = Sweeper(browser, serve(engine))
    sets = visit.page.get_by_label("Or the pair over many prompts")
    sets.click()
    visit.page.get_by_role("option", name="40 general prompts").click()
    visit.said("^80 pictures, about")
    playwright.expect(visit.page.get_by_label("Prompts, one a line")).to_have_value(
        re.compile("^a ripe tomato .*rope$", re.S)
    )
    playwright.expect(visit.page.get_by_label("Steps of the sweep")).to_have_value("")
    playwright.expect(sets).to_have_value("")  # so that the same can be chosen again for another pair
    assert visit.faults == []
