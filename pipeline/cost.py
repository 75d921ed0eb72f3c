"""Pure functions from seconds and prices to dollars, with the formula as text.

Prices are data (pipeline.prices). Where no price is known the answer is None, never a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.hosted import HostedCall, HostedPrice
from pipeline.prices import PriceProfile
from pipeline.wording import dollars

DAYS_A_MONTH = 30
SECONDS_A_DAY = 86_400
UNPRICED = "no price known, so no cost is said"


@dataclass(frozen=True)
class Sum:
    """Dollars, and how they come about."""

    usd: float | None
    """None where no price is known."""
    formula: str
    """The sum as text, to be checked by hand; without a price, that none is known."""


def machine_sum(seconds: float, price: PriceProfile) -> Sum:
    """``seconds`` of a machine that is busy with nothing else."""
    if price.usd_per_hour is None:
        return Sum(None, UNPRICED)
    usd = seconds * price.usd_per_hour / 3600
    return Sum(usd, f"{seconds:.4g} s × ${price.usd_per_hour:g} per hour ÷ 3600 = {dollars(usd)}")


def hosted_sum(
    price: HostedPrice, width: int, height: int, output_tokens: int | None = None, prompt_tokens: int | None = None
) -> Sum:
    """One picture at a provider. A megapixel is 1024 × 1024 pixels, a token is 1024 pixels.

    Tokens: width × height / 1024, as the MAI image models count their output (1024 × 1024 is 1,024 tokens), where the
    provider has not counted them; those of the prompt only where it has.
    """
    megapixels = width * height / 1024**2
    if price.unit == "image":
        usd, terms = price.usd, [f"1 picture × ${price.usd:g}"]
    elif price.unit == "million output tokens":
        tokens = width * height / 1024 if output_tokens is None else output_tokens
        usd, terms = price.usd * tokens / 1e6, [f"{tokens:,.0f} output tokens × ${price.usd:g} ÷ 1,000,000"]
    elif price.usd_further is None:
        usd, terms = price.usd * megapixels, [f"{megapixels:.4g} megapixels × ${price.usd:g}"]
    else:
        further = max(0.0, megapixels - 1)
        usd = price.usd + price.usd_further * further
        terms = [f"${price.usd:g} + {further:.4g} further megapixels × ${price.usd_further:g}"]
    if price.usd_prompt and prompt_tokens:
        usd += prompt_tokens * price.usd_prompt / 1e6
        terms.append(f"{prompt_tokens:,} prompt tokens × ${price.usd_prompt:g} ÷ 1,000,000")
    return Sum(usd, f"{' + '.join(terms)} = {dollars(usd)}")


def call_sum(call: HostedCall) -> Sum:
    """One picture that a provider draws, by its price list."""
    if call.price is None:
        return Sum(None, f"no price of {call.provider}'s is known, so no cost is said")
    return hosted_sum(call.price, call.width, call.height, call.output_tokens, call.prompt_tokens)


def picture_sum(seconds: float, price: PriceProfile, call: HostedCall | None) -> Sum:
    """One picture: its provider's price if it has one, else so many seconds of a machine."""
    return machine_sum(seconds, price) if call is None else call_sum(call)


def saving(predecessor_usd: float | None, efficient_usd: float | None) -> float | None:
    """1 − efficient / predecessor; None where either is unknown or the predecessor costs nothing."""
    if not predecessor_usd or efficient_usd is None:
        return None
    return 1 - efficient_usd / predecessor_usd


@dataclass(frozen=True)
class Month:
    """A month of 30 days at a steady number of pictures a day with one model. Dollars are None without a price."""

    by_use: Sum
    """Only the seconds that are used are paid, as on a machine that other work fills."""
    busy_s_a_day: float
    machines: int
    """How many are needed at least, each busy day and night; 0 where a provider has them."""
    left_on_usd: float | None
    """Those machines rented day and night, busy or not; of a provider what is used."""


def month(seconds: float, images_a_day: int, price: PriceProfile, call: HostedCall | None = None) -> Month:
    """What ``images_a_day`` pictures of ``seconds`` each cost in a month, by use and with machines left on; of a
    provider there are no machines."""
    used = _by_use(picture_sum(seconds, price, call).usd, images_a_day)
    busy = seconds * images_a_day
    if call is not None:
        return Month(used, busy, 0, used.usd)
    machines = max(1, math.ceil(busy / SECONDS_A_DAY))
    return Month(used, busy, machines, machine_sum(machines * SECONDS_A_DAY * DAYS_A_MONTH, price).usd)


def _by_use(usd: float | None, images_a_day: int) -> Sum:
    """A month of so many pictures a day at ``usd`` each."""
    if usd is None:
        return Sum(None, UNPRICED)
    total = usd * images_a_day * DAYS_A_MONTH
    return Sum(total, f"{dollars(usd, 4)} × {images_a_day:,} a day × {DAYS_A_MONTH} days = {dollars(total)}")
