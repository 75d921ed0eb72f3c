"""Votes on a sweep: what is put beside what, what is counted together, and what outlives what."""

from __future__ import annotations

import threading
import zipfile
from collections import Counter
from dataclasses import replace

import pytest

from pipeline.errors import Cancelled, InputError
from pipeline.history import Entry, History
from pipeline.labels import setting_of
from pipeline.playground import Playground
from pipeline.prices import load_prices
from pipeline.sweep import plan_sweep
from pipeline.sweep_plot import votes_plot
from pipeline.sweep_report import drawn, write_sweep_report, write_vote_report
from pipeline.sweep_run import Kept, Sweeps
from pipeline.sweep_votes import (
    of_sweep,
    of_vote,
    open_vote,
    pair_label,
    said_of,
    standing_claim,
    standing_texts,
    votable,
)
from pipeline.votes import PAIRS_MAX, Votes

HOSTILE = "<script>alert(1)</script>"
PRICE = load_prices().profile("36")
"""A cent a second."""


@pytest.fixture
def sweeps(catalog, engine, tmp_path):
    return Sweeps(catalog, engine, History(tmp_path / "history"))


@pytest.fixture
def votes(sweeps):
    return Votes(sweeps.history)


@pytest.fixture
def swept(sweeps):
    """Makes and runs a sweep, as far as ``until`` cells."""

    def make(until: int | None = None, **given: str) -> Entry:
        plan = plan_sweep(sweeps.catalog, {"models": "old", "prompts": "a fox", "seeds": "7", **given})
        entry = sweeps.history.get(sweeps.start(plan, PRICE))
        go_on(sweeps, entry, until)
        return sweeps.history.get(entry.id)

    return make


def go_on(sweeps: Sweeps, entry: Entry, until: int | None = None) -> None:
    stop = threading.Event()
    if until == 0:
        stop.set()
    try:
        for said in sweeps.run(entry, stop=stop):
            if isinstance(said, Kept) and len(sweeps.cells.places(entry.id)) == until:
                stop.set()
    except Cancelled:
        pass


def choose(votes: Votes, vote: Entry, voter: str, wanted: dict[int, str]) -> None:
    """Vote on every pair: ``wanted`` by the steps of its cell, as a role or "tie" or "bad"."""
    while ballot := votes.ballot(vote, voter):
        choice = wanted[vote.document["pairs"][ballot.place]["lanes"][1]["steps"]]
        votes.cast(vote, voter, ballot.place, {ballot.left: "left", ballot.right: "right"}.get(choice, choice))


def places(vote: Entry) -> list[tuple[int, int]]:
    return [(pair["reference"], pair["place"]) for pair in vote.document["pairs"]]


def test_each_cell_stands_beside_the_one_with_the_most_steps_of_its_prompt_and_seed(votes, sweeps, swept):
    entry = swept(prompts="a fox\na cat", steps="1, 2, 6")
    vote = open_vote(votes, sweeps, entry)
    assert places(vote) == [(2, 0), (2, 1), (5, 3), (5, 4)]
    found = votes.history.results(vote)
    for i, pair in enumerate(vote.document["pairs"]):
        reference, cell = found[2 * i].request, found[2 * i + 1].request
        assert (reference.prompt, reference.seed) == (cell.prompt, cell.seed) == (pair["prompt"], pair["seed"])
        assert reference.steps == 6 and [lane["role"] for lane in pair["lanes"]] == ["reference", "setting"]
    assert not vote.starred  # until somebody has voted
    assert "efficient" not in str(vote.document) and "predecessor" not in str(vote.document)


def test_a_switch_that_approximates_makes_no_reference_whatever_comes_first(votes, sweeps, swept):
    entry = swept(switches="fp8-weights, none", guidance="3, 2")
    vote = open_vote(votes, sweeps, entry)
    assert {(pair["lanes"][0]["guidance"], *pair["lanes"][0]["switches"]) for pair in vote.document["pairs"]} == {(3,)}
    assert of_vote(votes, sweeps.catalog, vote).reference.label == "guidance 3, no switch"


def test_what_makes_the_reference_is_said_also_where_steps_are_not_told(votes, sweeps, swept):
    entry = swept(models="old, new", steps="2")
    vote = open_vote(votes, sweeps, entry)
    assert standing_texts(of_vote(votes, sweeps.catalog, vote))["Reference"] == (
        "Old, the picture with the most steps of each prompt and seed"
    )
    [pair] = vote.document["pairs"]

    def reference(*hosted: dict | None, model: str = "old") -> str:
        lanes = [{**lane, "hosted": said} for lane, said in zip(pair["lanes"], hosted, strict=True)]
        lanes[0]["model"] = model
        asked = replace(vote, document={**vote.document, "pairs": [{**pair, "lanes": lanes}]})
        return standing_texts(of_vote(votes, sweeps.catalog, asked))["Reference"].partition(", ")[2]

    mute, telling = {"takes": ["seed"]}, {"takes": ["seed", "steps"]}
    assert reference(mute, None) == reference(None, mute) == "the predecessor's picture of each prompt and seed"
    assert reference(telling, None) == "the picture with the most steps of each prompt and seed"
    assert reference(mute, mute, model="gone") == "the first picture of each prompt and seed"
    assert reference(telling, mute, model="gone") == (
        "the picture with the most steps that are told of each prompt and seed"
    )


def test_who_cannot_have_a_plot_of_fidelity_is_told_of_votes_where_there_can_be_some(votes, sweeps, swept, tmp_path):
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    two, one = swept(steps="1, 2"), swept(steps="2")
    assert votable(sweeps, two) and not votable(sweeps, one)
    with pytest.raises(InputError, match=r"no plot of fidelity.*reference\. Choose votes\.$"):
        drawn(playground, two)
    with pytest.raises(InputError, match=r"no plot of fidelity.*reference\.$"):
        drawn(playground, one)


def test_no_path_need_be_shared(votes, sweeps, swept):
    """The catalogue says of this model that its own pictures cannot be compared by fidelity."""
    assert len(places(open_vote(votes, sweeps, swept(steps="1, 2")))) == 1


def test_it_is_pooled_over_prompts_and_seeds(votes, sweeps, swept):
    entry = swept(prompts="a fox\na cat", steps="1, 2, 6")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "reference", 2: "setting"})
    choose(votes, vote, "bob", {1: "bad", 2: "tie"})
    for standing in (of_sweep(votes, sweeps, entry), of_vote(votes, sweeps.catalog, vote)):
        assert (standing.reference.label, standing.reference.place) == ("6 steps", 2)
        one, two = standing.settings
        assert (one.label, one.place, said_of(one.tally)) == (
            "1 step",
            0,
            "2 votes: 0 better, 0 as good, 2 worse; besides 2 both bad",
        )
        assert (two.label, two.place, said_of(two.tally)) == ("2 steps", 1, "4 votes: 2 better, 2 as good, 0 worse")
        assert two.tally.score.share == 0.75 and one.tally.score.share == 0
        assert two.tally.score.low < 0.75 < two.tally.score.high
        assert (standing.tally.votes, standing.tally.voters) == (8, 2)
        assert one.seconds == pytest.approx(0.002 + 0.002 + 0.003) and one.cost_usd == pytest.approx(one.seconds / 100)
        assert standing_claim(standing) == "2 settings too close to call"
        assert standing_texts(standing)["2 steps"].startswith("score 75 % (")


def test_a_setting_that_wins_or_loses_clearly_is_said_to(votes, sweeps, swept):
    entry = swept(steps="1, 2, 3, 6")
    vote = open_vote(votes, sweeps, entry)
    for i in range(12):
        choose(votes, vote, f"voter {i}", {1: "reference", 2: "setting", 3: "tie"})
    standing = of_sweep(votes, sweeps, entry)
    assert standing_claim(standing) == (
        "1 setting preferred to the reference, 1 setting not as good as the reference, 1 setting too close to call"
    )
    assert [setting.tally.score.share for setting in standing.settings] == [0, 1, 0.5]


def test_a_stopped_sweep_is_voted_on_where_the_reference_is_made_and_again_when_it_went_on(votes, sweeps, swept):
    entry = swept(until=5, prompts="a fox\na cat", steps="1, 2, 6")
    vote = open_vote(votes, sweeps, entry)
    assert places(vote) == [(2, 0), (2, 1)]  # the cat's own best has 2 steps: another reference
    assert open_vote(votes, sweeps, entry).id == vote.id  # nothing new to ask
    choose(votes, vote, "ann", {1: "reference", 2: "tie"})
    go_on(sweeps, entry)
    entry = sweeps.history.get(entry.id)
    again = open_vote(votes, sweeps, entry)
    assert len(places(again)) == 4
    assert of_sweep(votes, sweeps, entry).tally.votes == 2
    choose(votes, again, "ann", {1: "setting", 2: "setting"})  # the fox's two for the second time
    standing = of_sweep(votes, sweeps, entry)
    assert (standing.tally.votes, standing.tally.candidate, standing.tally.voters) == (4, 4, 1)


def test_one_owners_vote_is_not_given_to_another(votes, sweeps, swept):
    entry = swept(steps="1, 2")
    ann = open_vote(votes, sweeps, entry, "ann")
    assert open_vote(votes, sweeps, entry, "bob").id != ann.id == open_vote(votes, sweeps, entry, "ann").id


def test_votes_against_another_reference_are_not_counted_with_the_newest(votes, sweeps, swept):
    entry = swept(until=2, steps="1, 2, 6")
    first = open_vote(votes, sweeps, entry)
    choose(votes, first, "ann", {1: "setting"})
    go_on(sweeps, entry)
    entry = sweeps.history.get(entry.id)
    second = open_vote(votes, sweeps, entry)
    assert of_sweep(votes, sweeps, entry).reference.label == "2 steps"  # nobody has voted on the second
    choose(votes, second, "bob", {1: "reference", 2: "reference"})
    standing = of_sweep(votes, sweeps, entry)
    assert (standing.reference.label, standing.tally.votes, standing.tally.baseline) == ("6 steps", 2, 2)


def test_of_too_many_pairs_each_setting_gives_as_many_of_the_same_prompts(votes, sweeps, swept):
    entry = swept(seeds="1..40", steps="1, 2, 3, 4")
    vote = open_vote(votes, sweeps, entry)
    pairs = vote.document["pairs"]
    assert len(pairs) == PAIRS_MAX and vote.document["finished"] == 120
    assert set(Counter(setting_of(pair["lanes"][1]) for pair in pairs).values()) == {PAIRS_MAX // 3}
    assert set(Counter(pair["seed"] for pair in pairs).values()) == {3}
    assert sorted({pair["seed"] for pair in pairs}) != list(range(1, 21))  # not just the first
    assert open_vote(votes, sweeps, entry).id == vote.id
    standing = of_vote(votes, sweeps.catalog, vote)
    assert standing_texts(standing, vote)["What was asked"].startswith("60 of 120 finished pictures")


@pytest.mark.parametrize("given", [{"seeds": "1, 2"}, {"prompts": "a fox\na cat"}, {}])
def test_what_has_no_reference_is_one_sentence(votes, sweeps, swept, given):
    with pytest.raises(InputError, match="Nothing can be voted on yet"):
        open_vote(votes, sweeps, swept(**given))


@pytest.mark.parametrize("until", [0, 1])
def test_a_sweep_that_has_hardly_begun_cannot_be_voted_on(votes, sweeps, swept, until):
    with pytest.raises(InputError, match="Nothing can be voted on yet"):
        open_vote(votes, sweeps, swept(until, steps="1, 2"))


def test_a_vote_outlives_its_sweep_and_a_restart(votes, sweeps, swept):
    entry = swept(steps="1, 2")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "setting"})
    history = History(sweeps.history.folder)
    restarted, again = Sweeps(sweeps.catalog, sweeps.engine, history), Votes(history)
    assert of_sweep(again, restarted, history.get(entry.id)).tally.candidate == 1
    assert open_vote(again, restarted, history.get(entry.id)).id == vote.id
    history.delete(entry.id)
    kept = again.get(vote.id)
    assert sorted(history.results(kept)) == [0, 1]
    standing = of_vote(again, sweeps.catalog, kept)
    assert (standing.settings[0].label, standing.tally.candidate) == ("1 step", 1)
    choose(again, kept, "bob", {1: "tie"})
    assert of_vote(again, sweeps.catalog, kept).tally.votes == 2


def test_of_a_deleted_vote_and_of_deleted_cells_nothing_is_said(votes, sweeps, swept):
    entry = swept(steps="1, 2, 6")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "setting", 2: "tie"})
    with sweeps.history.transaction() as database:
        database.execute("DELETE FROM cells WHERE entry = ? AND place = 0", (entry.id,))
    standing = of_sweep(votes, sweeps, entry)
    assert [setting.label for setting in standing.settings] == ["2 steps"] and standing.tally.votes == 1
    with sweeps.history.transaction() as database:
        database.execute("DELETE FROM cells WHERE entry = ? AND place = 2", (entry.id,))
    assert of_sweep(votes, sweeps, entry) is None
    entry = swept(steps="1, 3")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "setting"})
    votes.history.delete(vote.id)
    assert of_sweep(votes, sweeps, entry) is None


def test_a_cell_whose_file_is_gone_is_not_put_to_the_vote(votes, sweeps, swept):
    entry = swept(steps="1, 2, 6")
    entry.files[0].unlink()
    assert places(open_vote(votes, sweeps, entry)) == [(2, 1)]
    entry.files[2].unlink()  # then 2 steps are the most, and nothing is left to be put beside them
    with pytest.raises(InputError, match="Nothing can be voted on yet"):
        open_vote(votes, sweeps, entry)


def test_settings_of_several_axes_are_named_by_them_and_prompts_are_not(votes, sweeps, swept):
    entry = swept(models="old, new", steps="2, 6")
    vote = open_vote(votes, sweeps, entry)
    standing = of_vote(votes, sweeps.catalog, vote)
    assert standing.reference.label == "Old, 6 steps"
    assert [setting.label for setting in standing.settings] == ["Old, 2 steps", "New, 2 steps"]
    assert pair_label(sweeps.catalog, vote, vote.document["pairs"][1]) == "“a fox”, seed 7: New, 2 steps"


def test_the_export_names_roles_and_recipes(votes, sweeps, swept):
    vote = open_vote(votes, sweeps, swept(switches="none, fp8-weights", steps="1, 2"))
    choose(votes, vote, "a secret token", {1: "setting", 2: "reference"})
    rows = votes.exported(vote)
    assert {row["choice"] for row in rows} == {"setting", "reference"} and "secret" not in repr(rows)
    assert {(row["setting_steps"], row["setting_switches"]) for row in rows} == {
        (1, ""), (2, "fp8-weights"), (1, "fp8-weights"),
    }  # fmt: skip
    assert {(row["reference_steps"], row["reference_switches"]) for row in rows} == {(2, "")}


def test_the_report_of_a_vote_tells_of_settings_also_when_the_sweep_is_gone(votes, sweeps, swept, tmp_path):
    entry = swept(steps="1, 2, 6", prompts=f"{HOSTILE}\na cat")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "reference", 2: "tie"})
    sweeps.history.delete(entry.id)
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    write_vote_report(tmp_path / "vote.html", playground, votes.get(vote.id))
    html = (tmp_path / "vote.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 6  # each reference once, though it was shown twice
    assert "Time against votes" in html and "2 settings too close to call" in html and "<script" not in html
    assert not any(word in html for word in ("redecessor", "fficient"))


@pytest.mark.parametrize("voters", [1, 12])
def test_the_verdict_of_a_report_names_the_front_by_votes_once_they_are_enough(votes, sweeps, swept, tmp_path, voters):
    entry = swept(steps="1, 2, 6")
    vote = open_vote(votes, sweeps, entry)
    for i in range(voters):
        choose(votes, vote, f"voter {i}", {1: "reference", 2: "setting"})
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    write_vote_report(tmp_path / "vote.html", playground, votes.get(vote.id))
    write_sweep_report(tmp_path / "sweep.html", playground, entry)
    for name in ("vote.html", "sweep.html"):
        html = (tmp_path / name).read_text(encoding="utf-8")
        verdict = html.partition('<div class="verdict">')[2].partition("</div>")[0]
        front = (
            "None of the others beats these in both time (by 5 % or more) and votes: 1 step (7.00 ms, 0 %), 2 steps "
            "(9.00 ms, 100 %)."
        )
        assert (front in verdict) == (voters > 1)
        assert ("Too few votes to tell the settings apart." in html) == (voters == 1)


def test_the_verdict_of_a_report_names_the_front_by_fidelity(sweeps, swept, tmp_path):
    entry = swept(models="old, new", steps="1, 2, 4")
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    write_sweep_report(tmp_path / "sweep.html", playground, entry)
    html = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    verdict = html.partition('<div class="verdict">')[2].partition("</div>")[0]
    assert "in both time (by 5 % or more) and fidelity: New, 1 step (6.00 ms, " in verdict and "Square: New." in html


def test_a_script_for_a_prompt_stays_text(votes, sweeps, swept):
    entry = swept(prompts=f'{HOSTILE}\n"><img src=x>', steps="1, 2")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "setting"})
    assert "<script" not in votes_plot(of_sweep(votes, sweeps, entry), link="cell-")


def test_whoever_voted_gets_in_the_report_only_what_they_were_shown(votes, sweeps, swept, tmp_path):
    entry = swept(until=2, prompts="a fox\nour secret plan", steps="1, 2", seeds="7")
    vote = open_vote(votes, sweeps, entry)
    choose(votes, vote, "ann", {1: "tie"})
    playground = Playground(sweeps.catalog, load_prices(), sweeps.engine, tmp_path)
    write_vote_report(tmp_path / "vote.zip", playground, votes.get(vote.id))
    with zipfile.ZipFile(tmp_path / "vote.zip") as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"a fox" in everything
    assert b"secret" not in everything and entry.id.encode() not in everything
