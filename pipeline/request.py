"""ImageRequest: one picture, fully said. Page, API and command line all build it here, and only here.

Every limit comes from the model's card, so what the page's sliders show and what is enforced behind the API
are the same numbers.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from pipeline.cards import ModelCard
from pipeline.errors import InputError, shown
from pipeline.switches import checked

PROMPT_MAX = 2000
"""Characters. Encoders cut far earlier; this only keeps nonsense out of memory, logs and files."""
SEED_MAX = 2**64 - 1
"""torch.Generator.manual_seed takes 64 bits."""
REPEAT_MAX = 20

Key = tuple[str, tuple[str, ...]]
"""A model's id and its switches: these sit on a model's modules, so with others it is another pipeline."""


class ImageRequest(BaseModel):
    """A validated request. Build it with :func:`make_request`; equal requests give equal pictures on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float
    switches: tuple[str, ...] = ()
    """Ids of efficiency switches; see switches.py."""


def make_request(
    card: ModelCard,
    prompt: object,
    *,
    negative_prompt: object = "",
    seed: object = 0,
    width: object = None,
    height: object = None,
    steps: object = None,
    guidance: object = None,
    switches: object = (),
) -> ImageRequest:
    """Check every field against the card's limits. None means the card's own default.

    Raises InputError: one sentence with the field, its limits and what was given.
    """
    where = f" for {card.name}"
    text = _text("prompt", prompt)
    if not text:
        raise InputError(f"prompt must have 1 to {PROMPT_MAX} characters; got none: write what to draw.")
    negative = _text("negative_prompt", negative_prompt)
    if negative and not card.negative_prompt:
        raise InputError(f"negative_prompt is not used by {card.name}; leave it empty, got {shown(negative)}.")
    if card.fixed_steps and steps not in (None, card.steps.default):
        raise InputError(f"steps must be left out for {card.name}; got {shown(steps)}. {card.fixed_steps}")
    strength = _real("guidance", guidance, card.guidance.default, card.guidance.min, card.guidance.max, where)
    return ImageRequest(
        model=card.id,
        prompt=text,
        negative_prompt=negative,
        seed=whole("seed", seed, 0, SEED_MAX),
        width=_size("width", width, card),
        height=_size("height", height, card),
        steps=whole("steps", steps, int(card.steps.min), int(card.steps.max), where, int(card.steps.default)),
        guidance=strength,
        switches=checked(switches),
    )


def negative_of(requests: Iterable[ImageRequest]) -> str:
    """What was asked for with one negative prompt for all: only those whose model uses one carry it. Else empty."""
    return next((request.negative_prompt for request in requests if request.negative_prompt), "")


def random_seed() -> int:
    """A seed that every front end can carry: JavaScript and JSON lose digits above 2**53."""
    return random.SystemRandom().randrange(2**31)


def whole(field: str, value: object, low: int, high: int, where: str = "", default: int | None = None) -> int:
    """A whole number from ``low`` to ``high``; 7.0 counts as 7, True and "7" do not. Raises InputError."""
    if value is None and default is not None:
        return default
    number = _number(value)
    # The range first: NaN and infinity are in none, and an int beyond every float never meets one.
    if number is None or not low <= number <= high or number != int(number):
        raise InputError(f"{field} must be a whole number from {low} to {high}{where}; got {shown(value)}.")
    return int(value)


def yes_or_no(field: str, value: object) -> bool:
    """True or false, and nothing that only counts as one. Raises InputError."""
    if not isinstance(value, bool):
        raise InputError(f"{field} must be true or false; got {shown(value)}.")
    return value


def number(text: str) -> int | float | str:
    """What a user typed as a number; anything else goes on as text, so that one place words the error."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _number(value: object) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _real(field: str, value: object, default: float, low: float, high: float, where: str) -> float:
    if value is None:
        return float(default)
    number = _number(value)
    if number is None or not low <= number <= high:
        limits = f"{low:g}" if low == high else f"a number from {low:g} to {high:g}"
        raise InputError(f"{field} must be {limits}{where}; got {shown(value)}.")
    return float(number)


def _size(field: str, value: object, card: ModelCard) -> int:
    size = card.size
    limits = f"{size.min}" if size.min == size.max else f"{size.min} to {size.max} in steps of {size.multiple}"
    number = size.default if value is None else _number(value)
    if number is None or not size.min <= number <= size.max or number != int(number) or int(number) % size.multiple:
        raise InputError(f"{field} must be {limits} pixels for {card.name}; got {shown(value)}.")
    return int(number)


def _text(field: str, value: object) -> str:
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise InputError(f"{field} must be text; got {shown(value)}.")
    if len(value) > PROMPT_MAX:
        raise InputError(f"{field} must have at most {PROMPT_MAX} characters; got {len(value)}: shorten it.")
    # Control characters and lone surrogates break tokenizers, PNG text and logs; line breaks are only spaces here.
    cleaned = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in value)
    return " ".join(cleaned.split())


def key_of(request: ImageRequest) -> Key:
    """Which pipeline makes this request."""
    return request.model, request.switches
