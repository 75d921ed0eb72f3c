"""One report of what the History tab shows: whose, how many, what is left out, and what a bad picture costs."""

from __future__ import annotations

import html
from types import SimpleNamespace

import gradio as gr
import pytest

from pipeline.catalog import ROLES
from pipeline.compare import compare_document, generate_document, plan
from pipeline.engine import Engine
from pipeline.errors import InputError
from pipeline.events import final_results
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.request import make_request
from pipeline.ui import history_report
from pipeline.ui.history_report import conditions, write
from pipeline.ui.visitors import Visitors
from tests.fakes import results

ME, YOU = "m" * 22, "y" * 22
HOSTILE = "<script>alert(1)</script>"
HERE = SimpleNamespace(headers={}, client=SimpleNamespace(host="127.0.0.1"))
PRICE = load_prices().profiles["hf-l4"]


@pytest.fixture
def playground(engine: Engine, tmp_path) -> Playground:
    return Playground(engine.catalog, load_prices(), engine, tmp_path)


@pytest.fixture
def page() -> SimpleNamespace:
    return SimpleNamespace(share=False, space_id=None, server_name="127.0.0.1")


@pytest.fixture
def visitors(playground, page) -> Visitors:
    with gr.Blocks():
        return Visitors(playground, page)


@pytest.fixture
def keep(playground, engine):
    """Make something and keep it: a comparison, or a picture by one model."""

    def kept(prompt: str, owner: str = ME, pair: str = "both", model: str | None = None) -> str:
        if model:
            made = final_results(engine.run([make_request(engine.catalog.model(model), prompt, seed=7)]))
            return playground.history.add("picture", generate_document(made[0], PRICE), made, owner)
        requests = plan(engine.catalog, engine.catalog.pair(pair), prompt, seed=7)
        made = dict(zip(requests, results(engine.run(list(requests.values()))).values(), strict=True))
        document = compare_document(engine.catalog.pair(pair), made, PRICE)
        return playground.history.add("comparison", document, [made[role] for role in ROLES], owner)

    return kept


@pytest.fixture
def report(playground, visitors, tmp_path):
    """The report of what the controls say, as text, and what was told beside it."""

    def written(text="", which="any", kind="any", starred=False, token=ME) -> tuple[str, list[str]]:
        path = tmp_path / "report.html"
        asked = conditions(text, which, kind, starred)
        remarks = write(path, asked, token, HERE, playground, visitors)
        said = path.read_text(encoding="utf-8")
        assert all(html.escape(remark, quote=False) in said for remark in remarks)
        return said, remarks

    return written


def test_comparisons_and_pictures_are_in_it_newest_first(keep, report):
    keep("a red apple")
    keep("a blue fox", model="new")
    keep("a red cat", pair="short")
    text, remarks = report()
    places = [text.index(f"“{prompt}”</h2>") for prompt in ("a red cat", "a blue fox", "a red apple")]
    assert places == sorted(places) and text.count("data:image/png;base64,") == 5
    assert remarks == ["2 comparisons and 1 single picture in the history, newest first."]
    assert "<h1>From the history</h1>" in text


def test_it_has_what_the_filter_shows_and_says_by_what_it_was_chosen(keep, report, playground):
    starred = keep("a red apple")
    playground.history.star(starred, True)
    keep("a red cat", pair="short")
    keep("a blue fox", model="new")
    for controls, prompts, said in (
        ({"text": "red"}, {"a red apple", "a red cat"}, "2 comparisons in the history, with “red” in the prompt"),
        ({"which": "pair short"}, {"a red cat"}, "1 comparison in the history, of the pair Old, short, newest first."),
        ({"which": "model new"}, {"a red apple", "a blue fox"}, "in the history, by the model New, newest first."),
        ({"kind": "picture"}, {"a blue fox"}, "1 single picture in the history, newest first."),
        ({"starred": True, "text": "a red"}, {"a red apple"}, "with “a” and “red” in the prompt, starred, newest"),
    ):
        text, remarks = report(**controls)
        assert {prompt for prompt in ("a red apple", "a red cat", "a blue fox") if f"“{prompt}”" in text} == prompts
        assert said in remarks[0]


def test_nobody_elses_entries_are_ever_in_it(keep, report, page):
    keep("mine")
    keep("yours", YOU)
    keep("of the command line", "")
    keep("of a program", "programs")
    text, _ = report()
    assert "mine" in text and "of the command line" in text and "yours" not in text and "of a program" not in text
    page.server_name = "0.0.0.0"
    text, remarks = report()
    assert "of the command line" not in text and remarks == ["1 comparison in the history, newest first."]
    for token in ("n" * 22, None, "", "programs", {"a": 1}):
        with pytest.raises(InputError, match="There are no comparisons and no single pictures in the history"):
            report(token=token)


@pytest.mark.parametrize(
    ("limit", "value", "kept"), [("ENTRIES_MAX", 3, 3), ("BYTES_MAX", 13_000, 2), ("BYTES_MAX", 1, 1)]
)
def test_beyond_the_limit_the_newest_are_in_it_and_that_is_said(keep, report, monkeypatch, limit, value, kept):
    for number in range(4):
        keep(f"number {number}", model="new" if number % 2 else None)
    monkeypatch.setattr(history_report, limit, value)
    text, remarks = report()
    assert [number for number in range(4) if f"“number {number}”" in text] == list(range(4 - kept, 4))
    assert remarks[0] == f"The newest {kept} of 4 comparisons and single pictures in the history, newest first."
    assert remarks[1].startswith("A report takes ") and "narrow the search" in remarks[1]
    assert f"{4 - kept} older one" in remarks[1]


def test_sweeps_and_votes_are_left_out_and_that_is_said(keep, report, playground):
    keep("a fox")
    for kind in ("sweep", "sweep", "vote"):
        playground.history.add(kind, {"prompt": "a fox", "models": ["old"], "pairs": []}, [], ME)
    _, remarks = report()
    left_out = "2 sweeps and 1 vote left out: the Sweep and Vote tabs write reports of their own."
    assert remarks == ["1 comparison in the history, newest first.", left_out]
    with pytest.raises(InputError, match=r"There are no comparisons.*to report\. 2 sweeps left out"):
        report(kind="sweep")


def test_a_picture_that_is_gone_or_damaged_costs_itself_alone(keep, report, playground):
    first, second = (playground.history.get(keep(prompt)) for prompt in ("a fox", "a cat"))
    keep("a dog")
    first.files[0].unlink()
    second.files[1].write_bytes(b"\x89PNG broken")
    text, _ = report()
    assert text.count("no longer there or damaged") == 2 and text.count("data:image/png;base64,") == 4


def test_a_hostile_prompt_and_search_are_text(keep, report):
    keep(HOSTILE)
    text, _ = report(text="<script>")
    assert "<script" not in text and text.count("&lt;script&gt;") >= 3
