"""A SQLite file that threads and processes share, by whatever SQLite this Python came with: 3.26 will do. Knows no
table."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from pipeline.errors import PlaygroundError

LOCKED_S = 30
"""So long one waits for another that writes."""
JSON = "SELECT json_valid('{}')"
"""Built in since SQLite 3.38; before that, if whoever compiled it wanted it."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, or make it; what is committed is then on the disk. Raises sqlite3.Error, and PlaygroundError of an
    SQLite that cannot do."""
    database = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)
    database.row_factory = sqlite3.Row
    _write_ahead(database)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        database.execute(f"PRAGMA {pragma}")
    try:
        database.execute(JSON)
    except sqlite3.OperationalError:
        raise PlaygroundError(
            f"SQLite {sqlite3.sqlite_version} of this Python was built without JSON functions, by which the history is "
            "searched; use a Python with SQLite 3.38 or newer, which always has them."
        ) from None
    # SQLite's lower() knows no letter beyond ASCII.
    database.create_function("casefold", 1, str.casefold, deterministic=True)
    return database


def make_tables(database: sqlite3.Connection, schema: str) -> None:
    """``schema``: statements with a semicolon between them, which do nothing if they have been carried out before."""
    if sqlite3.sqlite_version_info < (3, 37):  # RHEL 9 has 3.34; what is written here has the right types anyway
        schema = schema.replace(" STRICT", "")
    for statement in schema.split(";"):
        database.execute(statement)


def _write_ahead(database: sqlite3.Connection) -> None:
    """Readers then wait for no writer. For this very change SQLite does not wait as it does for all else, so of two
    processes that open a new file together one would fail."""
    until = time.monotonic() + LOCKED_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # The last byte is the plain code, whatever the kind of lock.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.02)
