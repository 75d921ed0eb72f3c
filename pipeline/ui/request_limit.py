"""What may come in: how large a request may be, how many large ones at a time, and which of Gradio's addresses are
open.

Knows nothing of what is asked. What visitors upload is swept by pipeline.ui.served.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse

from pipeline.ui.served import ServedFiles
from pipeline.ui.sessions import sessions_of

UPLOAD_BYTES = 11 * 1024**2
"""One file of 10 MB, the most that the page takes, and the form around it."""
BODY_BYTES = 2 * 1024**2
"""Of a request that is no upload. None is larger than a sweep's prompts: 100,000 characters, 1.2 MB where a program
escapes every one as two times six bytes."""
SMALL_BYTES = 100_000
"""Of a request without many prompts: the two of a comparison have 48 kB, so written."""
LARGE_MAX = 20
"""Larger requests at a time, those that wait in the line with them."""
UNUSED = ("process_recording", "component_server", "deep_link", "reload")
"""What these routes' addresses end in. A deep link, which anybody may ask for by GET, writes all that a page shows to
the disk; the last one looks twenty times a second whether the page's source has changed."""
ELSEWHERE = re.compile(r"/(?:proxy=|file[=/]https?://)")
"""Addresses at which Gradio fetches from other machines, for anybody."""
TOO_MANY = "Many wait, so nothing so long can be taken just now; try again in a few minutes, or send fewer prompts."
HEARTBEAT = "/heartbeat/"
"""Before the session in the address of a request that lasts as long as a page is open."""


class RequestLimit:
    """ASGI middleware. Anybody may upload, since a picture can be dropped on the page, and nobody may fill the disk
    with it, nor the memory with any other request: refuses what is larger than a picture, or any other request, may be,
    and breaks off what turns out to be while it arrives; refuses an upload that does not say how large it is, and all
    uploads while the last ones take twice the room of theirs, which the next sweep ends; and refuses what only many
    prompts can be while many wait. Refuses Gradio's other ways to write files and to fetch them, too, which the page
    has no use for, and bounds what it remembers of the pages that are open."""

    def __init__(self, app: Callable[..., Awaitable[None]], uploads: ServedFiles):
        self._app, self._uploads = app, uploads
        self._coming = 0
        """Bytes of uploads that are under way."""
        self._large: set[_Body] = set()
        """Other requests that are, of more than SMALL_BYTES."""

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sessions, last = sessions_of(scope["app"]), _last(scope["path"])
        if last in UNUSED or ELSEWHERE.search(scope["path"]):
            await PlainTextResponse("This page has no such address.", 404)(scope, receive, send)
        elif scope["method"] == "POST" and last == "upload":
            await self._upload(scope, receive, send)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif HEARTBEAT in scope["path"]:
            with sessions.page(last):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _upload(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        size = _size(scope)
        if size is None or size > UPLOAD_BYTES:
            await PlainTextResponse("One file of at most 10 MB can be uploaded at a time.", 413)(scope, receive, send)
        elif self._uploads.used_bytes + self._coming + size > 2 * self._uploads.max_bytes:
            await PlainTextResponse("Too much is being uploaded; try again in a minute.", 503)(scope, receive, send)
        else:
            body = _Body(receive, size)
            self._coming += size
            try:
                await self._app(scope, body, send)
            finally:
                self._coming -= size
                self._uploads.add(body.bytes)

    async def _post(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        page = scope["app"].get_blocks()

        def grown() -> None:
            if body not in self._large and len(self._large) + len(page._queue) >= LARGE_MAX:
                raise HTTPException(429, TOO_MANY)
            self._large.add(body)

        if (_size(scope) or 0) > BODY_BYTES:
            await JSONResponse({"detail": _too_large(BODY_BYTES)}, 413)(scope, receive, send)  # which the page shows
            return
        body = _Body(receive, BODY_BYTES, grown)
        try:
            await self._app(scope, body, send)
        finally:
            self._large.discard(body)


class _Body:
    """An ASGI ``receive`` that counts, and ends a body of more than ``most`` bytes: one that comes in chunks tells its
    size nowhere else. ``grown``: asked while it has more than SMALL_BYTES; may end it, too. The error is one that the
    app answers, since it is raised where the app reads."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        most: int,
        grown: Callable[[], None] = lambda: None,
    ):
        self._receive, self._most, self._grown = receive, most, grown
        self.bytes = 0

    async def __call__(self) -> dict[str, Any]:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        if self.bytes > self._most:
            raise HTTPException(413, _too_large(self._most))
        if self.bytes > SMALL_BYTES:
            self._grown()
        return message


def _too_large(most: int) -> str:
    return f"This request has more than the {most:,} bytes that it may have; send less at a time."


def _size(scope: dict[str, Any]) -> int | None:
    """Bytes of a body, if that is told."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else None


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
