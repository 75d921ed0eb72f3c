"""HTML as a browser would take it, and what a report may not have in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

FORBIDDEN_TAGS = {"script", "iframe", "object", "embed", "link", "base", "form", "input", "button", "foreignobject"}


class Page(HTMLParser):
    """Every tag with its attributes, and all text, as a browser would take them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def assert_inert(text: str) -> Page:
    """No script, no handler, nothing that loads, and links only to https or into the page."""
    parsed = Page(text)
    for tag, attributes in parsed.tags:
        assert tag not in FORBIDDEN_TAGS
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "style", "action")]
        assert re.match(r"data:image/(png|jpeg);base64,", attributes.get("src", "data:image/png;base64,"))
        assert re.match(r"https://|#", attributes.get("href", "#"))
    assert "url(" not in text and "@import" not in text
    return parsed
