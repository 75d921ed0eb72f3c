"""Who looks at the page, and what is kept for them.

A page's visitor is a random token that their browser keeps, so that they find their own entries again after a reload,
in a new tab and after a restart, and nobody else's. What the command line makes is nobody's (owner ""), and so is what
a program asks of a page that only this machine can reach: whoever sits at the machine sees them too. On a page that
others can reach, no visitor would see what a program makes, so it is not kept.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from pipeline.cost import call_sum
from pipeline.errors import InputError, PlaygroundError
from pipeline.events import Result
from pipeline.history import Entry
from pipeline.network import is_loopback
from pipeline.playground import Playground
from pipeline.request import ImageRequest

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
NEW_TOKEN = f"""(token) => {{
  if (/^{TOKEN.pattern}$/.test(token)) return token;
  const bytes = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}}"""
"""Made in the browser, which has it before a visitor can press anything; a busy server may take seconds to answer."""
NOBODY = ""
NOT_KEPT = "These pictures could not be kept in the history; the server's log says why: download them to keep them"
FORWARDED = re.compile("forwarded|x-forwarded-.*|x-real-ip|via|cf-connecting-ip")
"""Headers that whoever passes a request on puts there."""

log = logging.getLogger(__name__)


class Visitors:
    """Tells owners apart for one page. Build it within the Blocks: ``token`` is a component."""

    def __init__(self, playground: Playground, page: gr.Blocks):
        self._playground = playground
        self._page = page
        # Both are fixed, so that a browser's token outlives the server. The secret hides nothing: it only turns off
        # Gradio's random one.
        self.token = gr.BrowserState(None, storage_key="diptych-visitor", secret="diptych")  # noqa: S106

    def owner(self, token: object) -> str:
        """The owner that a browser's token stands for; a new one, whom nobody is, if it is not one of ours."""
        return token if isinstance(token, str) and TOKEN.fullmatch(token) else secrets.token_urlsafe(16)

    def local(self, request: gr.Request | None) -> bool:
        """True if this request comes from whoever sits at this machine, as far as can be known: the page listens to
        this machine only, is not shared and not a Space, nothing has passed the request on, and it was asked for by
        this machine's own name, which neither a proxy's visitors do nor a foreign page whose name leads here."""
        page = self._page
        if getattr(page, "share", False) or page.space_id or not is_loopback(getattr(page, "server_name", None)):
            return False
        if request is None:
            return True
        headers = {name.lower(): value for name, value in dict(getattr(request, "headers", None) or {}).items()}
        if any(map(FORWARDED.fullmatch, headers)):
            return False
        names = [*_named(f"//{headers['host']}" if "host" in headers else None), *_named(headers.get("origin"))]
        client = getattr(request, "client", None)
        return all(map(is_loopback, [*names, getattr(client, "host", None)]))

    def check_spending(
        self,
        requests: Iterable[ImageRequest],
        request: gr.Request | None,
        repeat: int = 1,
        use_cache: bool = True,
    ) -> None:
        """Raises InputError if a provider would draw one of these on the account of whoever runs this page, and they
        have not opened that to others, or not for so much."""
        requests = list(requests)
        own = self._playground.spending.visitors or self.local(request)
        for each in () if own else requests:
            card = self._playground.catalog.model(each.model)
            if card.hosted and (card.hosted.key_variable or call_sum(card.hosted.call(each.width, each.height)).usd):
                raise InputError(
                    f"{card.name} is drawn by {card.hosted.provider} at the cost of whoever runs this page, and is not "
                    "open to visitors; choose another model."
                )
        self._playground.check_spending(requests, repeat, use_cache)

    def find(self, token: object, request: gr.Request, **filters: Any) -> list[Entry]:
        """What this visitor may see, newest first."""
        return self._playground.history.find(self.owner(token), nobodys=self.local(request), **filters)

    def kinds(self, token: object, request: gr.Request, **filters: Any) -> dict[str, int]:
        """How many entries of each kind they may see."""
        return self._playground.history.kinds(self.owner(token), nobodys=self.local(request), **filters)

    def get(self, entry: object, token: object, request: gr.Request) -> Entry:
        """One entry that they may see, and so may star and delete. Raises InputError."""
        return self._playground.history.get(entry, self.owner(token), nobodys=self.local(request))

    def keep(self, kind: str, document: Mapping[str, Any], results: Sequence[Result], owner: str) -> str | None:
        """Keep what was made; None, and a line in the log, if it cannot be kept. Pictures are shown all the same."""
        try:
            return self._playground.history.keep(kind, document, results, owner)
        except PlaygroundError:
            log.exception("an entry could not be kept")
            return None

    def keep_program(
        self, kind: str, document: Mapping[str, Any], results: Sequence[Result], request: gr.Request | None
    ) -> None:
        """Keep what a program made through the page's named endpoints, if somebody can find it again."""
        if self.local(request):
            self.keep(kind, document, results, NOBODY)


def _named(address: str | None) -> list[str | None]:
    """The host that an address names, None if none that can be read; nothing where there is no address."""
    if address is None:
        return []
    try:
        return [urlsplit(address).hostname]
    except ValueError:
        return [None]
