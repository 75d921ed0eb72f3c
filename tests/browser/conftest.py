"""The browser, and the real page that it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.bench.app import App, app
from tests.browser.visit import CHROMIUM, FLAGS, playwright


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    if CHROMIUM is None:
        pytest.skip("no Chromium found: install the package chromium, or name one in DIPTYCH_CHROMIUM")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def browser(chromium) -> Iterator:
    """The windows of one test. They are closed after it: a page whose server went away keeps calling for it, and the
    next test's server has the same address."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@contextmanager
def served_app(*options: str, **how: object) -> Iterator[App]:
    """The real thing, python app.py, in whose log nothing may have gone wrong at the end."""
    with app(*options, **how) as page:
        yield page
    assert "Traceback" not in page.log.read_text()


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with the bundled pair, offline."""
    with served_app("--offline", data=tmp_path_factory.mktemp("data")) as page:
        yield page.url
