"""What a sweep costs against what it gives, drawn as one SVG with the Pareto front. All text is escaped here.

Across: time or cost, logarithmic, since a sweep of steps goes over decades. Up: fidelity of each cell, or what people
said of each setting. So whoever is further left is cheaper and whoever is further up is better. Nothing is said in
colour or in the drawing alone: each point has its numbers as a title, and of several models each has its own mark,
which a line below names. Knows of no files, and runs and compares nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.labels import raised
from pipeline.pareto import pareto_front
from pipeline.sweep_votes import Setting, Standing, said_of, share_of
from pipeline.tradeoff import Point, Tradeoff
from pipeline.wording import count, dollars, percent, seconds_text, shortened

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 340, 72, 20, 16, 58
PSNR_MAX = 60.0
"""dB. Where a cell goes that differs from its reference in no pixel, or in next to none."""
TICK_ROOM = 100
"""Units between two ticks across: what the longest text takes on a phone, where letters are larger."""
LETTER = 11
"""Units that one letter takes there, about."""
NAME_MAX = 24
"""Letters of a name that is written beside its point."""
POINTS_MIN = 2
"""Of a plot of fidelity: one point is no finding."""
NAMED_MAX = 6
"""Points of a front that a sentence names; the plot's own words below it name all."""
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
    room."""

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


def front_of(dots: Sequence[Dot]) -> list[Dot]:
    """Those that no other one beats in both, cheapest first."""
    return [dots[i] for i in pareto_front([(dot.x, dot.y) for dot in dots])]


def fidelity_plot(
    found: Tradeoff, labels: Mapping[int, str], across: str = "time", link: str = "", instead: str = ""
) -> Markup:
    """Each cell by how near it is to its reference. ``labels``: what each place is called. ``link``: prefix of an
    anchor by place, where there are such. ``instead``: what to do where there is no plot, as a sentence.

    Raises InputError where there is nothing to draw.
    """
    if len(found.points) < POINTS_MIN:
        raise InputError(
            "There is no plot of fidelity: fewer than two finished pictures share prompt, seed, size and the path from "
            f"noise to picture with their reference.{instead and f' {instead}'}"
        )
    dots = [_cell(point, labels[point.place], across) for point in found.points]
    low, high = math.floor(min(dot.y for dot in dots)) - 1, math.ceil(max(dot.y for dot in dots)) + 1
    ticks = [(float(tick), f"{tick}") for tick in range(low, high + 1, max(1, math.ceil((high - low) / 6)))]
    up = _Scale(low, high, HEIGHT - BOTTOM, TOP, ticks, "fidelity", "dB PSNR")
    best = front_of(dots)
    apart = f" {count(found.apart, 'finished picture')} cannot be compared with any." if found.apart else ""
    caption = (
        f"Filled: no other picture is both {ACROSS[across].cheaper} and nearer to {found.chosen}. "
        f"{_named(best, across)}{apart} Fidelity says how near, not how good.{_runs(found.points, 'one run')}"
        f"{_cached(found.points)}"
    )
    return _figure(dots, best, _logarithmic(dots, ACROSS[across]), up, Markup(""), caption, found.models, link)


def fidelity_front(found: Tradeoff, labels: Mapping[int, str]) -> str:
    """The front by time in one sentence. There are points, as for the plot."""
    return _front_text([_cell(point, labels[point.place], "time") for point in found.points], "fidelity")


def votes_plot(standing: Standing, across: str = "time", link: str = "") -> Markup:
    """Each setting by its score, beside the reference at one half. ``link``: as for the other plot.

    Raises InputError where there is nothing to draw.
    """
    reference = standing.reference
    if not standing.voted:
        raise InputError("All votes so far are “both bad”, which say nothing of either picture.")
    dots = _settings(standing, across)
    x = _logarithmic(dots, ACROSS[across])
    ticks = [(float(tick), f"{tick} %") for tick in (0, 25, 50, 75, 100)]
    up = _Scale(0, 100, HEIGHT - BOTTOM, TOP, ticks, "votes", "score")
    best, names = _front_by_votes(dots), _names(dots, x, up)
    if best:
        found = (
            f"Filled: nothing else, the reference among them, is both {ACROSS[across].cheaper} and has a higher score. "
            f"{_named(best, across)}"
        )
    else:
        found = "Too few votes to tell the settings apart."
    timed = [*standing.voted, reference]
    caption = (
        f"{found} The score is the share of votes for it, a tie being half a vote for either, so a picture as good as "
        f"the reference ({reference.label}, in a ring) comes to 50 %, whether people say tie or guess. The whiskers "
        f"are 95 % Wilson intervals{'; in brackets the votes that called one good' if names else ''}."
        f"{_runs(timed, 'one run a picture')}{_cached(timed)}"
    )
    return _figure(dots, best, x, up, names, caption, standing.models, link)


def votes_front(standing: Standing) -> str:
    """The front by time in one sentence; empty where votes are too few for one."""
    dots = _settings(standing, "time")
    return _front_text(dots, "votes") if _front_by_votes(dots) else ""


def _front_by_votes(dots: Sequence[Dot]) -> list[Dot]:
    """The front, if any two intervals on it are disjoint; of a single point, if any two of all are. Else none: whoever
    is ahead may be so by chance. The reference's interval is one half and no more."""
    best = front_of(dots)
    among = best if len(best) > 1 else dots
    lows, highs = zip(*((dot.y, dot.y) if dot.low is None else (dot.low, dot.high) for dot in among), strict=True)
    return best if max(lows) > min(highs) else []


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
    these = _times(number, points, "all times are")
    return f" Out of the cache: {these} from when the picture was made before." if number else ""


def _runs(points: Sequence[Point | Setting], of: str) -> str:
    """That a time of one run may be off, and has no spread to tell by how much."""
    number = sum(point.runs < 2 for point in points)
    return f" {_times(number, points, 'Each time is')} of {of}." if number else ""


def _times(number: int, points: Sequence[Point | Setting], every: str) -> str:
    return every if number == len(points) else f"{number} of the {len(points)} times are"


def _named(best: Sequence[Dot], across: str) -> str:
    return f"{ACROSS[across].first} first: {'; '.join(dot.name for dot in best)}."


def _front_text(dots: Sequence[Dot], what: str) -> str:
    best = front_of(dots)
    names = [f"{shortened(dot.name)} ({dot.short})" for dot in best[:NAMED_MAX]]
    more = f", and {len(best) - NAMED_MAX} more" if len(best) > NAMED_MAX else ""
    who = "None of these beats another" if len(best) == len(dots) else "None of the others beats these"
    return f"{who} in both time and {what}: {', '.join(names)}{more}."


def _cell(point: Point, label: str, across: str) -> Dot:
    psnr = min(point.psnr_db, PSNR_MAX)
    said = f"{label}: {_cost(point)}, {psnr:.1f} dB, SSIM {point.ssim:.2f}"
    short = f"{seconds_text(point.seconds)}, {psnr:.1f} dB"
    return Dot(point.place, label, _x(point, across), psnr, said, short, point.model)


def _settings(standing: Standing, across: str) -> list[Dot]:
    """A point for each that was voted on, and the reference's."""
    last = standing.reference
    beside = f"{last.label}: the reference, {_cost(last)}, 50 % by definition"
    short = f"{seconds_text(last.seconds)}, the reference"
    dots = [_setting(setting, across) for setting in standing.voted]
    return [*dots, Dot(last.place, last.label, _x(last, across), 50.0, beside, short, last.model, reference=True)]


def _setting(setting: Setting, across: str) -> Dot:
    score = setting.tally.score
    said = f"{setting.label}: {_cost(setting)}, score {share_of(setting.tally)}, of {said_of(setting.tally)}"
    short = f"{seconds_text(setting.seconds)}, {percent(score.share)}"
    return Dot(
        setting.place, setting.label, _x(setting, across), 100 * score.share, said, short, setting.model,
        100 * score.low, 100 * score.high, f"{setting.label} ({setting.tally.scored})",
    )  # fmt: skip


@dataclass(frozen=True)
class _Scale:
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


def _logarithmic(dots: Sequence[Dot], across: Across) -> _Scale:
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
    return _Scale(low, high, LEFT, WIDTH - RIGHT, said, across.name, across.title)


def _figure(
    dots: Sequence[Dot],
    best: Sequence[Dot],
    x: _Scale,
    y: _Scale,
    names: Markup,
    caption: str,
    models: Sequence[str],
    link: str,
) -> Markup:
    """``best``: the front; empty where it is not known, and nothing is then drawn as if it were."""
    corners = " ".join(f"{x.at(math.log10(dot.x)):.1f},{y.at(dot.y):.1f}" for dot in best)
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


def _axes(x: _Scale, y: _Scale, dots: Sequence[Dot]) -> Markup:
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


def _point(dot: Dot, mark: str, best: bool, x: _Scale, y: _Scale, link: str) -> Markup:
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


def _names(dots: Sequence[Dot], x: _Scale, y: _Scale) -> Markup:
    """Beside each point what it is called, right or left of it, unless that covers another name, point or whisker."""
    taken = []
    for dot in dots:
        at, up = x.at(math.log10(dot.x)), y.at(dot.y)
        room = 12 if dot.reference else 8
        taken.append((at - room, up - room, at + room, up + room))
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
