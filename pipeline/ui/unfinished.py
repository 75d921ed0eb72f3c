"""What visitors asked for last and have no pictures of: a reload in mid-run ends the run, but need not lose what was
typed for it. Kept in memory only, for a bounded number of visitors."""

from __future__ import annotations

import threading
from collections import OrderedDict

from pipeline.settings import Settings

VISITORS_MAX = 1000
"""Whose settings are kept; about 2 kB each, with a long prompt."""


class Unfinished:
    """By owner, the settings of the comparison that they began last, until it has both its pictures."""

    def __init__(self):
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, Settings] = OrderedDict()

    def begin(self, owner: str, said: Settings) -> None:
        with self._lock:
            self._begun[owner] = said
            self._begun.move_to_end(owner)
            if len(self._begun) > VISITORS_MAX:
                self._begun.popitem(last=False)

    def end(self, owner: str, said: Settings) -> None:
        """``said`` is finished; what they began since, in another tab, is not."""
        with self._lock:
            if self._begun.get(owner) == said:
                del self._begun[owner]

    def of(self, owner: str) -> Settings | None:
        with self._lock:
            return self._begun.get(owner)
