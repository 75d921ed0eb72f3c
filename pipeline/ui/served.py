"""The files that the page hands out: written once, kept in one folder of ours, removed by age and bytes.

Gradio would write the same picture again, in place, for every visitor who gets it, also while another one is reading
it; :func:`hand_out` never does. And Gradio's own ``delete_cache`` forgets the files of every component that a streaming
event left unchanged, so a busy page would fill the disk. Files that belong to the page itself (icons, the stored
comparison) are always kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder
from PIL import Image

from pipeline import imagefile
from pipeline.events import Result
from pipeline.recipe import recipe_of

EVERY_S = 600
KEPT_S = 6 * 3600
MAX_BYTES = 1024**3
SMALL = 160
"""Pixels a side of a small picture: sharp at half that size on a dense screen."""


def hand_out(image: Image.Image, recipe: dict[str, Any] | None = None, name: str = "diptych.png") -> str:
    """Path of a PNG, with its recipe inside if there is one, in the folder that Gradio serves files from."""
    digest = hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes())
    digest.update(json.dumps(recipe, sort_keys=True).encode())
    path = Path(get_upload_folder()) / digest.hexdigest() / name
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{os.getpid()}-{threading.get_ident()}.tmp")
    if recipe is None:
        image.save(draft, format="PNG")
    else:
        imagefile.write(draft, image, recipe)
    draft.replace(path)
    return str(path)


def hand_out_result(result: Result) -> str:
    """A finished picture as the page hands it out: with its whole recipe, under a name that tells what it is."""
    return hand_out(result.image, recipe_of(result), imagefile.name_of(result.request))


def new_file(name: str) -> Path:
    """A place, not there yet, for a file that is made for one visitor; swept with the others."""
    return Path(get_upload_folder()) / secrets.token_hex(16) / name


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
    draft = path.with_name(f"{os.getpid()}-{threading.get_ident()}.tmp")
    small.save(draft, format="JPEG", quality=82)
    draft.replace(path)
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
    return Path(get_upload_folder()) / hashlib.sha256(str(source).encode()).hexdigest() / "small.jpg"


class ServedFiles:
    """Sweeps one folder. ``protect`` what is there once the page is built, then ``start``."""

    def __init__(self, folder: Path, kept_s: float = KEPT_S, max_bytes: int = MAX_BYTES):
        self.folder = folder
        self._kept_s = kept_s
        self._max_bytes = max_bytes
        self._own: set[Path] = set()

    def protect(self) -> None:
        """Everything that is there now belongs to the page. Files of earlier processes must have been swept before."""
        self._own = set(self._files())

    def start(self) -> None:
        """Sweep every ten minutes, in the background, until the process ends."""
        threading.Thread(target=self._run, name="sweep", daemon=True).start()

    def sweep(self, now: float | None = None) -> None:
        """Remove what is too old, then the oldest until the rest fits. Another process's page keeps its own fresh."""
        now = time.time() if now is None else now
        for path in self._own:
            with contextlib.suppress(OSError):
                os.utime(path, (now, now))
        found = []
        for path in self._files():
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        room = self._max_bytes
        for changed, size, path in sorted(found, reverse=True):
            room -= size
            if path not in self._own and (now - changed > self._kept_s or room < 0):
                with contextlib.suppress(OSError):
                    path.unlink()
                with contextlib.suppress(OSError):  # not empty yet: a later sweep takes it
                    path.parent.rmdir()

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.sweep()
