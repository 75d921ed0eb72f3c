"""A file that several processes open at once, and SQLites that are not the newest."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest

from pipeline import database as module
from pipeline.cells import Cells
from pipeline.database import connect
from pipeline.errors import PlaygroundError
from pipeline.history import History
from pipeline.sweep_judging import Judging
from pipeline.sweep_run import Sweeps
from pipeline.votes import Votes


def writing(path) -> sqlite3.Connection:
    """Another process that is in the midst of making the same new file."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE begun (it)")
    other.execute("BEGIN IMMEDIATE")
    return other


def test_of_two_that_open_a_new_file_together_one_waits_for_the_other(tmp_path):
    """SQLite by itself fails here at once, however long it is told to wait."""
    other = writing(tmp_path / "history.sqlite")
    end = threading.Timer(0.3, other.execute, ["COMMIT"])
    began = time.monotonic()
    end.start()
    database = connect(tmp_path / "history.sqlite")
    end.join()
    assert time.monotonic() - began >= 0.3
    assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_who_never_ends_is_waited_for_no_longer_than_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOCKED_S", 0.2)
    other = writing(tmp_path / "history.sqlite")
    with pytest.raises(PlaygroundError, match=r"cannot be opened \(database is locked\); choose another --data"):
        History(tmp_path)
    other.execute("COMMIT")
    assert History(tmp_path).find() == []


def test_what_is_no_lock_is_not_waited_for():
    class ReadOnly:
        def execute(self, _: str) -> None:
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY
            raise error

    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        module._write_ahead(ReadOnly())
    assert time.monotonic() - began < module.LOCKED_S / 2


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "history.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(PlaygroundError, match=r"cannot be opened \(file is not a database\); choose another --data"):
        History(tmp_path)


@pytest.mark.parametrize("version, strict", [((3, 34, 1), False), ((3, 37, 0), True)])
def test_strict_tables_are_made_where_sqlite_has_them(catalog, engine, tmp_path, monkeypatch, version, strict):
    """Python 3.11 on RHEL 9 has SQLite 3.34, which knows no such word."""
    if strict > (sqlite3.sqlite_version_info >= (3, 37)):
        pytest.skip("this SQLite has none")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    history = History(tmp_path)
    Judging(Sweeps(catalog, engine, history)), Votes(history)
    made = {
        row["name"]: "STRICT" in row["sql"]
        for row in history.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith("sqlite_")
    }
    assert made == dict.fromkeys(("entries", "pictures", "cells", "votes", "judges", "scores"), strict)


def test_an_sqlite_without_json_is_one_sentence_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "JSON", "SELECT json_missing('{}')")
    with pytest.raises(PlaygroundError, match=r"was built without JSON .* use a Python with SQLite 3\.38 or newer"):
        History(tmp_path)


def test_a_module_whose_tables_cannot_be_made_says_so_as_the_history_does(catalog, engine, tmp_path):
    history = History(tmp_path / "history")
    (pages,) = history.rows("PRAGMA page_count")[0]
    history.rows(f"PRAGMA max_page_count = {pages}")
    sweeps = Sweeps(catalog, engine, History(tmp_path / "another"))
    sweeps.history = history
    for make in (lambda: Cells(history), lambda: Votes(history), lambda: Judging(sweeps)):
        with pytest.raises(PlaygroundError, match=r"history cannot be opened \(database or disk is full\); choose"):
            make()
