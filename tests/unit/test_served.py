"""The files that the page hands out go by age and bytes; the page's own stay."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from pipeline import imagefile
from pipeline.errors import PlaygroundError
from pipeline.ui import served
from pipeline.ui.served import (
    BLOCK,
    SMALL,
    ServedFiles,
    address,
    hand_out,
    hand_out_small,
    keep_report,
    new_file,
    served_folders,
    take_back_small,
)


def put(folder: Path, name: str, age_s: float, size: int = 10) -> Path:
    path = folder / name / "image.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_old_files_go_with_their_folders_and_the_pages_own_stay(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    served = ServedFiles(tmp_path, kept_s=50)
    served.protect("{'path': '/icon/image.png'}")
    old, young = put(tmp_path, "old", 100), put(tmp_path, "young", 10)
    served.sweep()
    assert icon.is_file() and young.is_file()
    assert not old.parent.exists()


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path):
    files = [put(tmp_path, str(age), age, size=40_000) for age in (30, 20, 10)]
    served = ServedFiles(tmp_path, kept_s=1000, max_bytes=100_000)
    served.sweep()
    assert [path.is_file() for path in files] == [False, True, True] and served.used_bytes == 80_000


def test_the_smallest_file_takes_a_block(tmp_path: Path):
    for age in range(5):
        put(tmp_path, str(age), age, size=1)
    ServedFiles(tmp_path, kept_s=1000, max_bytes=3 * BLOCK).sweep()
    assert len(list(tmp_path.iterdir())) == 3


def test_another_process_sees_the_pages_own_files_as_young(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    mine = ServedFiles(tmp_path, kept_s=50)
    mine.protect("icon")
    mine.sweep()
    ServedFiles(tmp_path, kept_s=50).sweep()
    assert icon.is_file()


def test_a_folder_that_is_not_there_is_nothing_to_sweep(tmp_path: Path):
    ServedFiles(tmp_path / "none").sweep()


def test_a_picture_is_written_once_and_kept_young_by_use(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    picture, recipe = Image.new("RGB", (4, 4), "red"), {"request": {"prompt": "ä"}}
    path = Path(hand_out(picture, recipe))
    inode = path.stat().st_ino
    os.utime(path, (1, 1))
    assert Path(hand_out(picture, recipe)) == path
    assert path.stat().st_ino == inode and path.stat().st_mtime > 1
    assert imagefile.read(path)[1] == recipe
    others = {hand_out(picture), hand_out(picture, {"request": {}}), hand_out(Image.new("RGB", (2, 8), "red"))}
    assert len(others) == 3 and str(path) not in others
    assert [file for file in tmp_path.rglob("*") if file.suffix == ".tmp"] == []


def test_a_report_is_written_where_nobody_guesses_and_kept_by_what_it_says(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    places = [new_file("report.html") for _ in range(3)]
    assert len(set(places)) == 3 and all(len(path.parent.name) == 32 for path in places)
    for path, text in zip(places, ("one", "one", "other"), strict=True):
        assert path.is_relative_to(tmp_path / "made") and not path.parent.exists()
        path.parent.mkdir(parents=True)
        path.write_text(text)
    first = Path(keep_report(places[0]))
    os.utime(first, (1, 1))
    assert Path(keep_report(places[1])) == first and first.stat().st_mtime > 1
    other = Path(keep_report(places[2]))
    assert (first.read_text(), other.read_text(), other.name) == ("one", "other", "report.html")
    assert sorted((tmp_path / "made" / "reports").iterdir()) == sorted([first.parent, other.parent])


def test_reports_push_out_older_reports_at_once_and_nobodys_pictures(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(served, "REPORTS_BYTES", 100_000)
    picture = put(tmp_path / "made", "picture", 100, size=90_000)
    kept = []
    for number in range(5):
        path = new_file("report.zip")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number * 40_000)
        kept.append(Path(keep_report(path)))
        os.utime(kept[-1], (time.time() - 60 + number,) * 2)
    assert [path.is_file() for path in kept] == [False, False, False, True, True] and picture.is_file()


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    kept = tmp_path / "kept.png"
    Image.new("RGB", (4, 4)).save(kept)
    error = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(error))
    for write in (lambda: hand_out(Image.new("RGB", (4, 4))), lambda: hand_out_small(kept), lambda: address(kept)):
        with pytest.raises(PlaygroundError, match=r"^The disk is full, so the page's files cannot be written; make ro"):
            write()
    assert [path for path in (tmp_path / "served").rglob("*") if path.is_file()] == []
    error.errno, error.strerror = errno.EACCES, "Permission denied"
    with pytest.raises(PlaygroundError, match=r"^The page's files cannot be written \(Permission denied\); choose ano"):
        address(kept)
    for gone in (tmp_path / "none.png", tmp_path):
        assert address(gone) is None


def test_a_small_picture_is_small_made_once_and_can_be_taken_back(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    kept = tmp_path / "kept.png"
    Image.effect_noise((1024, 512), 80).convert("RGBA").save(kept)
    path = Path(hand_out_small(kept))
    assert Image.open(path).size == (SMALL, SMALL // 2) and path.stat().st_size < 20_000
    assert Path(hand_out_small(kept)) == path and path.is_relative_to(tmp_path / "served")
    take_back_small(kept)
    take_back_small(kept)
    assert not path.parent.exists()
    kept.write_bytes(b"broken")
    with pytest.raises(OSError, match="cannot identify"):
        hand_out_small(kept)


def test_uploads_push_out_nothing_of_ours(tmp_path: Path):
    made, uploads = served_folders(tmp_path)
    ours, theirs = put(tmp_path / "made", "ours", 1000), put(tmp_path, "theirs", 1000)
    fresh = [put(tmp_path, str(age), age, size=30 * 10**6) for age in (30, 20)]
    for folder in (made, uploads):
        folder.sweep()
    assert ours.is_file() and not theirs.exists()
    assert [path.is_file() for path in fresh] == [False, True] and uploads.used_bytes == 30 * 10**6


def test_a_file_that_vanishes_meanwhile_stops_no_sweep(tmp_path: Path, monkeypatch):
    served = ServedFiles(tmp_path, kept_s=50)
    kept, gone = put(tmp_path, "kept", 10), put(tmp_path, "gone", 100)
    monkeypatch.setattr(served, "_files", lambda: [gone, tmp_path / "never" / "there.png", kept])
    served.sweep()
    assert kept.is_file() and not gone.exists()


def test_what_comes_while_it_is_swept_still_counts_after_it(tmp_path: Path, monkeypatch):
    _, uploads = served_folders(tmp_path)
    found = [put(tmp_path, "there", 10, size=10_000)]
    uploads.add(7000)
    monkeypatch.setattr(uploads, "_files", lambda: uploads.add(5000) or found)
    uploads.sweep()
    assert uploads.used_bytes == 15_000


def test_what_an_earlier_process_left_is_not_the_pages_own(tmp_path: Path):
    left, icon = put(tmp_path, "left", 100), put(tmp_path, "icon", 100)
    served = ServedFiles(tmp_path, kept_s=1000)
    served.sweep()
    served.protect("icon")
    served.sweep(time.time() + 2000)
    assert icon.is_file() and not left.exists()


def test_a_sweep_that_fails_is_not_the_last(tmp_path: Path, monkeypatch, caplog):
    swept, again = [], threading.Event()

    def sweep() -> None:
        swept.append(1)
        if len(swept) > 1:
            again.set()
        raise FileNotFoundError("vanished")

    served = ServedFiles(tmp_path, every_s=0.01)
    monkeypatch.setattr(served, "sweep", sweep)
    served.start()
    assert again.wait(5) and "could not be swept" in caplog.text
    served._every_s = 3600
