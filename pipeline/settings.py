"""A comparison's settings out of a link, out of a PNG's recipe or out of the history; and as a link.

Settings are what :func:`pipeline.compare.plan` gives, a pair and both lanes' requests, and all come through it: a link
and a file are input like any other. Pure functions: nothing is run, read or shown here.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from pipeline.catalog import ROLES, Catalog, Pair, Role
from pipeline.compare import plan
from pipeline.errors import InputError, shown
from pipeline.request import ImageRequest, negative_of, number, whole

LINK_KEYS = ("pair", "prompt", "negative", "seed", "width", "height", "steps", "guidance", "switches")
"""A link is a query with any of these; in the last three the predecessor's comes first, after a comma the other's."""
PAGE_SEED_MAX = 2**53 - 1
"""Above this a browser's numbers lose digits, and the seed shown would not be the seed used."""

OWN = ("steps", "guidance", "switches")
"""What a lane has for itself."""

Settings = tuple[Pair, dict[Role, ImageRequest]]


def page_seed(seed: object) -> int:
    """A seed that the page can show. Raises InputError."""
    return whole("seed", seed, 0, PAGE_SEED_MAX, " on the page")


def link_of(pair: Pair, requests: Mapping[Role, ImageRequest]) -> str:
    """The query of a link that fills in exactly these settings, with its question mark."""
    first = requests["predecessor"]
    fields = {
        "pair": pair.id,
        "prompt": first.prompt,
        "negative": negative_of(requests.values()),
        "seed": first.seed,
        "width": first.width,
        "height": first.height,
        "steps": ",".join(str(requests[role].steps) for role in ROLES),
        "guidance": ",".join(repr(requests[role].guidance).removesuffix(".0") for role in ROLES),
        "switches": _switches(pair, requests),
    }
    return "?" + urlencode({key: value for key, value in fields.items() if value != ""}, quote_via=quote, safe=",")


def from_link(catalog: Catalog, query: Mapping[str, str]) -> Settings | None:
    """The settings in a link's query; None if it has none. What the link leaves out is the pair's own.

    Raises InputError.
    """
    said = {key: query[key] for key in LINK_KEYS if query.get(key)}
    if not said:
        return None
    pair = catalog.pair(said.get("pair"))
    fields = {key: number(said[key]) for key in ("seed", "width", "height") if key in said}
    own = {key: dict(zip(ROLES, _both(key, said[key]), strict=True)) for key in OWN if key in said}
    negative = said.get("negative", "")
    return pair, plan(catalog, pair, said.get("prompt"), negative_prompt=negative, **fields, **own)


def from_request(catalog: Catalog, request: ImageRequest, preferred: Pair | None = None) -> Settings:
    """The comparison that a single picture belongs to: of a pair with its model, this lane as the picture was made
    and the other by its own settings. ``preferred``: the pair to take if it has the model.

    Raises InputError.
    """
    catalog.model(request.model)  # says which models there are
    pairs = [*([preferred] if preferred else []), *catalog.pairs.values()]
    lanes = [(pair, role) for pair in pairs for role in ROLES if pair.lane(role).model == request.model]
    if not lanes:
        raise InputError(f"No pair has the model {request.model}; draw it again with: python -m pipeline generate.")
    exact = [(pair, role) for pair, role in lanes if _own(plan(catalog, pair, "x")[role]) == _own(request)]
    pair, role = (exact or lanes)[0]
    return again(catalog, pair, {role: request})


def again(catalog: Catalog, pair: Pair, requests: Mapping[Role, ImageRequest]) -> Settings:
    """The settings of requests that were made once, checked against the catalogue of today. A lane that is not named
    has its own settings. Raises InputError."""
    first = next(iter(requests.values()))
    own = {name: {role: getattr(request, name) for role, request in requests.items()} for name in OWN}
    same = {name: getattr(first, name) for name in ("seed", "width", "height")}
    negative = negative_of(requests.values())
    return pair, plan(catalog, pair, first.prompt, negative_prompt=negative, **same, **own)


def _switches(pair: Pair, requests: Mapping[Role, ImageRequest]) -> str:
    """Left out where both lanes have the pair's own, which are almost always none."""
    own = all(requests[role].switches == tuple(pair.lane(role).switches) for role in ROLES)
    return "" if own else ",".join(".".join(requests[role].switches) for role in ROLES)


def _own(request: ImageRequest) -> tuple[object, ...]:
    return tuple(getattr(request, name) for name in OWN)


def _both(field: str, text: str) -> list[object]:
    """ "24,4" -> [24, 4]; an empty place is the lane's own value. Switches are joined by dots."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(ROLES):
        raise InputError(f"{field} in a link must be two values, the predecessor's first; got {shown(text)}.")
    if field == "switches":
        return [[switch for switch in part.split(".") if switch] for part in parts]
    return [number(part) if part else None for part in parts]
