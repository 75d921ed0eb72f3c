"""WCAG 2 A and AA by axe-core's rules: every tab of the page and the report, wide and on a phone, light and dark.

Tabs are found on the page, so a new one is looked at without a line here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline import stored
from pipeline.cards import ASSETS
from pipeline.catalog import load_catalog
from pipeline.engine import Engine
from pipeline.prices import load_prices
from pipeline.report import write_report
from pipeline.report_pictures import Item
from tests.browser.visit import Visit, looks, playwright

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
EXCUSED = {
    "aria-prohibited-attr": {".empty": "an empty gr.Image puts its label on a plain div"},
}
"""Rule -> selector -> why: what lies inside Gradio's own components and neither an attribute nor CSS can mend."""

SETTLED = """() => Promise.all(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished.catch(() => {}))
)"""
"""A colour that is on its way to another has little contrast."""


def violations(page) -> list[str]:
    """Every element that breaks a rule, as "rule: element: what is wrong", less what is excused."""
    page.evaluate(SETTLED)
    found = []
    for rule in axe.Axe().run(page, options=RULES).response["violations"]:
        for node in rule["nodes"]:
            target = " ".join(str(part) for part in node["target"])
            excused = EXCUSED.get(rule["id"], {})
            if any(page.locator(target).first.evaluate("(e, s) => !!e.closest(s)", selector) for selector in excused):
                continue
            found.append(f"{rule['id']}: {target}: {node['html'][:160]}: {node['failureSummary'][:300]}")
    return found


def tabs(page) -> list[str]:
    """The names of all tabs, also of those that a phone has no room for."""
    visible = page.get_by_role("tab").all_text_contents()
    return [name.strip() for name in [*visible, *page.locator(".overflow-dropdown button").all_text_contents()]]


def test_no_style_is_of_a_width_and_of_a_colour_scheme():
    """Else each width would have to be looked at in each scheme. The theme's variables are not meant: their colours are
    seen wherever they are used."""
    for sheet in ASSETS.glob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.S)
        of_widths = re.findall(r"@media[^{]*-width[^{]*\{(?:[^{}]*\{[^{}]*\})*", text)
        assert of_widths and not re.search(r"\.dark|scheme|#[0-9a-f]{3}|rgb", "".join(of_widths)), sheet.name


@looks
def test_every_tab_of_the_page(serve, engine: Engine, browser, viewport, scheme):
    visit = Visit(browser, serve(engine), viewport, scheme)
    names = tabs(visit.page)
    assert {"Compare", "Sweep", "History", "Prices", "Models", "Bundled pair", "About"} <= set(names)
    found = {}
    for name in names:
        visit.tab(name)
        visit.page.wait_for_timeout(300)  # the panel fades in
        found[name] = violations(visit.page)
        assert visit.sideways() <= 0, name
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert visit.faults == []


@looks
def test_the_compare_tab_with_all_its_settings_a_result_and_an_error(serve, engine, browser, viewport, scheme):
    visit = Visit(browser, serve(engine), viewport, scheme)
    visit.page.get_by_role("button", name="Advanced").click()
    visit.run("a fox")
    visit.page.get_by_role("button", name="Advanced").click()  # closed when the run began
    visit.page.locator(".lane-numbers summary").first.click()
    assert violations(visit.page) == []
    visit.prompt.fill(" ")
    visit.prompt.press("Enter")
    playwright.expect(visit.page.get_by_role("alert")).to_be_visible()
    playwright.expect(visit.compare).to_be_enabled()
    assert violations(visit.page) == []


@looks
def test_the_report_with_the_network_off(browser, tmp_path: Path, viewport, scheme):
    document, _ = stored.load()
    unlike = {**document, "prompt": "<script>alert(1)</script> " * 9, "speedup": None, "fidelity": None}
    items = [Item(document, stored.FOLDER), Item(unlike, stored.FOLDER)]
    write_report(
        tmp_path / "report.html", "A session", items, load_catalog(), load_prices(), said={"Votes": {"Ties": "2"}}
    )
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    context.set_offline(True)
    page = context.new_page()
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto((tmp_path / "report.html").as_uri())
    assert [url for url in said if not url.startswith(("file:", "data:image/png"))] == []
    pictures = "[...document.images].map(image => image.naturalWidth)"
    assert page.evaluate(pictures) == [128] * 4
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert violations(page) == []
    context.close()


def test_the_report_prints_on_a4_and_no_picture_is_cut(browser, tmp_path: Path):
    document, _ = stored.load()
    write_report(tmp_path / "report.html", "One", [Item(document, stored.FOLDER)], load_catalog(), load_prices())
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    printed = page.pdf(prefer_css_page_size=True)
    assert re.search(rb"/MediaBox \[0 0 59[45]\S* 84[12]", printed)
    assert 2 <= printed.count(b"/Type /Page\n") <= 3
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
    page.close()
