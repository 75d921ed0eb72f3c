"""What a vote's page says: no more than the votes do, and every text of a user's as text."""

from __future__ import annotations

import re

import pytest

from pipeline.history import Entry
from pipeline.sweep_votes import Setting, Standing, standing_texts
from pipeline.ui.vote_markup import ballot, brief, claim, people, result, standing, sweep_result, tally_texts
from pipeline.votes import Ballot, Cast, Tally

LANE = {"model": "new", "steps": 24, "guidance": 1.0, "switches": []}
HOSTILE = '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(0, 0, 4, 2, 1), "No preference yet"),
        (Tally(6, 5, 0, 0, 1), "Too close to call"),
        (Tally(9, 1, 0, 0, 1), "The efficient model is preferred"),
        (Tally(1, 9, 0, 0, 1), "The predecessor is preferred"),
        (Tally(200, 200, 0, 0, 9), "Neither is preferred"),
        (Tally(209, 171, 0, 0, 9), "Too close to call"),
    ],
)
def test_the_claim_promises_no_more_than_the_interval(tally, words):
    assert claim(tally) == words


def test_all_is_told_with_its_interval_and_what_it_leaves_out():
    said = tally_texts(Tally(9, 1, 10, 5, 3))
    assert said["Votes"].startswith("25 by 3 voters: ")
    assert said["Votes"].endswith("Efficient is better 9, Predecessor is better 1, Tie 10, Both bad 5")
    assert said["The efficient picture was preferred in"].startswith("90 % (60 % to 98 %) of the votes")
    assert said["It was at least as good in"].startswith("95 % (76 % to ")
    assert said["To tell who is ahead"] == "no more votes are needed"
    even = tally_texts(Tally(200, 200, 0, 0, 9))["To tell who is ahead"]
    assert even == "they are even, to within 5 points; no more votes are needed"
    assert "independent" in said["How it was asked"] and "Pooled" not in said
    assert "3 different settings" in tally_texts(Tally(9, 1, 10, 5, 3), settings=3)["Pooled"]


def test_votes_that_prefer_neither_bring_the_answer_no_nearer():
    few, many = (tally_texts(Tally(6, 4, ties, 0, 1))["To tell who is ahead"] for ties in (0, 90))
    assert few == "needs about 88 more votes like these" and many == "needs about 880 more votes like these"


@pytest.mark.parametrize("tally", [Tally(1, 1, 0, 0, 1), Tally(51, 49, 0, 0, 9)])
def test_of_an_even_vote_more_of_the_same_never_tell_who_is_ahead(tally):
    said = tally_texts(tally)["To tell who is ahead"]
    assert said.startswith("votes like these will not; about ")
    assert said.endswith(" more of them would tell that they are even, to within 5 points")


def test_pairs_of_one_prompt_are_told_apart_by_what_differs(catalog):
    class Said:
        def casts(self, _) -> list[Cast]:
            return [Cast(0, "ann", "efficient", 1.0)]

        def settings(self, _) -> int:
            return 2

    def pair(prompt: str, steps: int, seed: int) -> dict:
        lanes = [{**LANE, "role": "predecessor"}, {**LANE, "role": "efficient", "steps": steps}]
        return {"prompt": prompt, "seed": seed, "width": 128, "height": 128, "lanes": lanes}

    pairs = [
        pair("a lemon", 3, 7),
        pair("a lemon", 2, 7),
        pair("a fox", 2, 8),
        pair("a cat", 3, 7),
        pair("a cat", 3, 7),
    ]
    vote = Entry("id", "vote", "", 0.0, "a lemon", (), False, {"pairs": pairs}, {})
    rows = re.findall(r'<th scope="row">([^<]*)</th>', standing(Said(), catalog, vote))
    assert rows[:3] == ["“a lemon”, efficient: 3 steps", "“a lemon”, efficient: 2 steps", "“a fox”"]
    assert rows[3:] == ["“a cat”, pair 4", "“a cat”, pair 5", "All"]
    assert "<p>Models: New and New</p>" in standing(Said(), catalog, vote), "at settings that differ"


def test_both_bad_is_said_beside_a_share_that_leaves_it_out():
    assert people(Tally(0, 0, 10, 90, 10)).endswith("of 10 votes (besides, 90 called both bad) by 10 voters.")
    assert "besides, 90 called both bad" in tally_texts(Tally(0, 0, 10, 90, 10))["It was at least as good in"]
    assert people(Tally(0, 0, 0, 7, 2)) == "In blind votes at these settings 7 of 7 called both bad."
    assert people(Tally(0, 0, 0, 0, 0)) == ""


def test_nothing_is_reckoned_of_no_votes():
    said = tally_texts(Tally(0, 0, 0, 0, 0))
    assert set(said) == {"Votes", "How it was asked"}
    assert "win-rate" not in result(Tally(0, 0, 0, 0, 0), [])


def test_a_script_for_a_prompt_is_text():
    shown = ballot(Ballot(0, HOSTILE, "efficient", "predecessor", 0, 1), "a.png", "b.png")
    counted = result(Tally(1, 0, 0, 0, 1), [(HOSTILE, Tally(1, 0, 0, 0, 1))])
    for html in (shown, counted):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_the_choices_are_read_once_however_many_pairs_there_are(catalog):
    class Said:
        reads = 0

        def casts(self, _) -> list[Cast]:
            self.reads += 1
            return [Cast(59, "ann", "efficient", 1.0), Cast(0, "ann", "tie", 2.0), Cast(59, "ben", "bad", 3.0)]

        def settings(self, _) -> int:
            return 1

    lanes = [{**LANE, "role": "predecessor"}, {**LANE, "role": "efficient"}]
    same = {"seed": 7, "width": 128, "height": 128, "lanes": lanes}
    document = {"pairs": [{"prompt": f"thing {i}", **same} for i in range(60)]}
    said = Said()
    html = standing(said, catalog, Entry("id", "vote", "", 0.0, "thing 0", (), False, document, {}))
    assert said.reads == 1 and "3 by 2 voters" in html
    assert "<p>Models: New, 24 steps against New, 24 steps</p>" in html
    for row in (
        "“thing 59”</th><td>1</td><td>0</td><td>0</td><td>1</td>",
        "“thing 0”</th><td>0</td><td>0</td><td>1</td><td>0</td>",
        "All</th><td>1</td><td>0</td><td>1</td><td>1</td>",
    ):
        assert row in html


def test_a_vote_in_one_line_sways_nobody_who_is_amid_it(catalog):
    class Said:
        def __init__(self, *voters: str):
            self.voters = voters

        def casts(self, _) -> list[Cast]:
            return [Cast(place, voter, "efficient", 1.0) for voter in self.voters for place in range(len(voter))]

    lanes = [{"role": "predecessor"}, {"role": "efficient"}]
    document = {"pairs": [{"prompt": "a fox", "lanes": lanes}] * 9}
    vote = Entry("id", "vote", "", 0.0, "a fox", (), False, document, {})
    assert brief(Said(), catalog, vote, "me") == "No votes yet"
    assert brief(Said("everybody"), catalog, vote, "me") == "9 votes by 1 voter: The efficient model is preferred"
    assert brief(Said("everybody", "me"), catalog, vote, "me") == "11 votes by 2 voters"
    assert brief(Said("everybody"), catalog, vote, "everybody").endswith("is preferred")


def test_a_ballot_names_no_model_and_no_side():
    html = ballot(Ballot(0, "a fox", "efficient", "predecessor", 0, 1), "a.png", "b.png")
    assert "efficient" not in html and "predecessor" not in html


def test_a_vote_on_a_sweep_speaks_of_settings_and_their_reference():
    said = Tally(1, 9, 2, 0, 3)
    standing = Standing(
        Setting("8 steps", 1, 0.2, None, Tally(0, 0, 0, 0, 0)), (Setting("1 step", 0, 0.1, None, said),), said
    )
    html = sweep_result(standing, standing_texts(standing), [(HOSTILE, said)])
    for words in (
        "1 setting not as good as the reference",
        "12 by 3 voters",
        "17 % (5 % to 45 %)",
        "8 steps, the picture",
    ):
        assert words in html
    assert html.count("17 %") == 1  # in the table, and not a second time below it
    assert "fficient" not in html and "redecessor" not in html
    assert "<script" not in html and "&lt;script&gt;" in html
