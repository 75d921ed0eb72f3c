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
from pipeline.sweep_plot import HEIGHT, WIDTH, fidelity_plot, votes_plot, votes_table
from pipeline.sweep_votes import Setting, Standing
from pipeline.tradeoff import Point, Tradeoff
from pipeline.votes import Tally

HOSTILE = '"><script>alert(1)</script>'


def tradeoff(*points: tuple[float, float], apart: int = 0) -> Tradeoff:
    """Of seconds and dB; a cent a second."""
    found = tuple(Point(i, seconds, seconds / 100, psnr, 0.5) for i, (seconds, psnr) in enumerate(points))
    return Tradeoff(found, (99,), apart)


def labels(found: Tradeoff) -> dict[int, str]:
    return {point.place: f"cell {point.place}" for point in found.points}


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
    return [circle.attrib for circle in drawing(html).iter("circle")]


def test_the_front_is_filled_and_named_and_the_rest_is_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0), (2.0, 29.0), apart=3)
    svg = fidelity_plot(found, labels(found))
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "0", "0"]
    assert "Fastest first: cell 1; cell 0." in svg and "3 finished pictures" in svg


def test_left_is_faster_and_up_is_nearer():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    slow, fast = circles(fidelity_plot(found, labels(found)))
    assert float(fast["cx"]) < float(slow["cx"]) and float(fast["cy"]) > float(slow["cy"])


def test_a_time_of_another_hour_is_told_beside_those_of_this_one():
    fresh = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0))
    mixed = replace(fresh, points=(replace(fresh.points[0], cached=True), *fresh.points[1:]))
    assert "cache" not in fidelity_plot(fresh, labels(fresh))
    svg = fidelity_plot(mixed, labels(mixed))
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
            fidelity_plot(found, {0: "x"})


def test_points_lead_to_their_cells_only_where_there_are_some():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    linked = fidelity_plot(found, labels(found), link="cell-")
    assert 'href="#cell-1"' in linked and 'role="group"' in linked
    assert "<a " not in fidelity_plot(found, labels(found))
    voted = standing((0.1, tally(3, 1)))
    assert re.findall(r'href="#(\S+)"', votes_plot(voted, link="cell-")) == ["cell-0", "cell-9"]
    assert "<a " not in votes_plot(voted)


def test_by_cost_the_shape_is_the_same_and_the_words_are_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    by_time, by_cost = fidelity_plot(found, labels(found)), fidelity_plot(found, labels(found), "cost")
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
    heights = [float(circle["cy"]) for circle in circles(html)]
    [diamond] = [path for path in drawing(html).iter("path") if "class" not in path.attrib]
    middle = float(diamond.attrib["d"].split("l")[0].split()[1])
    assert heights[0] > heights[2] > heights[1] == middle > heights[3]
    assert [circle["fill-opacity"] for circle in circles(html)] == ["1", "1", "0", "1"]
    assert diamond.attrib["fill-opacity"] == "0"  # the second is faster and as good
    assert "Fastest first: setting 0; setting 1; setting 3." in html
    assert len([path for path in drawing(html).iter("path") if path.attrib.get("class") == "whisker"]) == 4


def test_the_numbers_of_the_votes_are_there_as_text():
    voted = standing((0.1, tally(1, 9, tie=2, bad=3)), (0.2, tally(0, 0)))
    titles = [title.text for title in drawing(votes_plot(voted)).iter("title")]
    assert titles[0] == (
        "setting 0: 100 ms, $0.00100, score 17 % (5 % to 45 %), of 12 votes: 1 better, 2 as good, 9 worse; "
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


def test_only_bad_votes_are_one_sentence():
    with pytest.raises(InputError, match="both bad"):
        votes_plot(standing((0.1, tally(0, 0, bad=3))))


def test_a_script_for_a_prompt_or_a_model_is_text():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    svg = fidelity_plot(found, {0: "<script>alert(1)</script>", 1: HOSTILE}, link="cell-")
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
    for circle in circles(fidelity_plot(found, labels(found))):
        assert 0 <= float(circle["cx"]) <= WIDTH and 0 <= float(circle["cy"]) <= HEIGHT


@given(st.lists(st.tuples(st.floats(1e-4, 1e4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_every_text_across_is_inside_the_picture_and_apart_from_the_next(points):
    html = votes_plot(standing(*((seconds, tally(better, worse, tie=1)) for seconds, better, worse in points)))
    ticks = [float(text.attrib["x"]) for text in drawing(html).iter("text") if text.attrib["text-anchor"] == "middle"]
    assert len(ticks) >= 1 and all(0 <= tick <= WIDTH for tick in ticks) and ticks == sorted(ticks)
