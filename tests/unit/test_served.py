"""The files that the page hands out go by age and bytes; the page's own stay; nobody fills disk or memory."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio.utils import LRUCache
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pipeline import imagefile
from pipeline.errors import PlaygroundError
from pipeline.request import PROMPT_MAX
from pipeline.sweep import PROMPTS_MAX
from pipeline.ui import served
from pipeline.ui.served import (
    BLOCK,
    BODY_BYTES,
    LARGE_MAX,
    SMALL,
    SMALL_BYTES,
    UPLOAD_BYTES,
    RequestLimit,
    ServedFiles,
    address,
    hand_out,
    hand_out_small,
    keep_report,
    new_file,
    served_folders,
    take_back_small,
)


def in_a_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: Playwright keeps a loop running in the tests' thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Line(list):
    """Gradio's queue."""

    pending_messages_per_session = LRUCache()


def gradio_app(waiting: int = 0) -> SimpleNamespace:
    """As far as the limit looks at it. ``waiting``: events in its queue."""
    holder = SimpleNamespace(session_data={}, time_last_used={})
    page = SimpleNamespace(_queue=Line([None] * waiting))
    return SimpleNamespace(state_holder=holder, get_blocks=lambda: page)


def asking(path: str, size: int | None = None, method: str = "POST", waiting: int = 0) -> dict[str, Any]:
    """An ASGI scope. ``size``: bytes that the body is said to have."""
    headers = [(b"content-length", b"%d" % size)] if size is not None else []
    app = gradio_app(waiting)
    return {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "app": app}


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


def test_a_report_is_written_where_nobody_guesses_and_kept_by_what_it_says(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    places = [new_file("report.html") for _ in range(3)]
    assert len(set(places)) == 3 and all(len(path.parent.name) == 32 for path in places)
    for path, text in zip(places, ("one", "one", "other"), strict=True):
        assert path.is_relative_to(tmp_path / "made") and not path.parent.exists()
        path.parent.mkdir(parents=True)
        path.write_text(text)
    first = Path(keep_report(places[0]))
    os.utime(first, (1, 1))
    assert Path(keep_report(places[1])) == first and first.stat().st_mtime > 1
    other = Path(keep_report(places[2]))
    assert (first.read_text(), other.read_text(), other.name) == ("one", "other", "report.html")
    assert sorted((tmp_path / "made" / "reports").iterdir()) == sorted([first.parent, other.parent])


def test_reports_push_out_older_reports_at_once_and_nobodys_pictures(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(served, "REPORTS_BYTES", 100_000)
    picture = put(tmp_path / "made", "picture", 100, size=90_000)
    kept = []
    for number in range(5):
        path = new_file("report.zip")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number * 40_000)
        kept.append(Path(keep_report(path)))
        os.utime(kept[-1], (time.time() - 60 + number,) * 2)
    assert [path.is_file() for path in kept] == [False, False, False, True, True] and picture.is_file()


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    kept = tmp_path / "kept.png"
    Image.new("RGB", (4, 4)).save(kept)
    error = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(error))
    for write in (lambda: hand_out(Image.new("RGB", (4, 4))), lambda: hand_out_small(kept), lambda: address(kept)):
        with pytest.raises(PlaygroundError, match=r"^The disk is full, so the page's files cannot be written; make ro"):
            write()
    assert [path for path in (tmp_path / "served").rglob("*") if path.is_file()] == []
    error.errno, error.strerror = errno.EACCES, "Permission denied"
    with pytest.raises(PlaygroundError, match=r"^The page's files cannot be written \(Permission denied\); choose ano"):
        address(kept)
    for gone in (tmp_path / "none.png", tmp_path):
        assert address(gone) is None


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
    ],
)
def test_what_would_fill_the_disk_is_refused_before_it_is_read(tmp_path: Path, path, headers, used, status):
    async def app(scope, receive, send):
        assert limit._coming == (1000 if "upload" in path else 0)
        await send({"type": "http.response.start", "status": 200})

    _, uploads = served_folders(tmp_path)
    uploads.used_bytes = used
    limit = RequestLimit(app, uploads)
    assert in_a_loop(status_of(limit, {**asking(path), "headers": headers})) == status and limit._coming == 0


async def status_of(app: Any, scope: dict[str, Any]) -> int:
    answers = []

    async def send(message):
        answers.append(message)

    await app(scope, None, send)
    return answers[0]["status"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gradio_api/deep_link", 404),
        ("/gradio_api/deep_link/", 404),
        ("/gradio_api/process_recording", 404),
        ("/gradio_api/component_server/", 404),
        ("/gradio_api/dev/reload", 404),
        ("/gradio_api/proxy=https://x.hf.space/a", 404),
        ("/gradio_api/file=https://example.com/big", 404),
        ("/under/a/root/gradio_api/file/http://example.com/big", 404),
        ("/gradio_api/file=/tmp/made/0/proxy-https-apple.png", 200),
        ("/gradio_api/heartbeat/deep_link1", 200),
        ("/config", 200),
        ("/", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_what_the_page_has_no_use_for_is_closed_whatever_the_method(tmp_path: Path, path, status, method):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    limit = RequestLimit(app, served_folders(tmp_path)[1])
    assert in_a_loop(status_of(limit, asking(path, 10, method))) == status


def test_a_page_is_open_as_long_as_its_heartbeat(tmp_path: Path):
    async def beating(scope, receive, send):
        seen.append(dict(scope["app"].state_holder.session_data._pages))
        raise ConnectionResetError

    seen, limit = [], RequestLimit(beating, served_folders(tmp_path)[1])
    scope = asking("/gradio_api/heartbeat/me", method="GET")
    with pytest.raises(ConnectionResetError):
        in_a_loop(limit(scope, None, None))
    assert seen == [{"me": 1}] and not scope["app"].state_holder.session_data._pages


def test_the_largest_request_of_the_page_is_none_too_large():
    """A sweep's prompts, as a program writes them that escapes all but ASCII."""
    assert len(json.dumps({"data": ["🦊" * PROMPTS_MAX, "x" * 10_000]})) < BODY_BYTES
    assert len(json.dumps({"data": ["🦊" * PROMPT_MAX] * 2 + ["x" * 10_000]})) < SMALL_BYTES


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

    scope = {**asking(path), "headers": headers}
    in_a_loop(RequestLimit(app, limit_of)(scope, sender := Sender(body), send))
    return answers[0]["status"], answers[1]["body"], sender


def test_only_so_many_large_requests_are_on_their_way_or_wait(tmp_path: Path):
    """Each may be all text that a visitor can think of; the small ones of all the others go on."""

    async def stalled(scope, receive, send):
        try:
            while (await receive())["more_body"]:
                pass
            await release.wait()
            answers.append(200)
        except HTTPException as error:
            answers.append(error.status_code)

    async def ask_all() -> list[int]:
        def ask(size: int, **more: int) -> asyncio.Task:
            return asyncio.create_task(limit(asking("/gradio_api/queue/join", **more), Sender(b"x" * size), None))

        asked = [ask(SMALL_BYTES + 1) for _ in range(LARGE_MAX + 3)]
        asked += [ask(SMALL_BYTES), ask(SMALL_BYTES, waiting=300), ask(SMALL_BYTES + 1, waiting=LARGE_MAX)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*asked)
        return answers

    answers: list[int] = []
    release, limit = asyncio.Event(), RequestLimit(stalled, served_folders(tmp_path)[1])
    assert in_a_loop(ask_all()) == [429] * 4 + [200] * (LARGE_MAX + 2) and not limit._large


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

        scope = asking("/upload", 10_000_000)
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
