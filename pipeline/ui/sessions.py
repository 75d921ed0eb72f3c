"""What the server remembers of every page that is open, bounded.

Gradio keeps the last 10,000 sessions however long ago they were used, and of each a copy of the page's configuration
with the last value of every component, whatever a visitor sent for it: a third of a megabyte at first, and up to the
largest request for each component. That copy serves its deep links alone, which this page refuses. So it is not kept;
of all sessions but those whose page is open only those of the last hour are; and no more than SESSIONS of them.

Gradio also keeps every answer until the page that asked has read it, be it never. Here the oldest answers go once all
that wait take UNREAD_BYTES: a page reads its own within moments.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from gradio.state_holder import SessionState
from gradio.utils import LRUCache

SESSIONS = 500
"""About 0.2 MB each once a comparison was shown. The page's State is lost with them, so a visitor whose page is open
loses their last."""
KEPT = timedelta(hours=1)
"""After the last event of a page that is closed. Gradio, too, drops the values of its State then."""
UNREAD_BYTES = 100 * 10**6
MESSAGE_BYTES = 1000
"""What the smallest message takes, as Python holds it."""

log = logging.getLogger(__name__)


class Sessions(OrderedDict[str, SessionState]):
    """By session hash, the least recently used first: what Gradio's StateHolder keeps them in. Not for threads: Gradio
    uses it in its loop."""

    def __init__(self, used: MutableMapping[str, datetime]):
        """``used``: when each was last, as the StateHolder notes it."""
        super().__init__()
        self._used = used
        self._pages: Counter[str] = Counter()

    @contextmanager
    def page(self, session: str) -> Iterator[None]:
        """A page is open until the block ends."""
        self._pages[session] += 1
        try:
            yield
        finally:
            self._pages[session] -= 1
            if not self._pages[session]:
                del self._pages[session]

    def __setitem__(self, session: str, state: SessionState) -> None:
        state.config_values = Nothing()
        super().__setitem__(session, state)
        now = datetime.now()  # as the StateHolder says it
        others = [each for each in self if each != session]
        others.sort(key=self._pages.__contains__)  # those whose page is open are the last to go
        over = len(self) - SESSIONS
        for i, each in enumerate(others):
            if i < over or (each not in self._pages and now - self._used.get(each, now) > KEPT):
                del self[each]
                self._used.pop(each, None)


class Nothing(dict[int, Any]):
    """In the place of a session's copy of the configuration: has everything, keeps nothing."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: int) -> dict[str, Any]:
        return {}

    def __setitem__(self, key: int, value: Any) -> None:
        pass


class Unread(LRUCache[str, "Messages"]):
    """What waits to be read, by session: what Gradio's queue keeps it in."""

    def __init__(self, sessions: int):
        super().__init__(sessions)
        self._lock = threading.RLock()  # a handler's notes come from its thread
        self._sizes: OrderedDict[object, tuple[weakref.ref[Messages], int]] = OrderedDict()
        self._bytes = 0

    def __setitem__(self, session: str, _: asyncio.Queue) -> None:
        super().__setitem__(session, Messages(self))

    def add(self, key: object, messages: Messages, size: int) -> None:
        """One more; the oldest of all go if it is one too many. Those of a session that has gone went with it."""
        with self._lock:
            self._sizes[key] = (weakref.ref(messages), size)
            self._bytes += size
            while self._bytes > UNREAD_BYTES:
                oldest, size = self._sizes.popitem(last=False)[1]
                self._bytes -= size
                if queue := oldest():
                    queue.get_nowait()

    def read(self, key: object) -> None:
        """One less."""
        with self._lock:
            self._bytes -= self._sizes.pop(key, (None, 0))[1]


class Messages(asyncio.Queue):
    """One session's, the first to be read first."""

    def __init__(self, unread: Unread):
        super().__init__()
        self._unread = unread

    def _put(self, message: Any) -> None:
        key = object()
        super()._put((key, message))
        size = len(orjson.dumps(message.model_dump(), default=str))  # as it will be sent
        self._unread.add(key, self, max(size, MESSAGE_BYTES))

    def _get(self) -> Any:
        key, message = super()._get()
        self._unread.read(key)
        return message


def sessions_of(app: Any) -> Sessions:
    """Those of a Gradio app; from then on they and what waits for them are bounded. A Gradio that keeps them otherwise
    serves the page all the same, with its own bounds."""
    try:
        return _bounded(app.state_holder, app.get_blocks()._queue)
    except AttributeError as error:
        _warn(str(error))
        return Sessions({})


@cache
def _warn(lacking: str) -> None:
    """Once, not at every request."""
    log.warning("this version of Gradio keeps its sessions otherwise, so they are not bounded here: %s", lacking)


def _bounded(holder: Any, queue: Any) -> Sessions:
    if not isinstance(queue.pending_messages_per_session, Unread):
        queue.pending_messages_per_session = Unread(queue.pending_messages_per_session.max_size)
    if not isinstance(holder.session_data, Sessions):
        found = Sessions(holder.time_last_used)
        for session, state in holder.session_data.items():
            found[session] = state
        holder.session_data = found
    return holder.session_data
