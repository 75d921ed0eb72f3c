"""The plots of a sweep: where things stand, what is said, and that no text of a user's gets out of its place."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.plot import HEIGHT, MARKS, WIDTH
from pipeline.sweep_plot import fidelity_front, fidelity_plot, votes_plot, votes_table
from pipeline.sweep_votes import Setting, Standing
from tests.plots import by, called, circles, drawing, marks, standing, tally, tradeoff

HOSTILE = '"><script>alert(1)</script>'


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


def test_times_of_a_busy_machine_are_told():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    assert "busy" not in fidelity_plot(found)
    svg = fidelity_plot(replace(found, points=(replace(found.points[0], disturbed=True), *found.points[1:])))
    assert svg.count("(busy machine)") == 1
    assert "Of a busy machine: 1 of the 3 times are over 3 times the best here." in svg
    pooled = called(replace(found, points=tuple(replace(point, disturbed=True) for point in found.points)), *"aab")
    assert fidelity_plot(pooled).count("(busy machine)") == 2
    assert "Of a busy machine: all times are over 3 times the best here." in fidelity_plot(pooled)
    voted = standing((0.5, tally(3, 1)))
    assert "busy" not in votes_plot(voted)
    busy = votes_plot(replace(voted, reference=replace(voted.reference, disturbed=True)))
    assert "Of a busy machine: 1 of the 2 times have a picture that took over 3 times the best here." in busy


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


def beside(html: str) -> list[str]:
    """What stands beside points: between the last point and the end."""
    return re.findall(r"<text [^>]*>([^<]*)</text>", html[html.rindex("</title>") :])


STEPS = [(0.087, 17.2), (0.13, 19.5), (0.17, 22.8), (0.22, 25.4), (0.256, 27.1), (0.3, 27.6)]


def test_every_setting_of_the_front_is_named_beside_its_point_with_how_many_pictures_it_is_of():
    names = [f"{steps} steps" for steps in range(2, 8)]
    assert sorted(beside(fidelity_plot(called(tradeoff(*STEPS), *names)))) == names
    twice = called(tradeoff(*STEPS, *STEPS), *names, *names)
    found = sorted(beside(fidelity_plot(twice)))
    assert [text.removesuffix(" (2)") for text in found] == names and "6 steps (2)" in found


def test_where_a_name_has_no_room_a_letter_stands_and_the_caption_says_whose():
    long = [f"{steps} steps, guidance 1.5, fp8-weights" for steps in range(2, 8)]
    html = fidelity_plot(called(tradeoff(*STEPS), *long))
    assert sorted(beside(html)) == list("ABCDEF")
    assert f"Fastest first: A: {long[0]}; B: {long[1]}" in html


def test_no_name_is_struck_through_by_the_line_of_the_front():
    html = fidelity_plot(called(tradeoff(*STEPS), *[f"{steps} steps" for steps in range(2, 8)]))
    line = next(each for each in drawing(html).iter("polyline")).attrib["points"].split()
    corners = [tuple(map(float, corner.split(","))) for corner in line]
    for text in (each for each in drawing(html).iter("text") if (each.text or "").endswith(" steps")):
        wide = 7 * len(text.text)
        at, up = float(text.attrib["x"]), float(text.attrib["y"]) - 4
        low, high = (at, at + wide) if text.attrib["text-anchor"] == "start" else (at - wide, at)
        for (left, start), (right, end) in pairwise(corners):
            for x in (left + (right - left) * part / 50 for part in range(51)):
                y = start + (end - start) * (x - left) / (right - left)
                assert not (low < x < high and up - 8 < y < up + 8), text.text


def test_a_point_off_the_front_is_named_unless_that_would_cover_another():
    html = votes_plot(standing((0.1, tally(1, 9)), (0.101, tally(1, 9)), (0.5, tally(9, 1))))
    assert "setting 2 (10)" in beside(html)
    crowd = tradeoff((0.1, 30.0), *((0.5 + 0.001 * i, 20.0) for i in range(9)))
    assert 1 < len(beside(fidelity_plot(crowd))) < 10


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
