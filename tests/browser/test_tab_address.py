"""The page's address says which tab is open, in a real browser, also of tabs that a phone has in a menu."""

from __future__ import annotations

import re

import pytest

from tests.browser.visit import PHONE, WIDE, Visit, playwright


def expect_open(visit: Visit, name: str, address: str) -> None:
    """``address``: what follows the page's own."""
    chosen = visit.page.locator("[role=tab].selected, .overflow-dropdown .selected")
    playwright.expect(chosen).to_have_text(name, use_inner_text=False)
    playwright.expect(visit.page).to_have_url(re.compile(re.escape("/" + address) + "$"))


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_back_and_reload_and_a_link_open_the_tab_that_the_address_says(bundled: str, browser, viewport):
    visit = Visit(browser, bundled, viewport)
    expect_open(visit, "Compare", "")
    visit.tab("Models")
    expect_open(visit, "Models", "#models")
    visit.tab("Bundled pair")
    expect_open(visit, "Bundled pair", "#bundled-pair")
    visit.page.go_back()
    expect_open(visit, "Models", "#models")
    visit.page.go_back()
    expect_open(visit, "Compare", "")
    visit.page.go_forward()
    visit.page.reload()
    expect_open(visit, "Models", "#models")
    assert visit.faults == []
    guest = Visit(browser, f"{bundled.rstrip('/')}/?prompt=a+cat#prices", viewport)
    expect_open(guest, "Prices", "?prompt=a+cat#prices")
    playwright.expect(guest.page.get_by_label("Images a day")).to_be_visible()
    guest.tab("Compare")
    playwright.expect(guest.prompt).to_have_value("a cat")
    expect_open(guest, "Compare", "?prompt=a+cat")
    assert guest.faults == []


def test_an_address_of_no_tab_opens_the_first(bundled: str, browser):
    visit = Visit(browser, f"{bundled.rstrip('/')}/#nonsense%20%22", WIDE)
    expect_open(visit, "Compare", "#nonsense%20%22")
    assert visit.faults == []
