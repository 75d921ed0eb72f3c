"""The plots of a sweep: what is on the front, where it stands, and that no text of a user's gets out of its place."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.labels import work_of
from pipeline.plot import HEIGHT, MARKS, WIDTH
from pipeline.sweep_plot import (
    NAMED_MAX,
    fidelity_front,
    fidelity_plot,
    votes_front,
    votes_plot,
    votes_table,
)
from pipeline.sweep_votes import Setting, Standing
from pipeline.tradeoff import Point, Tradeoff
from pipeline.votes import Tally

HOSTILE = '"><script>alert(1)</script>'


def tradeoff(*points: tuple[float, float], apart: int = 0) -> Tradeoff:
    """Of seconds and dB; a cent a second."""
    found = tuple(
        Point(i, seconds, seconds / 100, psnr, 0.5, setting=f"cell {i}") for i, (seconds, psnr) in enumerate(points)
    )
    return Tradeoff(found, apart)


def by(found: Tradeoff, *models: str) -> Tradeoff:
    """With a model for each point."""
    points = tuple(replace(point, model=model) for point, model in zip(found.points, models, strict=True))
    return replace(found, points=points, models=tuple(dict.fromkeys(models)))


def called(found: Tradeoff, *names: str) -> Tradeoff:
    """With a name for each point's setting; equal ones are one setting."""
    points = tuple(replace(point, setting=name) for point, name in zip(found.points, names, strict=True))
    return replace(found, points=points)


def standing(*settings: tuple[float, Tally], cost: float | None = 0.01) -> Standing:
    """Of seconds and votes; the reference takes a second."""

    def setting(name: str, place: int, seconds: float, tally: Tally) -> Setting:
        return Setting(name, place, seconds, cost and cost * seconds, tally)

    found = tuple(setting(f"setting {i}", i, *given) for i, given in enumerate(settings))
    return Standing(setting("the best", 9, 1.0, Tally(0, 0, 0, 0, 0)), found, Tally(0, 0, 0, 0, 0))


def tally(better: int, worse: int, tie: int = 0, bad: int = 0) -> Tally:
    return Tally(better, worse, tie, bad, 1)


def drawing(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.DOTALL).group())


def circles(html: str) -> list[dict[str, str]]:
    """The points' marks, less the ring around a reference's."""
    return [circle.attrib for circle in drawing(html).iter("circle") if circle.attrib["class"] != "ring"]


def marks(html: str) -> list[str]:
    every = (each.attrib.get("class", "").split() for each in drawing(html).iter())
    return [kind[1] for kind in every if kind[:1] == ["mark"]]


def test_the_front_is_filled_and_named_and_the_rest_is_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0), (2.0, 29.0), apart=3)
    svg = fidelity_plot(found)
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "0", "0"]
    assert "Fastest first: cell 1; cell 0." in svg and "3 finished pictures" in svg


def test_prompts_and_seeds_are_no_choices_so_a_setting_is_one_point():
    found = tradeoff((1.0, 30.0), (3.0, 34.0), (2.0, 29.0), (0.1, 20.0))
    pooled = called(found, "8 steps", "8 steps", "8 steps", "2 steps")
    html = fidelity_plot(pooled, link="cell-")
    [slow, _] = titles = [title.text for title in drawing(html).iter("title")]
    assert len(titles) == len(circles(html)) == 2
    assert slow.startswith("8 steps: 2.00 s, ") and slow.endswith(
        "30.0 dB, SSIM 0.50, medians of 3 pictures, 29.0 to 34.0 dB"
    )
    assert len([path for path in drawing(html).iter("path") if path.attrib.get("class") == "whisker"]) == 1
    assert "Fastest first: 2 steps; 8 steps." in html and "Points are medians over prompts and seeds" in html
    assert {"8 steps (3)", "2 steps"} <= {text.text for text in drawing(html).iter("text")}
    alone = called(found, *["8 steps"] * 4)
    assert "Filled" not in fidelity_plot(alone) and fidelity_front(alone).startswith("8 steps: 1.50 s, ")


def test_left_is_faster_and_up_is_nearer():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    slow, fast = circles(fidelity_plot(found))
    assert float(fast["cx"]) < float(slow["cx"]) and float(fast["cy"]) > float(slow["cy"])


def test_a_time_of_another_hour_is_told_beside_those_of_this_one():
    fresh = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    mixed = replace(fresh, points=(replace(fresh.points[0], cached=True), *fresh.points[1:]))
    assert "cache" not in fidelity_plot(fresh)
    svg = fidelity_plot(mixed)
    assert svg.count("(from the cache)") == 1
    assert "Out of the cache: 1 of the 3 times are from when the picture was made before." in svg
    voted = standing((0.5, tally(3, 1)))
    assert "cache" not in votes_plot(voted)
    every = replace(
        voted, reference=replace(voted.reference, cached=True), settings=(replace(voted.settings[0], cached=True),)
    )
    assert "Out of the cache: all times are from when" in votes_plot(every)


def test_one_point_is_no_finding():
    for found in (tradeoff((1.0, 30.0)), tradeoff()):
        with pytest.raises(InputError, match="no plot of fidelity"):
            fidelity_plot(found)
    with pytest.raises(InputError, match=r"with their reference\. Choose votes\.$"):
        fidelity_plot(tradeoff(), instead="Choose votes.")


def test_of_two_pictures_one_is_the_reference_and_so_is_not_plotted():
    found = replace(called(tradeoff((1.0, 30.0)), "2 steps"), references=("4 steps",))
    with pytest.raises(InputError) as refused:
        fidelity_plot(found, instead="Choose votes.")
    assert str(refused.value) == (
        "There is no plot of fidelity: 4 steps is the reference, so only one picture (2 steps) is left to plot; add a "
        "prompt, a seed or another setting. Choose votes."
    )


def test_that_the_reference_is_not_in_the_plot_is_said():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    assert "the reference, not plotted" not in fidelity_plot(found)
    assert " 4 steps is the reference, not plotted. " in fidelity_plot(replace(found, references=("4 steps",)))
    two = fidelity_plot(replace(found, references=("Old, 4 steps", "New, 2 steps")))
    assert " Old, 4 steps and New, 2 steps are the references, not plotted. " in two
    assert "not plotted" not in fidelity_plot(replace(found, references=("cell 0",)))  # of another prompt it is


def test_nobody_is_beaten_by_what_is_faster_by_noise():
    found = called(
        tradeoff((1.23, 22.0), (1.21, 25.0), (1.6, 28.0), (1.7, 27.0)), *(f"{i} steps" for i in (2, 3, 4, 5))
    )
    svg = fidelity_plot(found)
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "1", "0"]
    assert "Filled: nothing else is both faster by 5 % or more and nearer to" in svg
    assert "(by 5 % or more) and fidelity: 3 steps (1.21 s, 25.0 dB), 2 steps (1.23 s" in fidelity_front(found)
    [line] = drawing(svg).iter("polyline")
    assert len(line.attrib["points"].split()) == 2  # never down again
    assert "both cheaper by 5 % or more and nearer" in fidelity_plot(found, "cost")  # which follows from the time
    voted = standing((0.82, tally(3, 15)), (0.81, tally(12, 6)))
    assert [circle["fill-opacity"] for circle in circles(votes_plot(voted))][:2] == ["1", "1"]
    assert "both faster by 5 % or more and has a higher score" in votes_plot(voted)


def test_of_the_same_work_the_better_one_beats_the_other_whatever_the_clock_says():
    found = tradeoff((1.23, 22.0), (1.25, 25.0), (1.2, 20.0))
    work = ("new", 4, 4, ()), ("new", 4, 4, ()), ("new", 3, 3, ())
    points = [replace(point, work=each) for point, each in zip(found.points, work, strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)))
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["0", "1", "1"]
    assert "; of those that do the same work, only the best. " in svg


def test_what_is_beaten_itself_takes_nobody_of_the_same_work_from_the_front():
    found = tradeoff((1.0, 20.0), (4.0, 20.1), (2.0, 25.0))
    points = [replace(point, work=each) for point, each in zip(found.points, (("a",), ("a",), ("b",)), strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)))
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "0", "1"]


def test_what_is_noisy_gives_no_list_price_a_place_on_the_front():
    found = tradeoff((1.0, 30.0), (1.0, 20.0), (1.0, 25.0))
    costs = ((0.04, True), (0.04, True), (0.5, False))
    points = [replace(point, cost_usd=usd, listed=each) for point, (usd, each) in zip(found.points, costs, strict=True)]
    svg = fidelity_plot(replace(found, points=tuple(points)), "cost")
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "0", "0"]


@pytest.mark.parametrize(
    ("changes", "work"),
    [
        ({}, ("new", 4, 4, ())),
        ({"guidance": 3.0}, ("new", 4, 4, ())),
        ({"steps": 2, "guidance": 3.0}, ("new", 2, 4, ())),
        ({"switches": ["compile"]}, ("new", 4, 4, ("compile",))),
        ({"switches": ["step-cache"]}, None),
        ({"model_evaluations": None}, None),
    ],
)
def test_what_the_same_work_is(changes, work):
    assert work_of({"model": "new", "steps": 4, "guidance": 1.0, "model_evaluations": 4, **changes}) == work


def test_a_list_price_is_off_by_nothing():
    found = tradeoff((1.23, 22.0), (1.21, 25.0))
    listed = replace(found, points=tuple(replace(point, cost_usd=0.04, listed=True) for point in found.points))
    svg = fidelity_plot(listed, "cost")
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["0", "1"] and "both cheaper and nearer" in svg
    assert "faster by 5 % or more" in fidelity_plot(listed)


def test_times_of_a_busy_machine_are_told():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    assert "busy" not in fidelity_plot(found)
    svg = fidelity_plot(replace(found, points=(replace(found.points[0], disturbed=True), *found.points[1:])))
    assert svg.count("(busy machine)") == 1
    assert "Of a busy machine: 1 of the 3 times are over 3 times the usual." in svg
    pooled = called(replace(found, points=tuple(replace(point, disturbed=True) for point in found.points)), *"aab")
    assert fidelity_plot(pooled).count("(busy machine)") == 2
    assert "Of a busy machine: all times are over 3 times the usual." in fidelity_plot(pooled)
    voted = standing((0.5, tally(3, 1)))
    assert "busy" not in votes_plot(voted)
    busy = votes_plot(replace(voted, reference=replace(voted.reference, disturbed=True)))
    assert "Of a busy machine: 1 of the 2 times have a picture that took over 3 times the usual." in busy


def test_points_lead_to_their_cells_only_where_there_are_some():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    linked = fidelity_plot(found, link="cell-")
    assert 'href="#cell-1"' in linked and 'role="group"' in linked
    assert "<a " not in fidelity_plot(found)
    voted = standing((0.1, tally(3, 1)))
    assert re.findall(r'href="#(\S+)"', votes_plot(voted, link="cell-")) == ["cell-0", "cell-9"]
    assert "<a " not in votes_plot(voted)


def test_by_cost_the_shape_is_the_same_and_the_words_are_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    by_time, by_cost = fidelity_plot(found), fidelity_plot(found, "cost")
    assert circles(by_time) == circles(by_cost)
    assert "Cheapest first: cell 1; cell 0." in by_cost and 'aria-label="Cost against fidelity"' in by_cost
    assert "$10" in by_cost and "$1" in by_cost  # of 1,000 pictures


@pytest.mark.parametrize(("cost", "words"), [(None, "not every price is known"), (0.0, "set to nothing")])
def test_without_a_price_there_is_no_plot_by_cost(cost, words):
    voted = standing((0.1, tally(3, 1)), cost=cost)
    with pytest.raises(InputError, match=words):
        votes_plot(voted, "cost")
    assert circles(votes_plot(voted, "time"))


def test_votes_stand_against_the_reference_at_one_half():
    html = votes_plot(standing((0.1, tally(1, 9)), (0.2, tally(0, 0, tie=8)), (0.5, tally(1, 3)), (2.0, tally(9, 1))))
    *heights, middle = [float(circle["cy"]) for circle in circles(html)]
    assert heights[0] > heights[2] > heights[1] == middle > heights[3]
    assert [circle["fill-opacity"] for circle in circles(html)] == [
        "1",
        "1",
        "0",
        "1",
        "0",
    ]  # the last is the reference
    [ring] = [circle.attrib for circle in drawing(html).iter("circle") if circle.attrib["class"] == "ring"]
    assert (ring["cx"], ring["cy"]) == (circles(html)[-1]["cx"], circles(html)[-1]["cy"])
    assert "(the best, in a ring)" in html
    assert "Fastest first: setting 0; setting 1; setting 3." in html
    assert len([path for path in drawing(html).iter("path") if path.attrib.get("class") == "whisker"]) == 4


def test_the_numbers_of_the_votes_are_there_as_text():
    voted = standing((0.1, tally(1, 9, tie=2, bad=3)), (0.2, tally(0, 0)))
    titles = [title.text for title in drawing(votes_plot(voted)).iter("title")]
    assert titles[0] == (
        "setting 0: 100 ms, $1.00 per 1,000, score 17 % (5 % to 45 %), of 12 votes: 1 better, 2 as good, 9 worse; "
        "besides 3 both bad"
    )
    assert len(titles) == 2  # no votes, no point
    table = votes_table(voted)
    for text in ("17 % (5 % to 45 %)", "nothing said", "0 votes", "the reference", "1.00 s", "$0.0100"):
        assert text in table


def test_a_setting_is_named_beside_its_point_with_its_votes_unless_it_would_cover_another():
    html = votes_plot(standing((0.1, tally(1, 9)), (0.101, tally(1, 9)), (0.5, tally(9, 1))))
    written = [text.text for text in drawing(html).iter("text") if text.text.startswith("setting")]
    assert "setting 2 (10)" in written and len(written) < 3


def test_while_votes_are_too_few_no_setting_is_said_to_win():
    for voted in (
        standing((0.1, tally(1, 0))),
        standing((0.1, tally(0, 2)), (0.5, tally(2, 0))),
        standing((0.1, tally(0, 0)), (0.5, tally(3, 3))),
        standing((0.1, tally(0, 4)), (0.2, tally(1, 3)), (0.5, tally(0, 0, tie=4))),  # only the first is below one half
    ):
        html = votes_plot(voted)
        assert "Too few votes to tell the settings apart." in html and "<polyline" not in html
        assert "Filled" not in html and "first:" not in html and votes_front(voted) == ""
        assert {circle["fill-opacity"] for circle in circles(html)} == {"0"}


def test_two_settings_that_are_apart_make_a_front_and_so_does_one_that_is_apart_from_the_reference():
    voted = standing((0.1, tally(3, 15)), (0.5, tally(12, 6)))
    assert not voted.settings[1].tally.score.decided and "Too few" not in votes_plot(voted)
    assert "Too few" not in votes_plot(standing((0.1, tally(12, 0))))  # apart from the reference, with nothing between
    assert "<polyline" in votes_plot(voted)


def test_of_several_models_each_has_its_own_mark_and_a_line_names_them():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    svg = fidelity_plot(by(found, "Old", "New", HOSTILE), link="cell-")
    assert marks(svg) == ["circle", "square", "diamond"]
    assert "Circle: Old; square: New; diamond: &#34;&gt;&lt;script" in svg and "<script" not in svg
    alone = by(found, "Old", "Old", "Old")
    assert set(marks(fidelity_plot(alone))) == {"circle"}
    assert "legend" not in fidelity_plot(alone)


def test_a_models_mark_is_the_same_in_both_plots_and_the_references_too():
    voted = standing((0.1, tally(3, 1)), (0.2, tally(3, 1)))
    voted = replace(
        voted,
        models=("Old", "New"),
        reference=replace(voted.reference, model="Old"),
        settings=tuple(replace(setting, model="New") for setting in voted.settings),
    )
    assert marks(votes_plot(voted)) == ["square", "square", "circle"]
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    svg = fidelity_plot(replace(by(found, "New", "New"), models=voted.models))
    assert marks(svg) == ["square", "square"] and "Square: New. " in svg.striptags() and "Old" not in svg


def test_more_models_than_marks_share_them_and_are_named_together():
    number = len(MARKS) + 1
    found = tradeoff(*((1.0 + i, 20.0 + i) for i in range(number)))
    names = tuple(f"M{i}" for i in range(number))
    svg = fidelity_plot(by(found, *names))
    assert marks(svg) == [*MARKS, next(iter(MARKS))] and f"Circle: M0 and M{number - 1}; " in svg


def test_brackets_are_spoken_of_only_where_there_are_some():
    voted = standing((0.1, tally(3, 1)))
    assert "in brackets the votes" in votes_plot(voted)
    nameless = replace(voted, settings=(replace(voted.settings[0], label="a name too long to stand beside its point"),))
    html = votes_plot(nameless)
    assert "bracket" not in html and "95 % Wilson intervals. " in html


def test_that_times_are_of_one_run_is_said_unless_all_have_several():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    assert "Each time is of one run." in fidelity_plot(found)
    often, once = (replace(point, runs=runs) for point, runs in zip(found.points, (3, 1), strict=True))
    assert "1 of the 2 times are of one run." in fidelity_plot(replace(found, points=(often, once)))
    assert "one run" not in fidelity_plot(replace(found, points=(often, replace(once, runs=3))))
    assert "Each time is of one run a picture." in votes_plot(standing((0.1, tally(3, 1))))


def test_where_a_provider_does_not_tell_its_steps_nobody_is_said_to_have_the_most():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    assert "nearer to the picture with the most steps." in fidelity_plot(found)
    told = fidelity_plot(replace(found, chosen="the predecessor's picture"))
    assert "nearer to the predecessor&#39;s picture." in told and "most steps" not in told


def test_the_front_is_told_in_one_sentence_as_it_is_drawn():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    assert fidelity_front(found) == (
        "None of the others beats these in both time (by 5 % or more) and fidelity: cell 1 (100 ms, 20.0 dB), cell 0 "
        "(1.00 s, 30.0 dB)."
    )
    assert fidelity_front(tradeoff((1.0, 30.0), (0.1, 20.0))).startswith("None of these beats another")
    many = tradeoff(*((1.0 + i, 20.0 + i) for i in range(NAMED_MAX + 2)))
    told = fidelity_front(called(many, *(f"{i} of a long name " * 9 for i in range(len(many.points)))))
    assert told.endswith("dB), and 2 more.") and told.count("dB") == NAMED_MAX and len(told) < 700
    voted = standing((0.1, tally(1, 19)), (0.2, tally(19, 1)))
    assert votes_front(voted) == (
        "None of the others beats these in both time (by 5 % or more) and votes: setting 0 (100 ms, 5 %), setting 1 "
        "(200 ms, 95 %)."
    )


def test_only_bad_votes_are_one_sentence():
    with pytest.raises(InputError, match="both bad"):
        votes_plot(standing((0.1, tally(0, 0, bad=3))))


def test_a_script_for_a_prompt_or_a_model_is_text():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    svg = fidelity_plot(called(found, "<script>alert(1)</script>", HOSTILE), link="cell-")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert len(circles(svg)) == 2
    voted = Standing(
        Setting(HOSTILE, 0, 1.0, 0.1, tally(0, 0)), (Setting(HOSTILE, 1, 0.5, 0.1, tally(1, 2)),), tally(1, 2)
    )
    for html in (votes_plot(voted, link="cell-"), votes_table(voted)):
        assert "<script" not in html and "&lt;script&gt;" in html


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 1e4), st.one_of(st.floats(1, 60), st.just(math.inf))),
        min_size=2,
        max_size=30,
    )
)
def test_every_point_is_inside_the_picture(points):
    found = tradeoff(*points)
    for circle in circles(fidelity_plot(found)):
        assert 0 <= float(circle["cx"]) <= WIDTH and 0 <= float(circle["cy"]) <= HEIGHT


@given(st.lists(st.tuples(st.floats(1e-4, 1e4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_every_text_across_is_inside_the_picture_and_apart_from_the_next(points):
    html = votes_plot(standing(*((seconds, tally(better, worse, tie=1)) for seconds, better, worse in points)))
    ticks = [float(text.attrib["x"]) for text in drawing(html).iter("text") if text.attrib["text-anchor"] == "middle"]
    assert len(ticks) >= 1 and all(0 <= tick <= WIDTH for tick in ticks) and ticks == sorted(ticks)
