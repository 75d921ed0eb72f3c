"""What a report says, and that nothing in it can run or load."""

from __future__ import annotations

import html
import json
import re
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from pipeline.history import History
from pipeline.prices import load_prices
from pipeline.report import headline, title_of, write_report
from pipeline.report_pictures import Item
from pipeline.sweep import plan_sweep, sweep_document
from pipeline.sweep_run import Sweeps
from pipeline.wording import raised
from tests.reports import Page, assert_inert

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


def test_comparisons_with_different_negative_prompts_differ_and_one_kept_before_they_said_it_had_none(item, page):
    made, old = item("a fox"), item("a cat")
    before = {name: value for name, value in old.document.items() if name != "negative_prompt"}
    assert "Median of the 2 measured" in page(made, Item(before, old.folder))
    other = Item({**old.document, "negative_prompt": "rain"}, old.folder)
    text = page(made, other)
    assert "no median over all of them is given" in text and "Median of" not in text


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
        "1,000 pictures cost $0.00156 against $0.00378 at $0.80 an hour. The difference in time is not significant "
        "(rank test, p = 0.1): measure at least 4 runs a model."
    )
