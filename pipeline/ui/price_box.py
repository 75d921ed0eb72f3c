"""What the page's price box offers, and which price it means."""

from __future__ import annotations

from pipeline.errors import InputError, shown
from pipeline.playground import Playground
from pipeline.prices import USD_MAX, PriceProfile, PriceTable

AUTOMATIC_PRICE = "auto"
PRICE_ID = "hardware-price"
NUMBERS_AS_TYPED = f"""() => {{
  const box = document.querySelector('#{PRICE_ID} input');
  box?.addEventListener('keydown', (event) => {{
    if (event.key !== 'Enter' || !/^\\s*\\$?[\\d.,]+\\s*$/.test(box.value)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    box.blur();
  }}, true);
}}"""
"""Enter takes a price that was typed as it is. Gradio would take the first profile that has the digits in its name."""


def kept_in(first: str) -> dict[str, str]:
    """Where a visitor's browser keeps what they chose instead of ``first``, with which the page begins: where it begins
    with another, as by --price, nothing was chosen yet. The secret is fixed, as the visitor's token is: with Gradio's
    own random one all would be lost when the server starts anew."""
    return {"storage_key": f"diptych-price-{first}", "secret": "diptych"}


def price_choices(table: PriceTable) -> list[tuple[str, str]]:
    named = [(f"{p.name}: ${p.usd_per_hour:.2f} an hour", p.id) for p in table.profiles.values()]
    return [("What a machine like this rents for", AUTOMATIC_PRICE), *named]


def check_choice(playground: Playground, wanted: object) -> None:
    """Raises InputError for what no price box can mean, in words of the page: it shows no ids."""
    try:
        playground.check_price(None if wanted == AUTOMATIC_PRICE else wanted)
    except InputError:
        raise InputError(
            f"price must be a machine of the list or dollars an hour, such as 0.40, up to {USD_MAX}; "
            f"got {shown(wanted)}."
        ) from None


def kept_choice(playground: Playground, kept: object) -> str | None:
    """What a browser says that its visitor chose, as the box shows it; None if that is no price, or none was chosen."""
    try:
        check_choice(playground, kept)
    except InputError:
        return None
    return None if kept is None else str(kept)


def chosen_price(playground: Playground, wanted: str | float | None, device: str = "") -> PriceProfile:
    """The profile behind what the box says. Raises InputError for a price that nobody knows."""
    check_choice(playground, wanted)
    return playground.proposed_price(device) if wanted == AUTOMATIC_PRICE else playground.price(wanted, device)
