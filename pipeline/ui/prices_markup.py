"""HTML of the Prices tab: what a volume costs, the chart beside hosted models, and the two price lists.

Pure functions from documents and price tables; Markup escapes what it is given, and nothing here knows Gradio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.charts import CostBar, column_heads, cost_chart
from pipeline.claims import as_fast, by_chance, by_list, rough, unclaimed
from pipeline.compare import hosted_of, listed_prices
from pipeline.cost import (
    SECONDS_A_DAY,
    Month,
    hosted_sum,
    month,
)
from pipeline.events import disturbed
from pipeline.hosted import HostedPrice
from pipeline.prices import PriceProfile, PriceTable, source_url
from pipeline.wording import count, dollars, duration, figure, rate_text

SIZE = 1024
"""Pixels a side at which hosted prices are compared."""
NO_MACHINE = "the provider's machines"


def volume(document: Mapping[str, Any], price: PriceProfile, images_a_day: int, whence: str) -> Markup:
    """What ``images_a_day`` pictures cost a month with each model of a comparison, and what is saved.

    ``document`` is priced at ``price`` already. ``whence``: which comparison it is, in words.
    """
    old, new = document["lanes"]
    before, after = (month(lane["seconds"]["total"], images_a_day, price, hosted_of(lane)) for lane in (old, new))
    rows = [
        ("A picture", dollars(old["cost_usd"]), dollars(new["cost_usd"])),
        ("1,000 pictures", *(dollars(_thousand(lane["cost_usd"])) for lane in (old, new))),
        ("A month, paid by use", dollars(before.by_use.usd), dollars(after.by_use.usd)),
    ]
    if before.machines or after.machines:
        rows.append(("A month, machines left on", _left_on(before), _left_on(after)))
        rows.append(("Busy", *(_busy(each) for each in (before, after))))
    busy = _several_at_once(document, price, images_a_day)
    if busy:
        rows.append(("By use, several at once", *(dollars(each.by_use.usd) for each in busy)))
        rows.append(("Left on, several at once", *map(_left_on, busy)))
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>').format(*row) for row in rows
    )
    says = _saves(document, before, after, images_a_day)
    return Markup(
        '<section class="volume" aria-live="polite"><p class="saves">{}</p><table><caption class="note">{}</caption>'
        '<thead><tr><td></td><th scope="col">Predecessor</th><th scope="col">Efficient</th></tr></thead>'
        '<tbody>{}</tbody></table><p class="note">{}</p></section>'
    ).format(says, whence, body, _sums(document, price, before, after))


def _several_at_once(document: Mapping[str, Any], price: PriceProfile, images_a_day: int) -> list[Month]:
    """The same month on machines that draw as many at once as pays best; empty where that was not measured."""
    rates = [lane.get("throughput") for lane in document["lanes"]]
    return [month(60 / rate["images_per_minute"], images_a_day, price) for rate in rates] if all(rates) else []


def _left_on(of: Month) -> str:
    return f"{dollars(of.left_on_usd)}, {count(of.machines, 'machine')}" if of.machines else NO_MACHINE


def _busy(of: Month) -> str:
    """One machine's time, or how many have no other time left."""
    if not of.machines:
        return NO_MACHINE
    if of.busy_s_a_day > SECONDS_A_DAY:
        return f"{figure(of.busy_s_a_day / SECONDS_A_DAY)} machines all day"
    return f"{duration(of.busy_s_a_day)} a day"


def _saves(document: Mapping[str, Any], before: Month, after: Month, images_a_day: int) -> str:
    at = f"At {count(images_a_day, 'image')} a day"
    if before.by_use.usd is None or after.by_use.usd is None:
        if any(lane.get("hosted") for lane in document["lanes"]):
            return f"{at}: not all prices are known. Give your own per hour, or a provider's in a --model-file."
        return f"{at}: no price is known for this hardware. Give your own price per hour."
    if document["speedup"] is None:
        return f"{at} no saving is claimed. {': '.join(unclaimed(document))}."
    if any(map(disturbed, document["lanes"])):
        return f"{at} no saving is claimed: the machine was busy with something else, so the costs are too high."
    free = [not lane.get("hosted") and lane["cost_usd"] == 0 for lane in document["lanes"]]
    if any(free) and not all(free):
        return f"{at} no saving is claimed: the price per hour is set to nothing."
    by_use, left_on = before.by_use.usd - after.by_use.usd, before.left_on_usd - after.left_on_usd
    if by_list(document):
        return f"{at} this {_change(by_use, few=False)} a month, paid by use, at the providers' list prices."
    if not before.machines or not after.machines:
        return (
            f"{at} this {_change(by_use, few=True)} a month, paid by use; with machines left on it "
            f"{_change(left_on, few=True)}: a machine against a service."
        )
    if by_chance(document):
        return f"{at} no saving is claimed: the two models' times may differ by chance alone."
    if as_fast(document):
        return f"{at} no saving is claimed: the two models are about as fast."
    few = rough(document)
    told = f"{at} this {_change(by_use, few)} a month, paid by use; with machines left on it {_change(left_on, few)}"
    if not few:
        return f"{told}."
    runs = min(lane["runs"] for lane in document["lanes"])
    if runs > 1 and document["significance"]["significant"]:
        return f"{told}, as far as {runs} runs that vary so much can tell."
    return f"{told}, by {'one run' if runs == 1 else f'{runs} runs'} only."


def _change(saved_usd: float, few: bool) -> str:
    """Of ``few`` runs as roughly as their times are known."""
    if not saved_usd:
        return "saves nothing"
    size = abs(saved_usd)
    sum_usd = f"about {_roughly(size)}" if few else dollars(size)
    return f"saves {sum_usd}" if saved_usd > 0 else f"costs {sum_usd} more"


def _roughly(usd: float) -> str:
    """Two digits, and no cents behind hundreds of dollars."""
    short = float(f"{usd:.2g}")
    return f"${short:,.0f}" if short >= 100 else dollars(short, 2)


def _sums(document: Mapping[str, Any], price: PriceProfile, before: Month, after: Month) -> Markup:
    months = zip(document["lanes"], (before, after), strict=True)
    lines = [Markup("{}: {}.").format(lane["role"].capitalize(), of.by_use.formula) for lane, of in months]
    listed = listed_prices(document["lanes"])
    lines += [Markup("{}: {}").format(said.name, _source(said.source, said.as_of)) for said in listed]
    if not by_list(document):
        lines += [
            Markup("Price: {}{}. {}").format(price.name, rate_text(document), _source(price.source, price.as_of)),
            "Paid by use counts busy seconds only. Machines left on are rented day and night, as many as are needed if "
            "the pictures come evenly.",
        ]
    return Markup("<br>").join(lines)


def hosted_chart(document: Mapping[str, Any], table: PriceTable) -> Markup:
    """1,000 pictures of both models as measured, beside what hosted models ask."""
    size = f"{document['width']} × {document['height']}"
    measured = [
        CostBar(
            f"{lane['role'].capitalize()}, {lane['model']}",
            _thousand(lane["cost_usd"]),
            f"{'list price' if lane.get('hosted') else 'measured'}, {size}",
            True,
        )
        for lane in document["lanes"]
    ]
    hosted = sorted(((hosted_sum(price, SIZE, SIZE).usd, price) for price in table.hosted), key=lambda pair: pair[0])
    listed = [
        CostBar(price.name, 1000 * usd, f"list price, {SIZE} × {SIZE}, {price.as_of}", False) for usd, price in hosted
    ]
    times = SIZE * SIZE / (document["width"] * document["height"])
    pixels = f"a hosted picture has {figure(times, 2)} × the pixels of one measured here, of " if times != 1 else ""
    unlike = f"Not like for like: {pixels}another model, at a price that covers more than a machine."
    return Markup('{}<p class="note">{}</p>').format(cost_chart([*measured, *listed]), unlike)


def _thousand(usd: float | None) -> float | None:
    return None if usd is None else 1000 * usd


def hardware_table(table: PriceTable) -> Markup:
    """What an hour of a machine costs, with source and date."""
    rows = [
        Markup('<tr><th scope="row">{}<br>{}</th><td>{}</td></tr>').format(
            profile.name,
            _source(profile.source, profile.as_of),
            "not known" if profile.usd_per_hour is None else f"${profile.usd_per_hour:.2f}",
        )
        for profile in table.profiles.values()
    ]
    return _table(("Hardware", "An hour"), rows)


def hosted_table(table: PriceTable) -> Markup:
    """What providers ask, with conditions, source and date."""
    rows = [
        Markup('<tr><th scope="row">{}<br><span class="note">{}</span> {}</th><td>{}</td><td>{}</td></tr>').format(
            price.name,
            _note(price),
            _source(price.source, price.as_of),
            f"${price.usd:g} per {price.unit}",
            dollars(hosted_sum(price, SIZE, SIZE).usd),
        )
        for price in table.hosted
    ]
    return _table(("Hosted model", "Price", f"{SIZE} × {SIZE}"), rows)


def _note(price: HostedPrice) -> str:
    """What else is to be known of a price."""
    prompt = f"Prompt tokens, ${price.usd_prompt:g} a million, come on top." if price.usd_prompt else ""
    return " ".join(each for each in (price.note, prompt) if each)


def _table(headers: tuple[str, ...], rows: list[Markup]) -> Markup:
    return Markup('<table class="price-list"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        column_heads(headers), Markup("").join(rows)
    )


def _source(source: str, as_of: str) -> Markup:
    """A source as a link where it has an address, and when it was read."""
    read = f", read {as_of}" if as_of else ""
    url = source_url(source)
    if url is None:
        return Markup('<span class="note">Source: {}{}</span>').format(source, read)
    text = source.removeprefix("https://")
    return Markup('<span class="note">Source: <a href="{}" target="_blank" rel="noreferrer">{}</a>{}</span>').format(
        url, text, read
    )
