"""Blind votes: random sides that the voter cannot know, kept choices, honest tallies, and the end of a process."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.catalog import ROLES
from pipeline.compare import compare_document, plan
from pipeline.errors import InputError
from pipeline.events import final_results
from pipeline.history import Entry, History
from pipeline.imagefile import readable
from pipeline.keeping import LEFT
from pipeline.prices import load_prices
from pipeline.votes import PAIRS_MAX, Tally, Votes, by_pair
from tests.kills import KILLS, killed


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history")


@pytest.fixture
def votes(history):
    return Votes(history)


@pytest.fixture
def compared(engine, history):
    """Makes and keeps a comparison of the fakes."""

    def make(prompt: str, pair: str = "both", **fields) -> Entry:
        chosen = engine.catalog.pair(pair)
        wanted = plan(engine.catalog, chosen, prompt, **{"seed": 7, **fields})
        made = dict(zip(wanted, final_results(engine.run(list(wanted.values()))), strict=True))
        document = compare_document(chosen, made, load_prices().profile("hf-l4"))
        return history.get(history.add("comparison", document, [made[role] for role in ROLES]))

    return make


@pytest.fixture
def vote(votes, compared) -> Entry:
    """A vote on six pairs."""
    return votes.get(votes.open([compared(f"thing {i}") for i in range(6)]))


def choose(votes: Votes, vote: Entry, voter: str, *roles: str) -> None:
    """Vote on the next pairs for the picture of a role, or "tie" or "bad"."""
    for role in roles:
        ballot = votes.ballot(vote, voter)
        side = {ballot.left: "left", ballot.right: "right"}.get(role, role)
        assert votes.cast(vote, voter, ballot.place, side) == role


def test_votes_on_the_same_settings_are_counted_together_and_others_are_not(votes, vote, compared):
    document = compared("a red apple").document
    choose(votes, vote, "anna", "efficient", "tie", "predecessor", "bad")
    another = votes.get(votes.open([compared("a fox")]))
    choose(votes, another, "ben", "efficient")
    found = votes.of_settings([vote, another], document)
    assert (found.candidate, found.baseline, found.tie, found.bad, found.voters) == (2, 1, 1, 1, 2)
    lanes = [{**lane, "steps": lane["steps"] + 1} for lane in document["lanes"]]
    assert votes.of_settings([vote, another], {**document, "lanes": lanes}).votes == 0
    assert votes.of_settings([vote, another], {**document, "width": 48}).votes == 0


def test_votes_on_pictures_without_a_negative_prompt_say_nothing_of_those_with_one(votes, vote, compared):
    plain, rainy = compared("a fox"), compared("a fox", negative_prompt="rain")
    choose(votes, vote, "ann", *["tie"] * 6)
    assert votes.of_settings([vote], plain.document).votes == 6
    assert votes.of_settings([vote], rainy.document).votes == 0
    other = votes.get(votes.open([rainy]))
    choose(votes, other, "ben", "efficient")
    assert votes.of_settings([vote, other], rainy.document) == Tally(1, 0, 0, 0, voters=1)
    assert votes.settings(votes.get(votes.open([plain, rainy]))) == 2
    before = {name: value for name, value in plain.document.items() if name != "negative_prompt"}
    assert votes.of_settings([vote, other], before).votes == 6


def test_comparisons_are_put_to_the_vote_once_a_recipe(compared, history):
    from pipeline.ui.vote_tab import _unlike  # here, since each process that is killed below imports this file

    made = [compared("a fox"), compared("a fox", negative_prompt="rain"), compared("a fox", seed=8), compared("a fox")]
    assert [entry.id for entry in _unlike(history.find())] == [entry.id for entry in made[1:]]


def test_one_persons_votes_on_the_same_pictures_count_once_and_the_last_one_does(votes, compared):
    fox, another = compared("a fox"), compared("a fox", seed=8)
    pressed = [votes.get(votes.open([fox])) for _ in range(5)]
    for again in pressed[::-1]:  # the order in which they were opened does not matter
        choose(votes, again, "ann", "tie")
    choose(votes, pressed[2], "ben", "predecessor")
    assert votes.of_settings(pressed, fox.document) == Tally(0, 1, 1, 0, voters=2)
    votes.take_back(pressed[3], "ann")
    choose(votes, pressed[3], "ann", "efficient")
    for order in (pressed, pressed[::-1]):
        assert votes.of_settings(order, fox.document) == Tally(1, 1, 0, 0, voters=2)
    votes.take_back(pressed[3], "ann")  # so the last of what she still says
    assert votes.of_settings(pressed, fox.document) == Tally(0, 1, 1, 0, voters=2)
    choose(votes, votes.get(votes.open([another])), "ann", "efficient")
    other = votes.get(votes.open([fox, another]))
    choose(votes, other, "cy", "efficient", "efficient")
    assert votes.of_settings([*pressed, other], fox.document) == Tally(2, 1, 1, 0, voters=3)
    assert votes.tally(other).votes == 2


def test_each_voter_sees_every_pair_once_in_his_own_order(votes, vote):
    orders = []
    for voter in ("ann", "bob", "cy", "dee"):
        seen = []
        while ballot := votes.ballot(vote, voter):
            assert (ballot.done, ballot.total) == (len(seen), 6)
            assert ballot == votes.ballot(vote, voter)  # a reload shows the same
            seen.append(ballot.place)
            votes.cast(vote, voter, ballot.place, "tie")
        assert sorted(seen) == list(range(6))
        orders.append(tuple(seen))
    assert len(set(orders)) > 1
    assert votes.tally(vote).voters == 4


def test_sides_are_random_and_even(votes, vote):
    lefts = Counter(votes.ballot(vote, f"voter {i}").left for i in range(400))
    assert 160 < lefts["efficient"] < 240 and sum(lefts.values()) == 400


def test_a_side_counts_for_whose_picture_was_there(votes, vote):
    choose(votes, vote, "ann", "efficient", "efficient", "predecessor", "tie", "bad", "efficient")
    choose(votes, vote, "bob", "efficient")
    assert votes.tally(vote) == Tally(4, 1, 1, 1, voters=2)
    assert votes.tally(vote).votes == 7
    pairs = by_pair(vote, votes.casts(vote))
    first = votes.casts(vote)[0]
    assert sum(pair.votes for pair in pairs) == 7 and pairs[first.place].candidate >= 1
    assert sorted(pair.voters for pair in pairs) == [1, 1, 1, 1, 1, 2]


def test_ties_are_not_wins_and_bad_pairs_say_nothing_of_either():
    tally = Tally(candidate=9, baseline=1, tie=10, bad=5, voters=3)
    assert tally.wins.share == 0.9 and tally.as_good.share == 0.95
    assert (round(tally.wins.low, 4), round(tally.wins.high, 4)) == (0.5958, 0.9821)
    assert tally.needed == 0
    assert Tally(6, 4, 0, 0, 1).needed > 20
    nothing = Tally(0, 0, 3, 2, 1)
    assert nothing.wins is None and nothing.needed is None and nothing.as_good.share == 1.0


def test_the_newest_choice_can_be_taken_back_and_changed(votes, vote):
    assert not votes.take_back(vote, "ann")
    first = votes.ballot(vote, "ann")
    choose(votes, vote, "ann", "tie")
    choose(votes, vote, "bob", "efficient")
    assert votes.take_back(vote, "ann")
    assert votes.ballot(vote, "ann") == first
    assert votes.tally(vote) == Tally(1, 0, 0, 0, voters=1)
    votes.cast(vote, "bob", first.place, "bad")
    votes.cast(vote, "bob", first.place, "tie")
    assert by_pair(vote, votes.casts(vote))[first.place].bad == 0


def test_a_vote_outlives_its_comparisons_and_a_restart_and_its_files_go_with_it(votes, compared, history):
    entry = compared("thing")
    made = votes.open([entry], owner="ann")
    choose(votes, votes.get(made), "bob", "efficient")
    history.delete(entry.id)
    again = History(history.folder)
    kept = Votes(again).get(made)
    assert kept.starred and sorted(again.results(kept)) == [0, 1]
    assert Votes(again).tally(kept).candidate == 1
    history.delete(made)
    assert history.rows("SELECT * FROM votes") == [] and not any(path.exists() for path in kept.files.values())
    with pytest.raises(InputError, match="deleted"):
        votes.cast(kept, "bob", 0, "left")


@pytest.mark.parametrize("days", [0, 31])
def test_an_answered_vote_goes_last_of_those_without_a_star_and_shows_its_pictures_till_then(
    votes, compared, history, days
):
    """Whatever became of what it was made of; also where the process that makes room has no votes."""
    answered, silent = (votes.get(votes.open([compared(f"a {thing}")])) for thing in ("fox", "cat"))
    choose(votes, answered, "bob", "tie")
    history.star(answered.id, False)
    with history.transaction() as database:
        database.execute("UPDATE entries SET made_at = made_at - ?", (days * 24 * 3600,))
    before = history.used_bytes()
    newer = compared("a dog")
    again = History(history.folder)
    size = again.used_bytes() - before  # of a comparison; a vote on one has a few words more
    again.max_bytes = int(2.5 * size / LEFT)
    again.keep_to_limit(newer.id)
    assert {entry.id for entry in again.find()} == {answered.id, newer.id}
    assert all(map(readable, answered.files.values())) and not any(file.exists() for file in silent.files.values())
    again.max_bytes = 1
    again.keep_to_limit(newer.id)
    assert [entry.id for entry in again.find()] == [newer.id]


def test_comparisons_whose_pictures_are_lost_are_left_out_of_a_vote(votes, compared):
    lost, damaged, whole = (compared(f"a {thing}") for thing in ("fox", "cat", "dog"))
    lost.files[0].unlink()
    damaged.files[1].write_bytes(damaged.files[1].read_bytes()[:-100])
    vote = votes.get(votes.open([lost, whole, damaged]))
    assert [pair["prompt"] for pair in vote.document["pairs"]] == ["a dog"]
    assert [vote.files[place].read_bytes() for place in (0, 1)] == [whole.files[place].read_bytes() for place in (0, 1)]
    with pytest.raises(InputError, match="'a fox' are no longer there"):
        votes.open([lost, damaged])


def test_a_vote_knows_how_many_settings_it_pools(votes, vote, compared):
    assert votes.settings(vote) == 1
    assert votes.settings(votes.get(votes.open([compared("thing"), changed(compared("another"))]))) == 2


def changed(entry: Entry) -> Entry:
    """The same comparison, as if its efficient lane had taken more steps."""
    old, new = entry.document["lanes"]
    return replace(entry, document={**entry.document, "lanes": [old, {**new, "steps": new["steps"] + 1}]})


def test_the_export_ties_each_choice_to_its_recipes_and_names_nobody(votes, vote):
    choose(votes, vote, "a secret token", "efficient", "tie")
    choose(votes, vote, "another", "predecessor")
    rows = votes.exported(vote)
    assert [(row["voter"], row["choice"]) for row in rows] == [(1, "efficient"), (1, "tie"), (2, "predecessor")]
    assert (rows[0]["efficient_model"], rows[0]["predecessor_steps"], rows[0]["seed"]) == ("new", 6, 7)
    assert rows[0]["prompt"].startswith("thing") and "secret" not in repr(rows)


def test_the_export_says_what_was_not_to_be_in_the_picture(votes, compared):
    vote = votes.get(votes.open([compared("a fox", negative_prompt="rain")]))
    choose(votes, vote, "ann", "tie")
    [row] = votes.exported(vote)
    assert (row["prompt"], row["negative_prompt"]) == ("a fox", "rain")
    assert abs(datetime.fromisoformat(row["cast_at"]).timestamp() - time.time()) < 60


def test_what_cannot_be_voted_on_is_one_sentence(votes, vote, compared, history):
    one, other = compared("thing"), compared("thing", "short")
    for comparisons, words in (([], "got 0"), ([one] * (PAIRS_MAX + 1), "got 61"), ([one, other], "one pair")):
        with pytest.raises(InputError, match=words):
            votes.open(comparisons)
    for spoil in (lambda file: file.write_bytes(file.read_bytes()[:-100]), Path.unlink):
        spoil(one.files[1])
        with pytest.raises(InputError, match="no longer there"):
            votes.open([one])
    for place, side in ((6, "left"), (-1, "left"), ("0", "left"), (0, "middle"), (0, None)):
        with pytest.raises(InputError):
            votes.cast(vote, "ann", place, side)
    for wanted in ("nothing", one.id, None, 7):
        with pytest.raises(InputError):
            votes.get(wanted)
    assert votes.tally(vote).votes == 0


def cast_on(folder: Path, entry: str, told: Connection) -> None:
    """A process in which somebody votes, and each choice is told when it is kept, until it is killed."""
    votes = Votes(History(folder))
    vote = votes.get(entry)
    while True:
        voter = f"voter {random.randrange(10**12)}"
        ballot = votes.ballot(vote, voter)
        side = random.choice(["left", "right", "tie", "bad"])
        told.send((voter, ballot.place, votes.cast(vote, voter, ballot.place, side)))


def test_fifty_kills_lose_no_vote_that_was_told_as_kept(votes, vote, history, monkeypatch: pytest.MonkeyPatch):
    heard: dict[tuple[str, int], str] = {}
    for told in killed(monkeypatch, cast_on, history.folder, vote.id):
        heard |= {(voter, place): choice for voter, place, choice in told}
    kept = {(row["voter"], row["place"]): row["choice"] for row in history.rows("SELECT * FROM votes")}
    assert heard.items() <= kept.items() and len(kept) - len(heard) <= KILLS
    assert votes.tally(vote).votes == len(kept)
    print(f"{KILLS} kills, {len(heard)} votes told, {len(kept)} kept")
