"""Loads the default pair behind the page and says how far it is."""

from __future__ import annotations

import logging
import threading

from pipeline.compare import plan
from pipeline.device import cpu_device, on_zerogpu
from pipeline.errors import PlaygroundError
from pipeline.events import Loading, Queued
from pipeline.playground import Playground
from pipeline.ui import markup

log = logging.getLogger(__name__)


class Readiness:
    """Starts in state "starting"; ends "ready" or with one sentence that says why not."""

    def __init__(self, playground: Playground):
        self._playground = playground
        self._device = cpu_device().name
        self._state, self._kind = "starting", "busy"

    def start(self) -> None:
        """Import torch and diffusers, load the default pair and warm it up, in the background.

        On a lent GPU: place it there, at once. The package that lends it takes what lies on the GPU when the page is
        launched, and only from this thread.
        """
        if on_zerogpu():
            self._load()
        else:
            threading.Thread(target=self._load, name="warm-up", daemon=True).start()

    @property
    def settled(self) -> bool:
        return self._kind != "busy"

    def html(self) -> str:
        return markup.status(self._device, self._state, self._kind)

    def _load(self) -> None:
        playground = self._playground
        try:
            self._state = "loading torch"
            self._device = playground.engine.backend.device().name
            requests = plan(playground.catalog, playground.default_pair, "warm-up")
            if on_zerogpu():
                for request in requests.values():
                    playground.engine.backend.place(playground.catalog.model(request.model), request)
            for event in () if on_zerogpu() else playground.engine.warm_up(list(requests.values())):
                match event:
                    case Queued(place=place) if place:
                        self._state = "a visitor's run comes first"
                    case Loading():
                        self._state = f"loading model {event.lane + 1} of {len(requests)}: {event.part}"
        except PlaygroundError as error:
            self._state, self._kind = str(error), "failed"
        except Exception:  # torch or diffusers cannot be imported, say
            log.exception("the models cannot be loaded")
            self._state, self._kind = "the models cannot be loaded; the server's log says why", "failed"
        else:
            self._state, self._kind = "ready", "ready"
            # Needed at the end of the first comparison, and slow to import.
            import skimage.metrics  # noqa: F401
