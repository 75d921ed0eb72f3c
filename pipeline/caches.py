"""Two caches, both bounded by bytes: prompt embeddings in memory, finished pictures on disk.

A picture's key is its full recipe: the request, the exact weights, device, dtype and library versions. So an upgrade
of anything simply misses, and a hit is the very picture that a new run would make. Not so of a provider's model that
takes no seed: a hit is one of its pictures for this request, and a new run would draw another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline import imagefile
from pipeline.errors import InputError
from pipeline.wholefile import DRAFT_KEPT_S, DRAFT_NAME, whole_file

PICTURE_NAME = re.compile(r"[0-9a-f]{64}\.png")
"""A picture's of ours. The folder may be one that somebody named and has other files in: nothing else is counted
there, or removed, but our drafts."""


class ByteLRU:
    """Least recently used goes first, counted in bytes. Not thread-safe: the engine uses it under the lock."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        """The value, now the most recently used; None if absent."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> list[Any]:
        """Keep ``value``; returns the keys that had to go. One that is larger than the whole cache goes itself."""
        self.drop(key)
        if size > self.max_bytes:
            return [key]
        self._entries[key] = (value, size)
        self.used_bytes += size
        gone = []
        while self.used_bytes > self.max_bytes:
            gone.append(next(iter(self._entries)))
            self.drop(gone[-1])
        return gone

    def drop(self, key: Hashable) -> None:
        """Forget it, if it is there."""
        self.used_bytes -= self._entries.pop(key, (None, 0))[1]

    def clear(self) -> None:
        self._entries.clear()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)


def recipe_key(recipe: dict) -> str:
    """A stable name for a recipe: SHA-256 of its canonical JSON."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ImageCache:
    """Finished pictures as PNG files with their recipe inside, oldest use first to go."""

    def __init__(self, folder: Path, max_bytes: int = 512 * 1024**2):
        self.folder = folder
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: ByteLRU | None = None

    def get(self, key: str) -> tuple[Image.Image, dict] | None:
        """Picture and recipe, or None. A file that cannot be read counts as absent and is removed."""
        path = self._path(key)
        try:
            found = imagefile.read(path)
        except FileNotFoundError:
            return None
        except (OSError, InputError):
            self._remove(key)
            return None
        with contextlib.suppress(OSError):  # a read-only disk still serves what it holds
            os.utime(path)
        with self._lock:
            self._index().get(key)
        return found

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def put(self, key: str, image: Image.Image, recipe: dict) -> None:
        """Write the picture. A full or read-only disk only means that nothing is cached."""
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as stream:
                imagefile.write(stream, image, recipe)
            size = path.stat().st_size
        except OSError:
            return
        with self._lock:
            self._unlink(self._index().put(key, None, size))

    def _remove(self, key: str) -> None:
        self._unlink([key])
        with self._lock:
            self._index().drop(key)

    def _unlink(self, keys: Iterable[str]) -> None:
        for key in keys:
            with contextlib.suppress(OSError):
                self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.png"

    def _index(self) -> ByteLRU:
        """The keys of what is on the disk, with their bytes; read from there once."""
        if self._kept is None:
            self._kept, found = ByteLRU(self.max_bytes), []
            for path in self.folder.glob("*"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    if PICTURE_NAME.fullmatch(path.name):
                        found.append((status.st_mtime, path.stem, status.st_size))
                    elif DRAFT_NAME.fullmatch(path.name) and time.time() - status.st_mtime > DRAFT_KEPT_S:
                        path.unlink()
            for _, key, size in sorted(found):
                self._unlink(self._kept.put(key, None, size))
        return self._kept
