"""What a sweep costs against what it gives, drawn as one SVG with the Pareto front. All text is escaped here.

Across: time or cost, logarithmic, since a sweep of steps goes over decades. Up: fidelity of each cell, or what people
said of each setting. So whoever is further left is cheaper and whoever is further up is better. Nothing is said in
colour or in the drawing alone: each point has its numbers as a title. Knows of no files, and runs and compares nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.pareto import pareto_front
from pipeline.sweep_votes import Setting, Standing, said_of, share_of
from pipeline.tradeoff import Point, Tradeoff
from pipeline.wording import count, dollars, seconds_text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 340, 72, 20, 16, 58
PSNR_MAX = 60.0
"""dB. Where a cell goes that differs from its reference in no pixel, or in next to none."""
TICK_ROOM = 100
"""Units between two ticks across: what the longest text takes on a phone, where letters are larger."""
LETTER = 11
"""Units that one letter takes there, about."""
NAME_MAX = 24
"""Letters of a name that is written beside its point."""


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
    """A point. ``said``: it and its numbers as text. ``place``: of the cell that it leads to. ``low``, ``high``: ends
    of its interval, where it has one. ``written``: what stands beside it, if there is room."""

    place: int
    name: str
    x: float
    y: float
    said: str
    low: float | None = None
    high: float | None = None
    written: str = ""
    reference: bool = False


def front_of(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other one beats in both, cheapest first."""
    return [dots[i] for i in pareto_front([(dot.x, dot.y) for dot in dots])]


def fidelity_plot(found: Tradeoff, labels: Mapping[int, str], across: str = "time", link: str = "") -> Markup:
    """Each cell by how near it is to its reference. ``labels``: what each place is called. ``link``: prefix of an
    anchor by place, where there are such.

    Raises InputError where there is nothing to draw: of fewer than two cells, since one point is no finding.
    """
    if len(found.points) < 2:
        raise InputError(
            "There is no plot of fidelity: fewer than two finished pictures share prompt, seed, size and the path from "
            "noise to picture with one of more steps."
        )
    dots = [_cell(point, labels[point.place], across) for point in found.points]
    low, high = math.floor(min(dot.y for dot in dots)) - 1, math.ceil(max(dot.y for dot in dots)) + 1
    step = max(1, math.ceil((high - low) / 6))
    up = _Scale(low, high, HEIGHT - BOTTOM, TOP, [(float(tick), f"{tick}") for tick in range(low, high + 1, step)])
    names = "; ".join(dot.name for dot in front_of(dots))
    apart = f" {count(found.apart, 'finished picture')} cannot be compared with any." if found.apart else ""
    caption = (
        f"Filled: no other picture is both {ACROSS[across].cheaper} and nearer to the one with the most steps. "
        f"{ACROSS[across].first} first: {names}.{apart} Fidelity says how near, not how good.{_cached(found.points)}"
    )
    return _figure(dots, across, up, "fidelity", "dB PSNR", caption, link)


def votes_plot(standing: Standing, across: str = "time", link: str = "") -> Markup:
    """Each setting by its score, beside the reference at one half. ``link``: as for the other plot.

    Raises InputError where there is nothing to draw.
    """
    reference = standing.reference
    if not standing.voted:
        raise InputError("All votes so far are “both bad”, which say nothing of either picture.")
    dots = [_setting(setting, across) for setting in standing.voted]
    beside = f"{reference.label}: the reference, {_cost(reference)}, 50 % by definition"
    dots.append(Dot(reference.place, reference.label, _x(reference, across), 50.0, beside, reference=True))
    up = _Scale(0, 100, HEIGHT - BOTTOM, TOP, [(float(tick), f"{tick} %") for tick in (0, 25, 50, 75, 100)])
    names = "; ".join(dot.name for dot in front_of(dots))
    caption = (
        f"Filled: nothing else, the reference among them, is both {ACROSS[across].cheaper} and has a higher score. "
        f"{ACROSS[across].first} first: {names}. The score is the share of votes for it, a tie being half a vote for "
        f"either, so a picture as good as the reference ({reference.label}, the diamond) comes to 50 %, whether people "
        "say tie or guess. The whiskers are 95 % Wilson intervals; in brackets the votes that called one good."
        f"{_cached([*standing.voted, reference])}"
    )
    return _figure(dots, across, up, "votes", "score", caption, link)


def votes_table(standing: Standing) -> Markup:
    """The numbers of every setting as text."""
    row = Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>')
    rows = [
        row.format(one.label, share_of(one.tally), said_of(one.tally), seconds_text(one.seconds), dollars(one.cost_usd))
        for one in standing.settings
    ]
    last = standing.reference
    rows.append(row.format(last.label, "the reference", "", seconds_text(last.seconds), dollars(last.cost_usd)))
    heads = Markup("").join(
        Markup('<th scope="col">{}</th>').format(head) for head in ("Score", "Votes", "Time", "Cost")
    )
    return Markup(
        '<div class="vote-table by-setting" tabindex="0" role="region" aria-label="Votes by setting"><table>'
        "<thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(heads, Markup("").join(rows))


def _x(of: Point | Setting, across: str) -> float:
    """Seconds, or dollars of 1,000 pictures. Raises InputError where no cost is known, or none that has a logarithm."""
    if across == "time":
        return of.seconds
    if not of.cost_usd:
        why = "not every price is known" if of.cost_usd is None else "the price was set to nothing"
        raise InputError(f"There is no plot by cost: {why}. Choose time.")
    return 1000 * of.cost_usd


def _cost(of: Point | Setting) -> str:
    return f"{seconds_text(of.seconds)}{' (from the cache)' if of.cached else ''}, {dollars(of.cost_usd)}"


def _cached(points: Sequence[Point | Setting]) -> str:
    """That not all of them were timed together."""
    number = sum(point.cached for point in points)
    each = "all times are" if number == len(points) else f"{number} of the {len(points)} times are"
    return f" Out of the cache: {each} from when the picture was made before." if number else ""


def _cell(point: Point, label: str, across: str) -> Dot:
    psnr = min(point.psnr_db, PSNR_MAX)
    said = f"{label}: {_cost(point)}, {psnr:.1f} dB, SSIM {point.ssim:.2f}"
    return Dot(point.place, label, _x(point, across), psnr, said)


def _setting(setting: Setting, across: str) -> Dot:
    score = setting.tally.score
    said = f"{setting.label}: {_cost(setting)}, score {share_of(setting.tally)}, of {said_of(setting.tally)}"
    return Dot(
        setting.place, setting.label, _x(setting, across), 100 * score.share, said, 100 * score.low, 100 * score.high,
        f"{setting.label} ({setting.tally.scored})",
    )  # fmt: skip


@dataclass(frozen=True)
class _Scale:
    """From a value to pixels. ``ticks``: round values and what they are called."""

    low: float
    high: float
    start: float
    end: float
    ticks: list[tuple[float, str]]

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _logarithmic(dots: Sequence[Dot], text: Callable[[float], str]) -> _Scale:
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
    return _Scale(low, high, LEFT, WIDTH - RIGHT, [(tick, text(10**tick)) for tick in ticks])


def _figure(dots: Sequence[Dot], across: str, up: _Scale, what: str, unit: str, caption: str, link: str) -> Markup:
    x = _logarithmic(dots, ACROSS[across].text)
    best = front_of(dots)
    line = " ".join(f"{x.at(math.log10(dot.x)):.1f},{up.at(dot.y):.1f}" for dot in best)
    drawn = [_point(dot, dot in best, x, up, link) for dot in dots]
    return Markup(
        '<figure class="front"><svg viewBox="0 0 {w} {h}" role="{role}" aria-label="{name} against {what}">{axes}'
        '<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"/>'
        "{dots}{names}</svg><figcaption>{caption}</figcaption></figure>"
    ).format(
        w=WIDTH,
        h=HEIGHT,
        role="group" if link else "img",  # an image has no links within
        name=ACROSS[across].name,
        what=what,
        axes=_axes(x, up, ACROSS[across].title, unit, dots),
        line=line,
        dots=Markup("").join(drawn),
        names=_names(dots, x, up),
        caption=caption,
    )


def _axes(x: _Scale, y: _Scale, across: str, unit: str, dots: Sequence[Dot]) -> Markup:
    parts = [_text(x.at(tick), HEIGHT - BOTTOM + 22, text, "middle") for tick, text in x.ticks]
    line = Markup('<line x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" {more}/>')
    for tick, text in y.ticks:
        parts.append(line.format(LEFT, WIDTH - RIGHT, y=y.at(tick), more=Markup('opacity=".18"')))
        parts.append(_text(LEFT - 6, y.at(tick) + 4, text, "end"))
    for dot in dots:
        if dot.reference:
            parts.append(line.format(LEFT, WIDTH - RIGHT, y=y.at(dot.y), more=Markup('stroke-width="1.5"')))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 8, across, "end"))
    parts.append(_text(4, HEIGHT - 8, unit, "start"))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _point(dot: Dot, best: bool, x: _Scale, y: _Scale, link: str) -> Markup:
    at, up = x.at(math.log10(dot.x)), y.at(dot.y)
    drawn = Markup("")
    if dot.low is not None and dot.high is not None:
        drawn = Markup(
            '<path class="whisker" d="M{a:.1f} {l:.1f}h8m-4 0V{h:.1f}m-4 0h8" fill="none" stroke="currentColor"/>'
        ).format(a=at - 4, l=y.at(dot.low), h=y.at(dot.high))
    fill = Markup('fill="currentColor" fill-opacity="{}" stroke="currentColor" stroke-width="1.5"').format(int(best))
    title = Markup("<title>{}</title>").format(dot.said)
    if dot.reference:
        drawn += Markup('<path d="M{:.1f} {:.1f}l8-8 8 8-8 8z" {}>{}</path>').format(at - 8, up, fill, title)
    else:
        circle = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" {}>{}</circle>')
        drawn += circle.format(at, up, 6 if best else 4.5, fill, title)
    if not link:
        return drawn
    return Markup('<a href="#{}{}" aria-label="{}">{}</a>').format(link, dot.place, dot.said, drawn)


def _names(dots: Sequence[Dot], x: _Scale, y: _Scale) -> Markup:
    """Beside each point what it is called, right or left of it, unless that covers another name, point or whisker."""
    taken = []
    for dot in dots:
        at, up = x.at(math.log10(dot.x)), y.at(dot.y)
        taken.append((at - 8, up - 8, at + 8, up + 8))
        if dot.low is not None and dot.high is not None:
            taken.append((at - 5, y.at(dot.high), at + 5, y.at(dot.low)))
    parts = []
    for dot in dots:
        at, up, length = x.at(math.log10(dot.x)), y.at(dot.y), LETTER * len(dot.written)
        for side, anchor in ((11, "start"), (-11, "end")):
            start = at + side if side > 0 else at + side - length
            box = start, up - 11, start + length, up + 11
            free = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken)
            if 0 < len(dot.written) <= NAME_MAX and box[0] >= LEFT and box[2] <= WIDTH and free:
                taken.append(box)
                parts.append(_text(at + side, up + 4, dot.written, anchor))
                break
    return Markup("").join(parts)
