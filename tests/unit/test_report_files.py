"""The report as a file: its pictures, its zip, its size, and that it is whole or not there."""

from __future__ import annotations

import base64
import io
import json
import re
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline import imagefile, report, report_pictures
from pipeline.catalog import ROLES
from pipeline.compare import compare_document, plan
from pipeline.errors import InputError, PlaygroundError
from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.report import check_target, write_report
from pipeline.report_pictures import Item
from tests.fakes import results
from tests.reports import Page, assert_inert

PRICES = load_prices()


def test_the_pictures_in_it_keep_their_recipe(item, page):
    sources = [attributes["src"] for tag, attributes in Page(page(item())).tags if tag == "img"]
    for source, model in zip(sources, ("old", "new"), strict=True):
        _, recipe = imagefile.read(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        assert (recipe["request"]["model"], recipe["request"]["prompt"]) == (model, "a red apple")


def test_what_the_history_kept_can_be_reported(catalog, engine, tmp_path, page):
    requests = plan(catalog, catalog.pair("both"), "a red apple", seed=7)
    made = dict(zip(requests, results(engine.run(list(requests.values()))).values(), strict=True))
    document = compare_document(catalog.pair("both"), made, PRICES.profiles["hf-l4"])
    history = History(tmp_path / "history")
    ids = [history.add("comparison", document, [made[role] for role in ROLES]) for _ in range(2)]
    entries = [history.get(entry) for entry in ids]
    text = page(*(Item(entry.document, pictures=entry.files) for entry in entries))
    assert text.count("data:image/png;base64,") == 4 and "no longer there" not in text


def test_a_picture_that_is_gone_and_a_model_that_is_unknown_are_said(item, page):
    made = item()
    made.files()[0].unlink()
    lanes = [{**lane, "model": "retired"} for lane in made.document["lanes"]]
    text = page(Item({**made.document, "lanes": lanes}, made.folder))
    assert "no longer there" in text and "not in the catalogue any more" in text and "retired" in text


@pytest.mark.parametrize("left", [0, 8, 60, 0.5])
def test_a_damaged_picture_is_said_and_spoils_nothing_else(item, page, left):
    bad, good = item("a fox"), item("a cat")
    file = bad.files()[0]
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content) if left < 1 else left)])
    text = page(bad, good)
    assert text.count("no longer there or damaged") == 1 and text.count("data:image/png;base64,") == 3
    assert_inert(text)


def test_the_zip_has_page_documents_and_pictures_with_safe_names(item, catalog, tmp_path):
    items = [item("../../etc/passwd"), item("a cat")]
    write_report(tmp_path / "report.zip", "A session", items, catalog, PRICES, said={"Votes": {"Votes": "none"}})
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        told = json.loads(archive.read("report.json"))
        assert_inert(archive.read("report.html").decode())
        pictures = [lane["image"] for document in told["items"] for lane in document["lanes"]]
        assert sorted(names) == sorted(["report.html", "report.json", *pictures])
        assert all(re.fullmatch(r"pictures/\d\d-\d\d-(predecessor|efficient)\.png", name) for name in pictures)
        _, recipe = imagefile.read(io.BytesIO(archive.read(pictures[0])))
        assert recipe["request"]["prompt"] == "../../etc/passwd"
        assert str(tmp_path) not in archive.read("report.json").decode() + archive.read("report.html").decode()
    assert told["items"][0]["speedup"] == items[0].document["speedup"] and told["said"] == {"Votes": {"Votes": "none"}}


def test_a_report_is_whole_or_not_there(item, catalog, tmp_path, monkeypatch):
    target = tmp_path / "out" / "report.html"
    write_report(target, "one", [item()], catalog, PRICES)
    before = target.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(PlaygroundError, match=r"^The disk is full, so the report report\.html cannot be wri"):
            write_report(target, "two", [item()], catalog, PRICES)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_that_takes_no_file_is_told_with_the_reason(item, catalog, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaygroundError, match=r"^The report a\.html cannot be written \(.+\); choose another file\.$"):
        write_report(tmp_path / "file" / "a.html", "one", [item()], catalog, PRICES)


@pytest.fixture
def much(item, tmp_path) -> Item:
    """A comparison of 128 pixels, one of whose pictures has no recipe."""
    made = item()
    for place, file in enumerate(made.files()):
        picture, recipe = imagefile.read(file)
        picture = picture.resize((128, 64))
        picture.save(file) if place else imagefile.write(file, picture, recipe)
    return made


def shown_in(text: str) -> list[Image.Image]:
    sources = [attributes["src"] for tag, attributes in Page(text).tags if tag == "img"]
    return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


def test_more_than_a_browser_opens_gladly_are_smaller_copies_and_that_is_said(much, page, monkeypatch):
    assert [(each.format, each.size) for each in shown_in(page(much))] == [("PNG", (128, 64))] * 2
    monkeypatch.setattr(report, "BYTES_MAX", sum(file.stat().st_size for file in much.files()) - 1)
    monkeypatch.setattr(report_pictures, "COPY_SIDE", 32)
    text = page(much)
    assert [(each.format, each.size) for each in shown_in(text)] == [("JPEG", (32, 16))] * 2
    said = "The pictures on this page are smaller copies without their recipes: in full they take "
    assert said in text and "They are so in the same report as a .zip file." in text
    assert_inert(text)


@pytest.mark.parametrize(
    ("most", "kind", "where"),
    [
        (10**6, "png", "They are so in the folder pictures beside it."),
        (1, "jpg", "That is more than any report takes;"),
    ],
)
def test_a_zip_has_them_in_full_unless_it_would_fill_the_disk(much, catalog, tmp_path, monkeypatch, most, kind, where):
    monkeypatch.setattr(report, "BYTES_MAX", 1)
    monkeypatch.setattr(report, "ZIP_BYTES_MAX", most)
    write_report(tmp_path / "report.zip", "one", [much], catalog, PRICES)
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert where in archive.read("report.html").decode()
        names = [lane["image"] for lane in json.loads(archive.read("report.json"))["items"][0]["lanes"]]
        assert names == [f"pictures/01-0{place}-{role}.{kind}" for place, role in enumerate(ROLES, 1)]
        whole = [archive.read(name) == file.read_bytes() for name, file in zip(names, much.files(), strict=True)]
        assert archive.testzip() is None and whole == [kind == "png"] * 2


@pytest.mark.parametrize("name", ["report.html", "report.zip"])
def test_many_pictures_take_no_more_memory_than_one(item, catalog, tmp_path, name):
    made = item()
    large = Image.effect_noise((768, 768), 90).convert("RGB")
    for file in made.files():
        imagefile.write(file, large, imagefile.read_recipe(file))
    size = made.files()[0].stat().st_size
    items = [Item(made.document, made.folder)] * 20
    write_report(tmp_path / name, "warm", items[:1], catalog, PRICES)
    tracemalloc.start()
    write_report(tmp_path / name, "many", items, catalog, PRICES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / name).stat().st_size > 40 * size and peak < 8 * size


def test_a_clock_that_stands_at_its_beginning_spoils_no_zip(much, catalog, tmp_path, monkeypatch):
    monkeypatch.setattr(report.time, "gmtime", lambda *_: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0)))
    write_report(tmp_path / "report.zip", "A title", [much], catalog, PRICES)
    assert {each.date_time[0] for each in zipfile.ZipFile(tmp_path / "report.zip").infolist()} == {1980}


def test_the_same_report_of_the_same_minute_is_the_same_file(much, catalog, tmp_path, monkeypatch):
    """So that it can be named by its content."""
    monkeypatch.setattr(report.time, "gmtime", lambda: time.struct_time((2026, 11, 3, 14, 5, 7, 1, 307, 0)))
    for name in ("report.html", "report.zip"):
        write_report(tmp_path / name, "one", [much], catalog, PRICES)
        first = (tmp_path / name).read_bytes()
        monkeypatch.setattr(zipfile.time, "time", lambda: 1e9)
        write_report(tmp_path / name, "one", [much], catalog, PRICES)
        assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("target", ["report", "report.pdf", "report.html.txt", "", ".zip.", "html"])
def test_another_kind_of_file_is_refused(item, catalog, tmp_path, target):
    with pytest.raises(InputError, match=r"report must be a file name that ends in \.html or \.zip"):
        check_target(target)


def test_none_and_both_kinds_are_fine():
    for target in (None, "a.html", "A.HTML", "b/c.zip"):
        check_target(target)
