"""What a vote's page says: no more than the votes do, and every text of a user's as text."""

from __future__ import annotations

import pytest

from pipeline.ui.vote_markup import ballot, claim, result, told
from pipeline.votes import Ballot, Tally

HOSTILE = '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally(0, 0, 4, 2, 1), "No preference yet"),
        (Tally(6, 5, 0, 0, 1), "Too close to call"),
        (Tally(9, 1, 0, 0, 1), "The efficient model is preferred"),
        (Tally(1, 9, 0, 0, 1), "The predecessor is preferred"),
    ],
)
def test_the_claim_promises_no_more_than_the_interval(tally, words):
    assert claim(tally) == words


def test_all_is_told_with_its_interval_and_what_it_leaves_out():
    said = told(Tally(9, 1, 10, 5, 3))
    assert said["Votes"].startswith("25 by 3 voters: ")
    assert said["Votes"].endswith("Efficient is better 9, Predecessor is better 1, Tie 10, Both bad 5")
    assert said["The efficient picture was preferred in"].startswith("90 % (60 % to 98 %) of the votes")
    assert said["It was at least as good in"].startswith("95 % (76 % to ")
    assert said["To tell who is ahead"] == "no more votes are needed"
    assert "needs about" in told(Tally(6, 5, 0, 0, 1))["To tell who is ahead"]
    assert "independent" in said["How it was asked"]


def test_nothing_is_reckoned_of_no_votes():
    said = told(Tally(0, 0, 0, 0, 0))
    assert set(said) == {"Votes", "How it was asked"}
    assert "win-rate" not in result(Tally(0, 0, 0, 0, 0), [])


def test_a_script_for_a_prompt_is_text():
    shown = ballot(Ballot(0, HOSTILE, "efficient", "predecessor", 0, 1), "a.png", "b.png")
    counted = result(Tally(1, 0, 0, 0, 1), [(HOSTILE, Tally(1, 0, 0, 0, 1))])
    for html in (shown, counted):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_a_ballot_names_no_model_and_no_side():
    html = ballot(Ballot(0, "a fox", "efficient", "predecessor", 0, 1), "a.png", "b.png")
    assert "efficient" not in html and "predecessor" not in html
