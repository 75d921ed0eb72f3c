"""What the tests of a sweep's plots draw, and what they read from a drawing."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from pipeline.sweep_votes import Setting, Standing
from pipeline.tradeoff import Point, Tradeoff
from pipeline.votes import Tally


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
