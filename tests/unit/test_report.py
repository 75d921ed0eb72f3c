"""The report as a file: what is in it, that nothing in it can run or load, and that it is whole or not there."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import time
import tracemalloc
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from pipeline import imagefile, report, report_pictures
from pipeline.catalog import ROLES
from pipeline.compare import compare_document, plan
from pipeline.cost import load_prices
from pipeline.errors import InputError, PlaygroundError
from pipeline.history import History
from pipeline.labels import raised
from pipeline.recipe import recipe_of
from pipeline.report import check_target, headline, title_of, write_report
from pipeline.report_pictures import Item
from pipeline.sweep import plan_sweep, sweep_document
from pipeline.sweep_run import Sweeps
from tests.fakes import results

PRICES = load_prices()
HOSTILE = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "--><svg/onload=alert(1)>",
    "&lt;b&gt; & ünïcode \u202e 🦊",
]
FORBIDDEN_TAGS = {"script", "iframe", "object", "embed", "link", "base", "form", "input", "button", "foreignobject"}


class Page(HTMLParser):
    """Every tag with its attributes, and all text, as a browser would take them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def item(catalog, engine, tmp_path):
    def make(prompt: str = "a red apple", pair: str = "both", **how) -> Item:
        requests = plan(catalog, catalog.pair(pair), prompt, seed=7)
        made = dict(zip(requests, results(engine.run(list(requests.values()), **how)).values(), strict=True))
        document = compare_document(catalog.pair(pair), made, PRICES.profiles["hf-l4"])
        for lane in document["lanes"]:
            lane["image"] = f"{abs(hash(prompt))}-{lane['role']}.png"
            imagefile.write(tmp_path / lane["image"], made[lane["role"]].image, recipe_of(made[lane["role"]]))
        return Item(document, tmp_path)

    return make


@pytest.fixture
def page(catalog, tmp_path):
    def make(*items: Item, title: str = "Old and new", **more) -> str:
        write_report(tmp_path / "report.html", title, items, catalog, PRICES, **more)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return make


def assert_inert(text: str) -> Page:
    """No script, no handler, nothing that loads, and links only to https or into the page."""
    parsed = Page(text)
    for tag, attributes in parsed.tags:
        assert tag not in FORBIDDEN_TAGS
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "style", "action")]
        assert re.match(r"data:image/(png|jpeg);base64,", attributes.get("src", "data:image/png;base64,"))
        assert re.match(r"https://|#", attributes.get("href", "#"))
    assert "url(" not in text and "@import" not in text
    return parsed


def test_everything_that_was_agreed_is_in_it(item, page):
    text = html.unescape(page(item(repeat=3)))
    for said in (
        "× faster", "cheaper", "“a red apple”", "Seed 7, 32 × 32 pixels, on CPU, 1 core (fake)", "Median run",
        "s × $0.8 per hour ÷ 3600 = $", "https://huggingface.co/docs/hub/spaces-gpus", "read 2026-08-22",
        "float32", "fake 1", "licence MIT", "revision of", "the order alternating", "What to bear in mind",
        "One prompt and one seed", "PSNR",
    ):  # fmt: skip
        assert said in text, said
    parsed = assert_inert(text)
    assert [tag for tag, _ in parsed.tags].count("img") == 2
    assert [attributes["class"] for tag, attributes in parsed.tags if tag == "line"] == ["run"] * 6


def test_the_pictures_in_it_keep_their_recipe(item, page):
    sources = [attributes["src"] for tag, attributes in Page(page(item())).tags if tag == "img"]
    for source, model in zip(sources, ("old", "new"), strict=True):
        _, recipe = imagefile.read(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        assert (recipe["request"]["model"], recipe["request"]["prompt"]) == (model, "a red apple")


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_hostile_prompt_is_a_caption_and_no_more(item, page, prompt):
    parsed = assert_inert(page(item(prompt), title=prompt, said={prompt: {prompt: prompt}}))
    assert f"“{' '.join(prompt.split())}”" in parsed.text
    assert any(prompt in attributes.get("alt", "") for tag, attributes in parsed.tags if tag == "img")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=st.text(min_size=1, max_size=80), source=st.text(max_size=60))
def test_no_text_of_a_document_becomes_markup(item, page, prompt, source):
    made = item()
    price = {**made.document["price"], "source": source, "profile": prompt}
    assert_inert(page(Item({**made.document, "prompt": prompt, "device": prompt, "price": price}, made.folder)))


def test_a_source_is_a_link_only_if_it_is_one(item, page):
    made = item()
    for source, linked in (("https://a.example/prices (a page)", True), ("javascript:alert(1)", False)):
        document = {**made.document, "price": {**made.document["price"], "source": source}}
        links = [attributes["href"] for tag, attributes in Page(page(Item(document, made.folder))).tags if tag == "a"]
        assert links == (["https://a.example/prices"] if linked else [])


def test_no_price_and_a_cached_picture_claim_nothing(item, page):
    item()
    made = item()
    lanes = [{**lane, "cost_usd": None} for lane in made.document["lanes"]]
    price = {"profile": "unknown", "usd_per_hour": None, "source": "none", "as_of": ""}
    text = html.unescape(page(Item({**made.document, "lanes": lanes, "price": price}, made.folder)))
    assert "No price is known for this hardware" in text and "from the cache" in text
    assert "faster" not in text and "cheaper" not in text


def test_several_comparisons_have_a_summary_and_say_once_what_holds_for_all(item, page):
    text = html.unescape(page(item("a fox", "short"), item("a cat", "short"), title="A session"))
    parsed = assert_inert(text)
    links = [attributes["href"] for tag, attributes in parsed.tags if attributes.get("href", "").startswith("#")]
    assert links == ["#item-1", "#item-2"]
    assert "Median of the 2 measured of 2 comparisons" in text
    verdict = text[text.index('<div class="verdict">') : text.index("Median of the 2 measured")]
    assert "about" in verdict  # of single runs
    assert text.count("2 prompts, chosen by") == 1
    assert text.count("PSNR and SSIM are missing") == 1


def test_no_median_is_taken_over_comparisons_of_different_things(item, page):
    text = html.unescape(page(item("a fox"), item("a cat", "short"), title="A session"))
    assert "no median over all of them is given" in text and "Median of" not in text
    assert "Old and New, seed 7" in text


def test_a_comparison_kept_before_there_were_switches_is_like_one_without(item, page):
    made, old = item("a fox"), item("a cat")
    lanes = [{name: value for name, value in lane.items() if name != "switches"} for lane in old.document["lanes"]]
    assert "Median of the 2 measured" in page(made, Item({**old.document, "lanes": lanes}, old.folder))


def test_how_the_items_were_chosen_is_said(item, page, catalog, tmp_path):
    text = page(item(), remarks=["All with <b> in the prompt."])
    assert "All with &lt;b&gt; in the prompt." in text
    write_report(tmp_path / "report.zip", "one", [item()], catalog, PRICES, remarks=["All."])
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert json.loads(archive.read("report.json"))["remarks"] == ["All."]


def test_votes_and_a_plot_are_put_in(item, page):
    made = item()
    plot = Markup('<svg viewBox="0 0 9 9"><title>front</title></svg>')
    text = page(Item(made.document, made.folder, plot=plot), said={"Votes": {"Efficient preferred": "12 of 20"}})
    assert str(plot) in text and "12 of 20" in text


def test_a_sweep_shows_every_cell(catalog, engine, tmp_path, page):
    given = {"models": "old", "prompts": "a fox", "steps": "1, 2", "guidance": "1, 3", "seeds": "1"}
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    entry = sweeps.start(plan_sweep(catalog, given), PRICES.profiles["hf-l4"])
    list(sweeps.run(sweeps.history.get(entry)))
    kept = sweeps.history.get(entry)
    text = page(Item(sweep_document(kept.document, sweeps.cells.of(entry)), pictures=kept.files))
    parsed = assert_inert(text)
    assert [tag for tag, _ in parsed.tags].count("img") == 4
    assert "4 pictures by Old" in parsed.text and "2 steps, guidance 3" in parsed.text


def test_total_and_cost_are_the_first_numbers_of_a_sweep_and_names_keep_their_capitals(catalog, engine, tmp_path, page):
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))
    given = {"models": "old, new", "prompts": "a fox", "guidance": "1, 3", "seeds": "1"}
    entry = sweeps.start(plan_sweep(catalog, given), PRICES.profiles["hf-l4"])
    list(sweeps.run(sweeps.history.get(entry)))
    kept = sweeps.history.get(entry)
    item = Item(sweep_document(kept.document, sweeps.cells.of(entry)), pictures=kept.files, front="None beats <these>.")
    text = page(item)
    stages = text[text.index('aria-label="Seconds by stage"') :]
    heads = re.findall(r">([^<]+)</th>", stages.partition("</thead>")[0])
    assert heads == ["Total", "Cost", "Encode", "Denoise", "Decode", "Runs"]
    row = re.search(r"<tr><th scope=\"row\">(.*?)</tr>", stages)[1]
    assert re.sub("<[^>]+>", "|", row).replace("||", "|") == (
        "Old, guidance 1|11.0 ms|$0.00244 per 1,000|2.00 ms|6.00 ms|3.00 ms|1|"
    )
    assert '<figcaption><span class="role">Old, guidance 3</span>' in text
    verdict = text.partition('<div class="verdict">')[2].partition("</div>")[0]
    assert "<p>None beats &lt;these&gt;.</p>" in verdict and "Good enough?" not in text


def test_a_first_letter_is_raised_and_no_other_lowered(catalog, engine, tmp_path, page):
    assert raised("no switch + FP8") == "No switch + FP8" and raised("") == ""
    new = catalog.model("new").model_copy(update={"name": "a B"})
    cards = catalog.model_copy(update={"models": {**catalog.models, "new": new}})
    sweeps = Sweeps(cards, engine, History(tmp_path / "history"))
    entry = sweeps.start(
        plan_sweep(cards, {"models": "old, new", "prompts": "a fox", "steps": "1, 2", "seeds": "1"}),
        PRICES.profiles["hf-l4"],
    )
    list(sweeps.run(sweeps.history.get(entry)))
    kept = sweeps.history.get(entry)
    item = Item(sweep_document(kept.document, sweeps.cells.of(entry)), pictures=kept.files)
    write_report(tmp_path / "capitals.html", "x", [item], cards, PRICES)
    assert (tmp_path / "capitals.html").read_text(encoding="utf-8").count("A B, 2 steps") == 2


def test_of_a_comparison_that_nobody_judged_that_is_said(item, page):
    made = item()
    said = "<p>Good enough? Nobody has said at these settings.</p>"
    looked = Item({**made.document, "opinions": ""}, made.folder)  # as the page's own
    assert said in page(looked)
    assert "Nobody has said" not in page(made), "it was not looked whether anybody has"
    assert "Nobody has said" not in page(looked, said={"Votes": {"Verdict": "Efficient preferred"}})
    asked = Item({**made.document, "opinions": "2 of 3 preferred it."}, made.folder)
    assert "<p>Good enough? 2 of 3 preferred it.</p>" in page(asked)


def test_what_the_history_kept_can_be_reported(catalog, engine, tmp_path, page):
    requests = plan(catalog, catalog.pair("both"), "a red apple", seed=7)
    made = dict(zip(requests, results(engine.run(list(requests.values()))).values(), strict=True))
    document = compare_document(catalog.pair("both"), made, PRICES.profiles["hf-l4"])
    history = History(tmp_path / "history")
    ids = [history.add("comparison", document, [made[role] for role in ROLES]) for _ in range(2)]
    entries = [history.get(entry) for entry in ids]
    text = page(*(Item(entry.document, pictures=entry.files) for entry in entries))
    assert text.count("data:image/png;base64,") == 4 and "no longer there" not in text


@pytest.mark.parametrize(
    ("document", "title"),
    [
        ({"lanes": [], "pair": "both"}, "Old and new"),
        ({"lanes": [], "pair": "gone"}, "gone"),
        ({"cells": [], "model": "new"}, "Sweep of New"),
        ({"cells": [], "model": "gone"}, "Sweep of gone"),
        ({"model": "old"}, "Old"),
    ],
)
def test_a_report_is_called_by_its_pair_or_model(catalog, document, title):
    assert title_of(document, catalog) == title


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


def test_a_sweep_over_prompts_says_how_many_and_how_long_each_model_took(catalog, engine, tmp_path, page):
    sweeps = Sweeps(catalog, engine, History(tmp_path / "history"))

    def text(**given: str) -> str:
        plan = plan_sweep(catalog, {"seeds": "1", "steps": "2", **given})
        entry = sweeps.start(plan, PRICES.profiles["hf-l4"])
        list(sweeps.run(sweeps.history.get(entry)))
        kept = sweeps.history.get(entry)
        return page(Item(sweep_document(kept.document, sweeps.cells.of(entry)), pictures=kept.files))

    many = text(models="old, new", prompts="a fox\na cat\na hat")
    assert "“a fox” and 2 more prompts</h2>" in many and many.count('alt="New, a hat: a hat"') == 1
    assert "A picture took 7.00 to 9.00 ms, in the median 9.00 ms by Old and 7.00 ms by New." in many
    assert "“a fox”</h2>" in text(models="old, new", prompts="a fox")
    assert "in the median" not in text(models="old, new", prompts="a fox", steps="1, 2")  # of no one setting


def test_the_headline_is_said_in_words(item):
    title, sentence = headline(item(repeat=3).document, ["Old", "New"])
    assert title == "about 2.4 × faster, about 59 % cheaper"
    assert sentence == (
        "The efficient model, New, took 7.00 ms for its picture; the predecessor, Old, took 17.0 ms. "
        "1,000 pictures cost $0.00156 against $0.00378. The difference in time is not significant (rank test, "
        "p = 0.1): measure at least 4 runs a model."
    )
