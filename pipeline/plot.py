"""Points over a logarithmic axis, drawn as one SVG: scales, marks, whiskers, names, legend. All text is escaped here.

Nothing is said in colour or in the drawing alone: each point has its numbers as a title, and of several models each
has its own mark, which a line below names. Knows of no sweeps, files or votes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from string import ascii_uppercase

from markupsafe import Markup

from pipeline.wording import dollars, raised, seconds_text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 340, 72, 20, 16, 58
TICK_ROOM = 100
"""Units between two ticks across: what the longest text takes on a phone, where letters are larger."""
LETTER = 11
"""Units that one letter takes there, about."""
NAME_MAX = 24
"""Letters of a name that is written beside its point."""
BESIDE = [
    (11, 0, "start"), (-11, 0, "end"), (11, -20, "start"), (-11, -20, "end"), (11, 20, "start"), (-11, 20, "end"),
    (-6, -20, "start"), (6, -20, "end"), (-6, 20, "start"), (6, 20, "end"),
]  # fmt: skip
"""Where a name can begin or end, as seen from its point; best places first."""
LINE_PIECE = 4
"""Units of the front's line that a name sees as one obstacle."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""
MARKS = {
    "circle": (),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "triangle": ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
    "cross": (
        (-0.45, -1.3), (0.45, -1.3), (0.45, -0.45), (1.3, -0.45), (1.3, 0.45), (0.45, 0.45),
        (0.45, 1.3), (-0.45, 1.3), (-0.45, 0.45), (-1.3, 0.45), (-1.3, -0.45), (-0.45, -0.45),
    ),
}  # fmt: skip
"""Corners of each model's mark, by its radius, so that all look equally large. A sixth model has the first again."""


@dataclass(frozen=True)
class Across:
    """What goes across: ``cheaper`` is said of whoever is further left."""

    name: str
    title: str
    text: Callable[[float], str]
    cheaper: str
    first: str


ACROSS = {
    "time": Across("Time", "time a picture, logarithmic", seconds_text, "faster", "Fastest"),
    "cost": Across("Cost", "cost of 1,000 pictures, logarithmic", lambda usd: dollars(usd, 1), "cheaper", "Cheapest"),
}


@dataclass(frozen=True)
class Dot:
    """A point. ``said``: it and its numbers as text; ``short``: time and height. ``place``: of the cell that it leads
    to. ``low``, ``high``: ends of its interval, where it has one. ``written``: what stands beside it, if there is
    room. ``noise``: the share by which ``x`` may be off by chance; not against another with the same ``work``."""

    place: int
    name: str
    x: float
    y: float
    said: str
    short: str
    model: str
    low: float | None = None
    high: float | None = None
    written: str = ""
    reference: bool = False
    noise: float = 0.0
    work: tuple | None = None


def front_of(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other one beats in both, by more than noise, cheapest first. Of those that do the same work, which
    takes them equally long, only the highest."""
    unbeaten = [dot for dot in dots if not any(_beats(other, dot) for other in dots)]
    highest: dict[tuple | None, float] = {}
    for dot in unbeaten:
        highest[dot.work] = max(dot.y, highest.get(dot.work, dot.y))
    front = [dot for dot in unbeaten if dot.work is None or dot.y == highest[dot.work]]
    return sorted(front, key=lambda dot: (dot.x, -dot.y))


def _beats(one: Dot, other: Dot) -> bool:
    if noise := max(one.noise, other.noise):
        return one.x * (1 + noise) <= other.x and one.y >= other.y
    return one.x <= other.x and one.y >= other.y and (one.x < other.x or one.y > other.y)


def margin_of(dots: Sequence[Dot]) -> float:
    """The share by which one of them has to be cheaper than another to count as cheaper: that of the noisiest."""
    return max((dot.noise for dot in dots), default=0.0)


@dataclass(frozen=True)
class Names:
    """What stands beside the points. ``letters``: of those of the front that have one for want of room."""

    html: Markup
    letters: Mapping[Dot, str]


@dataclass(frozen=True)
class Scale:
    """From a value to pixels. ``ticks``: round values and what they are called. ``name``: what is drawn; ``title``: the
    same with its unit."""

    low: float
    high: float
    start: float
    end: float
    ticks: list[tuple[float, str]]
    name: str
    title: str

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def logarithmic(dots: Sequence[Dot], across: Across) -> Scale:
    """Ticks at 1, 2 and 5 of each decade where there is room; else fewer; where there is none, at both ends."""
    logs = [math.log10(dot.x) for dot in dots]
    low, high = min(logs) - 0.08, max(logs) + 0.08
    unit = (WIDTH - RIGHT - LEFT) / (high - low)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        decades = range(math.floor(low), math.ceil(high) + 1)
        found = [math.log10(factor) + decade for decade in decades for factor in factors]
        ticks = [tick for tick in found if low <= tick <= high]
        gaps = [(after - before) * unit for before, after in pairwise(ticks)]
        if min(gaps, default=TICK_ROOM) >= TICK_ROOM:
            break
    if len(ticks) < 2:
        ticks = sorted({min(logs), max(logs)})
    said = [(tick, across.text(10**tick)) for tick in ticks]
    return Scale(low, high, LEFT, WIDTH - RIGHT, said, across.name, across.title)


def figure(
    dots: Sequence[Dot],
    best: Sequence[Dot],
    x: Scale,
    y: Scale,
    names: Markup,
    caption: str,
    models: Sequence[str],
    link: str,
) -> Markup:
    """``best``: the front; empty where it is not known, and nothing is then drawn as if it were. The line goes only
    through those that climb: others are on it for noise alone."""
    corners = " ".join(f"{x.at(math.log10(dot.x)):.1f},{y.at(dot.y):.1f}" for dot in _climbing(best))
    line = Markup('<polyline points="{}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"/>')
    marks = dict(zip(models, cycle(MARKS), strict=False))
    drawn = [_point(dot, marks.get(dot.model, "circle"), dot in best, x, y, link) for dot in dots]
    return Markup(
        '<figure class="front"><svg viewBox="0 0 {w} {h}" role="{role}" aria-label="{name} against {what}">'
        "{axes}{line}{dots}{names}</svg><figcaption>{legend}{caption}</figcaption></figure>"
    ).format(
        w=WIDTH,
        h=HEIGHT,
        role="group" if link else "img",  # an image has no links within
        name=x.name,
        what=y.name,
        axes=_axes(x, y, dots),
        line=line.format(corners) if best else "",
        dots=Markup("").join(drawn),
        names=names,
        legend=_legend(dots, marks),
        caption=caption,
    )


def _legend(dots: Sequence[Dot], marks: Mapping[str, str]) -> Markup:
    """Which mark is whose, where there is more than one model."""
    drawn = [model for model in marks if any(dot.model == model for dot in dots)]
    if len(marks) < 2:
        return Markup("")
    whose = {mark: " and ".join(model for model in drawn if marks[model] == mark) for mark in MARKS}
    said = "; ".join(f"{mark}: {names}" for mark, names in whose.items() if names)
    return Markup('<span class="legend">{}.</span> ').format(raised(said))


def _axes(x: Scale, y: Scale, dots: Sequence[Dot]) -> Markup:
    parts = [_text(x.at(tick), HEIGHT - BOTTOM + 22, text, "middle") for tick, text in x.ticks]
    line = Markup('<line x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" {more}/>')
    for tick, text in y.ticks:
        parts.append(line.format(LEFT, WIDTH - RIGHT, y=y.at(tick), more=Markup('opacity=".18"')))
        parts.append(_text(LEFT - 6, y.at(tick) + 4, text, "end"))
    for dot in dots:
        if dot.reference:
            parts.append(line.format(LEFT, WIDTH - RIGHT, y=y.at(dot.y), more=Markup('stroke-width="1.5"')))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 8, x.title, "end"))
    parts.append(_text(4, HEIGHT - 8, y.title, "start"))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _point(dot: Dot, mark: str, best: bool, x: Scale, y: Scale, link: str) -> Markup:
    at, up = x.at(math.log10(dot.x)), y.at(dot.y)
    drawn = Markup("")
    if dot.low is not None and dot.high is not None:
        drawn = Markup(
            '<path class="whisker" d="M{a:.1f} {l:.1f}h8m-4 0V{h:.1f}m-4 0h8" fill="none" stroke="currentColor"/>'
        ).format(a=at - 4, l=y.at(dot.low), h=y.at(dot.high))
    if dot.reference:
        drawn += Markup(
            '<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="11" fill="none" stroke="currentColor"/>'
        ).format(at, up)
    size = 6 if best else 4.5
    if mark == "circle":
        tag, shape = "circle", Markup('cx="{:.1f}" cy="{:.1f}" r="{}"').format(at, up, size)
    else:
        corners = " ".join(f"{at + size * right:.1f},{up + size * down:.1f}" for right, down in MARKS[mark])
        tag, shape = "polygon", Markup('points="{}"').format(corners)
    drawn += Markup(
        '<{tag} class="mark {mark}" {shape} fill="currentColor" fill-opacity="{filled}" stroke="currentColor" '
        'stroke-width="1.5"><title>{said}</title></{tag}>'
    ).format(tag=tag, mark=mark, shape=shape, filled=int(best), said=dot.said)
    if not link:
        return drawn
    return Markup('<a href="#{}{}" aria-label="{}">{}</a>').format(link, dot.place, dot.said, drawn)


def _climbing(best: Sequence[Dot]) -> list[Dot]:
    """Those of a front that its line goes through."""
    return [dot for i, dot in enumerate(best) if all(dot.y > before.y for before in best[:i])]


def names_beside(dots: Sequence[Dot], best: Sequence[Dot], x: Scale, y: Scale) -> Names:
    """Beside each point what it is called, those of the front ``best`` first, where that covers no other name, point or
    whisker, and a line only if it must: the style sheets leave the line out round a text. A point of the front whose
    name has no room has a letter instead."""
    taken, lines = _taken(dots, x, y), _lines(dots, best, x, y)
    parts, letters = [], {}
    for dot in sorted(dots, key=lambda dot: dot not in best):
        texts = [dot.written] if 0 < len(dot.written) <= NAME_MAX else []
        letter = "" if dot.reference or dot not in best else ascii_uppercase[len(letters) : len(letters) + 1]
        if letter:
            texts += [*([dot.name] if len(dot.name) <= NAME_MAX else []), letter]
        at, up = x.at(math.log10(dot.x)), y.at(dot.y)
        for text in texts:
            length = LETTER * len(text)
            if found := _room(at, up, length, taken + lines) or _room(at, up, length, taken):
                box, drawn = found
                taken.append(box)
                parts.append(_text(*drawn[:2], text, drawn[2]))
                if text == letter:
                    letters[dot] = letter
                break
    return Names(Markup("").join(parts), letters)


def _taken(dots: Sequence[Dot], x: Scale, y: Scale) -> list[Box]:
    """Where no name can stand."""
    taken: list[Box] = []
    for dot in dots:
        at, up = x.at(math.log10(dot.x)), y.at(dot.y)
        room = 12 if dot.reference else 8
        taken.append((at - room, up - room, at + room, up + room))
        if dot.low is not None and dot.high is not None:
            taken.append((at - 5, y.at(dot.high), at + 5, y.at(dot.low)))
    return taken


def _lines(dots: Sequence[Dot], best: Sequence[Dot], x: Scale, y: Scale) -> list[Box]:
    """The line of the front, in pieces, and that of a reference."""
    lines = [(LEFT, y.at(dot.y) - 1, WIDTH - RIGHT, y.at(dot.y) + 1) for dot in dots if dot.reference]
    corners = [(x.at(math.log10(dot.x)), y.at(dot.y)) for dot in _climbing(best)]
    for (left, start), (right, end) in pairwise(corners):
        pieces = math.ceil(math.hypot(right - left, end - start) / LINE_PIECE)
        for piece in range(pieces):
            at, up = left + (right - left) * piece / pieces, start + (end - start) * piece / pieces
            lines.append((at - 2, up - 2, at + 2, up + 2))
    return lines


def _room(at: float, up: float, length: float, taken: Sequence[Box]) -> tuple[Box, tuple[float, float, str]] | None:
    """Where a text of this length can stand beside a point, and where it is then drawn from."""
    for right, down, anchor in BESIDE:
        start = at + right if anchor == "start" else at + right - length
        box = start, up + down - 11, start + length, up + down + 11
        inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
        if inside and all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken):
            return box, (at + right, up + down + 4, anchor)
    return None
