"""Small pictures of numbers as text: stages on one scale and a bar of them as inline SVG, a cost chart and the heads of
tables as HTML. Escaped here, and drawn without a script, so that page, report and paper show the same. Knows nothing of
Gradio; colours come from CSS classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.timing import Timings, stages_of
from pipeline.wording import dollars, seconds_text

# A bar's box is 1000 units wide and stretched to whatever room there is.
_STAGES = Markup(
    '<svg class="stages" role="img" aria-label="{}" viewBox="0 0 1000 16" preserveAspectRatio="none">{}</svg>'
)
_STAGE = Markup('<rect class="{}" x="{}" y="0" width="{}" height="11"/>')
_RUN = Markup('<line class="run" x1="{0}" x2="{0}" y1="12" y2="16"/>')


@dataclass(frozen=True)
class Stretch:
    """One stage of a bar. ``begin``, ``width``: shares of the bar's full width, 0 to 1. ``text``: what it took."""

    stage: str
    begin: float
    width: float
    text: str


def stretches(seconds: Mapping[str, float], longest_s: float) -> list[Stretch]:
    """The stages of one picture in a row, whoever draws them. ``seconds``: by stage, as of a document; ``longest_s``:
    the full width."""
    found, begin = [], 0.0
    for stage in stages_of(seconds):
        text = f"{stage} {seconds_text(seconds[stage])}"
        found.append(Stretch(stage, _share(begin, longest_s), _share(seconds[stage], longest_s), text))
        begin += seconds[stage]
    return found


def _share(seconds: float, longest_s: float) -> float:
    return seconds / longest_s if longest_s else 0.0


def stage_bar(seconds: Mapping[str, float], runs: Sequence[Timings], longest_s: float) -> Markup:
    """:func:`stretches` as inline SVG; under them a mark for every run's total."""

    def x(share: float) -> str:
        return f"{1000 * share:.2f}"

    stages = stretches(seconds, longest_s)
    parts = [_STAGE.format(each.stage, x(each.begin), x(each.width)) for each in stages]
    marks = [_RUN.format(x(_share(run.total, longest_s))) for run in runs]
    return _STAGES.format(", ".join(each.text for each in stages), Markup("").join([*parts, *marks]))


@dataclass(frozen=True)
class CostBar:
    """One line of a cost chart. ``usd`` is None where no price is known."""

    label: str
    usd: float | None
    note: str
    ours: bool
    """Of the comparison itself, and not set beside it."""


def cost_chart(bars: Sequence[CostBar]) -> Markup:
    """Horizontal bars on a logarithmic scale that begins and ends at a power of ten; every bar has its sum as text."""
    sums = [bar.usd for bar in bars if bar.usd]
    low = math.floor(math.log10(min(sums))) if sums else 0
    high = max(low + 1, math.ceil(math.log10(max(sums)))) if sums else 1
    rows = Markup("").join(_cost_row(bar, low, high) for bar in bars)
    marks = Markup("").join(Markup("<span>{}</span>").format(dollars(10.0**power)) for power in (low, high))
    return Markup(
        '<div class="costs" style="--decades:{}"><ul>{}</ul><p class="axis" aria-hidden="true">{}</p>'
        '<p class="note">Logarithmic scale from {} to {}: every line is ten times the one before, so look at the sums '
        "and not at the bars' lengths.</p></div>"
    ).format(high - low, rows, marks, dollars(10.0**low), dollars(10.0**high))


def column_heads(names: Iterable[str]) -> Markup:
    """The cells of a table's first row."""
    return Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in names)


def _cost_row(bar: CostBar, low: int, high: int) -> Markup:
    share = 100 * (math.log10(bar.usd) - low) / (high - low) if bar.usd else 0.0
    return Markup(
        '<li class="{}"><span class="label">{}</span><span class="sum">{}</span>'
        '<span class="scale" aria-hidden="true"><i style="width:{}%"></i></span><span class="note">{}</span></li>'
    ).format("ours" if bar.ours else "listed", bar.label, dollars(bar.usd), f"{max(share, 0.4):.2f}", bar.note)
