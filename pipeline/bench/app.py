"""``python app.py`` as a process of its own, for the benches of what it adds and the tests of the real page."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PlaygroundError

if TYPE_CHECKING:
    from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240
"""Less than a test may take, so that it is the last words that are told."""


@dataclass(frozen=True)
class App:
    """The page that answers at ``url``; what its process says is in ``log``."""

    url: str
    process: subprocess.Popen
    log: Path

    def client(self) -> Client:
        """A client of the page's API, which puts its downloads beside the log."""
        from gradio_client import Client  # slow to import, and the page must not wait for it

        return Client(self.url, verbose=False, download_files=str(self.log.parent))


@contextmanager
def app(
    *options: str, data: Path | None = None, env: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[App]:
    """The page, with its data and log in ``data`` or in a folder that goes away, from when it answers until the end.
    It listens on a free port; on ``port``, if there is one, by Gradio's variable instead of the option.

    Raises PlaygroundError with its last words if it does not come up."""
    env = dict(os.environ if env is None else env)
    if port:
        env["GRADIO_SERVER_PORT"] = str(port)
    else:
        port = free_port()
        options = ("--host", "127.0.0.1", "--port", str(port), *options)
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory(prefix="diptych-bench-") as passing:
        folder = data or Path(passing)
        folder.mkdir(exist_ok=True)
        log = folder / "log"
        command = [sys.executable, "app.py", "--data", str(folder), *options]
        begin = time.perf_counter()
        with log.open("w") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            while not _answers(url):
                if process.poll() is not None or time.perf_counter() - begin > LIMIT_S:
                    last = (log.read_text().strip().splitlines() or ["no word"])[-1]
                    raise PlaygroundError(f"The page did not come up: {last}")
                time.sleep(0.02)
            yield App(url, process, log)
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
