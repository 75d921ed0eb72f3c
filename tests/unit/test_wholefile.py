"""A file is whole or not there, and a failure leaves nothing beside it."""

from __future__ import annotations

import os

import pytest

from pipeline.wholefile import whole_file


@pytest.mark.parametrize("on_disk", [False, True])
def test_it_is_there_when_it_is_whole(tmp_path, monkeypatch, on_disk):
    path, synced = tmp_path / "a.bin", []
    monkeypatch.setattr("os.fsync", lambda number: synced.append(os.fstat(number).st_size))
    path.write_bytes(b"old")
    with whole_file(path, on_disk=on_disk) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]
    assert synced == [3] * on_disk


def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), whole_file(path) as stream:
        stream.write(b"half")
        raise OSError(28, "the disk is full")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_a_system_takes_needs_no_longer_draft(tmp_path):
    path = tmp_path / ("a" * 251 + ".bin")
    with whole_file(path) as stream:
        stream.write(b"x")
    assert path.read_bytes() == b"x"
