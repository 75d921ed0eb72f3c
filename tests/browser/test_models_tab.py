"""The Models tab in a real browser: what is not here is fetched from a stand-in for the Hub, stopped, gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engine import Engine
from tests.browser.conftest import served_app
from tests.browser.visit import PHONE, WIDE, Visit, playwright
from tests.hub import CARD, REPO, Hub

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def page(checkpoint, tmp_path: Path):
    """The stand-in, and the address of a page that takes it for the Hub and knows one small model there."""
    with Hub().running() as hub:
        commit, *_ = hub.add(REPO, checkpoint("StableDiffusionPipeline"))
        (tmp_path / "my.toml").write_text(CARD.format(revision=commit))
        env = hub.environment(tmp_path)
        with served_app("--model-file", str(tmp_path / "my.toml"), data=tmp_path, env=env) as page:
            yield hub, page.url


def test_a_failure_is_told_and_then_a_model_is_fetched_stopped_and_gone_on_with(page, browser):
    hub, url = page
    visit = Visit(browser, url, WIDE)
    visit.tab("Models")
    panel = visit.page.get_by_role("tabpanel").and_(visit.page.locator(":visible")).first
    fetch, stop = (visit.page.get_by_role("button", name=name, exact=True) for name in ("Fetch", "Stop fetching"))
    wanted = visit.page.get_by_label("Fetch from the Hub", exact=False)

    def ask() -> None:
        """What is left to be fetched is offered anew after each end."""
        wanted.click()
        visit.page.get_by_role("option", name="Tiny, up to 100 kB", exact=False).click()
        playwright.expect(panel).to_contain_text("Tiny: MIT · someone/tiny@")
        fetch.click()

    playwright.expect(stop).to_be_disabled()
    hub.faults.status = 500
    ask()
    fault = visit.page.locator("p.error")  # one sentence beside the button
    playwright.expect(fault).to_contain_text("The download of Tiny broke off (status 500); check the network")
    hub.faults.status = None
    hub.faults.slow = {WEIGHTS: 0.5}  # minutes, to look and to come back in
    ask()
    playwright.expect(stop).to_be_enabled()
    playwright.expect(fetch).to_be_disabled()
    playwright.expect(panel).to_contain_text(f"/{WEIGHTS}")
    # Whoever comes back finds it running.
    visit.page.reload()
    visit.tab("Models")
    playwright.expect(panel).to_contain_text(f"/{WEIGHTS}")
    stop.click()
    hub.faults.slow = {WEIGHTS: 0.01}  # heard where the file ends
    playwright.expect(panel).to_contain_text("The download of Tiny was stopped; whole files are kept")
    playwright.expect(fetch).to_be_enabled()
    visit.page.set_viewport_size(PHONE)
    assert visit.sideways() == 0
    hub.faults.slow = {}
    ask()
    playwright.expect(panel).to_contain_text("Tiny: everything is here")
    wanted.click()
    playwright.expect(visit.page.get_by_role("option").first).to_be_visible()
    assert not visit.page.get_by_role("option", name="Tiny", exact=False).count()
    assert visit.faults == []


def test_a_visitor_from_elsewhere_can_fetch_nothing(serve, engine: Engine, browser):
    url = serve(engine)
    visit = Visit(browser, url, WIDE)
    visit.context.set_extra_http_headers({"X-Forwarded-For": "203.0.113.7"})
    visit.page.reload()
    visit.tab("Models")
    playwright.expect(visit.page.get_by_role("table", name="Pairs")).to_contain_text("Old and new")
    assert not visit.page.get_by_role("button", name="Fetch", exact=True).is_visible()
