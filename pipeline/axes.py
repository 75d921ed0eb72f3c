"""What a sweep can vary, as data, and how a person writes the values down.

A further axis is one more row of AXES, if its ``field`` is one of make_request's. Knows nothing of grids or of what a
model allows: make_request says that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pipeline.errors import InputError, shown
from pipeline.wording import count

CELLS_MAX = 400
"""Pictures of one sweep, and so values of one axis."""
GO_ON = ("..", "...", "…")
"""Between two values: and so on."""
NO_SWITCH = "none"
DIGITS_MAX = 25
"""More than any setting has; keeps 1e999999 from becoming a number of a million digits."""

Value = int | float | str


@dataclass(frozen=True)
class Axis:
    """``name`` as on the page and the command line; ``field`` of make_request; ``read`` makes values of a text."""

    name: str
    field: str
    read: Callable[[str, str], list[Value]]
    head: Callable[[Value], str]
    """What a row or column with this value is called."""
    how: str
    """How to write several values, for people who have not named a model yet."""


def values(axis: Axis, given: object) -> tuple[Value, ...]:
    """The values of a text, or of a list of texts and numbers. Nothing given is an empty tuple.

    Raises InputError for a range that cannot be counted out, too many values, or the same value twice. A text that is
    no number stays one: make_request words that error, with the model's limits.
    """
    if given is None or isinstance(given, str):
        found = axis.read(axis.name, given or "")
    else:
        parts = list(given) if isinstance(given, Sequence) else [given]
        found = [value for part in parts for value in (axis.read(axis.name, part) if isinstance(part, str) else [part])]
    _check_count(axis.name, len(found))
    for i, value in enumerate(found):
        if value in found[:i]:
            raise InputError(f"{axis.name} has {shown(value)} twice; name every value once.")
    return tuple(found)


def numbers(name: str, text: str) -> list[Value]:
    """``1, 2, 4``, ``1..8``, ``1, 2, .., 10`` (or ``…``), mixed as you like; fractions are counted exactly."""
    parts = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    found: list[Value] = []
    for i, part in enumerate(parts):
        if part in GO_ON:
            found += _between(name, parts, i)
        else:
            found += _range(name, part)
        _check_count(name, len(found))
    return found


def lines(name: str, text: str) -> list[Value]:
    """One value a line; empty lines are none."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words(name: str, text: str) -> list[Value]:
    """Separated by commas or lines."""
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def switches_of(text: str) -> tuple[str, ...]:
    """One value of that axis as make_request takes it: several joined by +, or none."""
    return () if text == NO_SWITCH else tuple(part.strip() for part in text.split("+"))


def _range(name: str, part: str) -> list[Value]:
    """One value, or ``1..8``: steps of one."""
    first, dots, last = part.replace("…", "..").replace("...", "..").partition("..")
    ends = [_exact(first), _exact(last)]
    if not dots or None in ends:
        single = _exact(part)
        return [part if single is None else _plain(single)]
    low, high = ends
    return _count_out(name, part, low, high, Decimal(1 if high >= low else -1))


def _between(name: str, parts: list[str], i: int) -> list[Value]:
    """What ``..`` stands for: the values after the two before it, up to, not with, the one behind it."""
    around = [_exact(part) for part in (*parts[max(0, i - 2) : i], *parts[i + 1 : i + 2])]
    if i < 2 or len(around) < 3 or None in around:
        raise InputError(f'{name} has ".." where it cannot be counted on; write it as in "1, 2, .., 10" or "1..10".')
    first, second, last = around
    text = f"{first}, {second}, .., {last}"
    return _count_out(name, text, second, last, second - first)[1:-1]


def _count_out(name: str, text: str, low: Decimal, high: Decimal, step: Decimal) -> list[Value]:
    """low, low + step, … high."""
    jumps = (high - low) / step if step else Decimal(-1)
    if jumps < 0 or jumps != jumps.to_integral_value():
        raise InputError(f"{name} cannot be counted out as {shown(text)}; end it at a value that the count meets.")
    _check_count(name, int(jumps) + 1)
    return [_plain(low + step * i) for i in range(int(jumps) + 1)]


def _check_count(name: str, number: int) -> None:
    if number > CELLS_MAX:
        raise InputError(f"A sweep has at most {CELLS_MAX} pictures; got {number} {name}: name fewer.")


def _exact(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    fits = number.is_finite() and (not number or abs(number.adjusted()) <= DIGITS_MAX)
    return number if fits else None


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


WITHIN = "within the model's limits"

AXES = (
    Axis("models", "model", words, str, "ids, separated by commas"),
    Axis("prompts", "prompt", lines, str, "one a line"),
    Axis("seeds", "seed", numbers, lambda value: f"seed {value}", "7, 8, 9 or 1..8 or 10, 20, .., 80"),
    Axis("steps", "steps", numbers, lambda value: count(value, "step"), f"4, 6, 8 or 4..8, {WITHIN}"),
    Axis("guidance", "guidance", numbers, lambda value: f"guidance {value:g}", f"1, 1.5 or 1, 1.5, .., 4, {WITHIN}"),
    Axis("switches", "switches", words, str, "none, fp8-weights; a+b is both at once"),
)
"""In the order in which they become rows, then columns."""
