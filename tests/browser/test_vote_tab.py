"""The Vote tab in a real browser: made of prompts and of the history, voted on by keyboard and by others, counted."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from pipeline.engine import Engine
from pipeline.errors import ModelError
from tests.browser.test_accessibility import violations
from tests.browser.test_history_tab import Guest
from tests.browser.test_report_and_prices import download
from tests.browser.visit import PHONE, WIDE, playwright
from tests.fakes import CountingBackend

HOSTILE = "<script>alert(1)</script>"
NAMES = re.compile("old|new|predecessor|efficient", re.IGNORECASE)


class Voter(Guest):
    def __init__(self, browser, url: str, viewport: dict = WIDE, scheme: str = "light"):
        super().__init__(browser, url, viewport, scheme)
        self.ballot = self.page.locator(".ballot")
        self.result = self.page.locator(".vote-result")

    def button(self, name: str):
        return self.page.get_by_role("button", name=name)

    def start(self, *prompts: str) -> str:
        """Draw prompts and start a vote; returns its link."""
        self.tab("Vote")
        self.page.get_by_label("Prompts of the vote").fill("\n".join(prompts))
        self.button("Draw and start the vote").click()
        self.pair(1, len(prompts))
        self.button("Copy the vote's link").click()
        box = self.page.get_by_label("Link of the vote")
        playwright.expect(box).to_have_value(re.compile(r"^http.*\?vote=."))
        playwright.expect(self.page.get_by_text("It works on this machine only")).to_be_visible()
        return box.input_value()

    def vote_by_keys(self, *keys: str) -> None:
        """One key a pair, on all of them."""
        self.page.locator("body").focus()
        for number, key in enumerate(keys, 1):
            self.pair(number, len(keys))
            self.page.keyboard.press(key)

    def pair(self, number: int, total: int) -> None:
        playwright.expect(self.ballot).to_contain_text(f"pair {number} of {total}")


def test_prompts_are_drawn_voted_on_by_keyboard_and_counted(serve, engine: Engine, browser, tmp_path: Path):
    visit = Voter(browser, serve(engine))
    link = visit.start("a red apple", HOSTILE, "=1+1", "a cat")
    assert not NAMES.search(visit.ballot.inner_html().replace("gradio", ""))
    loaded = "[...document.querySelectorAll('.ballot img')].every(image => image.complete && image.naturalWidth)"
    visit.page.wait_for_function(loaded)
    assert violations(visit.page) == []
    visit.vote_by_keys("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight")
    playwright.expect(visit.result).to_contain_text("4 by 1 voter")
    playwright.expect(visit.result).to_contain_text("Tie 1, Both bad 1")
    playwright.expect(visit.result).to_contain_text(re.compile("needs about [0-9,]+ more votes|no more votes"))
    assert violations(visit.page) == []
    visit.button("Take my last vote back").click()
    visit.pair(4, 4)
    visit.button("← Left").click()
    playwright.expect(visit.result).to_contain_text("4 by 1 voter")
    rows = list(csv.DictReader(download(visit, "Votes (CSV)", tmp_path).read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4 and {row["prompt"] for row in rows} == {"a red apple", HOSTILE, "'=1+1", "a cat"}
    page = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 8 and "<script" not in page and "4 by 1 voter" in page
    visit.reload(link)
    playwright.expect(visit.result).to_contain_text("4 by 1 voter")
    assert visit.faults == [] and visit.sideways() <= 0


def test_a_reload_amid_a_vote_shows_none_of_its_pictures_with_their_names(serve, engine: Engine, browser):
    visit = Voter(browser, serve(engine))
    visit.run("a dog")
    visit.start("a cat", "a fox")
    for key in ("ArrowLeft", "ArrowRight"):
        visit.reload()
        visit.tab("Compare")
        playwright.expect(visit.verdict).to_contain_text("“a dog”")
        visit.tab("Vote")
        visit.page.locator("body").focus()
        visit.page.keyboard.press(key)
    playwright.expect(visit.result).to_contain_text("2 by 1 voter")
    visit.reload()
    visit.tab("Compare")
    playwright.expect(visit.verdict.first).to_contain_text(re.compile("“a (cat|fox)”"))
    assert visit.faults == []


def test_others_vote_by_the_link_each_for_himself_and_see_no_result_before(serve, engine: Engine, browser):
    url = serve(engine)
    maker = Voter(browser, url)
    link = maker.start("a red apple", "a cat")
    guests = [Voter(browser, link, PHONE, scheme) for scheme in ("light", "dark")]
    for guest in guests:
        guest.pair(1, 2)
        assert guest.sideways() <= 0
        playwright.expect(guest.button("Show the result")).to_be_hidden()
        assert violations(guest.page) == []
    for guest in guests:
        guest.button("Both bad").click()
        guest.pair(2, 2)
    for number, guest in enumerate(guests, 1):
        guest.button("Tie").click()
        playwright.expect(guest.result).to_contain_text("No preference yet")
        assert violations(guest.page) == [] and guest.sideways() <= 0 and guest.faults == []
        maker.button("Show the result").click()
        playwright.expect(maker.result).to_contain_text(f"{2 + number} by 2 voters")
    maker.pair(1, 2)


def test_a_vote_is_made_of_my_comparisons_and_opened_from_the_history(serve, engine, browser, backend: CountingBackend):
    visit = Voter(browser, serve(engine))
    visit.tab("Vote")
    visit.button("Vote on my comparisons").click()
    playwright.expect(visit.page.get_by_role("alert")).to_contain_text("no comparison of this pair")
    visit.tab("Compare")
    visit.run("a fox")
    visit.run("a cat")
    visit.tab("Vote")
    visit.button("Vote on my comparisons").click()
    visit.pair(1, 2)
    visit.tab("History")
    playwright.expect(visit.cards).to_have_count(3)
    visit.page.get_by_role("link", name="Open").click()
    visit.pair(1, 2)
    visit.tab("History")
    visit.cards.first.get_by_role("button", name="Delete").click()
    visit.cards.first.get_by_role("button", name="Really delete?").click()
    playwright.expect(visit.cards).to_have_count(2)
    visit.tab("Vote")
    visit.button("Tie").click()
    playwright.expect(visit.page.get_by_role("alert")).to_contain_text("deleted")
    assert len(backend.made) == 4 and visit.faults == []


def test_a_comparison_whose_picture_is_lost_is_left_out(serve, engine, browser, tmp_path: Path):
    visit = Voter(browser, serve(engine))
    visit.run("a fox")
    lost = next((tmp_path / "history" / "pictures").iterdir())
    visit.run("a cat")
    lost.unlink()
    visit.tab("Vote")
    visit.button("Vote on my comparisons").click()
    visit.pair(1, 1)
    playwright.expect(visit.ballot).to_contain_text("a cat")
    playwright.expect(visit.page.get_by_text("1 comparison left out")).to_be_visible()
    visit.button("Tie").click()
    playwright.expect(visit.page.get_by_text("left out")).to_have_count(0)
    assert visit.faults == []


def test_a_key_that_is_held_votes_once(serve, engine: Engine, browser):
    visit = Voter(browser, serve(engine))
    visit.start("a red apple", "a cat", "a fox")
    visit.page.locator("body").focus()
    for _ in range(4):  # all but the first are repeats
        visit.page.keyboard.down("ArrowUp")
        visit.pair(2, 3)
        visit.page.wait_for_timeout(300)
    visit.page.keyboard.up("ArrowUp")
    visit.pair(2, 3)
    visit.page.keyboard.press("ArrowUp")
    visit.pair(3, 3)
    visit.tab("History")
    playwright.expect(visit.cards.first).to_contain_text("2 votes by 1 voter")
    playwright.expect(visit.cards.first).not_to_contain_text("No preference")
    visit.tab("Vote")
    visit.page.keyboard.press("ArrowUp")  # while its tab has the focus
    playwright.expect(visit.result).to_contain_text("3 by 1 voter")
    visit.tab("History")
    playwright.expect(visit.cards.first).to_contain_text("3 votes by 1 voter: No preference yet")
    assert visit.faults == []


def test_who_draws_for_a_vote_sees_his_place_and_may_vote_meanwhile_and_leave(serve, engine, browser, request):
    visit = Voter(browser, serve(engine))
    visit.start("a red apple", "a cat")
    ticket = engine.line.join(7.0)
    request.addfinalizer(ticket.leave)
    visit.button("New vote").click()
    visit.page.get_by_label("Prompts of the vote").fill("a fox\na hat")
    visit.button("Draw and start the vote").click()
    waiting = visit.page.get_by_text(re.compile("^0 of 2 pairs drawn; 1 before you in the line, (about 7 s|a moment)"))
    playwright.expect(waiting).to_be_visible()
    visit.button("Tie").click()
    visit.pair(2, 2)
    playwright.expect(waiting).to_be_visible()
    playwright.expect(visit.button("Stop drawing")).to_be_enabled()
    playwright.expect(visit.button("Draw and start the vote")).to_be_disabled()
    assert visit.faults == [] and len(engine.line) == 2
    visit.context.close()
    ticket.leave()
    assert engine.idle(30)


def test_drawing_can_be_stopped_and_a_wrong_link_is_one_sentence(serve, engine, browser, backend: CountingBackend):
    backend.step_s = 0.3
    visit = Voter(browser, serve(engine))
    visit.tab("Vote")
    visit.button("Draw and start the vote").click()
    visit.button("Stop drawing").click()
    playwright.expect(visit.page.get_by_text("Stopped. What was drawn is in the history")).to_be_visible()
    assert engine.idle(5)
    visit.page.get_by_label("Prompts of the vote").fill("")
    visit.button("Draw and start the vote").click()
    playwright.expect(visit.page.get_by_text("A vote needs 1 to")).to_be_visible()
    made = len(backend.made)
    visit.page.get_by_label("Prompts of the vote").fill("a cat\n" + 2001 * "x")
    visit.button("Draw and start the vote").click()
    playwright.expect(visit.page.get_by_text("prompt must have at most 2000 characters")).to_be_visible()
    assert len(backend.made) == made  # nothing is drawn for a vote that cannot be
    for words in ("It broke; take another.", "It broke again; take another."):
        backend.fail = ModelError(words)
        visit.page.get_by_label("Prompts of the vote").fill("a cat\na fox")
        visit.button("Draw and start the vote").click()
        playwright.expect(visit.page.get_by_text(words)).to_be_visible()
        playwright.expect(visit.button("Draw and start the vote")).to_be_enabled()
        playwright.expect(visit.button("Stop drawing")).to_be_disabled()
    visit.reload(f"{re.split('[?#]', visit.page.url)[0]}?vote=nothing")
    playwright.expect(visit.page.get_by_role("alert")).to_contain_text("no such entry")
    assert visit.faults == []
