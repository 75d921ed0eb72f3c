"""``python app.py`` as a process of its own, for the benches that measure what it adds."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PlaygroundError

if TYPE_CHECKING:
    from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300


@contextmanager
def app() -> Iterator[Callable[[], Client]]:
    """The page, offline and with data of its own, from when it answers until the end; gives what makes a client of its
    API. Raises PlaygroundError if the page does not come up."""
    with tempfile.TemporaryDirectory(prefix="diptych-bench-") as folder:
        port = _free_port()
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--data", folder, "--offline"]
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            url = f"http://127.0.0.1:{port}/"
            while not _answers(url):
                if process.poll() is not None or time.perf_counter() - begin > LIMIT_S:
                    raise PlaygroundError("The page did not come up; run python app.py --offline to see why.")
                time.sleep(0.02)
            yield lambda: _client(url, folder)
        finally:
            process.terminate()
            process.wait(30)


def _client(url: str, folder: str) -> Client:
    from gradio_client import Client  # slow to import, and the page must not wait for it

    return Client(url, verbose=False, download_files=folder)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
