"""The files that the page hands out: written once, kept in one folder of ours, removed by age and bytes.

Gradio would write the same picture again, in place, for every visitor who gets it, also while another one is reading
it; :func:`hand_out` never does. And Gradio's own ``delete_cache`` forgets the files of every component that a streaming
event left unchanged, so a busy page would fill the disk. Files that belong to the page itself (icons, the stored
comparison) are always kept. What visitors upload lies apart, so that it pushes out nothing of ours, and is bounded as
it comes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse

from pipeline import imagefile
from pipeline.events import Result
from pipeline.recipe import recipe_of
from pipeline.wholefile import whole_file

MADE = "made"
KEPT_S = 6 * 3600
MAX_BYTES = 1024**3
EVERY_S = 600
UPLOADS_KEPT_S = 600
UPLOADS_BYTES = 50 * 1024**2
UPLOADS_EVERY_S = 15
UPLOAD_BYTES = 11 * 1024**2
"""One file of 10 MB, the most that the page takes, and the form around it."""
BODY_BYTES = 2 * 1024**2
"""Of a request that is no upload. None is larger than a sweep's prompts: 100,000 characters, 1.2 MB where a program
escapes every one as two times six bytes."""
UNUSED = ("process_recording", "component_server")
BLOCK = 4096
"""Bytes that the smallest file takes on a disk."""
SMALL = 160
"""Pixels a side of a small picture: sharp at half that size on a dense screen."""

log = logging.getLogger(__name__)


def hand_out(image: Image.Image, recipe: dict[str, Any] | None = None, name: str = "diptych.png") -> str:
    """Path of a PNG, with its recipe inside if there is one, in the folder that Gradio serves files from."""
    digest = hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes())
    digest.update(json.dumps(recipe, sort_keys=True).encode())
    path = _made() / digest.hexdigest()[:32] / name
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        if recipe is None:
            image.save(stream, format="PNG")
        else:
            imagefile.write(stream, image, recipe)
    return str(path)


def hand_out_result(result: Result) -> str:
    """A finished picture as the page hands it out: with its whole recipe, under a name that tells what it is."""
    return hand_out(result.image, recipe_of(result), imagefile.name_of(result.request))


def new_file(name: str) -> Path:
    """A place, not there yet, for a file that is made for one visitor; swept with the others."""
    return _made() / secrets.token_hex(16) / name


def hand_out_small(source: Path) -> str:
    """Path of a small JPEG of a kept picture, made when it is first wanted. Raises OSError if it cannot be read."""
    path = _small(source)
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return str(path)
    with Image.open(source) as image:
        small = image.convert("RGB")
    small.thumbnail((SMALL, SMALL))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        small.save(stream, format="JPEG", quality=82)
    return str(path)


def address(source: Path) -> str | None:
    """Where a browser finds the small picture of a kept one; relative, so that it holds under any root path. None if
    the file is gone."""
    try:
        return address_of(hand_out_small(source))
    except OSError:
        return None


def address_of(path: str) -> str:
    """Where a browser finds a file that was handed out, relative as :func:`address`."""
    return f"{API_PREFIX.lstrip('/')}/file={quote(path)}"


def take_back_small(source: Path) -> None:
    """Remove the small picture of one that is deleted."""
    with contextlib.suppress(OSError):
        _small(source).unlink()
        _small(source).parent.rmdir()


def _small(source: Path) -> Path:
    """Named by the kept file, whose content never changes."""
    return _made() / hashlib.sha256(str(source).encode()).hexdigest()[:32] / "small.jpg"


def _made() -> Path:
    """Our own part of the folder that Gradio serves; beside it lies what visitors upload."""
    return Path(get_upload_folder()) / MADE


class ServedFiles:
    """Sweeps one folder. ``protect`` the page's own files once it is built, then ``start``."""

    def __init__(
        self,
        folder: Path,
        kept_s: float = KEPT_S,
        max_bytes: int = MAX_BYTES,
        every_s: float = EVERY_S,
        without: Path | None = None,
    ):
        """``without``: a folder in it that is none of ours."""
        self.folder = folder
        self.max_bytes = max_bytes
        self.used_bytes = 0
        """After the last sweep, and what was added since."""
        self._lock = threading.Lock()
        self._kept_s = kept_s
        self._every_s = every_s
        self._without = without
        self._own: set[Path] = set()

    def protect(self, page: str) -> None:
        """What the page's configuration names belongs to the page. Every file lies in a folder whose name is a hash.

        Not what is new: Gradio's copy of an icon is as old as the icon, or is one that an earlier process left.
        """
        self._own |= {path for path in self._files() if path.parent.name in page}

    def start(self) -> None:
        """Sweep again and again, in the background, until the process ends."""
        threading.Thread(target=self._run, name="sweep", daemon=True).start()

    def add(self, size: int) -> None:
        """Count what has just been written, until a sweep has looked at it."""
        with self._lock:
            self.used_bytes += size

    def sweep(self, now: float | None = None) -> None:
        """Remove what is too old, then the oldest until the rest fits. Another process's page keeps its own fresh."""
        now, before = time.time() if now is None else now, self.used_bytes
        for path in self._own:
            with contextlib.suppress(OSError):
                os.utime(path, (now, now))
        found = []
        for path in self._files():
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, max(status.st_size, BLOCK), path))
        newer = used = 0
        for changed, size, path in sorted(found, reverse=True):
            newer += size
            if path in self._own or (now - changed <= self._kept_s and newer <= self.max_bytes):
                used += size
                continue
            with contextlib.suppress(OSError):
                path.unlink()
            with contextlib.suppress(OSError):  # not empty yet: a later sweep takes it
                path.parent.rmdir()
        self.add(used - before)  # what was added meanwhile stays: its folder may have been passed already

    def _files(self) -> list[Path]:
        """What vanishes meanwhile, as another process's sweep makes it, is passed over (``rglob`` of 3.11 raises)."""
        found = []
        for parent, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(parent, name) != self._without]
            found += [Path(parent, name) for name in names]
        return found

    def _run(self) -> None:
        while True:
            time.sleep(self._every_s)
            try:
                self.sweep()
            except Exception:  # whatever it was, the next one shall come
                log.exception("the served files could not be swept")


def served_folders(folder: Path) -> tuple[ServedFiles, ServedFiles]:
    """Of the folder that Gradio serves files from what we make, and what visitors upload."""
    made = folder / MADE
    uploads = ServedFiles(folder, UPLOADS_KEPT_S, UPLOADS_BYTES, UPLOADS_EVERY_S, without=made)
    return ServedFiles(made), uploads


class RequestLimit:
    """ASGI middleware. Anybody may upload, since a picture can be dropped on the page, and nobody may fill the disk
    with it, nor the memory with any other request: refuses what is larger than a picture, or any other request, may be,
    and breaks off what turns out to be while it arrives; refuses an upload that does not say how large it is, and all
    uploads while the last ones take twice the room of theirs, which the next sweep ends. Refuses Gradio's other ways to
    send files, too, which the page has no use for."""

    def __init__(self, app: Callable[..., Awaitable[None]], uploads: ServedFiles):
        self._app, self._uploads = app, uploads
        self._coming = 0
        """Bytes of uploads that are under way."""

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        upload = _last(scope["path"]) == "upload"
        length = dict(scope["headers"]).get(b"content-length", b"")
        size = int(length) if length.isdigit() else UPLOAD_BYTES + 1 if upload else 0
        body = _Body(receive, size if upload else BODY_BYTES)
        if _last(scope["path"]) in UNUSED:
            await PlainTextResponse("This page takes no such files.", 404)(scope, receive, send)
        elif upload and size > UPLOAD_BYTES:
            await PlainTextResponse("One file of at most 10 MB can be uploaded at a time.", 413)(scope, receive, send)
        elif not upload and size > BODY_BYTES:
            await JSONResponse({"detail": _too_large(BODY_BYTES)}, 413)(scope, receive, send)  # which the page shows
        elif not upload:
            await self._app(scope, body, send)
        elif self._uploads.used_bytes + self._coming + size > 2 * self._uploads.max_bytes:
            await PlainTextResponse("Too much is being uploaded; try again in a minute.", 503)(scope, receive, send)
        else:
            self._coming += size
            try:
                await self._app(scope, body, send)
            finally:
                self._coming -= size
                self._uploads.add(body.bytes)


class _Body:
    """An ASGI ``receive`` that counts, and ends a body of more than ``most`` bytes: one that comes in chunks tells its
    size nowhere else. The error is one that the app answers, since it is raised where the app reads."""

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]], most: int):
        self._receive, self._most = receive, most
        self.bytes = 0

    async def __call__(self) -> dict[str, Any]:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        if self.bytes > self._most:
            raise HTTPException(413, _too_large(self._most))
        return message


def _too_large(most: int) -> str:
    return f"This request has more than the {most:,} bytes that it may have; send less at a time."


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
