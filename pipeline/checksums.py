"""SHA256SUMS beside bundled weights: written at export, compared before every load."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from pipeline.cards import ASSETS, ModelCard
from pipeline.errors import ModelError

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of what is loaded from ``folder``, in the format of sha256sum, for :func:`check_files`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (SUMS, "README.md"))
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_once(path: Path, size: int, mtime_ns: int) -> str:
    """Read only when the file's size or time is new: the Models tab and every load ask for all files."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_files(card: ModelCard) -> str:
    """Compare a bundled model's files with the SHA256SUMS beside them and return a fingerprint of all of them.

    The fingerprint stands in for a Hub revision: it changes when any weight or setting changes.
    Raises ModelError naming the first file that is missing or damaged.
    """
    folder = card.folder
    sums = folder / SUMS
    file = sums
    try:
        listing = sums.read_text(encoding="utf-8")
        for line in listing.splitlines():
            expected, _, name = line.partition("  ")
            file = folder / name
            if _sha256(file) != expected:
                raise _broken(card, "has a damaged file", file)
    except FileNotFoundError:
        raise _broken(card, "lacks its file", file) from None
    except (OSError, ValueError):
        raise _broken(card, "has a file that cannot be read:", file) from None
    return hashlib.sha256(listing.encode()).hexdigest()


def _broken(card: ModelCard, what: str, file: Path) -> ModelError:
    """Names the file from the repository's root: a page shows this, and need not tell where the repository lies."""
    shown = file.relative_to(ASSETS.parent) if file.is_relative_to(ASSETS.parent) else file.name
    return ModelError(f"{card.name} {what} {shown}; restore it with: git checkout -- assets/models")
