"""The files that the page hands out go by age and bytes; the page's own stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline.ui.served import ServedFiles


def put(folder: Path, name: str, age_s: float, size: int = 10) -> Path:
    path = folder / name / "image.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_old_files_go_with_their_folders_and_the_pages_own_stay(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    served = ServedFiles(tmp_path, kept_s=50)
    served.protect()
    old, young = put(tmp_path, "old", 100), put(tmp_path, "young", 10)
    served.sweep()
    assert icon.is_file() and young.is_file()
    assert not old.parent.exists()


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path):
    files = [put(tmp_path, str(age), age, size=40) for age in (30, 20, 10)]
    ServedFiles(tmp_path, kept_s=1000, max_bytes=100).sweep()
    assert [path.is_file() for path in files] == [False, True, True]


def test_another_process_sees_the_pages_own_files_as_young(tmp_path: Path):
    icon = put(tmp_path, "icon", 100)
    mine = ServedFiles(tmp_path, kept_s=50)
    mine.protect()
    mine.sweep()
    ServedFiles(tmp_path, kept_s=50).sweep()
    assert icon.is_file()


def test_a_folder_that_is_not_there_is_nothing_to_sweep(tmp_path: Path):
    ServedFiles(tmp_path / "none").sweep()
