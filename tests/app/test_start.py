"""python app.py with options that cannot work: one line, exit status 2."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.catalog import ASSETS


def start(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "app.py", *options]
    return subprocess.run(command, cwd=ASSETS.parent, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--price", "gold"], "price must be one of"),
        (["--port", "99999"], "cannot listen on port 99999"),
        (["--data", "{file}"], "choose another with --data"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(options: list[str], words: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    given = [option.format(file=tmp_path / "file") for option in options]
    if "--data" not in given:
        given += ["--data", str(tmp_path / "data")]
    done = start(*given)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_a_port_that_is_taken_is_told(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start("--port", str(port), "--data", str(tmp_path))
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr and "Traceback" not in done.stderr
