"""How much of a prompt a model reads: its tokenizer cuts at a limit, and may not know every word. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import punctuation
from typing import Any

from pipeline.wording import shortened

ENDLESS = 10**6
"""Tokenizers without a limit say a number far above this."""
UNKNOWN_MAX = 8
"""Unknown words that are named."""
WORD = 24
"""Letters of such a word that are told."""


@dataclass(frozen=True)
class Reading:
    """``tokens`` of the prompt, those that begin and end it counted; ``limit``: so many are read, None for all;
    ``unknown``: words in it that the tokenizer has no token for."""

    tokens: int
    limit: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return (self.limit is None or self.tokens <= self.limit) and not self.unknown

    def as_dict(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "limit": self.limit, "unknown": list(self.unknown)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any] | None) -> Reading | None:
        return None if said is None else cls(said["tokens"], said["limit"], tuple(said["unknown"]))


def read(tokenizer: Any, text: str, limit: int | None, before: int = 0) -> Reading:
    """How ``tokenizer`` reads ``text``. The model takes ``limit`` tokens, of which ``before`` come before the text: a
    chat template's, say."""
    limit = None if limit is None or limit > ENDLESS else limit
    # verbose: it would write into the log that the text is long, which is what is being asked.
    tokens = len(tokenizer(text, verbose=False).input_ids) + before
    blank = tokenizer.unk_token_id

    def known(word: str) -> bool:
        return blank not in tokenizer(word, add_special_tokens=False, verbose=False).input_ids

    words = [] if blank is None or known(text) else [word.strip(punctuation) for word in text.split()]
    unknown = dict.fromkeys(word for word in words if word and not known(word))
    return Reading(tokens, limit, tuple(unknown)[:UNKNOWN_MAX])


def reading_text(said: Mapping[str, Any] | None) -> str:
    """What a lane's document says of it, where not all of the prompt was read; else nothing."""
    reading = Reading.from_dict(said)
    if reading is None or reading.whole:
        return ""
    parts = []
    if reading.limit is not None and reading.tokens > reading.limit:
        parts.append(
            f"reads {reading.limit} tokens of a prompt, and this one has {reading.tokens}: its end was not read"
        )
    if reading.unknown:
        named = ", ".join(f"“{shortened(word, WORD)}”" for word in reading.unknown)
        parts.append(f"has no token for {named}")
    return "; ".join(parts)


def not_all_read(document: Mapping[str, Any]) -> str:
    """The same of a comparison: which of its models did not read all of the prompt; else nothing."""
    found = {lane["role"]: text for lane in document["lanes"] if (text := reading_text(lane.get("reading")))}
    if len(set(found.values())) == 1 and len(found) == len(document["lanes"]):
        return f"Each model {next(iter(found.values()))}."
    return " ".join(f"The {role} model {text}." for role, text in found.items())
