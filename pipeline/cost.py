"""Pure functions from seconds and prices to dollars, with the formula as text.

Prices are data (assets/prices.toml), each with its source and date. Where no price is known the answer is None,
never a guess.
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.catalog import ASSETS, first_fault
from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.wording import dollars


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PriceProfile(_Data):
    """What one hour of a machine costs."""

    id: str
    name: str
    usd_per_hour: float | None
    """None where no price is known: then no cost is said."""
    source: str
    as_of: str
    """Date the price was read, YYYY-MM-DD."""
    gpu: str | None = None
    """A part of the GPU's name by which this profile is proposed; None for a CPU machine."""


class HostedPrice(_Data):
    """What a provider asks for one picture, as a reference beside a local cost."""

    name: str
    unit: Literal["image", "megapixel", "million output tokens"]
    usd: float
    source: str
    as_of: str
    note: str = ""


class PriceTable(_Data):
    profiles: dict[str, PriceProfile]
    hosted: tuple[HostedPrice, ...]

    def profile(self, wanted: object) -> PriceProfile:
        """The profile of an id or of a plain dollar figure per hour. Raises InputError with the known ids."""
        if isinstance(wanted, str) and wanted in self.profiles:
            return self.profiles[wanted]
        try:
            usd = float(wanted)
        except (TypeError, ValueError, OverflowError):
            usd = math.nan
        if isinstance(wanted, bool) or not 0 <= usd <= 10_000:
            known = ", ".join(self.profiles)
            raise InputError(f"price must be one of {known}, or dollars per hour from 0 to 10000; got {shown(wanted)}.")
        name = f"own price, ${usd:g} an hour"
        return PriceProfile(id="own", name=name, usd_per_hour=usd, source="given by you", as_of="")

    def proposed(self, device_name: str) -> PriceProfile:
        """What this device rents for: by the GPU's name, or the first profile of the table for a CPU.

        A GPU that no profile names has no known price, and gets none by guess.
        """
        for profile in self.profiles.values():
            if profile.gpu and re.search(rf"\b{re.escape(profile.gpu)}\b", device_name, re.IGNORECASE):
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


def hosted_cost(price: HostedPrice, width: int, height: int) -> float:
    """Dollars for one picture at a provider. A megapixel is 1024 × 1024 pixels, a token is 1024 pixels.

    Tokens: width × height / 1024, as the MAI image models count their output (1024 × 1024 is 1,024 tokens).
    """
    pixels = width * height
    if price.unit == "image":
        return price.usd
    if price.unit == "megapixel":
        return price.usd * pixels / 1024**2
    return price.usd * (pixels / 1024) / 1e6


def saving(predecessor_usd: float | None, efficient_usd: float | None) -> float | None:
    """1 − efficient / predecessor; None where either is unknown or the predecessor costs nothing."""
    if not predecessor_usd or efficient_usd is None:
        return None
    return 1 - efficient_usd / predecessor_usd
