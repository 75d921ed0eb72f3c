"""A sweep put to the vote in a real browser: by keyboard, pooled, plotted, reported."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.test_accessibility import violations
from tests.browser.test_report_and_prices import download
from tests.browser.test_sweep_tab import Sweeper
from tests.browser.test_vote_tab import Voter
from tests.browser.visit import PHONE, playwright

HOSTILE = "<script>alert(1)</script>"


class Pollster(Sweeper, Voter):
    """Sweeps and votes."""

    def plot(self, name: str) -> None:
        playwright.expect(self.page.locator(f".front svg[aria-label='{name}']")).to_be_visible()


def test_a_sweep_is_voted_on_by_keyboard_and_plotted_by_votes(serve, engine, browser, tmp_path: Path):
    visit = Pollster(browser, serve(engine))
    visit.fill(prompts=f"{HOSTILE}\na cat", Steps="1, 2, 4")
    visit.said("^New sweep: 6 pictures")
    visit.start.click()
    visit.said("All 6 done")
    visit.plot("Time against fidelity")
    visit.page.get_by_label("votes").check()
    visit.said("Nobody has voted on this sweep yet")
    visit.button("Vote on this sweep").click()
    visit.pair(1, 4)
    assert not re.search("reference|step|setting", visit.ballot.inner_html())
    visit.vote_by_keys("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight")
    playwright.expect(visit.result).to_contain_text("4 by 1 voter")
    playwright.expect(visit.result).to_contain_text("4 steps, the picture with the most steps")
    playwright.expect(visit.result).not_to_contain_text(re.compile("predecessor|efficient", re.IGNORECASE))
    assert violations(visit.page) == []
    told = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert told.count("data:image/png;base64,") == 6 and "Time against votes" in told and "<script" not in told
    visit.tab("Sweep")
    visit.plot("Time against votes")
    playwright.expect(visit.page.locator(".by-setting:visible tbody tr")).to_have_count(3)
    playwright.expect(visit.page.locator(".by-setting:visible")).to_contain_text("2 votes: ")
    visit.page.get_by_label("cost", exact=True).check()
    visit.plot("Cost against votes")
    assert violations(visit.page) == [] and visit.sideways() <= 0
    visit.page.locator(".front a").first.focus()
    visit.page.keyboard.press("Enter")
    playwright.expect(visit.page.locator("td:target img")).to_be_in_viewport()
    told = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert "Time against fidelity" in told and "Time against votes" in told and "4 by 1 voter" in told
    visit.page.get_by_label("fidelity").check()
    visit.plot("Cost against fidelity")
    assert violations(visit.page) == [] and visit.faults == []


def test_others_vote_on_a_sweep_by_its_link_and_it_outlives_the_sweep(serve, engine, browser):
    url = serve(engine)
    maker = Pollster(browser, url)
    playwright.expect(maker.button("Vote on this sweep")).to_be_disabled()  # there is nothing to vote on yet
    maker.fill(Steps="1, 2, 4")
    maker.said("^New sweep: 3 pictures")
    maker.start.click()
    maker.said("All 3 done")
    maker.button("Vote on this sweep").click()
    maker.pair(1, 2)
    maker.button("Copy the vote's link").click()
    box = maker.page.get_by_label("Link of the vote")
    playwright.expect(box).to_have_value(re.compile(r"^http.*\?vote=."))
    maker.tab("History")
    maker.page.get_by_label("Kind").click()
    maker.page.get_by_role("option", name="Sweeps").click()
    playwright.expect(maker.cards).to_have_count(1)
    maker.cards.first.get_by_role("button", name="Delete").click()
    maker.cards.first.get_by_role("button", name="Really delete?").click()
    playwright.expect(maker.cards).to_have_count(0)
    maker.tab("Sweep")
    maker.said("no such entry")
    guest = Voter(browser, box.input_value(), PHONE, "dark")
    for number in (1, 2):
        guest.pair(number, 2)
        guest.button("Tie").click()
    playwright.expect(guest.result).to_contain_text("2 settings too close to call")
    assert violations(guest.page) == [] and guest.sideways() <= 0
    assert maker.faults == [] and guest.faults == []
