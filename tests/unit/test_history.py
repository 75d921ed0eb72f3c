"""What was made is found again: rows, files, owners, limits, and the end of a process in the middle of it."""

from __future__ import annotations

import json
import os
import sqlite3
import time

import pytest

from pipeline import imagefile, keeping
from pipeline.errors import InputError, PlaygroundError
from pipeline.events import final_results
from pipeline.history import History, new_id
from pipeline.keeping import LEFT
from pipeline.recipe import recipe_of
from pipeline.request import make_request


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


def room_for(size: float) -> int:
    """A limit that so many bytes are just below when room was made, and that more are above."""
    return int((size + 1) / LEFT)


def age(history: History, entry: str, days: float) -> None:
    with history.transaction() as database:
        database.execute("UPDATE entries SET made_at = made_at - ? WHERE id = ?", (days * 24 * 3600, entry))


@pytest.fixture
def made(engine):
    def make(prompt: str = "a red apple", *models: str):
        cards = [engine.catalog.model(model) for model in models or ("old", "new")]
        return final_results(engine.run([make_request(card, prompt, seed=7) for card in cards]))

    return make


def test_an_entry_comes_back_after_a_restart_with_the_very_pictures(history, made):
    results = made()
    entry = history.add("comparison", {"pair": "both"}, results)
    again = History(history.folder).get(entry)
    assert (again.kind, again.prompt, again.models) == ("comparison", "a red apple", ("old", "new"))
    assert again.document == {"pair": "both"}
    back = history.results(again)
    assert [back[place].image.tobytes() for place in (0, 1)] == [result.image.tobytes() for result in results]
    assert recipe_of(back[0]) == recipe_of(results[0])


def test_the_newest_comes_first_and_words_models_and_stars_filter(history, made):
    apple = history.add("comparison", {}, made("a red apple"))
    cat = history.add("picture", {}, made("a Red cat", "new"))
    history.star(apple, True)

    def ids(**filters):
        return [entry.id for entry in history.find(**filters)]

    assert ids() == [cat, apple]
    assert ids(text="red") == [cat, apple]
    assert ids(text="APPLE red") == [apple]
    assert ids(text="%") == []
    street = history.add("picture", {}, made("ÄRGER in der Straße", "new"))
    assert ids(text="ärger STRASSE") == [street] and history.kinds(text="Ärger") == {"picture": 1}
    history.delete(street)
    assert ids(model="old") == [apple]
    assert ids(kind="picture") == [cat]
    assert ids(starred=True) == [apple]
    assert ids(limit=1) == [cat]
    assert history.kinds() == {"comparison": 1, "picture": 1}
    assert history.kinds(text="red cat") == {"picture": 1} and history.kinds(starred=True) == {"comparison": 1}
    assert history.kinds("me", nobodys=False) == {}


def test_an_owner_sees_his_own_and_nobodys(history, made):
    results = made()
    mine, theirs, nobodys = (history.add("comparison", {}, results, owner) for owner in ("me", "you", ""))
    assert {entry.id for entry in history.find("me")} == {mine, nobodys}
    with pytest.raises(InputError, match="no such entry"):
        history.get(theirs, "me")
    assert history.get(nobodys, "me").id == nobodys


def test_an_id_is_no_option_of_a_command_line():
    assert not [made for made in (new_id() for _ in range(1000)) if made.startswith("-")]


@pytest.mark.parametrize("entry", ["missing", None, 7, "' OR 1 --"])
def test_what_is_not_there_is_one_sentence(history, entry):
    with pytest.raises(InputError, match="no such entry"):
        history.get(entry)


def test_delete_frees_the_files(history, made):
    entry = history.add("comparison", {}, made())
    files = list(history.get(entry).files.values())
    written = sum(file.stat().st_size for file in files) + len(json.dumps(history.get(entry).document))
    assert all(file.is_file() for file in files) and history.used_bytes() == written
    history.delete(entry)
    assert not any(file.exists() for file in files) and history.used_bytes() == 0


def test_the_oldest_goes_first_and_a_starred_one_last(history, made):
    results = made()
    starred = history.add("comparison", {}, results)
    history.star(starred, True)
    size = history.used_bytes()
    old, newer = (history.add("comparison", {}, results) for _ in range(2))
    history.max_bytes = room_for(3 * size)
    newest = history.add("comparison", {}, results)
    assert {entry.id for entry in history.find()} == {starred, newer, newest}
    assert old not in {entry.id for entry in history.find()}
    history.max_bytes = room_for(2 * size)
    last = history.add("comparison", {}, results)
    assert {entry.id for entry in history.find()} == {starred, last}
    history.max_bytes = 1
    last = history.add("comparison", {}, results)
    assert {entry.id for entry in history.find()} == {last}


def test_who_stars_all_he_makes_pushes_out_his_own(history, made):
    results = made()
    mine = history.add("comparison", {}, results, "me")
    size = history.used_bytes()
    history.max_bytes = room_for(3 * size)
    for _ in range(4):
        newest = history.add("comparison", {}, results, "somebody")
        history.star(newest, True)
    assert history.used_bytes() == 3 * size and history.find("me")[0].id == mine
    assert newest in {entry.id for entry in history.find("somebody")}


def test_text_counts_as_pictures_do(history, made):
    """A sweep is an entry before its first picture."""
    mine = history.add("picture", {}, made("a cat", "new"), "me")
    history.max_bytes = 100_000
    for _ in range(5):
        newest = history.add("sweep", {"prompt": "x", "values": {"prompts": ["🦊" * 2000]}}, [], "somebody")
    assert [entry.id for entry in history.find()][:1] == [newest] and history.used_bytes() <= 100_000
    assert history.get(mine)


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 35), reason="only this test drops a column")
def test_a_history_of_before_text_was_counted_is_opened_and_counts_from_now_on(history, made):
    old = history.add("picture", {}, made("a cat", "new"))
    with history.transaction() as database:
        database.execute("DROP INDEX entries_by_owner")
        database.execute("ALTER TABLE entries DROP COLUMN bytes")
    again = History(history.folder)
    assert again.rows("SELECT 1 FROM sqlite_master WHERE name = 'entries_by_owner'")
    before = again.used_bytes()
    again.add("sweep", {"prompt": "x"}, [])
    assert again.get(old).files and again.used_bytes() == before + len('{"prompt": "x"}')


def test_what_cannot_be_kept_leaves_nothing(history, made, monkeypatch):
    results = made()
    written = []

    def full(target, image, recipe):
        written.append(target)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        imagefile_write(target, image, recipe)

    imagefile_write = imagefile.write
    monkeypatch.setattr(imagefile, "write", full)
    with pytest.raises(PlaygroundError, match="has room"):
        history.add("comparison", {}, results)
    assert list((history.folder / "pictures").iterdir()) == [] and history.find() == []


def test_a_file_of_another_entry_outlives_it(history, made, monkeypatch: pytest.MonkeyPatch):
    def refused(*_):
        raise OSError("no hard links here")

    first = history.get(history.add("comparison", {}, made()))
    files = [first.files[place] for place in (0, 1)]
    before = [file.read_bytes() for file in files]
    linked = history.get(history.add("vote", {"prompt": "a pear", "models": ["new"]}, files))
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refused)
        copied = history.get(history.add("vote", {}, files))
    assert (linked.prompt, linked.models) == ("a pear", ("new",))
    used = history.used_bytes()
    twice = history.get(history.add("vote", {}, [files[0], files[0]]))  # a sweep's reference stands in many pairs
    assert len(twice.files) == 2 and history.used_bytes() - used == files[0].stat().st_size + len("{}")
    history.delete(first.id)
    for entry in (linked, copied):
        assert [entry.files[place].read_bytes() for place in (0, 1)] == before
    with pytest.raises(PlaygroundError, match="could not be kept"):
        history.add("vote", {}, files)


def test_who_keeps_the_most_makes_room_first(history, made):
    results = made()
    mine = history.add("comparison", {}, results, "me")
    size = history.used_bytes()
    theirs = [history.add("comparison", {}, results, "somebody") for _ in range(3)]
    history.star(theirs[0], True)
    history.max_bytes = room_for(4 * size)
    newest = history.add("comparison", {}, results, "somebody")
    assert {entry.id for entry in history.find()} == {mine, theirs[0], theirs[2], newest}


def test_what_is_a_month_old_goes_first_whoever_has_it_unless_it_has_a_star(history, made):
    results = made()
    theirs = [history.add("comparison", {}, results, owner) for owner in ("gone", "gone too", "gone for ever")]
    size = history.used_bytes() // 3
    mine = [history.add("comparison", {}, results, "me") for _ in range(3)]
    for entry, days in zip(theirs, (31, 32, 33), strict=True):
        age(history, entry, days)
    age(history, mine[0], 29)
    history.star(theirs[2], True)
    history.max_bytes = room_for(6 * size)
    mine.append(history.add("comparison", {}, results, "me"))
    assert {entry.id for entry in history.find()} == {theirs[0], theirs[2], *mine}
    history.max_bytes = room_for(4 * size)
    mine.append(history.add("comparison", {}, results, "me"))
    assert {entry.id for entry in history.find()} == {theirs[2], *mine[2:]}


def test_a_full_history_makes_room_for_several_at_once(history, made, monkeypatch):
    """Looking for what goes takes longest when most is kept, and would be done at every picture."""
    results = made()
    history.add("comparison", {}, results)
    history.max_bytes = 40 * history.used_bytes()
    looked = []
    going = keeping.going
    monkeypatch.setattr(keeping, "going", lambda *said: looked.append(said) or going(*said))
    for _ in range(41):
        history.add("comparison", {}, results)
    assert len(looked) == 1 and 0.95 < history.used_bytes() / history.max_bytes < 1


def test_what_one_visitor_has_is_found_by_an_index_and_added_up_without_the_documents(history):
    for statement in (
        "SELECT * FROM entries WHERE owner = ? ORDER BY made_at DESC LIMIT 1",
        "SELECT sum(bytes) FROM entries WHERE owner >= ?",
    ):
        plan = [row["detail"] for row in history.rows(f"EXPLAIN QUERY PLAN {statement}", ("me",))]
        assert len(plan) == 1 and "entries_by_owner" in plan[0]


def test_a_file_that_cannot_be_removed_keeps_no_other(history, made, monkeypatch):
    """As on Windows one that is being read; its row is gone, and it goes at a later start."""
    entries = [history.add("comparison", {}, made()) for _ in range(2)]
    files = [file for entry in entries for file in history.get(entry).files.values()]
    unlink = type(files[0]).unlink

    def held(file, missing_ok=False):
        if file == files[0]:
            raise PermissionError(13, "being read")
        unlink(file, missing_ok)

    monkeypatch.setattr(type(files[0]), "unlink", held)
    with pytest.raises(PlaygroundError, match="being read"):
        history.delete(*entries)
    assert [file.exists() for file in files] == [True, False, False, False] and history.find() == []


def test_what_is_not_deleted_keeps_its_files(history, made, monkeypatch):
    entry = history.add("comparison", {}, made())
    with history.transaction() as database:
        database.execute("CREATE TRIGGER never BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'never'); END")
    with pytest.raises(PlaygroundError, match="never"):
        history.delete(entry)
    assert sorted(history.results(history.get(entry))) == [0, 1]


def test_a_full_disk_is_called_one(history):
    """SQLite ends a transaction itself then; the connection serves on when there is room again."""
    (pages,) = history.rows("PRAGMA page_count")[0]
    history.rows(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(PlaygroundError, match=r"disk is full\); see that"):
        history.add("sweep", {"prompt": "x" * 200_000}, [])
    assert history.get(history.add("sweep", {"prompt": "x"}, []))


def test_files_that_no_row_names_go_at_the_next_start(history, made, tmp_path):
    kept = history.add("picture", {}, made("a cat", "new"))
    orphan, _ = history.save_picture(made("a dog", "new")[0])
    path = history._path(orphan)
    History(history.folder)
    assert path.exists()  # another process may be about to name it
    long_ago = time.time() - 7200
    for file in (path, *history.get(kept).files.values()):
        os.utime(file, (long_ago, long_ago))
    History(history.folder)
    assert not path.exists()
    assert all(file.exists() for file in history.get(kept).files.values())


def test_files_that_are_not_the_historys_own_stay(history):
    """Whoever names a folder that they have, with such a folder of their own in it."""
    names = {"holiday.png", f"{'k' * 24}.png", f"{'a' * 23}.png", f"{'a' * 24}.jpg", "letter.tmp", f"{'a' * 16}"}
    for name in names:
        file = history.folder / "pictures" / name
        file.write_bytes(b"somebody's")
        os.utime(file, (1000, 1000))
    History(history.folder)
    assert {file.name for file in (history.folder / "pictures").iterdir()} == names


def test_a_write_that_fails_is_one_sentence_and_another_where_the_entry_is_gone(history):
    wrong = "INSERT INTO pictures (id, entry, place, bytes) VALUES ('a', 'gone', 0, 0)"
    with pytest.raises(InputError, match=r"^It was deleted; make another\.$"):
        history.write(wrong, (), "It was deleted; make another.")
    with pytest.raises(PlaygroundError, match=r"could not be kept in the history \(FOREIGN KEY"):
        history.write(wrong, ())
    with pytest.raises(PlaygroundError, match=r"could not be kept in the history \(no such table"):
        history.write("DELETE FROM no_table", (), "It was deleted; make another.")


def test_a_pair_filters_and_nobodys_can_be_left_out(history, made):
    results = made()
    both, short = (history.add("comparison", {"pair": pair}, results, "me") for pair in ("both", "short"))
    nobodys = history.add("comparison", {"pair": "both"}, results)
    assert [entry.id for entry in history.find(pair="both")] == [nobodys, both]
    assert [entry.id for entry in history.find("me", nobodys=False)] == [short, both]
    assert history.get(nobodys, "me").id == nobodys
    with pytest.raises(InputError, match="no such entry"):
        history.get(nobodys, "me", nobodys=False)


def test_what_came_out_of_the_cache_is_kept_unless_it_is_the_newest(history, made):
    first = history.keep("comparison", {}, made("a red apple"))
    assert history.keep("comparison", {}, made("a red apple")) == first
    assert history.keep("comparison", {}, made("a red apple"), "me") != first
    other = history.keep("comparison", {}, made("a fox"))
    again = history.keep("comparison", {}, made("a red apple"))
    assert [entry.id for entry in history.find("", limit=3)] == [again, other, first]


def test_an_entry_is_kept_even_if_older_ones_cannot_be_removed(history, made, monkeypatch):
    old = history.add("comparison", {}, made())
    monkeypatch.setattr(history, "delete", lambda *entries: (_ for _ in ()).throw(OSError("read-only")))
    history.max_bytes = 1
    newest = history.add("comparison", {}, made())
    assert [entry.id for entry in history.find()] == [newest, old]


def test_a_database_that_cannot_be_read_is_one_sentence(history):
    with pytest.raises(PlaygroundError, match="could not be read from the history"):
        history.rows("SELECT * FROM nothing")
