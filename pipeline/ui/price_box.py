"""What the page's price box offers, and which price it means."""

from __future__ import annotations

from pipeline.playground import Playground
from pipeline.prices import PriceProfile, PriceTable

AUTOMATIC_PRICE = "auto"
PRICE_ID = "hardware-price"
NUMBERS_AS_TYPED = f"""() => {{
  const box = document.querySelector('#{PRICE_ID} input');
  box?.addEventListener('keydown', (event) => {{
    if (event.key !== 'Enter' || !/^\\s*\\$?[\\d.]+\\s*$/.test(box.value)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    box.blur();
  }}, true);
}}"""
"""Enter takes a price that was typed as it is. Gradio would take the first profile that has the digits in its name."""


def price_choices(table: PriceTable) -> list[tuple[str, str]]:
    named = [(f"{p.name}: ${p.usd_per_hour:.2f} an hour", p.id) for p in table.profiles.values()]
    return [("What a machine like this rents for", AUTOMATIC_PRICE), *named]


def chosen_price(playground: Playground, wanted: str | float | None, device: str = "") -> PriceProfile:
    """The profile behind what the box says. Raises InputError for a price that nobody knows."""
    return playground.proposed_price(device) if wanted == AUTOMATIC_PRICE else playground.price(wanted, device)
