"""Which entries go where the history is full.

Entries older than thirty days go first, whoever owns them, so that a visitor who never comes back does not keep theirs
for ever while others lose theirs; starred entries and votes that somebody has answered are spared here. If that is not
enough, whoever keeps the most bytes loses their oldest entry, again and again: first those without a star, then votes
that somebody has answered, since no run brings answers back, and starred entries last. But those go too, so that nobody
fills the disk by starring all that they make. The pictures of a vote go with the vote, for it has its own copies. Pure,
but for the statement that history.py reads by.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LEFT = 0.95
"""Share of the limit that is left when room was made: the more is kept, the longer it takes to find what goes, so this
is not done at every picture."""
OLD_S = 30 * 24 * 3600

ANSWERED = "EXISTS (SELECT 1 FROM votes WHERE entry = entries.id)"
"""Where there is a table of votes; a process that only draws makes none."""
IN_ORDER = """
SELECT entries.id, owner, made_at, max(2 * starred, {answered}) AS dear,
    entries.bytes + coalesce(sum(pictures.bytes), 0) AS size
FROM entries LEFT JOIN pictures ON entry = entries.id
GROUP BY entries.id ORDER BY dear, made_at
"""
"""Every entry, as those of one owner go. ``dear``: 2 of a starred one, 1 of an answered vote, 0 of all others."""


def going(rows: Iterable[Mapping[str, Any]], newest: str, room: float, now: float) -> list[str]:
    """The ids of those that go, so that so many bytes of ``room`` are made, or all but ``newest``. ``rows``: as
    :data:`IN_ORDER` gives them. ``now``: seconds, as their ``made_at``."""
    found = []
    for row in _first_to_go(rows, newest, now):
        if room <= 0:
            break
        found.append(row["id"])
        room -= row["size"]
    return found


def _first_to_go(rows: Iterable[Mapping[str, Any]], newest: str, now: float) -> Iterator[Mapping[str, Any]]:
    held: Counter[str] = Counter()
    old: list[Mapping[str, Any]] = []
    rest: dict[str, deque[Mapping[str, Any]]] = {}
    for row in rows:
        held[row["owner"]] += row["size"]
        if row["id"] == newest:
            continue
        if not row["dear"] and row["made_at"] < now - OLD_S:
            old.append(row)
        else:
            rest.setdefault(row["owner"], deque()).append(row)
    for row in old:
        held[row["owner"]] -= row["size"]
        yield row
    while rest:
        owner = max(rest, key=lambda owner: held[owner])
        row = rest[owner].popleft()
        if not rest[owner]:
            del rest[owner]
        held[owner] -= row["size"]
        yield row
