"""assets/prices.toml -> what an hour of a machine and a picture at a provider cost, each with its source and date.

Data: where no price is known it is None, never a guess. What a picture costs at these prices is pipeline.cost's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.cards import ASSETS
from pipeline.errors import InputError, PlaygroundError, shown
from pipeline.hosted import HostedPrice
from pipeline.tables import Data, first_fault

OWN = "one that was typed in"
USD_MAX = 10_000
"""An hour of no machine costs more."""
DECIMAL_COMMA = re.compile(r"^(0?|\d+(?!,\d{3}$)),(\d+)$")


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
        usd = sum_given(wanted, USD_MAX)
        if usd is None:
            known = ", ".join(self.profiles)
            raise InputError(
                f"price must be dollars per hour from 0 to {USD_MAX}, such as 2.50, or one of {known}; "
                f"got {shown(wanted)}."
            )
        return PriceProfile(id="own", name=OWN, usd_per_hour=usd, source="whoever made this", as_of="")

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
        return unknown_price(device_name)


def unknown_price(device_name: str = "") -> PriceProfile:
    """With which no cost is said."""
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
    """Dollars as somebody wrote them, from 0 to ``most``, with a point or a comma: 0.5 or 0,5. None for anything else,
    and for 1,000, which is a thousand to one reader and one to the next."""
    if isinstance(given, str):
        given = DECIMAL_COMMA.sub(r"\1.\2", given.strip().removeprefix("$"))
    try:
        usd = float(given)
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
