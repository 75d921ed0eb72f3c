"""What was made is found again, in a real browser: after a reload, a restart, in a new tab, by a link, by a PNG."""

from __future__ import annotations

import itertools
import json
import threading
import zipfile
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from pipeline import imagefile
from pipeline.bench.app import free_port
from pipeline.engine import Engine
from pipeline.errors import PlaygroundError
from pipeline.history import History
from pipeline.recipe import request_from_recipe
from pipeline.ui import restore_updates, served
from tests.browser.conftest import served_app
from tests.browser.test_report_and_prices import download
from tests.browser.visit import PHONE, WIDE, Visit, playwright
from tests.fakes import CountingBackend

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def url(serve, engine: Engine) -> str:
    return serve(engine)


class Guest(Visit):
    """A visitor who also opens the History tab."""

    def __init__(self, browser, url: str, viewport: dict = WIDE, scheme: str = "light"):
        super().__init__(browser, url, viewport, scheme)
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.cards = self.page.locator(".kept")

    def run(self, prompt: str) -> None:
        """Until both pictures are other ones than before, and the run is over."""
        before = [picture.get_attribute("src") for picture in self.page.locator(".picture img").all()]
        super().run(prompt)
        self.page.wait_for_function(
            "before => { const now = [...document.querySelectorAll('.picture img')].map((i) => i.getAttribute('src'));"
            " return now.length === 2 && now.every((src) => src && !before.includes(src)); }",
            arg=before,
        )
        playwright.expect(self.claims.first).to_be_visible()
        playwright.expect(self.compare).to_be_enabled()

    def history(self, cards: int) -> None:
        """Open the tab and wait until it shows so many."""
        self.tab("History")
        playwright.expect(self.cards).to_have_count(cards)

    def reload(self, url: str | None = None) -> None:
        self.page.goto(url) if url else self.page.reload()
        self.page.get_by_role("tab").and_(self.page.locator(":visible")).first.wait_for()  # whichever is open

    def source(self, lane: int) -> str:
        return self.page.locator(".picture img").nth(lane).get_attribute("src")

    def picture(self, lane: int, path: Path) -> Path:
        """Download one lane's picture."""
        path.write_bytes(httpx.get(self.source(lane), timeout=10).content)
        return path

    def setting(self, label: str):
        return self.page.get_by_label(label, exact=True).first


def restored(visit: Guest, prompt: str) -> None:
    playwright.expect(visit.verdict).to_contain_text("from your history, made")
    playwright.expect(visit.prompt).to_have_value(prompt)
    assert visit.pictures() == 2


def test_a_comparison_is_there_after_a_reload_and_in_a_new_tab_and_nobody_elses(url, browser, backend, tmp_path):
    visit = Guest(browser, url)
    visit.run("a red apple")
    first = visit.picture(0, tmp_path / "first.png").read_bytes()
    visit.reload()
    restored(visit, "a red apple")
    playwright.expect(visit.claims.first).to_contain_text("faster")
    assert imagefile.read(visit.picture(0, tmp_path / "again.png"))[1] == imagefile.read(tmp_path / "first.png")[1]
    assert len(first) > 0
    made = len(backend.made)
    visit.page = visit.context.new_page()
    visit.page.goto(url)
    playwright.expect(visit.page.locator(".verdict")).to_contain_text("from your history, made")
    assert len(backend.made) == made
    stranger = Guest(browser, url)
    stranger.history(0)
    stranger.tab("Compare")
    playwright.expect(stranger.verdict).not_to_contain_text("from your history")
    assert visit.faults == stranger.faults == []


def test_the_price_that_was_chosen_outlives_a_reload_and_an_entry_that_is_opened(url, browser):
    visit = Guest(browser, url)
    visit.run("a red apple")
    price, numbers = visit.page.get_by_label("Hardware price", exact=False).first, visit.page.locator(".lane-numbers")
    price.fill("2")
    price.press("Enter")
    playwright.expect(numbers.first).to_contain_text("$2 per hour")
    for _ in range(2):
        visit.reload()
        restored(visit, "a red apple")
        playwright.expect(price).to_have_value("2")
        playwright.expect(numbers.first).to_contain_text("$2 per hour")
    visit.history(1)
    visit.cards.first.get_by_role("button", name="Open").click()
    restored(visit, "a red apple")
    playwright.expect(price).to_have_value("2")
    playwright.expect(numbers.first).to_contain_text("$2 per hour")
    price.click()
    visit.page.get_by_role("option", name="What a machine like this rents for").click()
    playwright.expect(numbers.first).not_to_contain_text("$2 per hour")
    visit.reload()
    restored(visit, "a red apple")
    playwright.expect(price).to_have_value("What a machine like this rents for")
    assert visit.faults == []


def test_what_was_shown_as_done_is_there_after_kill_9_and_a_restart(browser, tmp_path: Path):
    how = {"data": tmp_path / "data", "port": free_port()}  # of the same address, as the page that stays open
    with served_app("--offline", **how) as page:
        visit = Guest(browser, page.url)
        visit.run("a red apple")
        page.process.kill()
        page.process.wait()
    with served_app("--offline", **how):
        visit.reload()
        restored(visit, "a red apple")


def test_a_link_fills_in_everything_on_a_fresh_server_and_runs_nothing(url, browser, backend: CountingBackend):
    query = "?pair=short&prompt=a%20caf%C3%A9%20%26%20cr%C3%A8me&seed=7&steps=5,2&guidance=2.5,1.5&width=64&height=48"
    visit = Guest(browser, url + query + "&negative=rain")
    playwright.expect(visit.verdict).to_contain_text("Filled in from the link")
    playwright.expect(visit.prompt).to_have_value("a café & crème")
    visit.page.get_by_role("button", name="Advanced").click()
    for label, value in {
        "Seed": "7",
        "number input for Steps, predecessor": "5",
        "number input for Steps, efficient": "2",
        "number input for Guidance, predecessor": "2.5",
        "number input for Guidance, efficient": "1.5",
        "number input for Width, pixels": "64",
        "number input for Height, pixels": "48",
    }.items():
        playwright.expect(visit.setting(label)).to_have_value(value)
    playwright.expect(visit.page.get_by_label("Negative prompt")).to_have_value("rain")
    assert backend.made == [] and visit.pictures() == 0
    visit.compare.click()
    playwright.expect(visit.claims.first).to_be_visible()
    assert {(made.steps, made.guidance, made.width, made.negative_prompt) for made in backend.made} == {
        (5, 2.5, 64, "rain"),
        (2, 1.5, 64, "rain"),
    }
    assert "prompt=" not in visit.page.url
    visit.reload()
    restored(visit, "a café & crème")
    assert visit.faults == []


def test_the_copied_link_opens_the_same_settings_elsewhere(url, browser):
    visit = Guest(browser, url)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.prompt.fill('100 % "real" & <b>bold</b> 苹果')
    visit.page.get_by_label("Seed").fill("12")
    visit.page.get_by_role("button", name="Copy link").click()
    box = visit.page.get_by_label("Link to the settings of")
    playwright.expect(box).to_be_visible()
    playwright.expect(visit.page.get_by_role("button", name="Copied")).to_be_visible()
    playwright.expect(visit.page.get_by_role("button", name="Copy link")).to_be_visible()
    link = visit.page.evaluate("navigator.clipboard.readText()")
    assert link == box.input_value() and link.startswith(url)
    other = Guest(browser, link)
    playwright.expect(other.prompt).to_have_value('100 % "real" & <b>bold</b> 苹果')
    playwright.expect(other.page.get_by_label("Seed")).to_have_value("12")
    other.page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")
    other.page.get_by_role("button", name="Copy link").click()
    playwright.expect(other.page.get_by_role("button", name="Select and copy")).to_be_visible()
    assert visit.faults == other.faults == []


def test_a_bad_link_is_one_sentence_and_the_page_works(url, browser):
    """What else is wrong with links is in test_settings; of a seed only the page knows that it is too large."""
    visit = Guest(browser, f"{url}?prompt=a&pair={quote(HOSTILE)}")
    told = visit.page.get_by_role("alert")
    playwright.expect(told).to_contain_text("The link cannot be used: pair must be one of")
    visit.reload(f"{url}?prompt=a&seed=9007199254740993")
    playwright.expect(told).to_contain_text("The link cannot be used: seed must be a whole number from 0 to")
    playwright.expect(told).to_contain_text("on the page")
    visit.run("a fox")
    playwright.expect(visit.claims.first).to_be_visible()
    assert visit.faults == []


def test_a_dropped_png_fills_in_its_recipe(url, browser, backend: CountingBackend, tmp_path: Path):
    visit = Guest(browser, f"{url}?prompt=a+fox&seed=5&steps=9,3&guidance=4,1")
    playwright.expect(visit.verdict).to_contain_text("Filled in from the link")
    visit.run("a fox")
    for lane in (0, 1):
        visit.picture(lane, tmp_path / f"{lane}.png")
    made = len(backend.made)
    for lane, label, steps in ((0, "predecessor", "9"), (1, "efficient", "3")):
        other = Guest(browser, url)
        other.page.get_by_role("button", name="Advanced").click()
        other.page.locator("input[type=file]").first.set_input_files(tmp_path / f"{lane}.png")
        playwright.expect(other.verdict).to_contain_text("Filled in from the picture's recipe")
        playwright.expect(other.prompt).to_have_value("a fox")
        playwright.expect(other.page.get_by_label("Seed")).to_have_value("5")
        playwright.expect(other.setting(f"number input for Steps, {label}")).to_have_value(steps)
        assert other.faults == []
    assert len(backend.made) == made
    assert request_from_recipe(imagefile.read(tmp_path / "0.png")[1]).steps == 9


def test_a_file_without_a_recipe_is_one_sentence(url, browser, tmp_path: Path):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "plain.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.jpg")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    visit = Guest(browser, url)
    visit.page.get_by_role("button", name="Advanced").click()
    for name, words in (
        ("plain.png", "carries no Diptych recipe"),
        ("photo.jpg", "no PNG, or a broken one"),
        ("plain.png", "carries no Diptych recipe"),
        ("broken.png", "no PNG, or a broken one"),
    ):
        visit.page.locator("input[type=file]").first.set_input_files(tmp_path / name)
        playwright.expect(visit.page.get_by_role("alert").last).to_contain_text(words)
    visit.run("a fox")
    assert visit.faults == []


def test_search_star_open_and_delete(url, browser, backend: CountingBackend, tmp_path: Path, monkeypatch):
    gate, star_it = threading.Event(), History.star

    def star(self, entry: str, starred: bool) -> None:
        assert self.get(entry).prompt != "a red cat" or gate.wait(60)
        star_it(self, entry, starred)

    monkeypatch.setattr(History, "star", star)
    visit = Guest(browser, url)
    visit.tab("History")
    playwright.expect(visit.page.get_by_text("Nothing yet")).to_be_visible()
    visit.tab("Compare")
    visit.run("a red apple")
    visit.run("a red cat")
    visit.run(HOSTILE)
    visit.history(3)
    playwright.expect(visit.cards.first).to_contain_text(HOSTILE)
    playwright.expect(visit.cards.nth(2)).to_contain_text("a red apple")
    assert visit.page.evaluate("[...document.querySelectorAll('.kept img')].every((i) => i.loading === 'lazy')")
    visit.page.wait_for_function("[...document.querySelectorAll('.kept img')].every((i) => i.naturalWidth > 0)")
    visit.page.get_by_label("Search").fill("red")
    playwright.expect(visit.cards).to_have_count(2)
    stars = [card.get_by_role("button", name="Star") for card in (visit.cards.first, visit.cards.nth(1))]
    for star in stars:
        star.click()
    playwright.expect(stars[1]).to_have_text("★ Starred")
    gate.set()
    playwright.expect(stars[0]).to_have_text("★ Starred")  # both count, though the second came before an answer
    stars[0].click()
    playwright.expect(stars[0]).to_have_text("☆ Star")
    visit.page.get_by_label("Starred only").check()
    playwright.expect(visit.cards).to_have_count(1)
    made = len(backend.made)
    visit.cards.first.get_by_role("button", name="Open").click()
    restored(visit, "a red apple")
    playwright.expect(visit.compare).to_be_visible()
    assert len(backend.made) == made
    visit.tab("History")
    visit.page.get_by_label("Starred only").uncheck()
    playwright.expect(visit.cards).to_have_count(2)
    delete = visit.cards.first.get_by_role("button", name="Delete")
    files = list((tmp_path / "history" / "pictures").iterdir())
    delete.click()
    visit.page.wait_for_timeout(300)
    playwright.expect(visit.cards).to_have_count(2)
    visit.cards.first.get_by_role("button", name="Really delete?").click()
    playwright.expect(visit.cards).to_have_count(1)
    assert len(list((tmp_path / "history" / "pictures").iterdir())) == len(files) - 2
    visit.page.get_by_label("Search").fill("nothing like it")
    playwright.expect(visit.cards).to_have_count(0)
    playwright.expect(visit.page.get_by_text("Nothing here that fits")).to_be_visible()
    assert visit.faults == []


def test_one_report_of_what_the_filter_shows(url, browser, tmp_path: Path):
    visit = Guest(browser, url)
    for prompt in ("a red apple", "a blue fox", HOSTILE):
        visit.run(prompt)
    visit.history(3)
    (oldest,) = sorted((tmp_path / "history" / "pictures").iterdir(), key=lambda file: file.stat().st_mtime_ns)[:1]
    oldest.unlink()
    path = download(visit, "Report (HTML)", tmp_path)
    assert path.name == "diptych-history.html"
    for scheme, viewport in (("light", WIDE), ("dark", PHONE)):
        context = browser.new_context(offline=True, color_scheme=scheme, viewport=viewport)
        page = context.new_page()
        page.on("dialog", lambda dialog: visit.faults.append(dialog.message))
        page.on("request", lambda asked: asked.url.startswith("file:") or visit.faults.append(asked.url))
        page.goto(path.as_uri())
        assert page.locator("article h2").all_inner_texts() == [f"“{HOSTILE}”", "“a blue fox”", "“a red apple”"]
        assert "3 comparisons in the history, newest first." in page.locator("main").inner_text()
        assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [32] * 5
        assert page.locator(".gone").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    visit.page.get_by_label("Search").fill("red")
    playwright.expect(visit.cards).to_have_count(1)
    with zipfile.ZipFile(download(visit, "Report (zip)", tmp_path)) as archive:
        assert archive.testzip() is None
        told = json.loads(archive.read("report.json"))
    assert [document["prompt"] for document in told["items"]] == ["a red apple"]
    assert told["remarks"] == ["1 comparison in the history, with “red” in the prompt, newest first."]
    visit.page.get_by_label("Search").fill("nothing like it")
    playwright.expect(visit.cards).to_have_count(0)
    visit.page.get_by_role("button", name="Report (HTML)").click()
    nothing = "There are no comparisons and no single pictures in the history"
    playwright.expect(visit.page.get_by_text(nothing)).to_be_visible()
    stranger = Guest(browser, url)
    stranger.history(0)
    stranger.page.get_by_role("button", name="Report (HTML)").click()
    playwright.expect(stranger.page.get_by_text(nothing)).to_be_visible()
    assert visit.faults == stranger.faults == []


def test_more_comes_in_pages_and_fits_a_phone(url, browser, engine: Engine, tmp_path: Path):
    from pipeline.compare import generate_document
    from pipeline.events import final_results
    from pipeline.prices import load_prices
    from pipeline.request import make_request

    history = History(tmp_path / "history")
    price = load_prices().proposed("CPU")
    for number in range(30):
        [result] = final_results(engine.run([make_request(engine.catalog.model("new"), f"number {number}")]))
        history.add("picture", generate_document(result, price), [result])
    visit = Guest(browser, url, PHONE)
    visit.history(24)
    visit.page.get_by_role("button", name="Show 24 more").click()
    playwright.expect(visit.cards).to_have_count(30)
    assert visit.sideways() <= 0
    visit.cards.last.get_by_role("button", name="Open").click()
    playwright.expect(visit.verdict).to_contain_text("One picture from your history")
    playwright.expect(visit.prompt).to_have_value("number 0")
    assert visit.faults == []


def test_a_full_disk_is_told_and_what_is_kept_can_be_deleted(url, browser, monkeypatch):
    def full(*_):
        raise PlaygroundError(f"The disk is full, make room {next(times)}.")

    visit, times = Guest(browser, url), itertools.count(1)
    visit.run("a fox")
    monkeypatch.setattr(served, "hand_out_small", full)
    monkeypatch.setattr(restore_updates, "from_history", full)
    visit.history(1)
    told = visit.page.get_by_role("alert").and_(visit.page.locator(":visible"))
    for number in (1, 2):
        playwright.expect(told).to_have_text(f"The disk is full, make room {number}.")
        playwright.expect(visit.cards).to_contain_text("gone")
        visit.cards.get_by_role("button", name="Open").click()
    visit.cards.get_by_role("button", name="Delete").click()
    visit.cards.get_by_role("button", name="Really delete?").click()
    playwright.expect(visit.cards).to_have_count(0)
    playwright.expect(told).to_have_count(0)
    assert visit.faults == []


def test_a_full_disk_costs_the_history_and_not_the_comparison(url, browser, monkeypatch):
    def full(self, result):
        raise OSError(28, "No space left on device")

    visit = Guest(browser, url)
    with monkeypatch.context() as patch:
        patch.setattr(History, "save_picture", full)
        visit.run("a fox")
        playwright.expect(visit.claims.first).to_be_visible()
        playwright.expect(visit.verdict).to_contain_text("could not be kept in the history")
        assert visit.pictures() == 2
    visit.run("a cat")
    playwright.expect(visit.verdict).not_to_contain_text("could not be kept")
    visit.history(1)
    assert visit.faults == []
