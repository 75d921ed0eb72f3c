"""What a sweep costs against what it gives, as a plot with the Pareto front, in words and as a table.

Across: time or cost, logarithmic, since a sweep of steps goes over decades. Up: each setting's fidelity, or what people
or a network said of it; prompts and seeds are no choices, so they are pooled. Whoever is further left is cheaper, and
whoever is further up is better. Knows of no files, and runs and compares nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from markupsafe import Markup

from pipeline.charts import column_heads
from pipeline.errors import InputError
from pipeline.plot import (
    ACROSS,
    BOTTOM,
    HEIGHT,
    TOP,
    Dot,
    Scale,
    figure,
    front_of,
    logarithmic,
    margin_of,
    names_beside,
)
from pipeline.stats import ALIKE_FEW
from pipeline.sweep_votes import NO_PERSON, Setting, Standing, mean_text, said_of, share_of
from pipeline.timing import DISTURBED
from pipeline.tradeoff import Point, Tradeoff
from pipeline.wording import cost_text, count, percent, seconds_text, shortened

PSNR_MAX = 60.0
"""dB. Where a cell goes that differs from its reference in no pixel, or in next to none."""
POINTS_MIN = 2
"""Of a plot of fidelity: one point is no finding."""
NAMED_MAX = 6
"""Points of a front that a sentence names; the plot's own words below it name all."""


def fidelity_plot(found: Tradeoff, across: str = "time", link: str = "", instead: str = "") -> Markup:
    """Each setting by how near its cells are to their references. ``link``: prefix of an anchor by place, where there
    are such. ``instead``: what to do where there is no plot, as a sentence.

    Raises InputError where there is nothing to draw.
    """
    if len(found.points) < POINTS_MIN:
        raise InputError(f"There is no plot of fidelity: {_too_few(found)}{instead and f' {instead}'}")
    dots = _pooled(found, across)
    low, high = (
        math.floor(min(dot.low or dot.y for dot in dots)) - 1,
        math.ceil(max(dot.high or dot.y for dot in dots)) + 1,
    )
    ticks = [(float(tick), f"{tick}") for tick in range(low, high + 1, max(1, math.ceil((high - low) / 6)))]
    up = Scale(low, high, HEIGHT - BOTTOM, TOP, ticks, "fidelity", "dB PSNR")
    best, x = front_of(dots), logarithmic(dots, ACROSS[across])
    names = names_beside(dots, best, x, up)
    apart = f" {count(found.apart, 'finished picture')} cannot be compared with any." if found.apart else ""
    filled = f"Filled: nothing else is both {_cheaper(dots, across)} and nearer to {found.chosen}{_same_work(dots)}. "
    medians = " Points are medians over prompts and seeds, whiskers go from the farthest picture to the nearest."
    caption = (
        f"{filled if len(dots) > 1 else ''}{_named(best, across, names.letters)}"
        f"{medians if len(dots) < len(found.points) else ''}{apart}{_not_plotted(found)}"
        f" Fidelity says how near to {found.chosen}, not how good."
        f"{_runs(found.points, 'one run')}{_cached(found.points)}{_busy(found.points)}"
    )
    return figure(dots, best, x, up, names.html, caption, found.models, link)


def _too_few(found: Tradeoff) -> str:
    """Why there is no plot of them, as the end of a sentence, and what to do."""
    if found.points and found.references and found.complete:
        return (
            f"{_references(found.references)}, so only one picture ({found.points[0].setting}) is left to plot; add a "
            "prompt, a seed or another setting."
        )
    return (
        "fewer than two finished pictures share prompt, seed, size and the path from noise to picture with their "
        "reference."
    )


def _references(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'is the reference' if len(names) == 1 else 'are the references'}"


def _not_plotted(found: Tradeoff) -> str:
    """Else a reader may look for them."""
    plotted = {point.setting for point in found.points}
    names = [name for name in found.references if name not in plotted]
    return f" {_references(names)}, not plotted." if names else ""


def fidelity_front(found: Tradeoff) -> str:
    """The front by time in one sentence. There are points, as for the plot."""
    return _front_text(_pooled(found, "time"), "fidelity")


def votes_plot(standing: Standing, across: str = "time", link: str = "") -> Markup:
    """Each setting by its score, beside the reference at one half. ``link``: as for the other plot.

    Raises InputError where there is nothing to draw.
    """
    if not standing.voted:
        raise InputError("All votes so far are “both bad”, which say nothing of either picture.")
    dots = _settings(standing, across)
    x = logarithmic(dots, ACROSS[across])
    ticks = [(float(tick), f"{tick} %") for tick in (0, 25, 50, 75, 100)]
    up = Scale(0, 100, HEIGHT - BOTTOM, TOP, ticks, _judged_by(standing), "score")
    best = _front_by_votes(dots)
    names = names_beside(dots, best, x, up)
    if best:
        found = (
            f"Filled: nothing else, the reference among them, is both {_cheaper(dots, across)} and has a higher score"
            f"{_same_work(dots)}. {_named(best, across, names.letters)}"
        )
    else:
        found = f"Too few {standing.one}s to tell the settings apart."
    timed = [*standing.voted, standing.reference]
    caption = (
        f"{found} {_what_the_score_is(standing)} The whiskers are 95 % Wilson intervals"
        f"{_in_brackets(standing, names.html)}.{_runs(timed, 'one run a picture')}{_cached(timed)}"
        f"{_busy_settings(timed)}"
    )
    return figure(dots, best, x, up, names.html, caption, standing.models, link)


def _judged_by(standing: Standing) -> str:
    return standing.judge.name if standing.judge else "votes"


def _what_the_score_is(standing: Standing) -> str:
    reference = standing.reference.label
    if standing.judge:
        return (
            f"The score is the share of pictures that {standing.judge.name} puts before the reference’s ({reference}, "
            f"in a ring) of the same prompt and seed, equal ones half: it puts first {standing.judge.puts_first}. "
            f"As good as the reference is 50 %. {NO_PERSON} {standing.judge.note}".rstrip()
        )
    return (
        "The score is the share of votes for it, a tie being half a vote for either, so a picture as good as "
        f"the reference ({reference}, in a ring) comes to 50 %, whether people say tie or guess."
    )


def _in_brackets(standing: Standing, names: Markup) -> str:
    if not names:
        return ""
    return "; in brackets how many pictures" if standing.judge else "; in brackets the votes that called one good"


def votes_front(standing: Standing) -> str:
    """The front by time in one sentence; empty where votes are too few for one."""
    dots = _settings(standing, "time")
    return _front_text(dots, _judged_by(standing)) if _front_by_votes(dots) else ""


def _front_by_votes(dots: Sequence[Dot]) -> list[Dot]:
    """The front, if any two intervals on it are disjoint; of a single point, if any two of all are. Else none: whoever
    is ahead may be so by chance. The reference's interval is one half and no more."""
    best = front_of(dots)
    among = best if len(best) > 1 else dots
    lows, highs = zip(*((dot.y, dot.y) if dot.low is None else (dot.low, dot.high) for dot in among), strict=True)
    return best if max(lows) > min(highs) else []


def votes_table(standing: Standing) -> Markup:
    """The numbers of every setting as text."""
    last, judge = standing.reference, standing.judge
    heads = ["Score", "Pictures" if judge else "Votes", *(["Its own score"] if judge else []), "Time", "Cost"]
    rows = []
    for one in (*standing.settings, last):
        said = ["the reference", ""] if one is last else [share_of(one.tally), said_of(one.tally, standing.one)]
        means = [mean_text(one)] if judge else []
        rows.append([one.label, *said, *means, seconds_text(one.seconds), cost_text(one.cost_usd)])
    return Markup(
        '<div class="vote-table by-setting" tabindex="0" role="region" aria-label="{} by setting"><table>'
        "<thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(
        judge.name if judge else "Votes",
        column_heads(heads),
        Markup("").join(_row(*row) for row in rows),
    )


def _row(head: str, *cells: str) -> Markup:
    each = Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(head, each)


def _x(of: Point | Setting, across: str) -> float:
    """Seconds, or dollars of 1,000 pictures. Raises InputError where no cost is known, or none that has a logarithm."""
    if across == "time":
        return of.seconds
    if not of.cost_usd:
        why = "not every price is known" if of.cost_usd is None else "the price was set to nothing"
        raise InputError(f"There is no plot by cost: {why}. Choose time.")
    return 1000 * of.cost_usd


def _cost(of: Point | Setting) -> str:
    cached, busy = " (from the cache)" if of.cached else "", " (busy machine)" if of.disturbed else ""
    return f"{seconds_text(of.seconds)}{cached}{busy}, {cost_text(of.cost_usd)}"


def _cached(points: Sequence[Point | Setting]) -> str:
    """That not all of them were timed together."""
    number = sum(point.cached for point in points)
    these = _times(number, points, "all times are")
    return f" Out of the cache: {these} from when the picture was made before." if number else ""


def _busy(points: Sequence[Point | Setting]) -> str:
    """That not all of them say something of the model."""
    number = sum(point.disturbed for point in points)
    these = _times(number, points, "all times are")
    return f" Of a busy machine: {these} over {DISTURBED:g} times the best here." if number else ""


def _busy_settings(settings: Sequence[Setting]) -> str:
    """The same where a time is the median of several pictures', of which not all need have been disturbed."""
    number = sum(setting.disturbed for setting in settings)
    these = f"{number} of the {len(settings)} times have"
    return f" Of a busy machine: {these} a picture that took over {DISTURBED:g} times the best here." if number else ""


def _noise(of: Point | Setting, across: str) -> float:
    """See Dot. A list's price is the same every time; single pictures' times are not, and their spread is not known."""
    return 0.0 if across == "cost" and of.listed else ALIKE_FEW


def _same_work(dots: Sequence[Dot]) -> str:
    """Said where it decides anything."""
    works = [dot.work for dot in dots if dot.work is not None]
    return "; of those that do the same work, only the best" if len(set(works)) < len(works) else ""


def _cheaper(dots: Sequence[Dot], across: str) -> str:
    """Faster by 5 % or more: less may be chance."""
    return f"{ACROSS[across].cheaper} {_by(dots)}".rstrip()


def _by(dots: Sequence[Dot]) -> str:
    """Empty where nothing is by chance."""
    margin = margin_of(dots)
    return f"by {100 * margin:g} % or more" if margin else ""


def _runs(points: Sequence[Point | Setting], of: str) -> str:
    """That a time of one run may be off, and has no spread to tell by how much."""
    number = sum(point.runs < 2 for point in points)
    return f" {_times(number, points, 'Each time is')} of {of}." if number else ""


def _times(number: int, points: Sequence[Point | Setting], every: str) -> str:
    return every if number == len(points) else f"{number} of the {len(points)} times are"


def _named(best: Sequence[Dot], across: str, letters: Mapping[Dot, str]) -> str:
    """``letters``: of those that have one in the plot instead of their name."""
    names = (f"{letters[dot]}: {dot.name}" if dot in letters else dot.name for dot in best)
    return f"{ACROSS[across].first} first: {'; '.join(names)}."


def _front_text(dots: Sequence[Dot], what: str) -> str:
    best = front_of(dots)
    if len(dots) == 1:
        return f"{dots[0].said}."
    names = [f"{shortened(dot.name)} ({dot.short})" for dot in best[:NAMED_MAX]]
    more = f", and {len(best) - NAMED_MAX} more" if len(best) > NAMED_MAX else ""
    who = "None of these beats another" if len(best) == len(dots) else "None of the others beats these"
    return f"{who} in both time ({_by(dots)}) and {what}: {', '.join(names)}{more}."


def _pooled(found: Tradeoff, across: str) -> list[Dot]:
    """A point for each setting that was compared, in the order of the grid."""
    settings: dict[tuple[str, str], list[Point]] = {}
    for point in found.points:
        settings.setdefault((point.model, point.setting), []).append(point)
    return [_near(points, across) for points in settings.values()]


def _near(points: Sequence[Point], across: str) -> Dot:
    """Medians of one setting's cells; it leads to the first of them."""
    first, few = points[0], len(points) == 1
    psnrs = [min(point.psnr_db, PSNR_MAX) for point in points]
    psnr, low, high = median(psnrs), min(psnrs), max(psnrs)
    costs = [point.cost_usd for point in points]
    middle = replace(
        first,
        seconds=median(point.seconds for point in points),
        cost_usd=None if None in costs else median(costs),
        ssim=median(point.ssim for point in points),
        cached=any(point.cached for point in points),
        disturbed=any(point.disturbed for point in points),
        listed=all(point.listed for point in points),
    )
    said = f"{first.setting}: {_cost(middle)}, {psnr:.1f} dB, SSIM {middle.ssim:.2f}"
    if not few:
        said += f", medians of {count(len(points), 'picture')}, {low:.1f} to {high:.1f} dB"
    return Dot(
        first.place, first.setting, _x(middle, across), psnr, said, f"{seconds_text(middle.seconds)}, {psnr:.1f} dB",
        first.model, None if few else low, None if few else high,
        first.setting if few else f"{first.setting} ({len(points)})",
        noise=_noise(middle, across), work=middle.work,
    )  # fmt: skip


def _settings(standing: Standing, across: str) -> list[Dot]:
    """A point for each that was voted on, and the reference's."""
    last = standing.reference
    beside = f"{last.label}: the reference, {_cost(last)}, 50 % by definition"
    short = f"{seconds_text(last.seconds)}, the reference"
    dots = [_setting(setting, across, standing.one) for setting in standing.voted]
    reference = Dot(
        last.place, last.label, _x(last, across), 50.0, beside, short, last.model, reference=True,
        noise=_noise(last, across), work=last.work,
    )  # fmt: skip
    return [*dots, reference]


def _setting(setting: Setting, across: str, one: str) -> Dot:
    score = setting.tally.score
    said = f"{setting.label}: {_cost(setting)}, score {share_of(setting.tally)}, of {said_of(setting.tally, one)}"
    short = f"{seconds_text(setting.seconds)}, {percent(score.share)}"
    return Dot(
        setting.place, setting.label, _x(setting, across), 100 * score.share, said, short, setting.model,
        100 * score.low, 100 * score.high, f"{setting.label} ({setting.tally.scored})",
        noise=_noise(setting, across), work=setting.work,
    )  # fmt: skip
