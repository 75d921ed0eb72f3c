"""Both caches keep their bounds in bytes, drop the least recently used, and treat a bad file as absent."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import imagefile
from pipeline.caches import ByteLRU, ImageCache, recipe_key

RECIPE = {"request": {"prompt": "a cat"}}


def key_of(name: object) -> str:
    return recipe_key({"name": name})


def keys(names: str) -> list[str]:
    return [key_of(name) for name in names]


K = key_of("k")


def picture(shade: int = 0, size: int = 32) -> Image.Image:
    """Noise, which a PNG cannot make smaller."""
    return Image.frombytes("RGB", (size, size), random.Random(shade).randbytes(size * size * 3))


def test_the_least_recently_used_goes_first():
    cache = ByteLRU(30)
    for key in "abc":
        cache.put(key, key.upper(), 10)
    assert cache.get("a") == "A"
    assert cache.put("d", "D", 10) == ["b"]
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert (len(cache), cache.used_bytes) == (3, 30)


def test_a_large_one_pushes_out_as_many_as_it_needs():
    cache = ByteLRU(30)
    for key in "abc":
        cache.put(key, key, 10)
    assert cache.put("big", "big", 20) == ["a", "b"]
    assert [cache.get(key) for key in ("a", "b", "c", "big")] == [None, None, "c", "big"]


def test_one_larger_than_the_cache_is_not_kept_and_costs_nobody_a_place():
    cache = ByteLRU(30)
    cache.put("a", "a", 10)
    assert cache.put("huge", "huge", 31) == ["huge"]
    assert (cache.get("huge"), cache.get("a"), cache.used_bytes) == (None, "a", 10)
    assert cache.put("a", "now huge", 31) == ["a"]
    assert (cache.get("a"), cache.used_bytes, len(cache)) == (None, 0, 0)


def test_putting_again_replaces_value_and_size():
    cache = ByteLRU(30)
    cache.put("a", 1, 10)
    cache.put("a", 2, 25)
    assert (cache.get("a"), cache.used_bytes, len(cache)) == (2, 25, 1)
    cache.clear()
    assert (cache.get("a"), cache.used_bytes, len(cache)) == (None, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40))))
def test_the_bound_holds_whatever_is_put(puts):
    cache = ByteLRU(50)
    last: dict[int, int] = {}
    for key, size in puts:
        cache.put(key, size, size)
        last[key] = size
        kept = {key: cache.get(key) for key in last if cache.get(key) is not None}
        assert cache.used_bytes == sum(kept.values()) <= 50
        assert len(cache) == len(kept)
        assert all(last[key] == value for key, value in kept.items())


def test_a_key_depends_on_what_is_said_and_not_on_its_order():
    assert recipe_key({"a": 1, "b": {"c": 2, "d": 3}}) == recipe_key({"b": {"d": 3, "c": 2}, "a": 1})
    assert len({recipe_key({"seed": seed, "prompt": "ä"}) for seed in (1, 2, 1.5, "1", None)}) == 5


def test_a_picture_comes_back_as_it_went_in(tmp_path):
    cache = ImageCache(tmp_path / "deep" / "cache")
    assert cache.get(K) is None
    cache.put(K, picture(), RECIPE)
    found, recipe = cache.get(K)
    assert found.tobytes() == picture().tobytes()
    assert recipe == RECIPE
    again, _ = ImageCache(tmp_path / "deep" / "cache").get(K)  # another process finds it too
    assert again.tobytes() == picture().tobytes()


def one_file(folder) -> int:
    """Bytes that one of these pictures takes."""
    cache = ImageCache(folder)
    cache.put(K, picture(), RECIPE)
    return (folder / f"{K}.png").stat().st_size


def test_the_disk_stays_within_its_bytes_and_keeps_what_was_used_last(tmp_path):
    bound = one_file(tmp_path / "probe") * 3 + 100
    cache = ImageCache(tmp_path / "cache", bound)
    for key in keys("abc"):
        cache.put(key, picture(), RECIPE)
    assert cache.get(key_of("a"))
    cache.put(key_of("d"), picture(), RECIPE)
    assert [cache.get(key) is not None for key in keys("abcd")] == [True, False, True, True]
    assert sum(file.stat().st_size for file in (tmp_path / "cache").iterdir()) <= bound


def test_a_new_process_goes_on_with_the_same_order(tmp_path):
    bound = one_file(tmp_path / "probe") * 3 + 100
    first = ImageCache(tmp_path / "cache", bound)
    for age, key in enumerate(keys("cab")):
        first.put(key, picture(), RECIPE)
        os.utime(tmp_path / "cache" / f"{key}.png", (1000 + age, 1000 + age))
    second = ImageCache(tmp_path / "cache", bound)
    second.put(key_of("d"), picture(), RECIPE)
    assert {file.stem for file in (tmp_path / "cache").iterdir()} == set(keys("abd"))


def test_one_larger_than_the_cache_costs_no_other_its_place_on_the_disk(tmp_path):
    cache = ImageCache(tmp_path / "cache", one_file(tmp_path / "probe") * 2)
    cache.put(key_of("a"), picture(), RECIPE)
    cache.put(key_of("huge"), picture(size=64), RECIPE)
    assert [file.stem for file in (tmp_path / "cache").iterdir()] == [key_of("a")]


def test_a_folder_that_is_over_its_bytes_at_the_start_is_brought_down(tmp_path):
    size = one_file(tmp_path / "probe")
    before = ImageCache(tmp_path / "cache")
    for age, key in enumerate(keys("cab")):
        before.put(key, picture(), RECIPE)
        os.utime(tmp_path / "cache" / f"{key}.png", (1000 + age, 1000 + age))
    assert ImageCache(tmp_path / "cache", 2 * size).get(key_of("b"))
    assert {file.stem for file in (tmp_path / "cache").iterdir()} == set(keys("ab"))


def test_what_is_not_the_caches_own_is_neither_counted_nor_removed(tmp_path):
    """Whoever names a folder that they have, with a folder of pictures in it that is called as ours is."""
    names = ("holiday.png", f"{'k' * 64}.png", f"{K}.jpg", f"{K.upper()}.png", f"{K}0.png", "letter.tmp", "notes.txt")
    for name in names:
        picture(size=64).save(tmp_path / name, format="PNG")
        os.utime(tmp_path / name, (1000, 1000))
    cache = ImageCache(tmp_path, one_file(tmp_path / "probe") * 2)
    for key in keys("abc"):
        cache.put(key, picture(), RECIPE)
    left = {file.name for file in tmp_path.iterdir() if file.is_file()}
    assert left == {*names, f"{key_of('b')}.png", f"{key_of('c')}.png"}


@pytest.mark.parametrize("damage", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", None, "no recipe"])
def test_a_file_that_cannot_be_read_is_a_miss_and_goes_away(tmp_path, damage):
    cache = ImageCache(tmp_path)
    cache.put(K, picture(), RECIPE)
    path = tmp_path / f"{K}.png"
    if damage is None:
        path.write_bytes(path.read_bytes()[:-400])
    elif damage == "no recipe":
        picture().save(path)
    else:
        path.write_bytes(damage)
    assert cache.get(K) is None
    assert not path.exists()
    cache.put(K, picture(1), RECIPE)
    assert cache.get(K)[0].tobytes() == picture(1).tobytes()


@pytest.mark.parametrize("cut", range(1, 3000, 97))
def test_a_file_cut_anywhere_is_a_miss(tmp_path, cut):
    cache = ImageCache(tmp_path)
    cache.put(K, picture(), RECIPE)
    path = tmp_path / f"{K}.png"
    path.write_bytes(path.read_bytes()[:cut])
    assert cache.get(K) is None


def test_a_file_flipped_anywhere_is_a_miss_or_the_same_picture(tmp_path):
    cache = ImageCache(tmp_path)
    cache.put(K, picture(), RECIPE)
    path = tmp_path / f"{K}.png"
    sound = path.read_bytes()
    for place in range(0, len(sound), 13):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        found = cache.get(K)
        assert found is None or (found[0].tobytes(), found[1]) == (picture().tobytes(), RECIPE)


def test_drafts_that_a_killed_process_left_go_away_and_a_living_ones_stay(tmp_path):
    for name, age in (("fedcba9876543210.tmp", 7200), ("0123456789abcdef.tmp", 5)):
        (tmp_path / name).write_bytes(b"half a file")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    ImageCache(tmp_path).put(K, picture(), RECIPE)
    assert {file.name for file in tmp_path.iterdir()} == {f"{K}.png", "0123456789abcdef.tmp"}


def test_a_disk_that_cannot_be_written_only_means_no_cache(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = ImageCache(tmp_path / "file" / "cache")
    cache.put(K, picture(), RECIPE)
    assert cache.get(K) is None


def test_a_read_only_disk_still_serves_what_it_holds(tmp_path, monkeypatch):
    cache = ImageCache(tmp_path)
    cache.put(K, picture(), RECIPE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("pipeline.caches.os.utime", refuse)
    assert cache.get(K)[1] == RECIPE
    (tmp_path / f"{K}.png").write_bytes(b"damaged")
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert cache.get(K) is None


def test_many_threads_can_put_and_get_at_once(tmp_path):
    size = one_file(tmp_path / "probe")
    cache = ImageCache(tmp_path / "cache", size * 6)
    faults: list[BaseException] = []

    def use(number: int) -> None:
        try:
            for turn in range(25):
                key = key_of((number + turn) % 10)
                cache.put(key, picture(), RECIPE)
                found = cache.get(key_of(turn % 10))
                assert found is None or found[0].tobytes() == picture().tobytes()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    left = list((tmp_path / "cache").iterdir())
    assert all(file.suffix == ".png" for file in left)
    assert sum(file.stat().st_size for file in left) <= size * 6
    assert imagefile.read(left[0])[1] == RECIPE
