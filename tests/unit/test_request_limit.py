"""Nobody fills disk or memory with what they send, and what the page has no use for is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio.utils import LRUCache
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pipeline.request import PROMPT_MAX
from pipeline.sweep import PROMPTS_MAX
from pipeline.ui.request_limit import BODY_BYTES, LARGE_MAX, SMALL_BYTES, UPLOAD_BYTES, RequestLimit
from pipeline.ui.served import (
    ServedFiles,
    served_folders,
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
