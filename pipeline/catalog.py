"""assets/catalog.toml -> models, pairs and judges.

Knows what models there are, their limits and where their weights lie. Does not know how to load or run one.
A new model is data: nothing in the code names a single model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipeline.cards import ASSETS, JudgeCard, ModelCard, Sizes
from pipeline.disk import place_of
from pipeline.errors import InputError, ModelError, shown
from pipeline.prices import load_prices
from pipeline.tables import Data, first_fault

Role = Literal["predecessor", "efficient"]
ROLES: tuple[Role, ...] = ("predecessor", "efficient")
TABLES = ("models", "pairs", "judges")


class Lane(Data):
    """One side of a pair: a model, and its settings where they differ from the model's own."""

    model: str
    steps: int | None = None
    guidance: float | None = None
    switches: tuple[str, ...] = ()


class Judged(Data):
    """What an evaluation said of both models of a pair, as shares of pictures from 0 to 1, the predecessor first where
    there are two. Never of a single picture: it is shown beside those that have ``steps`` and ``guidance``."""

    verb: str
    """What the judge did with so many of a model's pictures, in the past tense: recognised."""
    by: str
    """Who the judge is."""
    prompts: int
    predecessor: float
    efficient: float
    low: float
    high: float
    """95 % interval of the efficient share less the predecessor's."""
    steps: tuple[int, int]
    guidance: tuple[float, float]
    size: int | None = None
    """Pixels a side, where the two make several sizes; None: it was judged at the only one."""
    source: str


class Pair(Data):
    """A predecessor and the efficient model that wants to replace it."""

    id: str
    name: str
    question: str
    """What this comparison is to answer. It stands over every verdict, whatever the settings: it names none that can
    be changed."""
    predecessor: Lane
    efficient: Lane
    same_path: bool
    """True where both map the same noise to the same picture, so that PSNR and SSIM mean something."""
    note: str | None = None
    """What must be known to read this comparison fairly, in one sentence."""
    opt_in: str | None = None
    """Why this pair is never a default; None where it may be one."""
    judged: Judged | None = None
    """How good its pictures were found to be, on many prompts; None where nobody has said."""

    def lane(self, role: Role) -> Lane:
        return self.predecessor if role == "predecessor" else self.efficient


class Catalog(Data):
    """All models, pairs and judges. ``default_pair`` is the first pair of the file."""

    models: dict[str, ModelCard]
    pairs: dict[str, Pair]
    judges: dict[str, JudgeCard] = Field(default_factory=dict)

    @property
    def default_pair(self) -> Pair:
        return next(iter(self.pairs.values()))

    def model(self, model_id: object) -> ModelCard:
        """The card of ``model_id``. Raises InputError with the known ids."""
        return known(self.models, "model", model_id)

    def name(self, model_id: str) -> str:
        """What a model is called; one that the catalogue has no more, or never had, goes by its id."""
        return self.models[model_id].name if model_id in self.models else model_id

    def pair(self, pair_id: object) -> Pair:
        """The pair of ``pair_id``; None gives the default, "MODEL:MODEL" any two models, also twice the same.

        Raises InputError with the known ids.
        """
        if pair_id is None:
            return self.default_pair
        if isinstance(pair_id, str) and pair_id not in self.pairs and ":" in pair_id:
            return self._own_pair(*pair_id.split(":", 1))
        return known(self.pairs, "pair", pair_id)

    def cards(self, pair: Pair) -> list[ModelCard]:
        """The models of a pair, the predecessor first; one that is on both sides once."""
        return [self.model(model) for model in dict.fromkeys(pair.lane(role).model for role in ROLES)]

    def named(self, names: str) -> list[ModelCard | JudgeCard]:
        """Models of pairs, and judges, by their ids with commas between them. Raises InputError for an unknown one."""
        each = [name.strip() for name in names.split(",")]
        return [card for name in each for card in self._named(name)]

    def _named(self, name: str) -> list[ModelCard | JudgeCard]:
        return [self.judges[name]] if name in self.judges else self.cards(self.pair(name))

    def sizes(self, pair: Pair) -> Sizes:
        """Of pictures that both models of a pair can make. Raises InputError where there are none."""
        return self.common_sizes(pair.lane(role).model for role in ROLES)

    def common_sizes(self, models: Iterable[str]) -> Sizes:
        """Of pictures that all these models can make. Raises InputError where there are none."""
        first, *others = (self.model(model) for model in models)
        sizes = first.size
        for card in others:
            common = sizes.common(card.size)
            if common is None:
                raise InputError(
                    f"{first.name} and {card.name} make no pictures of one size ({sizes} and {card.size} pixels), so "
                    "they cannot be compared; choose others."
                )
            sizes = common
        return sizes

    def pair_id_of(self, predecessor: str, efficient: str) -> str:
        """The id of the pair of these two models with their own settings: a shipped one if there is one."""
        lanes = Lane(model=predecessor), Lane(model=efficient)
        shipped = (pair.id for pair in self.pairs.values() if (pair.predecessor, pair.efficient) == lanes)
        return next(shipped, f"{predecessor}:{efficient}")

    def _own_pair(self, predecessor: str, efficient: str) -> Pair:
        old, new = self.model(predecessor), self.model(efficient)
        shipped = self.pairs.get(self.pair_id_of(old.id, new.id))
        return Pair(
            id=f"{old.id}:{new.id}",
            name=f"{old.name} → {new.name}",
            question=f"Does {new.name} replace {old.name}?" if old is not new else "Which settings are good enough?",
            predecessor=Lane(model=old.id),
            efficient=Lane(model=new.id),
            same_path=(old is new and old.seeded) or (shipped is not None and shipped.same_path),
            judged=shipped and shipped.judged,
        )


def known(table: Mapping[str, Any], kind: str, key: object) -> Any:
    """The table's entry. Raises InputError with the ids that there are."""
    if not isinstance(key, str) or key not in table:
        raise InputError(f"{kind} must be one of {', '.join(table)}; got {shown(key)}.")
    return table[key]


def load_catalog(path: Path = ASSETS / "catalog.toml", more: Path | None = None) -> Catalog:
    """Read and check a catalogue file, and ``more``: a user's own models and pairs beside it.

    Raises ModelError naming the file and the first fault, PlaygroundError if it names a price and the price table
    cannot be read.
    """
    if more is not None:
        return _with_own(load_catalog(path), place_of(more))
    return _parsed(path, _raw(path, required=True))


def _raw(path: Path, required: bool) -> dict[str, dict]:
    """The tables of a catalogue file, every entry with its id."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin it with a mark
        needed = {"models", "pairs"} if required else set()
        if lacking := sorted(needed - raw.keys()):
            raise KeyError(lacking[0])
        if unknown := sorted(raw.keys() - set(TABLES)):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(TABLES)}")
        tables = {table: raw.get(table, {}) for table in TABLES}
        return {name: {key: value | {"id": key} for key, value in table.items()} for name, table in tables.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"The catalogue {path} cannot be read ({error}); correct or restore the file.") from error


def _with_own(shipped: Catalog, path: Path) -> Catalog:
    """The shipped catalogue and a user's file in one; the default pair stays the shipped one."""
    own = _raw(path, required=False)
    tables = {name: {key: entry.model_dump() for key, entry in getattr(shipped, name).items()} for name in own}
    for name, entries in own.items():
        for key, entry in entries.items():
            if key in tables[name]:
                raise ModelError(f"The catalogue {path} is wrong at {name}.{key}: that id is taken; choose another.")
            tables[name][key] = _from_here(path.parent, entry)
    return _parsed(path, tables)


def _from_here(folder: Path, entry: dict) -> dict:
    """``entry`` and the tables in it with every ``path`` absolute."""
    found = {key: _from_here(folder, value) if isinstance(value, dict) else value for key, value in entry.items()}
    if isinstance(found.get("path"), str):
        own = found["path"]
        found["path"] = str(place_of(own if own.startswith("~") else folder / own))
    return found


def _priced(path: Path, models: dict[str, dict]) -> dict[str, dict]:
    """Hosted models with the price itself where they name one of the price table."""
    named = {key: card["hosted"].get("price") for key, card in models.items() if isinstance(card.get("hosted"), dict)}
    named = {key: price for key, price in named.items() if isinstance(price, str)}
    if not named:
        return models
    table = {price.name: price for price in load_prices().hosted}
    for key, price in named.items():
        if price not in table:
            raise ModelError(
                f"The catalogue {path} is wrong at {key}.hosted.price: assets/prices.toml has no {price!r}; name one "
                "of its hosted prices, or write the price out."
            )
    own = {
        key: {**models[key], "hosted": {**models[key]["hosted"], "price": table[name]}} for key, name in named.items()
    }
    return models | own


def _parsed(path: Path, tables: dict[str, dict]) -> Catalog:
    tables = tables | {"models": _priced(path, tables["models"])}
    try:
        catalog = Catalog.model_validate(tables)
    except ValidationError as error:
        raise ModelError(f"The catalogue {path} is wrong at {first_fault(error)}.") from error
    if not catalog.pairs:
        raise ModelError(f"The catalogue {path} is wrong at pairs: it must name at least one pair.")
    for pair in catalog.pairs.values():
        for role in ROLES:
            if pair.lane(role).model not in catalog.models:
                raise ModelError(
                    f"The catalogue {path} is wrong at {pair.id}.{role}: there is no model {pair.lane(role).model!r}."
                )
    return catalog
