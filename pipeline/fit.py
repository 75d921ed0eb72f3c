"""What fits a machine, and how: pure functions from a model's card and a machine's facts. Loads and asks nothing.

A plan says in which type the weights are held and where they lie while a picture is made. From the fastest down:
both models of a pair at once with their shared parts held once; one at a time; a model's parts on the GPU in turn
(model offload); a model's layers in turn (group offload).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.cards import DTYPE_BYTES, Dtype, ModelCard
from pipeline.catalog import Catalog, Pair
from pipeline.device import Facts

How = Literal["resident", "turns", "model offload", "group offload"]
"""From the fastest to the slowest."""
WORDS: dict[How, str] = {
    "resident": "all in memory at once",
    "turns": "one model in memory at a time",
    "model offload": "a model's parts on the GPU in turn, slower",
    "group offload": "a model's layers on the GPU in turn, much slower",
}
HEADROOM = 1.1
"""On top of what is needed: allocators leave gaps, and published figures differ by about this much."""
RAM_SHARE = {"cpu": 0.5, "cuda": 0.8}
"""Part of the machine's own memory that weights may take."""
GROUP_BYTES = 1_000_000_000
"""What one group of layers and its successor take of the GPU, beside activations; a bound, not a measurement."""
RAM_TAKEN: dict[How, float] = {"group offload": 1.5}
"""What a way of offloading takes of the machine's memory for every byte of weights, where it is not 1: group offload
pins them, in blocks whose sizes torch rounds up to powers of two. A middle of 1 and 2."""
UNKNOWN_WORK = 0.15
"""Activations as part of the weights, where a card does not say."""


@dataclass(frozen=True)
class Plan:
    """How a model, or a pair, runs on a machine. ``device_bytes`` of its GPU, or of its memory where it has none;
    ``one_by_one``: the machine's memory holds a pair's models, offloaded to it, only one after the other."""

    how: How
    dtype: Dtype
    device_bytes: int
    one_by_one: bool = False

    @property
    def whole(self) -> bool:
        """All weights of the model lie on the device while it makes a picture."""
        return self.how in ("resident", "turns")

    @property
    def slower(self) -> int:
        """0 for the fastest way, then 1, 2 …"""
        return list(WORDS).index(self.how)

    @property
    def words(self) -> str:
        how = WORDS[self.how] + (f", {WORDS['turns']}" if self.one_by_one else "")
        return f"{self.dtype}, {how}, {self.device_bytes / 1e9:.1f} GB"


@dataclass(frozen=True)
class Fit:
    """The plans that would do, best first. Without one, ``why_not`` is a sentence for a person."""

    plans: tuple[Plan, ...]
    why_not: str | None = None

    @property
    def plan(self) -> Plan | None:
        return self.plans[0] if self.plans else None


MACHINES: tuple[tuple[str, Facts], ...] = tuple(
    (name, Facts("cuda", name, int(gb * 0.97e9), int(ram * 1e9), capability >= (8, 0)))
    for name, gb, ram, capability in (
        ("a T4 (16 GB)", 16, 32, (7, 5)),
        ("an L4 or A10G (24 GB)", 24, 64, (8, 6)),
        ("an A100 (40 GB)", 40, 85, (8, 0)),
        ("an A100 or H100 (80 GB)", 80, 160, (8, 0)),
        ("an H200 (141 GB)", 141, 256, (9, 0)),
    )
)
"""What people rent, smallest first, with the memory that such machines usually come with."""


def dtype_for(card: ModelCard, facts: Facts) -> Dtype | None:
    """The first of the card's types that this machine really computes in; None where there is none. A processor
    computes in float32, and in bfloat16 if it has matrix units for it and the card lists that and not float32."""
    if facts.kind == "cpu":
        return "bfloat16" if facts.bf16 and "bfloat16" in card.dtypes and "float32" not in card.dtypes else "float32"
    return next((dtype for dtype in card.dtypes if dtype != "bfloat16" or facts.bf16), None)


def fit_model(card: ModelCard, facts: Facts) -> Fit:
    """How one model runs on this machine."""
    return _fit((card,), facts)


def fit_pair(
    catalog: Catalog, pair: Pair, facts: Facts, weigh: Callable[[ModelCard], ModelCard] = lambda card: card
) -> Fit:
    """How both models of a pair run on this machine, in one comparison; of one that a provider draws nothing does.
    ``weigh``: a card with other bytes instead."""
    return _fit([weigh(card) for card in catalog.cards(pair) if not card.hosted], facts)


def default_pair(catalog: Catalog, facts: Facts, here: Callable[[ModelCard], bool] = lambda card: True) -> Pair:
    """The pair to begin with: on a GPU the first real one that fits without offloading and whose weights are
    ``here``, if it may be a default at all; else the catalogue's own, which runs everywhere."""
    for pair in catalog.pairs.values():
        cards = catalog.cards(pair)
        if facts.kind == "cpu" or pair.opt_in or any(card.repo is None or not here(card) for card in cards):
            continue
        plan = fit_pair(catalog, pair, facts).plan
        if plan is not None and plan.whole:
            return pair
    return catalog.default_pair


def _fit(cards: Sequence[ModelCard], facts: Facts) -> Fit:
    if not cards:
        return Fit(())
    named = " and ".join(card.name for card in cards)
    slow = [card.name for card in cards if not card.cpu]
    if facts.kind == "cpu" and slow:
        return Fit((), f"{' and '.join(slow)} would take many minutes a picture on a processor; {_elsewhere(cards)}.")
    dtypes = [dtype_for(card, facts) for card in cards]
    if None in dtypes:
        return Fit((), f"{named} must run in bfloat16, which {facts.name} only emulates; {_elsewhere(cards)}.")
    plans = tuple(plan for plan in _plans(cards, dtypes, facts) if plan is not None)
    if plans:
        return Fit(plans)
    least = max(_whole(card, dtype) for card, dtype in zip(cards, dtypes, strict=True))
    return Fit(
        (),
        f"{named}: one model alone needs {least * HEADROOM / 1e9:.1f} GB, and {facts.name} has "
        f"{room(facts) / 1e9:.1f} GB to give, with {facts.ram_bytes / 1e9:.0f} GB of memory beside; "
        f"{_elsewhere(cards)}.",
    )


def _plans(cards: Sequence[ModelCard], dtypes: Sequence[Dtype], facts: Facts) -> list[Plan | None]:
    """Every plan that fits, best first; None for those that do not. ``dtypes``: one a card; a plan says the first."""
    held = list(zip(cards, dtypes, strict=True))
    work = max(_work(card) for card in cards)
    largest = max(max(_parts(card, dtype).values()) for card, dtype in held)
    # Without a GPU there is nothing to offload from.
    ram = facts.ram_bytes * RAM_SHARE[facts.kind] if facts.kind == "cuda" else 0
    weights = [card.bytes_as(dtype) for card, dtype in held]

    def plan(how: How, needed: int, possible: bool = True, one_by_one: bool = False) -> Plan | None:
        return Plan(how, dtypes[0], needed, one_by_one) if possible and needed * HEADROOM <= room(facts) else None

    def offload(how: How, needed: int, possible: bool = True) -> Plan | None:
        taken = [ram_taken(how, size) for size in weights]  # offloaded models hold nothing in common
        return plan(how, needed, possible and max(taken) <= ram, sum(taken) > ram)

    return [
        plan("resident", _together(held) + work),
        plan("turns", max(_whole(card, dtype) for card, dtype in held), len(cards) > 1),
        offload("model offload", largest + work, all(card.part_bytes for card in cards)),
        offload("group offload", GROUP_BYTES + work),
    ]


def ram_taken(how: How, weights: int) -> int:
    """Bytes of the machine's memory that so many bytes of offloaded weights take."""
    return int(weights * RAM_TAKEN.get(how, 1))


def room(facts: Facts) -> int:
    """Bytes for weights and activations: a GPU's free memory, else a share of the machine's own."""
    return facts.free_bytes if facts.kind == "cuda" else int(facts.ram_bytes * RAM_SHARE[facts.kind])


def _work(card: ModelCard) -> int:
    """Activations of a picture of the default size."""
    return max(0, (card.memory_bytes or int(card.weight_bytes * (1 + UNKNOWN_WORK))) - card.weight_bytes)


def more_work(card: ModelCard, pixels: int) -> int:
    """Bytes of activations that a picture of so many pixels takes beyond one of the default size."""
    return int(_work(card) * max(0.0, pixels / card.size.default**2 - 1))


def _whole(card: ModelCard, dtype: Dtype) -> int:
    return card.bytes_as(dtype) + _work(card)


def _parts(card: ModelCard, dtype: Dtype) -> dict[str, int]:
    """Bytes by component; a card that does not say counts as one."""
    scale = DTYPE_BYTES[dtype] / DTYPE_BYTES[card.dtypes[0]]
    return {name: int(size * scale) for name, size in (card.part_bytes or {"all": card.weight_bytes}).items()}


def _together(held: Sequence[tuple[ModelCard, Dtype]]) -> int:
    """Bytes of all cards' weights, what they share in the same type counted once."""
    seen = {
        (card.shared.get(name, f"{card.id}/{name}"), dtype): size
        for card, dtype in held
        for name, size in _parts(card, dtype).items()
    }
    return sum(seen.values())


def _elsewhere(cards: Sequence[ModelCard]) -> str:
    """The smallest of the usual machines that would do without offloading."""
    for name, facts in MACHINES:
        dtypes = [dtype_for(card, facts) for card in cards]
        if None not in dtypes and any(plan is not None and plan.whole for plan in _plans(cards, dtypes, facts)):
            return f"{name} would do"
    return "none of the usual machines would do"
