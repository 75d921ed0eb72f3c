"""python app.py: options that cannot work are one line and exit status 2; Gradio's own variables are heard."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pipeline.bench.app import app, free_port
from pipeline.cards import ASSETS


def start(*options: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "app.py", *options]
    given = {"cwd": ASSETS.parent, "env": os.environ | variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--price", "gold"], "price must be dollars per hour"),
        (["--port", "x"], "invalid int value: 'x'; see app.py --help"),
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


def test_a_damaged_history_is_one_line_and_status_2(tmp_path: Path):
    (tmp_path / "history").mkdir()
    (tmp_path / "history/history.sqlite").write_text("not a database " * 400)
    done = start("--data", str(tmp_path))
    assert done.returncode == 2
    assert "history" in done.stderr and "Traceback" not in done.stderr


def test_variables_stand_for_options_where_none_can_be_given(tmp_path: Path):
    done = start(DIPTYCH_PRICE="gold", DIPTYCH_DATA=str(tmp_path / "data"))
    assert done.returncode == 2 and "price must be dollars per hour" in done.stderr
    assert (tmp_path / "data").is_dir()
    assert start(
        "--price", "7", DIPTYCH_PRICE="gold", DIPTYCH_DATA=str(tmp_path / "data"), DIPTYCH_FETCH="none"
    ).stderr.startswith("app.py: pair")


def test_a_port_that_is_taken_is_told(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start("--port", str(port), "--data", str(tmp_path))
    assert done.returncode == 2
    assert f"cannot listen on port {port}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("said", "status"), [("False", 404), (None, 200)])
def test_gradios_variables_choose_the_port_and_whether_there_are_mcp_tools(said: str | None, status: int, tmp_path):
    old = tmp_path / "temp" / "of another app.txt"
    old.parent.mkdir()
    old.write_text("not ours")
    os.utime(old, (1, 1))
    env = os.environ | {"GRADIO_TEMP_DIR": str(old.parent)} | ({"GRADIO_MCP_SERVER": said} if said else {})
    with app("--offline", data=tmp_path, env=env, port=free_port()) as page:
        assert httpx.get(f"{page.url}gradio_api/mcp/schema", timeout=30).status_code == status
        assert old.exists() and any((old.parent / "diptych").iterdir())


def test_the_pages_own_files_outlive_the_sweeps_however_old_they_are(tmp_path: Path, monkeypatch):
    """Gradio copies icons and pictures with their age; a clone's files are older than what visitors upload may be."""
    from pipeline.playground import open_playground
    from pipeline.ui.page import build_page
    from pipeline.ui.readiness import Readiness
    from pipeline.ui.served import served_folders

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    playground = open_playground(str(tmp_path))
    page = build_page(playground, Readiness(playground))
    shown = {path for path in (tmp_path / "served").rglob("*") if path.is_file()}
    assert {"example-1.png", "everyday.webp"} <= {path.name for path in shown}
    for path in shown:
        os.utime(path, (1, 1))
    for folder in served_folders(tmp_path / "served"):
        folder.protect(str(page.config))
        folder.sweep()
    assert {path for path in (tmp_path / "served").rglob("*") if path.is_file()} == shown


def test_options_are_read_before_what_heeds_the_variables_they_set():
    heavy = ("torch", "diffusers", "gradio", "huggingface_hub")
    found = f"import app, sys; app.options([]); print(set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", found], cwd=ASSETS.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
