"""The browser, and the real page that it looks at."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cards import ASSETS
from tests.browser.visit import CHROMIUM, FLAGS, answers, playwright


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
def served_app(data: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """The real thing: python app.py, with its data and log in ``data``. Gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--data", str(data), *options]
    streams = {"stdout": (data / "log").open("w"), "stderr": subprocess.STDOUT}
    with streams["stdout"], subprocess.Popen(command, cwd=ASSETS.parent, env=env, **streams) as app:
        url = f"http://127.0.0.1:{port}/"
        try:
            deadline = time.monotonic() + 60
            while not answers(url):
                assert app.poll() is None and time.monotonic() < deadline, (data / "log").read_text()
                time.sleep(0.2)
            yield url
        finally:
            app.terminate()
            app.wait(20)
    assert "Traceback" not in (data / "log").read_text()


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with the bundled pair, offline."""
    with served_app(tmp_path_factory.mktemp("data"), "--offline") as url:
        yield url
