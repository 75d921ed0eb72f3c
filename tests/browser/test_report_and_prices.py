"""The report buttons and the Prices tab, driven in a real browser."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from pipeline.engine import Engine
from tests.browser.visit import WIDE, Visit, playwright

HOSTILE = "</title><script>alert(1)</script>"


def download(visit: Visit, button: str, folder: Path) -> Path:
    with visit.page.expect_download(timeout=20_000) as waiting:
        visit.page.get_by_role("button", name=button).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_the_comparison_on_the_page_is_downloaded_as_an_offline_page_and_as_a_zip(
    serve, engine: Engine, browser, tmp_path: Path
):
    visit = Visit(browser, serve(engine), WIDE)
    stored = download(visit, "Report (HTML)", tmp_path).read_text(encoding="utf-8")
    assert "This is the example that comes with Diptych" in stored
    visit.run(HOSTILE)
    claims = visit.claims.all_inner_texts()
    price = visit.page.get_by_label("Hardware price", exact=False).first
    price.fill("36")
    price.press("Enter")
    playwright.expect(visit.page.locator(".lane-numbers").first).to_contain_text("$36 per hour")
    path = download(visit, "Report (HTML)", tmp_path)
    assert re.fullmatch(r"diptych-title-script-alert-1-script-\d+\.html", path.name)
    context = browser.new_context()
    context.set_offline(True)
    page = context.new_page()
    page.on("dialog", lambda dialog: visit.faults.append(dialog.message))
    page.goto(path.as_uri())
    assert page.locator(".verdict strong").inner_text() == ", ".join(claims)
    assert page.locator("h2").inner_text() == f"“{HOSTILE}”"
    assert "at $36 per hour" in page.locator("main").inner_text()
    assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [32, 32]
    context.close()
    with zipfile.ZipFile(download(visit, "Report (zip)", tmp_path)) as archive:
        assert archive.testzip() is None
        assert sum(name.endswith(".png") for name in archive.namelist()) == 2
    assert visit.faults == []


def test_a_price_that_is_typed_is_taken_as_it_is(serve, engine: Engine, browser):
    """Not the first profile that has these digits in its name."""
    visit = Visit(browser, serve(engine), WIDE)
    visit.run("a fox")
    price = visit.page.get_by_label("Hardware price", exact=False).first
    for typed, said in (("3", "$3 per"), ("$4", "$4 per"), ("0.5", "$0.5 per"), ("0,75", "$0.75 per hour")):
        price.click()
        price.press("ControlOrMeta+a")
        price.press_sequentially(typed)
        price.press("Enter")
        playwright.expect(visit.page.locator(".lane-numbers").first).to_contain_text(said)
    assert visit.faults == []


def test_without_a_comparison_there_is_one_sentence_and_no_file(serve, engine: Engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    visit.prompt.fill(" ")
    visit.prompt.press("Enter")
    playwright.expect(visit.page.get_by_role("alert")).to_be_visible()
    visit.page.get_by_label("Pair").click()
    visit.page.get_by_role("option", name="Old, short").click()
    playwright.expect(visit.verdict).to_contain_text("Would fewer steps do?")
    visit.page.get_by_role("button", name="Report (HTML)").click()
    playwright.expect(visit.page.get_by_text("There is no finished comparison on the page")).to_be_visible()


def test_a_volume_is_reckoned_with_the_comparison_and_price_of_the_page(serve, engine: Engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    prices, volume = visit.page.get_by_role("tab", name="Prices"), visit.page.locator(".volume")
    prices.click()
    playwright.expect(volume).to_contain_text("From the stored example")
    playwright.expect(volume).to_contain_text(re.compile(r"At 1,000 images a day this saves (about )?\$"))
    visit.page.get_by_role("tab", name="Compare").click()
    visit.run("a fox")
    prices.click()
    playwright.expect(volume).to_contain_text("From the comparison on the page: “a fox”")
    before = volume.inner_text()
    visit.page.get_by_label("Images a day").fill("2000000")
    playwright.expect(volume).to_contain_text("At 2,000,000 images a day this saves about $")
    own = visit.page.get_by_label("Own price, $ an hour")
    own.fill("7.2")
    own.press("Enter")
    playwright.expect(volume).to_contain_text("at $7.20 an hour")
    # 0.017 s and 0.007 s a picture: 60 million pictures in a month are 283.3 and 116.7 hours.
    playwright.expect(volume).to_contain_text("saves about $1,200 a month, paid by use")
    assert volume.inner_text() != before
    visit.page.get_by_role("tab", name="Compare").click()
    playwright.expect(visit.page.locator(".lane-numbers").first).to_contain_text("$7.2 per hour")
    price = visit.page.get_by_label("Hardware price", exact=False).first
    price.fill("3")
    price.press("Enter")
    prices.click()
    playwright.expect(volume).to_contain_text("at $3 an hour")
    playwright.expect(own).to_have_value("")  # so that to leave it changes nothing
    own.focus()
    own.blur()
    visit.page.get_by_label("Images a day").fill("1000")
    playwright.expect(volume).to_contain_text("At 1,000 images a day")
    playwright.expect(volume).to_contain_text("at $3 an hour")
    assert visit.faults == []


def test_what_cannot_be_reckoned_with_is_told_in_one_sentence(serve, engine: Engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    visit.page.get_by_role("tab", name="Prices").click()
    alert = visit.page.get_by_role("alert").and_(visit.page.locator(":visible")).first
    bars = visit.page.locator(".costs li")

    def say(label: str, typed: str) -> None:
        visit.page.get_by_label(label).fill(typed)
        visit.page.get_by_label(label).press("Enter")

    for label, wrong, right, words in (
        ("Own price, $ an hour", "cheap", "3", "price must be a machine of the list"),
        ("Images a day", "0", "1000", "images a day must be a whole number"),
        ("Images a day", "2.5", "1000", "images a day must be a whole number from 1 to 1000000000; got 2.5."),
    ):
        say(label, wrong)
        playwright.expect(alert).to_contain_text(words)
        playwright.expect(bars).not_to_have_count(0)  # the last that could be reckoned stay
        playwright.expect(visit.page.locator(".volume")).to_be_visible()
        say(label, right)
        playwright.expect(alert).to_have_count(0)
    playwright.expect(visit.page.locator(".volume")).to_contain_text("at $3 an hour")
    visit.page.get_by_label("Images a day").fill("")
    playwright.expect(alert).to_contain_text("Say how many images a day")
    playwright.expect(bars).not_to_have_count(0)
