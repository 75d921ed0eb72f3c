"""A hosted pair in a real browser, drawn by a stand-in: what it costs is said before and after, and Stop is heard."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.browser.conftest import served_app
from tests.browser.visit import PHONE, WIDE, Visit, playwright
from tests.provider import KEY, serving


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory):
    """The stand-in, and the address of a page that takes it for Microsoft Foundry."""
    folder: Path = tmp_path_factory.mktemp("hosted")
    with serving() as provider:
        provider.usage = {"num_output_tokens": 1024, "num_input_text_tokens": 20}
        env = os.environ | {"AZURE_ENDPOINT": provider.address, "AZURE_API_KEY": KEY}
        env = {name: value for name, value in env.items() if name != "OPENAI_API_KEY"}
        with served_app(data=folder, env=env) as page:
            yield provider, page.url


def choose(visit: Visit, name: str) -> None:
    """And wait as a person does until the page shows it. The list of pairs comes once more when the page knows its
    visitor; whoever was quicker than that on a busy machine chooses again."""
    said = visit.page.locator(".estimate-box").first
    for patience in (10_000, 30_000):
        visit.page.get_by_label("Pair", exact=True).click()
        visit.page.get_by_role("option", name=name, exact=False).click()
        with suppress(AssertionError):
            playwright.expect(said).to_contain_text("$0.05", timeout=patience)
            return
    playwright.expect(said).to_contain_text("$0.05")


def test_both_are_drawn_and_what_they_cost_is_explained(page, browser):
    _, url = page
    visit = Visit(browser, url, WIDE)
    choose(visit, "MAI-Image-2.6 → 2.6-Flash (hosted)")
    estimate = visit.page.locator(".estimate-box").first
    playwright.expect(estimate).to_contain_text("per 1,000, this run about $0.0584")
    visit.run("a lighthouse")
    playwright.expect(visit.claims.last).to_have_text("50 % cheaper by list")
    playwright.expect(visit.verdict).to_contain_text("Microsoft Foundry")
    playwright.expect(visit.verdict).not_to_contain_text(re.compile("previews|evaluation|warm"))
    said = visit.page.locator(".lane-numbers").first
    playwright.expect(said).to_contain_text("Takes no seed")
    said.get_by_text("how?").click()
    playwright.expect(said).to_contain_text("1,024 output tokens × $38 ÷ 1,000,000 + 20 prompt tokens × $5 ÷ 1,000,000")
    visit.page.set_viewport_size(PHONE)
    assert visit.sideways() == 0
    visit.tab("Prices")
    panel = visit.page.get_by_role("tabpanel").and_(visit.page.locator(":visible")).first
    playwright.expect(panel).to_contain_text("a month, paid by use, at the providers' list prices")
    for viewport in (PHONE, WIDE):
        visit.page.set_viewport_size(viewport)
        assert visit.sideways() == 0
    assert not visit.faults
    assert KEY not in visit.page.content()


def test_throughput_can_be_ticked_for_models_of_this_machine_only(page, browser):
    _, url = page
    visit = Visit(browser, url, WIDE)
    visit.page.get_by_role("button", name="Advanced").click()
    box = visit.page.get_by_label("Measure throughput")
    box.check()
    choose(visit, "MAI-Image-2.6 → 2.6-Flash (hosted)")  # and its cost is said, so nothing is refused
    playwright.expect(box).to_be_disabled()
    playwright.expect(box).not_to_be_checked()
    reason = visit.page.get_by_text("Of this machine only, and MAI-Image-2.6 is drawn by Microsoft Foundry")
    playwright.expect(reason).to_be_visible()
    visit.page.get_by_label("Pair", exact=True).click()
    visit.page.get_by_role("option", name="Diptych 128, 24 steps → 8 steps").click()
    playwright.expect(box).to_be_enabled()
    playwright.expect(reason).to_be_hidden()
    visit.page.get_by_label("Model, efficient", exact=True).click()  # two models are a pair too
    visit.page.get_by_role("option", name="MAI-Image-2.6-Flash").click()
    playwright.expect(box).to_be_disabled()
    visit.page.goto(f"{url}?pair=mai-image-2.6&prompt=a+fox")
    visit.page.get_by_role("button", name="Advanced").click()
    playwright.expect(box).to_be_disabled()
    playwright.expect(reason).to_be_visible()
    assert not visit.faults


def test_stop_is_heard_and_a_refusal_is_one_sentence(page, browser):
    provider, url = page
    visit = Visit(browser, url, WIDE)
    choose(visit, "MAI-Image-2.6 → 2.6-Flash (hosted)")
    provider.slow_s = 20
    visit.prompt.fill("a slow lighthouse")
    visit.prompt.press("Enter")
    playwright.expect(visit.page.locator(".progress").last).to_contain_text(re.compile(r"the provider draws · [1-9]"))
    visit.stop.click()
    playwright.expect(visit.verdict).to_contain_text("Stopped.")
    playwright.expect(visit.compare).to_be_enabled()
    provider.slow_s = 0
    provider.answers = [(400, {}, {"error": {"message": f"<b>{KEY}</b> Input violated the policies."}})]
    visit.run("something forbidden")
    playwright.expect(visit.verdict).to_have_text(
        "Microsoft Foundry will not draw this with MAI-Image-2.6-Flash (400: <b>…</b> Input violated the policies); "
        "ask for something else."
    )
    choose(visit, "GPT Image 2, medium → low (hosted) · not set up")
    visit.run("a fox")
    playwright.expect(visit.verdict).to_contain_text("OpenAI draws it; set OPENAI_API_KEY in the")
    assert not visit.faults


def test_who_does_not_sit_at_the_machine_spends_nothing_anywhere(page, browser):
    provider, url = page
    visit = Visit(browser, url, WIDE)
    visit.context.set_extra_http_headers({"x-forwarded-for": "203.0.113.7"})
    asked, refusal = len(provider.asked), "is drawn by Microsoft Foundry at the cost of whoever runs this page"
    choose(visit, "MAI-Image-2.6 → 2.6-Flash (hosted)")
    visit.run("somebody else's lighthouse")
    playwright.expect(visit.verdict).to_contain_text(refusal)
    visit.tab("Vote")
    panel = visit.page.get_by_role("tabpanel").and_(visit.page.locator(":visible")).first
    visit.page.get_by_label("Prompts of the vote, one a line").fill("a fox")
    visit.page.get_by_role("button", name="Draw and start the vote").click()
    playwright.expect(panel).to_contain_text(refusal)
    visit.tab("Sweep")
    panel = visit.page.get_by_role("tabpanel").and_(visit.page.locator(":visible")).first
    playwright.expect(panel.locator(".token")).to_have_text(["MAI-Image-2.6", "MAI-Image-2.6-Flash"])
    playwright.expect(visit.page.get_by_label("Steps of the sweep")).to_have_value("")
    visit.page.get_by_role("button", name="Start sweep").click()
    playwright.expect(panel).to_contain_text(refusal)
    assert len(provider.asked) == asked and not visit.faults
