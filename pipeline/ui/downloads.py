"""The one download of a page: goes on while nobody looks, and can be stopped by whoever comes back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from pipeline import download
from pipeline.cards import JudgeCard, ModelCard
from pipeline.errors import InputError, PlaygroundError
from pipeline.ui import markup
from pipeline.wording import size_text

log = logging.getLogger(__name__)


class Downloads:
    """Runs in a thread of its own, so that neither the line for the device nor any visitor waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._html = ""

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def html(self) -> str:
        """How far it is; after its end how it ended."""
        return self._html

    def start(self, cards: Sequence[ModelCard | JudgeCard]) -> None:
        """Begin to fetch what is missing of these. Raises InputError while another download runs."""
        with self._lock:
            if self.running:
                raise InputError("A download is running; wait for it, or stop it first.")
            self._stop = threading.Event()
            self._html = markup.progress("Asking the Hub what is needed …")
            self._thread = threading.Thread(target=self._fetch, args=(list(cards), self._stop), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Before the next piece; what is whole is kept."""
        self._stop.set()

    def _fetch(self, cards: Sequence[ModelCard | JudgeCard], stop: threading.Event) -> None:
        try:
            plan = download.plan_cards(cards)

            def told(done: int, total: int, file: str) -> None:
                of = f"{plan.name}: {size_text(done)} of {size_text(total)}, into {plan.place}"
                self._html = markup.progress(f"{of} · {file}" if file else of, done / total if total else 1.0)

            download.fetch(plan, told, stop)
            self._html = markup.hint(f"{plan.name}: everything is here, {size_text(plan.total_bytes)}.")
        except PlaygroundError as error:
            self._html = markup.fault(str(error))
        except Exception:  # the log gets the traceback, the page one sentence
            log.exception("a download failed")
            self._html = markup.fault("The download failed; the server's log says why.")
