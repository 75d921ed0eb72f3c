"""What a visitor sees, and can still do, while a busy server makes them wait."""

from __future__ import annotations

import re
import threading

from pipeline.engine import Engine
from pipeline.ui import compare_tab, compare_updates, page
from tests.browser.visit import PHONE, WIDE, Visit, playwright
from tests.fakes import CountingBackend


def test_where_all_places_are_taken_a_press_is_seen_at_once_and_stop_is_heard(
    serve, engine: Engine, backend: CountingBackend, browser, monkeypatch
):
    monkeypatch.setattr(compare_tab, "DEVICE_QUEUE", {"concurrency_id": "device", "concurrency_limit": 1})
    url = serve(engine)
    first, second = Visit(browser, url, WIDE), Visit(browser, url, PHONE)
    backend.gate.clear()
    first.prompt.fill("the first")
    first.compare.click()
    playwright.expect(first.verdict).to_contain_text("Running")
    for prompt in ("never drawn", "the second"):
        playwright.expect(second.compare).to_be_enabled()
        second.prompt.fill(prompt)
        second.compare.click()
        playwright.expect(second.verdict).to_contain_text("Waiting in line for a free place")
        playwright.expect(second.compare).to_be_disabled()
        second.prompt.press("Enter")  # a second run of the same page is none
        if prompt == "never drawn":
            second.stop.click()
            playwright.expect(second.verdict).to_contain_text("Stopped before it began")
    backend.gate.set()
    playwright.expect(second.claims.first).to_be_visible()
    playwright.expect(second.verdict).to_contain_text("the second")
    for visit in (first, second):
        playwright.expect(visit.compare).to_be_enabled()
        playwright.expect(visit.stop).to_be_disabled()
        assert visit.faults == []
    assert [request.prompt for request in backend.made] == ["the first"] * 2 + ["the second"] * 2


def test_a_reload_in_mid_run_ends_the_run_and_keeps_what_was_asked_for(serve, engine: Engine, backend, browser):
    visit = Visit(browser, serve(engine), WIDE)
    backend.gate.clear()
    visit.prompt.fill("a fox in the snow")
    visit.page.get_by_label("Seed").first.fill("99")
    visit.compare.click()
    playwright.expect(visit.verdict).to_contain_text("Running")
    visit.page.reload()
    playwright.expect(visit.verdict).to_contain_text("has not finished")
    visit.faults.clear()  # Gradio's page says that its stream was cut off
    playwright.expect(visit.prompt).to_have_value("a fox in the snow")
    playwright.expect(visit.page.get_by_label("Seed").first).to_have_value("99")
    backend.gate.set()
    visit.compare.click()
    playwright.expect(visit.claims.first).to_be_visible()
    assert visit.pictures() == 2
    assert visit.faults == []


def test_what_gradios_queue_has_no_room_for_leaves_the_page_as_it_was(serve, engine, browser, monkeypatch):
    monkeypatch.setattr(page, "QUEUE_MAX", 0)
    visit = Visit(browser, serve(engine), WIDE)
    visit.prompt.fill("a fox")
    visit.compare.click()
    playwright.expect(visit.verdict).to_contain_text("could not take this on")
    playwright.expect(visit.compare).to_be_enabled()
    assert visit.pictures() == 2


def test_of_two_quick_choices_the_last_one_counts(serve, engine, browser, monkeypatch):
    held, chosen = threading.Event(), compare_updates.pair_chosen

    def slow(view, catalog, pair, not_yet):
        if pair.id == "short":
            held.wait(30)
        return chosen(view, catalog, pair, not_yet)

    monkeypatch.setattr(compare_updates, "pair_chosen", slow)
    visit = Visit(browser, serve(engine), WIDE)
    pair = visit.page.get_by_label("Pair", exact=True)
    for name in ("Old, short", "Old and new"):
        pair.click()
        visit.page.get_by_role("option", name=name).click()
    held.set()
    playwright.expect(visit.verdict).to_have_text("Will the new one do? Press Compare.")
    playwright.expect(visit.page.locator(".lane-name").last).to_have_text(re.compile("New$"))
    playwright.expect(visit.page.locator(".estimate-box").first).to_contain_text("3.50 s")
    assert visit.faults == []
