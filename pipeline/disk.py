"""What a person is told where a file cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import PlaygroundError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""No room on the disk, or none that this user may take."""


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
        raise PlaygroundError(
            f"{what[:1].upper()}{what[1:]} cannot be written ({error.strerror or error}); {remedy}."
        ) from error
