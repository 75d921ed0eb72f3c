"""What every test in a browser starts from: where Chromium is, and one visitor's window."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from playwright import sync_api as playwright

CHROMIUM = os.environ.get("DIPTYCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
looks = pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"]
)
"""Both widths and both colour schemes; test_accessibility sees to it that no style is of one and the other together."""

playwright.expect.set_options(timeout=30_000)
"""Two busy cores may take that long. Only a fault costs it, and only once."""


class Visit:
    """One visitor's window, and everything that went wrong in it."""

    def __init__(self, browser, url: str, viewport: dict, scheme: str = "light"):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("console", self._heard)
        self.page.on("request", self._only_here)
        self.page.goto(url)
        self.compare = self.page.get_by_role("button", name="Compare", exact=True)
        self.stop = self.page.get_by_role("button", name="Stop", exact=True)
        self.prompt = self.page.get_by_label("Prompt", exact=True)
        self.claims = self.page.locator(".verdict .claim")
        self.verdict = self.page.locator(".verdict")
        # Not Compare itself: a vote's link opens another tab, which may come before anybody looks.
        self.page.get_by_role("tab").and_(self.page.locator(":visible")).first.wait_for()
        self.page.wait_for_function("localStorage.getItem('diptych-visitor') !== null")  # a person is never so quick

    def _heard(self, said) -> None:
        # Gradio's client logs each request of its own that a reload breaks off.
        if said.type == "error" and not said.text.startswith("AbortError: signal is aborted"):
            self.faults.append(f"console: {said.text}")

    def _only_here(self, request) -> None:
        if not re.match(r"(http://127\.0\.0\.1[:/]|data:|blob:)", request.url):
            self.faults.append(f"another host: {request.url}")

    def run(self, prompt: str) -> None:
        """Type, press Enter, wait for the verdict of this run."""
        before = self.verdict.inner_text()
        self.prompt.fill(prompt)
        self.prompt.press("Enter")
        # Not "Stop is enabled": a fast run may be over before anybody looks.
        playwright.expect(self.verdict).not_to_have_text(before, timeout=30_000, use_inner_text=True)
        going = re.compile("Running|Measuring|Waiting in line")
        playwright.expect(self.verdict).not_to_contain_text(going, timeout=60_000)
        playwright.expect(self.compare).to_be_enabled()

    def tab(self, name: str) -> None:
        """Open a tab, also one that a phone has no room for."""
        tab = self.page.get_by_role("tab", name=name, exact=True).and_(self.page.locator(":visible"))
        self.page.get_by_role("tab").and_(self.page.locator(":visible")).first.wait_for()  # after a reload
        if not tab.count():
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        else:
            tab.click()
        playwright.expect(self.page.get_by_role("tabpanel").and_(self.page.locator(":visible")).first).to_be_visible()

    def pictures(self) -> int:
        return self.page.locator(".picture img").count()

    def sideways(self) -> int:
        """Pixels that the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
