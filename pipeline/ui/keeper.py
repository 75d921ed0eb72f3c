"""Keeps what one comparison of the page makes, each time before it is shown."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from pipeline.catalog import ROLES, Pair, Role
from pipeline.compare import compare_document, generate_document
from pipeline.errors import PlaygroundError
from pipeline.events import Result
from pipeline.playground import Playground
from pipeline.prices import PriceProfile
from pipeline.ui.visitors import NOT_KEPT, Visitors


class Keeper:
    """The first finished picture is kept by itself, so that nothing is lost if the run ends there; with the second
    one both become a comparison, and the single one goes."""

    def __init__(self, playground: Playground, visitors: Visitors, owner: str):
        self._playground, self._visitors, self._owner = playground, visitors, owner
        self._results: dict[Role, Result] = {}
        self._alone: str | None = None
        self.document: dict[str, Any] = {}
        """The comparison's, once both pictures are there, with the id of its entry and what is to be noted."""

    def done(self, pair: Pair, role: Role, result: Result, price: PriceProfile) -> None:
        """One lane's last picture is there."""
        if not self._results:
            self.alone(role, result, price)
            return
        self._results[role] = result
        # A provider draws all of its runs before this machine begins, which may have been stopped since.
        runs = min(len(each.runs) for each in self._results.values())
        self._results = {role: replace(each, runs=each.runs[:runs]) for role, each in self._results.items()}
        said = compare_document(pair, self._results, price)
        entry = self._visitors.keep("comparison", said, [self._results[role] for role in ROLES], self._owner)
        cut_short = {result.hosted.cut_short for result in self._results.values() if result.hosted}
        notes = [*sorted(filter(None, cut_short)), *([] if entry else [NOT_KEPT])]
        self.document = {**said, "entry": entry, "note": " ".join(notes)}
        if entry and self._alone:
            with contextlib.suppress(PlaygroundError):  # then it stands in the history twice
                self._playground.history.delete(self._alone)

    def alone(self, role: Role, result: Result, price: PriceProfile) -> None:
        """A finished picture whose partner is not there, or never will be. One out of the cache was kept when it was
        made."""
        if role not in self._results and result.cache == "miss":
            self._alone = self._visitors.keep("picture", generate_document(result, price), [result], self._owner)
        self._results[role] = result
