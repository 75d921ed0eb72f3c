"""What a team shows its stakeholders: one offline HTML file, or a zip with that file, the pictures and the JSON.

Made of the documents that command line, API and page share, and of the pictures' own recipes; nothing is measured
here. Every text is escaped by the template engine, the page has no script and may load nothing, and what it says of a
document's limits comes from pipeline.caveats. It is written picture by picture, so that hundreds take no more memory
than one; where they would make a file that no browser opens gladly, it has smaller copies, and says so.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline import __version__
from pipeline.cards import ASSETS
from pipeline.catalog import Catalog
from pipeline.caveats import caveats, is_comparison, method
from pipeline.claims import claim, fidelity_text, median_claims, significance_text, throughput_text, unclaimed
from pipeline.compare import hosted_of, listed_prices
from pipeline.cost import month, picture_sum
from pipeline.disk import writing
from pipeline.errors import InputError, shown
from pipeline.events import Result
from pipeline.judged import NOBODY, evidence
from pipeline.prices import PriceProfile, PriceTable, source_url
from pipeline.report_pictures import Item, Picture, pictures_of
from pipeline.throughput import Batch
from pipeline.timing import MEASURED, stages_of
from pipeline.wholefile import whole_file
from pipeline.wording import (
    cost_text,
    count,
    dollars,
    figure,
    lanes_of,
    made_by,
    raised,
    rate_text,
    seconds_range,
    seconds_text,
    seed_text,
    size_text,
    slug,
)

SUFFIXES = (".html", ".zip")
SETTINGS = ("model", "steps", "guidance", "switches")
"""Of a lane. Comparisons kept by earlier versions have no switches."""
IMAGES_A_DAY = 1000
"""For the sum by the month."""
BYTES_MAX = 100 * 10**6
"""Of pictures in a page: 30 comparisons at 1024 pixels. The file is a third larger, and a browser holds all of it."""
ZIP_BYTES_MAX = 400 * 10**6
"""Of pictures beside the page in a zip; about a sweep's 400 at 768 pixels."""


def check_target(target: str | None) -> None:
    """Raises InputError for a file name that says neither page nor zip; told before anything runs."""
    if target is not None and not target.lower().endswith(SUFFIXES):
        raise InputError(f"report must be a file name that ends in {' or '.join(SUFFIXES)}; got {shown(target)}.")


def title_of(document: Mapping[str, Any], catalog: Catalog) -> str:
    """What a report on one document is called; a pair or model that the catalogue has no more goes by its id."""
    if is_comparison(document):
        pair = catalog.pairs.get(document["pair"])
        return pair.name if pair else str(document["pair"])
    ids = document.get("models") or [document["model"]]
    name = ", ".join(catalog.name(model) for model in ids)
    return f"Sweep of {name}" if "cells" in document else name


def write_report(
    path: Path,
    title: str,
    items: Sequence[Item],
    catalog: Catalog,
    prices: PriceTable,
    said: Mapping[str, Mapping[str, str]] | None = None,
    remarks: Sequence[str] = (),
) -> None:
    """Write ``items`` as a page (.html) or as a zip of page, pictures and JSON. The file is whole or not there.

    ``said``: what people or networks said of the pictures: a heading, and below it labels and texts. ``remarks``:
    sentences on how the items were chosen. Raises InputError for another kind of file and PlaygroundError if it cannot
    be written.
    """
    check_target(path.name)
    said, zipped = said or {}, path.suffix.lower() == ".zip"
    size = sum(size_of(file) for item in items for file in item.files())
    small = size > BYTES_MAX
    remarks = [*remarks, *([_smaller(size, zipped)] if small else [])]
    pictures = [pictures_of(item, catalog, small) for item in items]
    page = _html(title, items, pictures, prices, said, remarks)
    with writing(f"the report {path.name}", "choose another file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as stream:
            if zipped:
                _zip(stream, title, items, pictures, page, said, remarks, full=size <= ZIP_BYTES_MAX)
            else:
                stream.writelines(page)


def size_of(file: Path | None) -> int:
    """Bytes of a kept picture, 0 where there is none."""
    try:
        return file.stat().st_size if file else 0
    except OSError:  # gone, which the report says
        return 0


def _smaller(size: int, zipped: bool) -> str:
    """Why the pictures on the page are copies, and where they are in full."""
    said = f"The pictures on this page are smaller copies without their recipes: in full they take {size_text(size)}."
    if size > ZIP_BYTES_MAX:
        return f"{said} That is more than any report takes; one of fewer pictures has them in full."
    return f"{said} They are so in {'the folder pictures beside it' if zipped else 'the same report as a .zip file'}."


def _html(
    title: str,
    items: Sequence[Item],
    pictures: list[list[Picture]],
    prices: PriceTable,
    said: Mapping[str, Mapping[str, str]],
    remarks: Sequence[str],
) -> Iterator[bytes]:
    """Piece by piece; no piece has more than one picture."""
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"dollars": dollars, "cost": cost_text, "figure": figure, "seconds": seconds_text}
    environment.filters |= {"raised": raised, "source_url": source_url}
    prompts = len({item.document["prompt"] for item in items})
    sections = [_section(item, shots, prices, prompts, bool(said)) for item, shots in zip(items, pictures, strict=True)]
    pieces = environment.get_template("report.html").generate(
        title=title,
        sections=sections,
        for_all={name: _taken_out(sections, name) for name in ("method", "caveats")},
        summary=_summary(items),
        said=said,
        remarks=remarks,
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        copies=any(picture.copy for shots in pictures for picture in shots),
        version=__version__,
    )
    return (piece.encode() for piece in pieces)


def _section(item: Item, pictures: list[Picture], prices: PriceTable, prompts: int, told: bool) -> dict[str, Any]:
    """One item as the template wants it. ``told``: the report has what people or networks said."""
    document = item.document
    price = prices.described(document["price"])
    return {
        "document": document,
        "comparison": is_comparison(document),
        "more": _more_prompts(document),
        "headline": headline(document, [picture.name for picture in pictures]),
        "pictures": pictures,
        "models": list({picture.name: picture for picture in pictures}.values()),
        "price": price,
        "stages": (*_stages(lanes_of(document)), "total"),
        "machine": not all(lane.get("hosted") for lane in lanes_of(document)),
        "lists": listed_prices(lanes_of(document)),
        "made_by": made_by(document),
        "seed": seed_text(document),
        "costs": _costs(pictures, price),
        "throughput": throughput_text(lanes_of(document)) if is_comparison(document) else "",
        "batches": _batches(lanes_of(document)),
        "near": fidelity_text(document),
        "good": _good_enough(document, told),
        "images_a_day": f"{IMAGES_A_DAY:,}",
        "result": _of_this_machine(pictures),
        "plot": item.plot,
        "front": item.front,
        "method": method(document),
        "caveats": caveats(document, price, prompts),
    }


def _taken_out(sections: list[dict[str, Any]], name: str) -> list[str]:
    """Of several sections the sentences that all of them have, taken out of each, to be said once."""
    if len(sections) < 2:
        return []
    shared = [sentence for sentence in sections[0][name] if all(sentence in section[name] for section in sections)]
    for section in sections:
        section[name] = [sentence for sentence in section[name] if sentence not in shared]
    return shared


def headline(document: Mapping[str, Any], names: Sequence[str]) -> tuple[str, str]:
    """The verdict in a few words, and the sentence behind it."""
    lanes = lanes_of(document)
    if not is_comparison(document):
        what = f"{len(lanes)} pictures" if len(lanes) > 1 else "One picture"
        totals = [lane["seconds"]["total"] for lane in lanes]
        by = list(dict.fromkeys(names))
        took = f"A picture took {seconds_range(min(totals), max(totals))}"
        if len(by) > 1 and {document["rows"], document["columns"]} <= {"models", "prompts", "seeds", None}:
            each = {name: median(total for total, of in zip(totals, names, strict=True) if of == name) for name in by}
            took += f", in the median {' and '.join(f'{seconds_text(each[name])} by {name}' for name in by)}"
        return f"{what} by {' and '.join(by)}", f"{took}."
    old, new = lanes
    sentence = (
        f"The efficient model, {names[1]}, took {seconds_text(new['seconds']['total'])} for its picture; the "
        f"predecessor, {names[0]}, took {seconds_text(old['seconds']['total'])}."
    )
    if new["cost_usd"] is not None and old["cost_usd"] is not None:
        costs = f"{dollars(1000 * new['cost_usd'])} against {dollars(1000 * old['cost_usd'])}"
        sentence += f" 1,000 pictures cost {costs}{rate_text(document)}."
    if told := significance_text(document.get("significance")):
        sentence += f" The difference in time is {told}."
    unsaid = document["speedup"] is None
    return f"{unclaimed(document)[0]}: no speed-up claimed" if unsaid else claim(document), sentence


def _more_prompts(document: Mapping[str, Any]) -> str:
    """What is drawn beside the document's own prompt: empty, or "4 more prompts"."""
    others = {lane.get("prompt", document["prompt"]) for lane in lanes_of(document)} - {document["prompt"]}
    return count(len(others), "more prompt") if others else ""


def _good_enough(document: Mapping[str, Any], told: bool) -> str:
    """What is known of many of a pair's pictures; of none that nobody has said anything, where the page has looked and
    the report has nothing of the kind itself."""
    looked = "opinions" in document and not told
    return evidence(document) or (f"{NOBODY}." if looked else "")


def _costs(pictures: list[Picture], price: PriceProfile) -> list[dict[str, Any]]:
    """Every picture's cost, with the sum behind it."""
    costs = []
    for picture in pictures:
        seconds, call = picture.lane["seconds"]["total"], hosted_of(picture.lane)
        costs.append(
            {
                "label": picture.label,
                "usd": picture.lane["cost_usd"],
                "month": month(seconds, IMAGES_A_DAY, price, call),
                "formula": picture_sum(seconds, price, call).formula,
            }
        )
    return costs


def _of_this_machine(pictures: list[Picture]) -> Result | None:
    """A picture whose number type and versions can be told; a provider's only where there is no other."""
    results = [picture.result for picture in pictures if picture.result]
    return next((result for result in results if result.hosted is None), results[0] if results else None)


def _stages(lanes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those that any of the pictures went through, in their order."""
    gone = {stage for lane in lanes for stage in stages_of(lane["seconds"])}
    return [stage for stage in MEASURED if stage in gone]


def _batches(lanes: Sequence[Mapping[str, Any]]) -> dict[int, list[tuple[float, float, float] | None]]:
    """By how many pictures at once: each lane's pictures a minute, median, slowest and fastest; None: not tried."""
    said = [(lane.get("throughput") or {}).get("batches", ()) for lane in lanes]
    batches = [[Batch(each["size"], tuple(each["seconds"])) for each in lane] for lane in said]
    found = [{batch.size: (batch.per_minute, *batch.spread) for batch in lane} for lane in batches]
    return {size: [lane.get(size) for lane in found] for size in sorted(set().union(*found))}


def _summary(items: Sequence[Item]) -> dict[str, Any]:
    """How many comparisons there are, and what the median of those that were measured claims. ``alike``: whether they
    compare the same; a median over several models, settings or devices would say nothing of any."""
    compared = [item.document for item in items if is_comparison(item.document)]
    settings = [
        (
            [tuple(lane.get(name) or None for name in SETTINGS) for lane in document["lanes"]],
            document.get("negative_prompt", ""),  # comparisons kept by earlier versions do not say it
            *(document[field] for field in ("width", "height", "device")),
        )
        for document in compared
    ]
    measured = [document for document in compared if document["speedup"] is not None]
    return {
        "comparisons": len(compared),
        "alike": all(one == settings[0] for one in settings),
        "measured": len(measured),
        "claims": median_claims(measured) if measured else [],
    }


def _zip(
    stream: BinaryIO,
    title: str,
    items: Sequence[Item],
    pictures: list[list[Picture]],
    page: Iterator[bytes],
    said: Mapping[str, Mapping[str, str]],
    remarks: Sequence[str],
    full: bool,
) -> None:
    """The page, every picture, and the documents with the pictures' names in the zip. ``full``: each as its PNG with
    its recipe, also where the page has a copy."""
    documents = []
    with zipfile.ZipFile(stream, "w") as archive:
        with archive.open(_member("report.html"), "w") as report:
            report.writelines(page)
        for number, (item, shots) in enumerate(zip(items, pictures, strict=True), 1):
            names = []
            for place, picture in enumerate(shots, 1):
                content, kind = (picture.copy, "jpg") if picture.copy and not full else (picture.whole, "png")
                name = f"pictures/{number:02}-{place:02}-{slug(picture.label)}.{kind}" if content else None
                names.append(name)
                if name:
                    archive.writestr(_member(name), content, zipfile.ZIP_STORED)
            documents.append(_renamed(item.document, names))
        told = {"title": title, "diptych": __version__, "remarks": list(remarks), "items": documents}
        told["said"] = {heading: dict(texts) for heading, texts in said.items()}
        archive.writestr(_member("report.json"), json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False))


def _member(name: str) -> zipfile.ZipInfo:
    """With the time to the minute, as the page has it; a zip knows none before 1980, where clocks without one begin."""
    member = zipfile.ZipInfo(name, max((1980, 1, 1, 0, 0, 0), (*time.gmtime()[:5], 0)))
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _renamed(document: Mapping[str, Any], names: Sequence[str | None]) -> dict[str, Any]:
    """The document with other names for its pictures."""
    for part in ("lanes", "cells"):
        if part in document:
            lanes = [{**lane, "image": name} for lane, name in zip(document[part], names, strict=True)]
            return {**document, part: lanes}
    return {**document, "image": names[0]}
