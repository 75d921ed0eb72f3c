"""The files that the page hands out: written once, kept in one folder of ours, removed by age and bytes.

Gradio would write the same picture again, in place, for every visitor who gets it, also while another one is reading
it; :func:`hand_out` never does. And Gradio's own ``delete_cache`` forgets the files of every component that a streaming
event left unchanged, so a busy page would fill the disk. Files that belong to the page itself (icons, the stored
comparison) are always kept. What visitors upload lies apart, so that it pushes out nothing of ours, and is bounded as
it comes (pipeline.ui.request_limit).
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder
from PIL import Image

from pipeline import imagefile
from pipeline.disk import writing
from pipeline.events import Result
from pipeline.recipe import recipe_of
from pipeline.wholefile import whole_file

MADE, REPORTS = "made", "reports"
KEPT_S = 6 * 3600
MAX_BYTES = 1024**3
REPORTS_BYTES = MAX_BYTES // 2
"""Of all reports; more than the largest has."""
EVERY_S = 600
UPLOADS_KEPT_S = 600
UPLOADS_BYTES = 50 * 1024**2
UPLOADS_EVERY_S = 15
BLOCK = 4096
"""Bytes that the smallest file takes on a disk."""
SMALL = 160
"""Pixels a side of a small picture: sharp at half that size on a dense screen."""

log = logging.getLogger(__name__)


def hand_out(image: Image.Image, recipe: dict[str, Any] | None = None, name: str = "diptych.png") -> str:
    """Path of a PNG, with its recipe inside if there is one, in the folder that Gradio serves files from.

    Raises PlaygroundError, with what to do, if it cannot be written: a disk can be full.
    """
    digest = hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes())
    digest.update(json.dumps(recipe, sort_keys=True).encode())
    path = _made() / digest.hexdigest()[:32] / name
    if _there(path):
        return str(path)
    with _served(path) as stream:
        if recipe is None:
            image.save(stream, format="PNG")
        else:
            imagefile.write(stream, image, recipe)
    return str(path)


def hand_out_result(result: Result) -> str:
    """A finished picture as the page hands it out: with its whole recipe, under a name that tells what it is."""
    return hand_out(result.image, recipe_of(result), imagefile.name_of(result.request))


def new_file(name: str) -> Path:
    """A place, not there yet, for a report that is made for one visitor; see :func:`keep_report`."""
    return _made() / REPORTS / secrets.token_hex(16) / name


def keep_report(path: Path) -> str:
    """Where a :func:`new_file`, written by now, is from now on: named by its content, so that the same one takes no
    room again. The oldest reports go at once where all take too much: nobody's clicks fill the disk until the next
    sweep, nor push out what others have on their pages. Raises OSError."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:32]
    kept = _made() / REPORTS / digest / path.name
    if _there(kept):
        path.unlink()
    else:
        kept.parent.mkdir(exist_ok=True)
        path.replace(kept)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
    ServedFiles(_made() / REPORTS, max_bytes=REPORTS_BYTES).sweep()
    return str(kept)


def hand_out_small(source: Path) -> str:
    """Path of a small JPEG of a kept picture, made when it is first wanted. Raises OSError if that cannot be read, and
    PlaygroundError as :func:`hand_out`."""
    path = _small(source)
    if _there(path):
        return str(path)
    with Image.open(source) as image:
        small = image.convert("RGB")
    small.thumbnail((SMALL, SMALL))
    with _served(path) as stream:
        small.save(stream, format="JPEG", quality=82)
    return str(path)


def _there(path: Path) -> bool:
    """Whether it is; then it is young again."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _served(path: Path) -> Iterator[BinaryIO]:
    with writing("the page's files", "choose another folder with --data"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as stream:
            yield stream


def address(source: Path) -> str | None:
    """Where a browser finds the small picture of a kept one; relative, so that it holds under any root path. None if
    the file is gone or damaged. Raises PlaygroundError as :func:`hand_out`."""
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
