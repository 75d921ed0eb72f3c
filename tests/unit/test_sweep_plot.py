"""The plot of a sweep: what is on the front, where it stands, and that no text of a user's gets out of its place."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sweep_plot import HEIGHT, WIDTH, front_of, plot
from pipeline.tradeoff import Point, Tradeoff


def tradeoff(*points: tuple[float, float], apart: int = 0) -> Tradeoff:
    """Of seconds and dB."""
    found = tuple(Point(i, seconds, None, psnr, 0.5) for i, (seconds, psnr) in enumerate(points))
    return Tradeoff(found, (99,), apart)


def labels(found: Tradeoff) -> dict[int, str]:
    return {point.place: f"cell {point.place}" for point in found.points}


def circles(svg: str) -> list[dict[str, str]]:
    root = ElementTree.fromstring(re.search(r"<svg.*</svg>", svg, re.DOTALL).group())
    return [circle.attrib for circle in root.iter("circle")]


def test_the_front_is_filled_and_named_and_the_rest_is_not():
    found = tradeoff((1.0, 30.0), (0.1, 20.0), (0.5, 19.0), (2.0, 29.0), apart=3)
    svg = plot(found, labels(found))
    assert [point.place for point in front_of(found)] == [1, 0]
    assert [circle["fill-opacity"] for circle in circles(svg)] == ["1", "1", "0", "0"]
    assert "Fastest first: cell 1; cell 0." in svg and "3 finished pictures" in svg


def test_left_is_faster_and_up_is_nearer():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    slow, fast = circles(plot(found, labels(found)))
    assert float(fast["cx"]) < float(slow["cx"]) and float(fast["cy"]) > float(slow["cy"])


def test_one_point_is_no_finding():
    assert plot(tradeoff((1.0, 30.0)), {0: "x"}) == "" == plot(tradeoff(), {})


def test_points_lead_to_their_cells_only_where_there_are_some():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    assert 'href="#cell-1"' in plot(found, labels(found), "cell-") and "<a " not in plot(found, labels(found))


def test_a_script_for_a_prompt_is_text():
    found = tradeoff((1.0, 30.0), (0.1, 20.0))
    svg = plot(found, {0: "<script>alert(1)</script>", 1: '"><script>'}, "cell-")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert len(circles(svg)) == 2


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 1e4), st.one_of(st.floats(1, 60), st.just(math.inf))),
        min_size=2,
        max_size=30,
    )
)
def test_every_point_is_inside_the_picture(points):
    found = tradeoff(*points)
    for circle in circles(plot(found, labels(found))):
        assert 0 <= float(circle["cx"]) <= WIDTH and 0 <= float(circle["cy"]) <= HEIGHT
