"""Time against fidelity of a sweep's cells, as one SVG with the Pareto front. All text is escaped here.

Lower left to upper right: whoever is further left is faster, whoever is further up is nearer to the reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup, escape

from pipeline.pareto import pareto_front
from pipeline.tradeoff import Point, Tradeoff
from pipeline.wording import seconds_text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 56, 20, 16, 44
PSNR_MAX = 60.0
"""dB. Where a cell goes that differs from its reference in no pixel, or in next to none."""


def front_of(found: Tradeoff) -> list[Point]:
    """The cells that no other one beats in both time and fidelity, fastest first."""
    points = [(point.seconds, min(point.psnr_db, PSNR_MAX)) for point in found.points]
    return [found.points[i] for i in pareto_front(points)]


def plot(found: Tradeoff, labels: Mapping[int, str], link: str = "") -> Markup:
    """``labels``: what each place is called. ``link``: prefix of an anchor by place, where there are such.

    Empty where fewer than two cells can be compared: one point is no finding.
    """
    if len(found.points) < 2:
        return Markup("")
    best = {point.place for point in front_of(found)}
    x, y = _Scale.of_seconds(found), _Scale.of_psnr(found)
    line = " ".join(f"{x.at(math.log10(p.seconds)):.1f},{y.at(_psnr(p)):.1f}" for p in front_of(found))
    drawn = [_point(point, point.place in best, x, y, labels, link) for point in found.points]
    names = "; ".join(labels[point.place] for point in front_of(found))
    apart = f" {found.apart} finished pictures have nothing to be compared with." if found.apart else ""
    return Markup(
        '<figure class="front"><svg viewBox="0 0 {w} {h}" role="img" aria-label="Time against fidelity">{axes}'
        '<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"/>{dots}'
        "</svg><figcaption>Filled: no other picture is both faster and nearer to the one with the most steps. "
        "Fastest first: {names}.{apart} Fidelity says how near, not how good.</figcaption></figure>"
    ).format(w=WIDTH, h=HEIGHT, axes=_axes(x, y), line=line, dots=Markup("").join(drawn), names=names, apart=apart)


class _Scale:
    """From a value to pixels, with round ticks."""

    def __init__(self, low: float, high: float, start: float, end: float, ticks: list[float]):
        self.low, self.high, self.start, self.end, self.ticks = low, high, start, end, ticks

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @classmethod
    def of_seconds(cls, found: Tradeoff) -> _Scale:
        """Logarithmic: a sweep of steps goes over decades."""
        logs = [math.log10(point.seconds) for point in found.points]
        low, high = min(logs) - 0.05, max(logs) + 0.05
        decades = range(math.floor(low), math.ceil(high) + 1)
        ticks = [math.log10(factor) + decade for decade in decades for factor in (1, 2, 5)]
        return cls(low, high, LEFT, WIDTH - RIGHT, [tick for tick in ticks if low <= tick <= high])

    @classmethod
    def of_psnr(cls, found: Tradeoff) -> _Scale:
        values = [_psnr(point) for point in found.points]
        low, high = math.floor(min(values)) - 1, math.ceil(max(values)) + 1
        step = max(1, math.ceil((high - low) / 6))
        return cls(low, high, HEIGHT - BOTTOM, TOP, [float(tick) for tick in range(low, high + 1, step)])


def _psnr(point: Point) -> float:
    return min(point.psnr_db, PSNR_MAX)


def _axes(x: _Scale, y: _Scale) -> Markup:
    parts = [
        Markup('<text x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>').format(
            x=x.at(tick), y=HEIGHT - BOTTOM + 18, text=seconds_text(10**tick)
        )
        for tick in x.ticks
    ]
    for tick in y.ticks:
        parts.append(
            Markup(
                '<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".18"/>'
                '<text x="{at}" y="{text_y:.1f}" text-anchor="end">{text:g}</text>'
            ).format(left=LEFT, right=WIDTH - RIGHT, y=y.at(tick), at=LEFT - 6, text_y=y.at(tick) + 4, text=tick)
        )
    parts.append(
        Markup('<text x="{x}" y="{y}" text-anchor="end">time a picture, logarithmic</text>').format(
            x=WIDTH - RIGHT, y=HEIGHT - 6
        )
    )
    parts.append(Markup('<text x="4" y="{y}">dB PSNR</text>').format(y=HEIGHT - 6))
    return Markup("").join(parts)


def _point(point: Point, best: bool, x: _Scale, y: _Scale, labels: Mapping[int, str], link: str) -> Markup:
    said = f"{labels[point.place]}: {seconds_text(point.seconds)}, {_psnr(point):.1f} dB, SSIM {point.ssim:.2f}"
    dot = Markup(
        '<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}" fill-opacity="{opacity}" stroke="currentColor" '
        'stroke-width="1.5"><title>{said}</title></circle>'
    ).format(
        x=x.at(math.log10(point.seconds)),
        y=y.at(_psnr(point)),
        r=6 if best else 4.5,
        fill="currentColor",
        opacity=1 if best else 0,
        said=said,
    )
    if not link:
        return dot
    return Markup('<a href="#{link}{place}" aria-label="{said}">{dot}</a>').format(
        link=escape(link), place=point.place, said=said, dot=dot
    )
