"""Pure functions from seconds and prices to dollars, with the formula as text.

Prices are data (assets/prices.toml), each with its source and date. Where no price is known the answer is None,
never a guess.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.cards import ASSETS
from pipeline.catalog import first_fault
from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.hosted import Data, HostedCall, HostedPrice
from pipeline.wording import dollars

DAYS_A_MONTH = 30
SECONDS_A_DAY = 86_400
OWN = "a price of your own"


class PriceProfile(Data):
    """What one hour of a machine costs."""

    id: str
    name: str
    usd_per_hour: float | None
    """None where no price is known: then no cost is said."""
    source: str
    as_of: str
    """Date the price was read, YYYY-MM-DD."""
    gpu: re.Pattern[str] | None = None
    """Whole words of the GPU's name, as a regular expression, by which this profile is proposed; None for a CPU."""
    slice: bool = False
    """Whether the price is of a part of that GPU (NVIDIA's MIG)."""

    @classmethod
    def from_document(cls, price: Mapping[str, Any]) -> PriceProfile:
        """The profile behind a document's price, as it was then."""
        usd, source, as_of = (price[name] for name in ("usd_per_hour", "source", "as_of"))
        name = OWN if price["profile"] == "own" else price["profile"]
        return cls(id=price["profile"], name=name, usd_per_hour=usd, source=source, as_of=as_of)


class PriceTable(Data):
    profiles: dict[str, PriceProfile]
    hosted: tuple[HostedPrice, ...]

    def profile(self, wanted: object) -> PriceProfile:
        """The profile of an id or of a plain dollar figure per hour. Raises InputError with the known ids."""
        if isinstance(wanted, str) and wanted in self.profiles:
            return self.profiles[wanted]
        usd = sum_given(wanted, 10_000)
        if usd is None:
            known = ", ".join(self.profiles)
            raise InputError(
                f"price must be dollars per hour, from 0 to 10000, or one of {known}; got {shown(wanted)}."
            )
        return PriceProfile(id="own", name=OWN, usd_per_hour=usd, source="given by you", as_of="")

    def described(self, price: Mapping[str, Any]) -> PriceProfile:
        """The profile behind a document's price, as it was then, with what the table calls it now and says it is of."""
        then, known = PriceProfile.from_document(price), self.profiles.get(price["profile"])
        now = {name: getattr(known, name) for name in ("name", "gpu", "slice")} if known else {}
        return then.model_copy(update=now)

    def proposed(self, device_name: str) -> PriceProfile:
        """What this device rents for: by the GPU's name, or the first profile of the table for a CPU.

        A GPU that no profile names has no known price, and gets none by guess.
        """
        for profile in self.profiles.values():
            if names_gpu(profile, device_name):
                return profile
        if device_name.startswith("CPU"):
            return next(iter(self.profiles.values()))
        return PriceProfile(
            id="unknown",
            name=f"no price known for {device_name or 'this hardware'}",
            usd_per_hour=None,
            source="choose a profile, or give your own dollars per hour",
            as_of="",
        )


def names_gpu(price: PriceProfile, device_name: str) -> bool:
    """Whether the price is that of this very GPU, or of a slice as this is one."""
    if price.gpu is None or price.slice != (" MIG " in device_name):
        return False
    return re.search(rf"\b(?:{price.gpu.pattern})\b", device_name, re.IGNORECASE) is not None


def source_url(source: str) -> str | None:
    """The address that a source begins with, or None. Only https: a price table is no place for other links."""
    address = source.split(" ", 1)[0]
    return address if address.startswith("https://") else None


def sum_given(given: object, most: float) -> float | None:
    """Dollars as somebody wrote them, from 0 to ``most``; None for anything else."""
    try:
        usd = float(given.strip().removeprefix("$") if isinstance(given, str) else given)
    except (TypeError, ValueError, OverflowError):
        return None
    return usd if 0 <= usd <= most and not isinstance(given, bool) else None


def load_prices(path: Path = ASSETS / "prices.toml") -> PriceTable:
    """Read and check the price table. Raises PlaygroundError naming the file and the fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        table = PriceTable.model_validate(
            {
                "profiles": {key: value | {"id": key} for key, value in raw["profiles"].items()},
                "hosted": raw["hosted"],
            }
        )
    except ValidationError as error:
        raise PlaygroundError(f"The price table {path} is wrong at {first_fault(error)}.") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise PlaygroundError(f"The price table {path} cannot be read ({error}); correct or restore it.") from error
    if not table.profiles:
        raise PlaygroundError(f"The price table {path} is wrong at profiles: it must have at least one.")
    return table


def machine_cost(seconds: float, price: PriceProfile) -> float | None:
    """Dollars for ``seconds`` of a machine that is busy with nothing else; None where no price is known."""
    return None if price.usd_per_hour is None else seconds * price.usd_per_hour / 3600


def machine_formula(seconds: float, price: PriceProfile) -> str:
    """The same, as a sum that can be checked by hand."""
    cost = machine_cost(seconds, price)
    if cost is None:
        return "no price known, so no cost is said"
    return f"{seconds:.4g} s × ${price.usd_per_hour:g} per hour ÷ 3600 = {dollars(cost)}"


def hosted_cost(
    price: HostedPrice, width: int, height: int, output_tokens: int | None = None, prompt_tokens: int | None = None
) -> float:
    """Dollars for one picture at a provider. A megapixel is 1024 × 1024 pixels, a token is 1024 pixels.

    Tokens: width × height / 1024, as the MAI image models count their output (1024 × 1024 is 1,024 tokens), where the
    provider has not counted them; those of the prompt only where it has.
    """
    prompt = (prompt_tokens or 0) * (price.usd_prompt or 0) / 1e6
    pixels = width * height
    if price.unit == "image":
        return price.usd + prompt
    if price.unit == "megapixel":
        megapixels = pixels / 1024**2
        if price.usd_further is None:
            return price.usd * megapixels + prompt
        return price.usd + price.usd_further * max(0.0, megapixels - 1) + prompt
    return price.usd * (pixels / 1024 if output_tokens is None else output_tokens) / 1e6 + prompt


def call_cost(call: HostedCall) -> float | None:
    """Dollars that a provider asks for one picture by its price list; None where no price is known."""
    if call.price is None:
        return None
    return hosted_cost(call.price, call.width, call.height, call.output_tokens, call.prompt_tokens)


def picture_cost(seconds: float, price: PriceProfile, call: HostedCall | None) -> float | None:
    """Dollars for one picture: its provider's price if it has one, else so many seconds of a machine."""
    return machine_cost(seconds, price) if call is None else call_cost(call)


def picture_formula(seconds: float, price: PriceProfile, call: HostedCall | None) -> str:
    """The same, as a sum that can be checked by hand."""
    if call is None:
        return machine_formula(seconds, price)
    if call.price is None:
        return f"no price of {call.provider}'s is known, so no cost is said"
    said, megapixels = call.price, call.width * call.height / 1024**2
    if said.unit == "image":
        terms = [f"1 picture × ${said.usd:g}"]
    elif said.unit == "million output tokens":
        tokens = call.width * call.height / 1024 if call.output_tokens is None else call.output_tokens
        terms = [f"{tokens:,.0f} output tokens × ${said.usd:g} ÷ 1,000,000"]
    elif said.usd_further is None:
        terms = [f"{megapixels:.4g} megapixels × ${said.usd:g}"]
    else:
        terms = [f"${said.usd:g} + {max(0.0, megapixels - 1):.4g} further megapixels × ${said.usd_further:g}"]
    if said.usd_prompt and call.prompt_tokens:
        terms.append(f"{call.prompt_tokens:,} prompt tokens × ${said.usd_prompt:g} ÷ 1,000,000")
    return f"{' + '.join(terms)} = {dollars(call_cost(call))}"


def saving(predecessor_usd: float | None, efficient_usd: float | None) -> float | None:
    """1 − efficient / predecessor; None where either is unknown or the predecessor costs nothing."""
    if not predecessor_usd or efficient_usd is None:
        return None
    return 1 - efficient_usd / predecessor_usd


@dataclass(frozen=True)
class Month:
    """A month of 30 days at a steady number of pictures a day with one model. Dollars are None without a price."""

    by_use_usd: float | None
    """Only the seconds that are used are paid, as on a machine that other work fills."""
    busy_s_a_day: float
    machines: int
    """How many are needed at least, each busy day and night; 0 where a provider has them."""
    left_on_usd: float | None
    """Those machines rented day and night, busy or not; of a provider what is used."""


def month(seconds: float, images_a_day: int, price: PriceProfile, call: HostedCall | None = None) -> Month:
    """What ``images_a_day`` pictures of ``seconds`` each cost in a month, by use and with machines left on; of a
    provider there are no machines."""
    busy = seconds * images_a_day
    if call is not None:
        each = call_cost(call)
        used = None if each is None else each * images_a_day * DAYS_A_MONTH
        return Month(used, busy, 0, used)
    machines = max(1, math.ceil(busy / SECONDS_A_DAY))
    used = machine_cost(busy * DAYS_A_MONTH, price)
    rented = machine_cost(machines * SECONDS_A_DAY * DAYS_A_MONTH, price)
    return Month(used, busy, machines, rented)


def month_formula(usd: float | None, images_a_day: int) -> str:
    """The month by use as a sum that can be checked by hand. ``usd``: of one picture."""
    if usd is None:
        return "no price known, so no cost is said"
    total = usd * images_a_day * DAYS_A_MONTH
    return f"{dollars(usd, 4)} × {images_a_day:,} a day × {DAYS_A_MONTH} days = {dollars(total)}"
