"""The files that the page hands out go by age and bytes; the page's own stay."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pipeline import imagefile
from pipeline.sweep import PROMPTS_MAX
from pipeline.ui.served import (
    BLOCK,
    BODY_BYTES,
    SMALL,
    UPLOAD_BYTES,
    RequestLimit,
    ServedFiles,
    hand_out,
    hand_out_small,
    new_file,
    served_folders,
    take_back_small,
)


def in_a_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: Playwright keeps a loop running in the tests' thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def put(folder: Path, name: str, age_s: float, size: int = 10) -> Path:
    path = folder / name / "image.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_old_files_go_with_their_folders_and_the_pages_own_stay(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    served = ServedFiles(tmp_path, kept_s=50)
    served.protect("{'path': '/icon/image.png'}")
    old, young = put(tmp_path, "old", 100), put(tmp_path, "young", 10)
    served.sweep()
    assert icon.is_file() and young.is_file()
    assert not old.parent.exists()


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path):
    files = [put(tmp_path, str(age), age, size=40_000) for age in (30, 20, 10)]
    served = ServedFiles(tmp_path, kept_s=1000, max_bytes=100_000)
    served.sweep()
    assert [path.is_file() for path in files] == [False, True, True] and served.used_bytes == 80_000


def test_the_smallest_file_takes_a_block(tmp_path: Path):
    for age in range(5):
        put(tmp_path, str(age), age, size=1)
    ServedFiles(tmp_path, kept_s=1000, max_bytes=3 * BLOCK).sweep()
    assert len(list(tmp_path.iterdir())) == 3


def test_another_process_sees_the_pages_own_files_as_young(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    mine = ServedFiles(tmp_path, kept_s=50)
    mine.protect("icon")
    mine.sweep()
    ServedFiles(tmp_path, kept_s=50).sweep()
    assert icon.is_file()


def test_a_folder_that_is_not_there_is_nothing_to_sweep(tmp_path: Path):
    ServedFiles(tmp_path / "none").sweep()


def test_a_picture_is_written_once_and_kept_young_by_use(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    picture, recipe = Image.new("RGB", (4, 4), "red"), {"request": {"prompt": "ä"}}
    path = Path(hand_out(picture, recipe))
    inode = path.stat().st_ino
    os.utime(path, (1, 1))
    assert Path(hand_out(picture, recipe)) == path
    assert path.stat().st_ino == inode and path.stat().st_mtime > 1
    assert imagefile.read(path)[1] == recipe
    others = {hand_out(picture), hand_out(picture, {"request": {}}), hand_out(Image.new("RGB", (2, 8), "red"))}
    assert len(others) == 3 and str(path) not in others
    assert [file for file in tmp_path.rglob("*") if file.suffix == ".tmp"] == []


def test_a_visitors_file_has_a_folder_of_its_own_that_nobody_guesses(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    one, other = new_file("report.html"), new_file("report.html")
    assert one != other and one.name == "report.html" and len(one.parent.name) == 32
    assert one.parent.parent == tmp_path / "made" and not one.parent.exists()


def test_a_small_picture_is_small_made_once_and_can_be_taken_back(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    kept = tmp_path / "kept.png"
    Image.effect_noise((1024, 512), 80).convert("RGBA").save(kept)
    path = Path(hand_out_small(kept))
    assert Image.open(path).size == (SMALL, SMALL // 2) and path.stat().st_size < 20_000
    assert Path(hand_out_small(kept)) == path and path.is_relative_to(tmp_path / "served")
    take_back_small(kept)
    take_back_small(kept)
    assert not path.parent.exists()
    kept.write_bytes(b"broken")
    with pytest.raises(OSError, match="cannot identify"):
        hand_out_small(kept)


def test_uploads_push_out_nothing_of_ours(tmp_path: Path):
    made, uploads = served_folders(tmp_path)
    ours, theirs = put(tmp_path / "made", "ours", 1000), put(tmp_path, "theirs", 1000)
    fresh = [put(tmp_path, str(age), age, size=30 * 10**6) for age in (30, 20)]
    for folder in (made, uploads):
        folder.sweep()
    assert ours.is_file() and not theirs.exists()
    assert [path.is_file() for path in fresh] == [False, True] and uploads.used_bytes == 30 * 10**6


def test_a_file_that_vanishes_meanwhile_stops_no_sweep(tmp_path: Path, monkeypatch):
    served = ServedFiles(tmp_path, kept_s=50)
    kept, gone = put(tmp_path, "kept", 10), put(tmp_path, "gone", 100)
    monkeypatch.setattr(served, "_files", lambda: [gone, tmp_path / "never" / "there.png", kept])
    served.sweep()
    assert kept.is_file() and not gone.exists()


@pytest.mark.parametrize(
    ("path", "headers", "used", "status"),
    [
        ("/gradio_api/upload", [(b"content-length", b"1000")], 0, 200),
        ("/upload/", [(b"content-length", b"1000")], 0, 200),
        ("/gradio_api/upload", [(b"content-length", b"%d" % (UPLOAD_BYTES + 1))], 0, 413),
        ("/gradio_api/upload", [], 0, 413),
        ("/gradio_api/upload", [(b"content-length", b"-1")], 0, 413),
        ("/gradio_api/upload", [(b"content-length", b"1000")], 100 * 1024**2, 503),
        ("/gradio_api/queue/join", [(b"content-length", b"1000")], 10**9, 200),
        ("/gradio_api/queue/join", [], 10**9, 200),
        ("/gradio_api/queue/join", [(b"content-length", b"%d" % BODY_BYTES)], 10**9, 200),
        ("/gradio_api/queue/join", [(b"content-length", b"%d" % (BODY_BYTES + 1))], 0, 413),
        ("/gradio_api/process_recording", [(b"content-length", b"1000")], 0, 404),
        ("/gradio_api/component_server/", [(b"content-length", b"1000")], 0, 404),
    ],
)
def test_what_would_fill_the_disk_is_refused_before_it_is_read(tmp_path: Path, path, headers, used, status):
    sent = []

    async def app(scope, receive, send):
        assert limit._coming == (1000 if "upload" in path else 0)
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        sent.append(message)

    _, uploads = served_folders(tmp_path)
    uploads.used_bytes = used
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    limit = RequestLimit(app, uploads)
    in_a_loop(limit(scope, None, send))
    assert sent[0]["status"] == status and limit._coming == 0


def test_the_largest_request_of_the_page_is_none_too_large():
    """A sweep's prompts, as a program writes them that escapes all but ASCII."""
    assert len(json.dumps({"data": ["🦊" * PROMPTS_MAX, "x" * 10_000]})) < BODY_BYTES


class Sender:
    """A client that sends ``body`` in chunks of at most 64 kB; ``taken``: bytes that were asked of it."""

    def __init__(self, body: bytes):
        self._rest, self.taken = body, 0

    async def __call__(self) -> dict[str, Any]:
        chunk, self._rest = self._rest[: 2**16], self._rest[2**16 :]
        self.taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(self._rest)}


async def read_all(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())}")


def sent(limit_of: ServedFiles, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> tuple[int, bytes, Sender]:
    """Status and answer of an app behind the limit that reads whatever it is sent."""
    app, answers = Starlette(routes=[Route(path, read_all, methods=["POST"])]), []

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    in_a_loop(RequestLimit(app, limit_of)(scope, sender := Sender(body), send))
    return answers[0]["status"], answers[1]["body"], sender


@pytest.mark.parametrize(
    ("path", "most", "declared"),
    [("/queue/join", BODY_BYTES, None), ("/queue/join", BODY_BYTES, 10), ("/upload", 100_000, 100_000)],
)
def test_a_body_that_grows_beyond_the_limit_or_what_it_said_is_broken_off(tmp_path: Path, path, most, declared):
    """Chunks come with no length, or with one that HTTP says to ignore then."""
    headers = [(b"transfer-encoding", b"chunked")]
    headers += [(b"content-length", b"%d" % declared)] if declared else []
    _, uploads = served_folders(tmp_path)
    assert sent(uploads, path, b"x" * most, *headers)[:2] == (200, b"%d" % most)
    status, answer, sender = sent(uploads, path, b"x" * 50 * 2**20, *headers)
    assert status == 413 and f"more than the {most:,} bytes".encode() in answer
    assert sender.taken <= most + 2**16


def test_what_was_uploaded_counts_at_once_and_no_more_after_the_sweep(tmp_path: Path):
    _, uploads = served_folders(tmp_path)
    size = 10 * 10**6
    header = (b"content-length", b"%d" % size)
    assert [sent(uploads, "/upload", b"x" * size, header)[0] for _ in range(15)] == [200] * 10 + [503] * 5
    uploads.sweep()
    assert sent(uploads, "/upload", b"x" * size, header)[0] == 200
    assert sent(uploads, "/queue/join", b"x" * 1000)[0] == 200 and uploads.used_bytes == size


def test_what_comes_while_it_is_swept_still_counts_after_it(tmp_path: Path, monkeypatch):
    _, uploads = served_folders(tmp_path)
    found = [put(tmp_path, "there", 10, size=10_000)]
    uploads.add(7000)
    monkeypatch.setattr(uploads, "_files", lambda: uploads.add(5000) or found)
    uploads.sweep()
    assert uploads.used_bytes == 15_000


def test_uploads_that_are_under_way_count(tmp_path: Path):
    """However often what has arrived is swept meanwhile."""

    async def stalled(scope, receive, send):
        await release.wait()

    async def upload_all() -> list[int]:
        sent: list[int] = []

        async def send(message):
            sent.extend([message["status"]] if "status" in message else [])

        scope = {"type": "http", "method": "POST", "path": "/upload", "headers": [(b"content-length", b"10000000")]}
        uploads = [asyncio.create_task(limit(scope, None, send)) for _ in range(20)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*uploads)
        return sent

    _, folder = served_folders(tmp_path)
    release, limit = asyncio.Event(), RequestLimit(stalled, folder)
    assert in_a_loop(upload_all()) == [503] * 10 and limit._coming == 0


def test_what_an_earlier_process_left_is_not_the_pages_own(tmp_path: Path):
    left, icon = put(tmp_path, "left", 100), put(tmp_path, "icon", 100)
    served = ServedFiles(tmp_path, kept_s=1000)
    served.sweep()
    served.protect("icon")
    served.sweep(time.time() + 2000)
    assert icon.is_file() and not left.exists()


def test_a_sweep_that_fails_is_not_the_last(tmp_path: Path, monkeypatch, caplog):
    swept, again = [], threading.Event()

    def sweep() -> None:
        swept.append(1)
        if len(swept) > 1:
            again.set()
        raise FileNotFoundError("vanished")

    served = ServedFiles(tmp_path, every_s=0.01)
    monkeypatch.setattr(served, "sweep", sweep)
    served.start()
    assert again.wait(5) and "could not be swept" in caplog.text
    served._every_s = 3600
