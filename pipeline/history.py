"""What was made, kept: rows in one SQLite file, pictures as PNG files with their recipe inside, under one folder.

A row is committed only after its files are whole on the disk, so whatever was told as kept survives a kill. Files
without a row are what such an end leaves behind; they are removed at a later start. Knows nothing of pages: an
``owner`` is whatever its caller says, and sees only their own rows and those of nobody ("").
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import imagefile, keeping
from pipeline.database import connect, make_tables
from pipeline.errors import InputError, PlaygroundError
from pipeline.events import Result
from pipeline.recipe import recipe_of, result_from_recipe
from pipeline.wholefile import DRAFT_KEPT_S, DRAFT_NAME, whole_file

MAX_BYTES = 2 * 10**9
PICTURE_NAME = re.compile(r"[0-9a-f]{24}\.png")
"""What :func:`new_id` makes of a picture's file."""
PAGE = 50
KINDS = ("comparison", "picture", "sweep", "vote")

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    made_at REAL NOT NULL,
    prompt TEXT NOT NULL,
    models TEXT NOT NULL,
    starred INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_age ON entries (made_at);
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    entry TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    UNIQUE (entry, place)
) STRICT;
"""

ADD_BYTES = "ALTER TABLE entries ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0"
"""To a history of before 2026-11-27, whose documents count as nothing."""

BY_OWNER = "CREATE INDEX IF NOT EXISTS entries_by_owner ON entries (owner, made_at, bytes)"
"""One visitor's entries among those of many; with ``bytes``, so that their sum reads no document."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One thing that was made: a comparison (two pictures, predecessor first), a picture, a sweep (one a cell), or a
    vote (two a pair).

    ``document`` is the one that the command line and the API give; its pictures are the files in ``files``, by their
    place in its lanes or cells.
    """

    id: str
    kind: str
    owner: str
    made_at: float
    prompt: str
    models: tuple[str, ...]
    starred: bool
    document: dict[str, Any]
    files: dict[int, Path]


class History:
    """Safe to use from any thread, and from several processes with the same folder."""

    def __init__(self, folder: Path):
        """Raises PlaygroundError if the folder or the database cannot be used."""
        self.folder = folder
        self.max_bytes = MAX_BYTES
        self._pictures = folder / "pictures"
        self._local = threading.local()
        with self._opening():
            self._pictures.mkdir(parents=True, exist_ok=True)
            with self.transaction() as database:
                make_tables(database, SCHEMA)
                if not any(row["name"] == "bytes" for row in database.execute("PRAGMA table_info(entries)")):
                    database.execute(ADD_BYTES)
                database.execute(BY_OWNER)
            self._remove_orphans()

    def make_tables(self, schema: str) -> None:
        """Those of another module, in the same file, unless they are there already. Raises PlaygroundError if the
        database cannot be used."""
        with self._opening(), self.transaction() as database:
            make_tables(database, schema)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write: all of it is on the disk when the block has ended, or nothing of it. Other modules keep their own
        tables (votes, cells) in the same file by this."""
        database = self._database()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # else SQLite has ended it itself, as where the disk is full
                database.execute("ROLLBACK")
            raise

    def write(self, statement: str, values: Sequence[Any], gone: str = "") -> None:
        """One statement, on the disk when this returns. Raises PlaygroundError if it cannot be written, and InputError,
        which says ``gone``, if that is because the entry it refers to was deleted."""
        with self._failing("kept in"):
            try:
                with self.transaction() as database:
                    database.execute(statement, values)
            except sqlite3.IntegrityError:
                if not gone:
                    raise
                raise InputError(gone) from None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Read. Raises PlaygroundError if the database cannot be read."""
        with self._failing("read from"):
            return self._database().execute(statement, values).fetchall()

    def keep(self, kind: str, document: Mapping[str, Any], results: Sequence[Result], owner: str = "") -> str:
        """:meth:`add`, unless the owner's newest entry is the very same and nothing was made for this one.

        What came whole out of the picture cache is an entry too, since the newest entry is what is found again after
        a reload; but to ask twice for the same in a row makes no second one. Returns the entry's id.
        """
        if all(result.cache == "hit" for result in results):
            wanted = [result.request for result in results]
            for newest in self.find(owner, nobodys=False, limit=1):
                if newest.kind == kind and [found.request for found in self.results(newest).values()] == wanted:
                    return newest.id
        return self.add(kind, document, results, owner)

    def add(
        self,
        kind: str,
        document: Mapping[str, Any],
        pictures: Sequence[Result | Path],
        owner: str = "",
    ) -> str:
        """Keep an entry with its pictures and return its id, by which it is found again after any restart.

        ``pictures``: results, or files of other entries, which are then the document's to name prompt and models of.
        Raises PlaygroundError if it cannot be written; nothing half-written is left.
        """
        entry = new_id()
        requests = [picture.request for picture in pictures if isinstance(picture, Result)]
        models = list(dict.fromkeys([request.model for request in requests] or document.get("models", [])))
        prompt = requests[0].prompt if requests else str(document.get("prompt", ""))
        text = json.dumps(dict(document))  # all of it ASCII
        saved: list[tuple[str, int]] = []
        with self._failing("kept in"):
            try:
                for place, picture in enumerate(pictures):
                    saved.append(self._save(picture, pictures[:place]))
                with self.transaction() as database:
                    database.execute(
                        "INSERT INTO entries (id, kind, owner, made_at, prompt, models, document, bytes) "
                        "VALUES (?,?,?,?,?,?,?,?)",
                        (entry, kind, owner, time.time(), prompt, json.dumps(models), text, len(text)),
                    )
                    for place, (picture, size) in enumerate(saved):
                        put_picture(database, entry, place, picture, size)
            except BaseException:
                for picture, _ in saved:
                    self.drop_picture(picture)
                raise
        try:
            self.keep_to_limit(entry)
        except (OSError, sqlite3.Error, PlaygroundError):  # the entry itself is kept
            log.exception("older entries could not be removed")
        return entry

    def save_picture(self, result: Result) -> tuple[str, int]:
        """Write a picture, wholly on the disk when this returns, and give its id and bytes. Until a row names it
        (:func:`put_picture`) it is an orphan."""
        picture = new_id()
        path = self._path(picture)
        with whole_file(path, on_disk=True) as stream:
            imagefile.write(stream, result.image, recipe_of(result))
        return picture, path.stat().st_size

    def _save(self, given: Result | Path, before: Sequence[Result | Path]) -> tuple[str, int]:
        """:meth:`save_picture`; of a kept one one more name, which outlives the first and costs no time. Bytes of what
        is in ``before`` are counted already."""
        if isinstance(given, Result):
            return self.save_picture(given)
        kept, picture = given, new_id()
        path = self._path(picture)
        os.utime(kept)  # one file under two names has one age, and an old one without a row is an orphan
        try:
            os.link(kept, path)
        except OSError:  # a file system without hard links
            shutil.copyfile(kept, path)
        return picture, 0 if kept in before else path.stat().st_size

    def get(self, entry: object, owner: str | None = None, *, nobodys: bool = True) -> Entry:
        """The entry of this id. ``owner``: who asks (None: anybody), and whether they may see what is nobody's.

        Raises InputError if there is none for them.
        """
        found = self.rows("SELECT * FROM entries WHERE id = ?", (entry,)) if isinstance(entry, str) else []
        if not found or (owner is not None and found[0]["owner"] not in _owners(owner, nobodys)):
            raise InputError("There is no such entry in the history; it may have been deleted.")
        return self._entry(found[0])

    def results(self, entry: Entry) -> dict[int, Result]:
        """The pictures of an entry as results, by place; those whose file is gone or damaged are left out."""
        found = {}
        for place, path in entry.files.items():
            with contextlib.suppress(OSError, InputError):
                found[place] = result_from_recipe(*imagefile.read(path))
        return found

    def find(self, owner: str | None = None, *, nobodys: bool = True, limit: int = PAGE, **filters: Any) -> list[Entry]:
        """Newest first. ``owner``, ``nobodys``: as in :meth:`get`. ``filters``: see :func:`_where`."""
        where, values = _where(owner, nobodys, **filters)
        # Only texts of this module are put into the statement, never a value.
        statement = f"SELECT * FROM entries WHERE {where} ORDER BY made_at DESC LIMIT ?"  # noqa: S608
        return [self._entry(row) for row in self.rows(statement, (*values, limit))]

    def kinds(self, owner: str | None = None, *, nobodys: bool = True, **filters: Any) -> dict[str, int]:
        """How many entries of each kind :meth:`find` would give without a limit."""
        where, values = _where(owner, nobodys, **filters)
        statement = f"SELECT kind, count(*) AS number FROM entries WHERE {where} GROUP BY kind"  # noqa: S608
        return {row["kind"]: row["number"] for row in self.rows(statement, values)}

    def star(self, entry: str, starred: bool) -> None:
        """A starred entry is removed for room only when its owner has no others left."""
        self.write("UPDATE entries SET starred = ? WHERE id = ?", (int(starred), entry))

    def delete(self, *entries: str) -> None:
        """Remove entries, whatever other tables say of them, and their files."""
        files: list[str] = []
        with self._failing("deleted from"):
            with self.transaction() as database:
                for entry in entries:
                    found = database.execute("SELECT id FROM pictures WHERE entry = ?", (entry,))
                    files += [row["id"] for row in found]
                    database.execute("DELETE FROM entries WHERE id = ?", (entry,))
            with contextlib.ExitStack() as each:  # one that cannot be removed keeps no other
                for picture in files:
                    each.callback(self.drop_picture, picture)

    def drop_picture(self, picture: str) -> None:
        """Remove a saved picture that no row names, nor ever will."""
        self._path(picture).unlink(missing_ok=True)

    def used_bytes(self) -> int:
        """Bytes of all kept pictures and documents."""
        tables = "SELECT bytes FROM pictures UNION ALL SELECT bytes FROM entries"
        return self.rows(f"SELECT coalesce(sum(bytes), 0) AS total FROM ({tables})")[0]["total"]  # noqa: S608

    def keep_to_limit(self, newest: str) -> None:
        """Make room if the history is full: see :mod:`pipeline.keeping`. Never of ``newest``, to which something was
        just added."""
        used = self.used_bytes()
        if used > self.max_bytes:
            voted = self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'votes'")
            rows = self.rows(keeping.IN_ORDER.format(answered=keeping.ANSWERED if voted else "0"))
            self.delete(*keeping.going(rows, newest, used - keeping.LEFT * self.max_bytes, time.time()))

    def _remove_orphans(self) -> None:
        """Files of ours that no row names, left by a process that was killed; not those another is writing now, nor a
        person's own."""
        known = {row["id"] for row in self.rows("SELECT id FROM pictures")}
        for path in self._pictures.iterdir():
            with contextlib.suppress(OSError):
                ours = PICTURE_NAME.fullmatch(path.name) or DRAFT_NAME.fullmatch(path.name)
                if ours and path.stem not in known and time.time() - path.stat().st_mtime > DRAFT_KEPT_S:
                    path.unlink()

    def _entry(self, row: sqlite3.Row) -> Entry:
        pictures = self.rows("SELECT place, id FROM pictures WHERE entry = ? ORDER BY place", (row["id"],))
        return Entry(
            id=row["id"],
            kind=row["kind"],
            owner=row["owner"],
            made_at=row["made_at"],
            prompt=row["prompt"],
            models=tuple(json.loads(row["models"])),
            starred=bool(row["starred"]),
            document=json.loads(row["document"]),
            files={picture["place"]: self._path(picture["id"]) for picture in pictures},
        )

    def _path(self, picture: str) -> Path:
        return self._pictures / f"{picture}.png"

    def _database(self) -> sqlite3.Connection:
        """One connection a thread."""
        if not hasattr(self._local, "database"):
            self._local.database = connect(self.folder / "history.sqlite")
        return self._local.database

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise PlaygroundError(
                f"The history in {self.folder} cannot be opened ({error}); choose another --data."
            ) from error

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        """What fails in the block is one PlaygroundError, also in other modules' tables."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise PlaygroundError(
                f"This could not be {what} the history ({error}); see that {self.folder} has room and can be written."
            ) from error


def new_id() -> str:
    """An id that nobody guesses: who has it may see what it names."""
    return secrets.token_hex(12)  # never begins with a hyphen, which a command line would take for an option


def _owners(owner: str, nobodys: bool) -> tuple[str, str]:
    return (owner, "" if nobodys else owner)


def _where(
    owner: str | None,
    nobodys: bool,
    *,
    text: str = "",
    kind: str | None = None,
    pair: str | None = None,
    model: str | None = None,
    sweep: str | None = None,
    starred: bool = False,
) -> tuple[str, list[Any]]:
    """A condition on entries and its values. ``text``: every word of it is in the prompt. ``sweep``: votes on the
    sweep of this id."""
    wheres, values = ["1"], []
    if owner is not None:
        owners = set(_owners(owner, nobodys))
        # With nobody's, nearly all entries are the owner's: found by age, which the + keeps to, and not all sorted.
        wheres, values = [*wheres, "owner = ?" if len(owners) == 1 else "+owner IN (?, ?)"], [*values, *owners]
    for word in text.split():
        wheres, values = [*wheres, "instr(casefold(prompt), casefold(?)) > 0"], [*values, word]
    for column, value in (("kind", kind), ("starred", int(starred) or None)):
        if value is not None:
            wheres, values = [*wheres, f"{column} = ?"], [*values, value]
    for key, value in (("pair", pair), ("sweep.id", sweep)):
        if value is not None:
            wheres, values = [*wheres, f"json_extract(document, '$.{key}') = ?"], [*values, value]
    if model is not None:
        wheres, values = [*wheres, "EXISTS (SELECT 1 FROM json_each(models) WHERE value = ?)"], [*values, model]
    return " AND ".join(wheres), values


def put_picture(database: sqlite3.Connection, entry: str, place: int, picture: str, size: int) -> None:
    """Name a saved picture as the one at ``place`` of an entry, within a transaction."""
    database.execute("INSERT INTO pictures (id, entry, place, bytes) VALUES (?,?,?,?)", (picture, entry, place, size))
