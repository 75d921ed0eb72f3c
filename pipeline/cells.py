"""The finished cells of sweeps: one row each beside the history's own, in the same file and the same transaction.

A cell's picture and row are committed together, before anybody is told of it; so whatever was shown as done is there
after a kill. Deleting the entry removes them. Knows nothing of plans or pages.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError, PlaygroundError
from pipeline.events import Result
from pipeline.history import History, put_picture

SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    document TEXT NOT NULL,
    fidelity TEXT,
    UNIQUE (entry, place)
) STRICT
"""
"""``number`` grows in the order in which cells are finished."""


@dataclass(frozen=True)
class Cell:
    """A finished cell. ``fidelity`` is as it was put."""

    place: int
    document: dict[str, Any]
    fidelity: dict[str, Any] | None


class Cells:
    """Safe to use from any thread and from several processes, as the history is."""

    def __init__(self, history: History):
        self._history = history
        history.make_tables(SCHEMA)

    def add(self, entry: str, place: int, result: Result, document: Mapping[str, Any]) -> Cell:
        """Keep a finished cell. When this returns it is on the disk, picture and all.

        If another process has made the same cell meanwhile, that one is returned and stays. Raises InputError if the
        entry was deleted and PlaygroundError if the cell cannot be written; nothing half-written is left.
        """
        history, picture, text = self._history, None, json.dumps(dict(document))
        try:
            picture, size = history.save_picture(result)
            with history.transaction() as database:
                put_picture(database, entry, place, picture, size + len(text))
                database.execute(
                    "INSERT INTO cells (entry, place, document) VALUES (?,?,?)",
                    (entry, place, text),
                )
        except sqlite3.IntegrityError:
            history.drop_picture(picture)
            if place in self.places(entry):
                return self.at(entry, place)
            raise InputError("This sweep was deleted from the history, so it has stopped.") from None
        except (OSError, sqlite3.Error) as error:
            if picture is not None:
                history.drop_picture(picture)
            raise PlaygroundError(
                f"A cell could not be kept in the history ({error}); see that {history.folder} has room, then resume."
            ) from error
        with contextlib.suppress(OSError, sqlite3.Error, PlaygroundError):  # the cell itself is kept
            history.keep_to_limit(entry)
        return self.at(entry, place)

    def of(self, entry: str) -> list[Cell]:
        """The entry's cells in the order they were finished."""
        rows = self._history.rows("SELECT * FROM cells WHERE entry = ? ORDER BY number", (entry,))
        return [_cell(row) for row in rows]

    def at(self, entry: str, place: object) -> Cell:
        """One cell. Raises InputError if it is not there."""
        rows = (
            self._history.rows("SELECT * FROM cells WHERE entry = ? AND place = ?", (entry, place))
            if isinstance(place, int)
            else []
        )
        if not rows:
            raise InputError("There is no such cell in this sweep; it may not be finished, or was deleted.")
        return _cell(rows[0])

    def places(self, entry: str) -> set[int]:
        """Which cells are done."""
        return {row["place"] for row in self._history.rows("SELECT place FROM cells WHERE entry = ?", (entry,))}

    def put_fidelity(self, entry: str, place: int, fidelity: Mapping[str, Any]) -> None:
        """Keep what comparing a cell with another has given, since that costs more than to read it. Raises
        PlaygroundError if it cannot be written."""
        self._history.write(
            "UPDATE cells SET fidelity = ? WHERE entry = ? AND place = ?", (json.dumps(dict(fidelity)), entry, place)
        )


def _cell(row: sqlite3.Row) -> Cell:
    fidelity = json.loads(row["fidelity"]) if row["fidelity"] else None
    return Cell(row["place"], json.loads(row["document"]), fidelity)
