"""A sweep judged by a network in a real browser: chosen, judged, plotted, kept; and where there is none, said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pipeline.cards import JudgeCard
from pipeline.engine import Engine
from tests.browser.test_accessibility import violations
from tests.browser.test_report_and_prices import download
from tests.browser.test_vote_on_a_sweep import Pollster
from tests.browser.visit import PHONE, WIDE, playwright
from tests.clip import write_clip


@pytest.fixture
def url(catalog, backend, serve, tmp_path: Path) -> str:
    """A page that knows two judges, one of which is here."""
    here = JudgeCard(id="lamp", name="Lamp", path=str(write_clip(tmp_path / "clip")), note="It <b>sees</b> light.")
    absent = JudgeCard(id="far", name="Far", repo="someone/far", revision="a" * 40, weight_bytes=10**9)
    judges = {card.id: card for card in (here, absent)}
    return serve(Engine(catalog.model_copy(update={"judges": judges}), backend))


def test_a_network_judges_a_sweep_and_what_it_said_is_kept(url, browser, tmp_path):
    visit = Pollster(browser, url)
    visit.fill(prompts="a fox\na cat\na hat", Steps="1, 2")
    visit.said("^New sweep: 6 pictures")
    visit.start.click()
    visit.said("All 6 done")
    visit.page.get_by_label("judge", exact=True).check()
    visit.said("Lamp has not judged this sweep yet: press Judge this sweep.")
    visit.button("Judge this sweep").click()
    visit.said("Lamp has judged 6 of 6 pictures.")
    row = visit.button("Judge this sweep").locator("xpath=../..")
    playwright.expect(row).to_contain_text("Lamp has judged 6 of 6 pictures.")
    visit.said("All 6 done")
    visit.plot("Time against Lamp")
    table = visit.page.locator(".by-setting:visible")
    playwright.expect(table).to_contain_text("3 pictures: ")
    playwright.expect(table).to_contain_text("the reference")
    playwright.expect(visit.page.locator(".front figcaption")).to_contain_text("It <b>sees</b> light.")
    for viewport in (WIDE, PHONE):
        visit.page.set_viewport_size(viewport)
        assert violations(visit.page) == [] and visit.sideways() <= 0
    told = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert "<h3>Lamp (folder clip)</h3>" in told and "How it was judged" in told and str(tmp_path) not in told

    visit.page.get_by_label("Judge", exact=True).click()
    visit.page.get_by_role("option", name="Far · not fetched").click()
    visit.said("Far has not judged this sweep yet")
    visit.button("Judge this sweep").click()
    visit.said("Far is not on this machine yet; fetch its 1.0 GB with: python -m pipeline download far")
    playwright.expect(visit.start).to_be_enabled()

    visit.page.reload()
    visit.tab("Sweep")
    visit.page.get_by_label("judge", exact=True).check()
    visit.plot("Time against Lamp")
    assert visit.faults == []


def test_a_judge_that_only_another_sweep_has_is_offered_there_and_nowhere_else(url, browser, tmp_path):
    visit = Pollster(browser, url)
    visit.fill(Steps="1, 2")
    visit.start.click()
    visit.said("All 2 done")
    judged_elsewhere(tmp_path)  # as the command line does, with a folder
    visit.page.reload()
    visit.tab("Sweep")
    visit.page.get_by_label("judge", exact=True).check()
    judge = visit.page.get_by_label("Judge", exact=True)
    judge.click()
    visit.page.get_by_role("option", name="Lamp (folder clip)").click()
    visit.plot("Time against Lamp")
    visit.fill(Steps="2, 3")
    visit.start.click()
    visit.said("All 2 done")
    visit.said("Lamp has not judged this sweep yet")
    playwright.expect(judge).to_have_value("Lamp")  # the catalogue's
    visit.page.get_by_label("fidelity", exact=True).check()
    visit.page.get_by_label("votes", exact=True).check()
    visit.said("Nobody has voted on this sweep yet")
    assert visit.faults == []


def judged_elsewhere(data: Path) -> None:
    """What the sweeps of this history were told by a judge, told by one that the catalogue does not have."""
    card = JudgeCard(id="folder:clip", name="Lamp", path=str(data / "clip"))
    with sqlite3.connect(data / "history" / "history.sqlite") as database:
        for (entry,) in database.execute("SELECT id FROM entries WHERE kind = 'sweep'").fetchall():
            database.execute("INSERT INTO judges VALUES (?,?,'1',?,1)", (entry, card.id, card.model_dump_json()))
            rows = [(entry, card.id, place, 20.0 + place) for place in (0, 1)]
            database.executemany("INSERT INTO scores VALUES (?,?,'1',?,?)", rows)


def test_the_models_tab_has_the_judges(url, browser):
    visit = Pollster(browser, url)
    visit.tab("Models")
    panel = visit.page.get_by_role("tabpanel").and_(visit.page.locator(":visible")).first
    playwright.expect(panel).to_contain_text("Judges of a sweep")
    playwright.expect(panel).to_contain_text("judges here: puts first the picture that fits the prompt better")
    playwright.expect(panel).to_contain_text("would judge once fetched")
    assert violations(visit.page) == [] and visit.faults == []
