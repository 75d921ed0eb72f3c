"""What a provider sends back, taken for what it is, a stranger's: pictures are checked, counts bounded, and its words
shortened. Pure functions; nothing is asked here.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from typing import Any

from PIL import Image

from pipeline.cards import ModelCard
from pipeline.errors import Declined, ModelError
from pipeline.hosted import Hosted
from pipeline.imagefile import BROKEN
from pipeline.request import ImageRequest

FORMATS = ("PNG", "JPEG", "WEBP")
SAID_MOST = 200
"""Characters of a provider's own words in a sentence of ours."""
BUSY = (429, 503)
MODERATED = re.compile("polic|safety|moderat|block|filter|violat", re.IGNORECASE)
"""What tells a prompt that is not wanted from a request that is wrong, which would be wrong for every prompt."""
USAGE = {
    "output_tokens": (("num_output_tokens",), ("output_tokens",)),
    "prompt_tokens": (("num_input_text_tokens",), ("input_tokens_details", "text_tokens")),
}
"""Where an answer's ``usage`` has them: Microsoft's MAI images, OpenAI's."""
TOKENS_MOST = 200_000
"""Of one picture or one prompt, ten times what the dearest known take; a larger count is none."""


def no_picture(hosted: Hosted) -> ModelError:
    return ModelError(f"{hosted.provider} answered with no picture; see that its address is right.")


def picture_of(hosted: Hosted, content: bytes) -> tuple[bytes | str, Any]:
    """The picture's file or the https address where it lies, and what is said of its use. Raises ModelError."""
    try:
        answer = json.loads(content)
        first = answer["data"][0]
        inside, address, usage = first.get("b64_json"), first.get("url"), answer.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise no_picture(hosted) from None
    if isinstance(inside, str):
        try:
            return base64.b64decode(inside, validate=True), usage
        except (binascii.Error, ValueError):
            raise no_picture(hosted) from None
    if not isinstance(address, str) or not address.startswith("https://"):
        raise no_picture(hosted)
    return address, usage


def checked(card: ModelCard, request: ImageRequest, content: bytes) -> Image.Image:
    """The picture of a file. Raises ModelError if it is none, or not as large as it was asked for."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        size = image.size  # read before anything is decoded: a small file can be a huge picture
        if size == (request.width, request.height):
            return image.convert("RGB")
    except (*BROKEN, OSError):
        raise ModelError(f"{card.hosted.provider} answered with a damaged picture; try again.") from None
    raise ModelError(
        f"{card.name} answered with a picture of {size[0]} x {size[1]} pixels where {request.width} x {request.height} "
        "were asked for; choose a size that it makes."
    )


def counted(usage: Any) -> dict[str, int]:
    """Tokens as the provider counted them, as far as it says."""
    found = {}
    for ours, places in USAGE.items():
        for place in places:
            value = usage
            for name in place:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MOST:
                found[ours] = value
    return found


def refusal(card: ModelCard, status: int, content: bytes) -> ModelError:
    """One sentence on why no picture came, with the provider's own words."""
    hosted, said = card.hosted, _said(card.hosted, content)
    if status in (401, 403):
        whose = f"the key in {hosted.key_variable}" if hosted.key_variable else "to draw without a key"
        return ModelError(f"{hosted.provider} refused {whose} ({status}{said}); set one that may use {hosted.model}.")
    if status in (404, 410):
        what = f"has no {hosted.model}" if status == 404 else f"has retired {hosted.model}"
        return ModelError(f"{hosted.provider} {what} ({status}{said}); deploy it, or name another in a --model-file.")
    if status in BUSY:
        return ModelError(f"{hosted.provider} is too busy for {card.name} ({status}{said}); try again in a minute.")
    if status < 400:
        return ModelError(f"{hosted.provider} sends elsewhere ({status}) and is not followed; correct its address.")
    if status >= 500:
        return ModelError(f"{hosted.provider} failed to draw with {card.name} ({status}{said}); try again later.")
    if MODERATED.search(content.decode(errors="replace")):
        declined = f"{hosted.provider} will not draw this with {card.name} ({status}{said})"
        return Declined(f"{declined}; ask for something else.")
    return ModelError(f"{hosted.provider} refused what {card.name} was asked for ({status}{said}); correct the card.")


def short(text: str) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= SAID_MOST else f"{line[: SAID_MOST - 1]}…").rstrip(".")


def _said(hosted: Hosted, content: bytes) -> str:
    """The provider's own words, short, on one line, without the key."""
    try:
        told = json.loads(content)
        told = told.get("error", told)
        told = told if isinstance(told, str) else told.get("message", told.get("detail"))
    except (ValueError, AttributeError, RecursionError):
        return ""
    if isinstance(told, list) and told and isinstance(told[0], dict):  # FastAPI, of a field that is wrong
        told = told[0].get("msg")
    if not isinstance(told, str) or not told.strip():
        return ""
    if hosted.key:
        told = told.replace(hosted.key, "…")
    return f": {short(told)}"
