"""Places on the disk that a person named: where they are, and what is told where a file cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.wording import raised

FULL = (errno.ENOSPC, errno.EDQUOT)
"""No room on the disk, or none that this user may take."""


def place_of(given: str | Path) -> Path:
    """A file or folder as a person named it, absolute; it need not be there. Raises InputError if it cannot be: no
    such home, too long a name, a folder that this user may not look into."""
    try:
        place = Path(given).expanduser().absolute()
        place.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown(str(given))} is no place that can be used here ({said}); name another.") from error
    return place


@contextmanager
def writing(what: str, remedy: str) -> Iterator[None]:
    """An OSError of the block as a PlaygroundError: ``what`` cannot be written, since the disk is full, or else why,
    and then ``remedy``: what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise PlaygroundError(
                f"The disk is full, so {what} cannot be written; make room on it and try again."
            ) from error
        raise PlaygroundError(f"{raised(what)} cannot be written ({error.strerror or error}); {remedy}.") from error
