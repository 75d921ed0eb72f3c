"""A file that is whole or not there: written beside its place, then renamed, and nothing is left where that fails."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

DRAFT = ".tmp"
DRAFT_NAME = re.compile(rf"[0-9a-f]{{16}}{re.escape(DRAFT)}")
"""An unfinished file's; only a process that was killed leaves one."""
DRAFT_KEPT_S = 3600
"""After this, whoever was writing it was killed."""


@contextmanager
def whole_file(path: Path, *, on_disk: bool = False) -> Iterator[BinaryIO]:
    """A stream that becomes ``path``, in its existing folder, when the block has ended; readers see the old file or
    the new one. ``on_disk``: it is on the disk then, not only with the system. Raises OSError."""
    draft = path.with_name(f"{secrets.token_hex(8)}{DRAFT}")
    try:
        with draft.open("wb") as stream:
            yield stream
            if on_disk:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
