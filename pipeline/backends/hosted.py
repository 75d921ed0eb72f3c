"""Pictures drawn by a provider that is asked over HTTP, or by a server of one's own that answers the same way.

One POST of JSON a picture, answered with the picture in base64 or with its address. The time is that of the whole call
as this machine sees it: network, the provider's queue and its model, which nobody outside can tell apart. What a
provider sends is taken for what it is, a stranger's: bounded, checked, and never followed anywhere with the key.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import io
import json
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from PIL import Image

from pipeline.backends import How, Identity, Key, Made, OnPart, OnStep
from pipeline.cards import ModelCard
from pipeline.cost import call_cost
from pipeline.device import Device
from pipeline.errors import BatchTooLarge, Cancelled, ModelError
from pipeline.hosted import Hosted
from pipeline.request import ImageRequest
from pipeline.spending import Refused, Spending

CONNECT_S, ANSWER_S = 10.0, 300.0
"""How long to wait for a connection, and between two pieces of an answer: large models at peak hours take minutes."""
STOP_EVERY_S = 0.1
TRIES = 5
WAIT_S, WAIT_MOST_S = 30.0, 120.0
"""After "too many requests": where the provider does not say how long (one answers two a minute), and at most."""
BUSY = (429, 503)
ANSWER_BYTES = 64 * 1024**2
FORMATS = ("PNG", "JPEG", "WEBP")
SAID_MOST = 200
"""Characters of a provider's own words in a sentence of ours."""
USAGE = {
    "output_tokens": (("num_output_tokens",), ("output_tokens",)),
    "prompt_tokens": (("num_input_text_tokens",), ("input_tokens_details", "text_tokens")),
}
"""Where an answer's ``usage`` has them: Microsoft's MAI images, OpenAI's."""


@dataclass(frozen=True)
class _Answer:
    image: Image.Image
    seconds: float
    usage: Any


class HostedBackend:
    """See :class:`pipeline.backends.Backend`; may be called by several threads. Loads nothing and holds nothing."""

    placed: frozenset[str] = frozenset()

    def __init__(self, spending: Spending | None = None):
        self.spending = spending or Spending()

    def device(self) -> Device:
        return Device("hosted", "a provider", 0)

    def identity(self, card: ModelCard) -> Identity:
        """Raises ModelError if the provider cannot be asked from here."""
        if why_not := card.hosted.why_not():
            raise ModelError(f"{card.name} cannot be asked for a picture. {why_not}")
        more = ", ".join(f"{name} {value}" for name, value in card.hosted.body.items())
        return Identity(f"{card.hosted.model}{more and f' ({more})'}", card.hosted.provider, "not told", {})

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        return {}

    def holds(self, key: Key) -> bool:
        return True

    def place(self, card: ModelCard, request: ImageRequest) -> None:
        """There is nothing to place."""

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        self.identity(card)
        if request.switches:
            raise ModelError(f"{card.name} is drawn by {card.hosted.provider}, which takes no efficiency switches.")
        anyio.run(anyio.sleep, 0)  # httpx's own libraries are imported by its first call, which is timed

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        if how.batch > 1:
            raise BatchTooLarge(f"{card.hosted.provider} is asked for one picture at a time.")
        call = card.hosted.call(request.width, request.height)
        with self.spending.paying(call_cost(call) or 0.0, f"A picture by {card.name}") as paid:
            on_step(0, 1, None)
            answer = asyncio.run(_asked(card, request, stop))
            call = call.model_copy(update=_counted(answer.usage))
            paid[0] = call_cost(call) or 0.0
        return Made(answer.image, {"call": answer.seconds}, False, None, hosted=call)


async def _asked(card: ModelCard, request: ImageRequest, stop: threading.Event) -> _Answer:
    """The answer, asked for again after a wait where the provider wants one. Raises Cancelled once ``stop`` is set."""
    task = asyncio.ensure_future(_patiently(card, request))
    while not task.done():
        await asyncio.wait({task}, timeout=STOP_EVERY_S)
        if stop.is_set() and not task.done():
            task.cancel()  # closes the connection
            await asyncio.wait({task})
            raise Cancelled("The run was stopped.")
    return task.result()


async def _patiently(card: ModelCard, request: ImageRequest) -> _Answer:
    hosted, tried = card.hosted, 0
    while True:
        tried += 1
        try:
            async with httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S)) as client:
                begin = time.perf_counter()  # reading this machine's certificates is not the provider's
                status, headers, content = await _sent(client, hosted, request)
                if status == 200:
                    image, usage = await _picture(client, hosted, content)
                    seconds = time.perf_counter() - begin
                    return _Answer(_checked(card, request, image), seconds, usage)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            told = _short(str(error) or type(error).__name__)
            raise Refused(
                ModelError(f"{hosted.provider} cannot be reached ({told}); see to its address and the network.")
            ) from error
        except httpx.TimeoutException as error:
            raise ModelError(f"{hosted.provider} did not answer within {ANSWER_S:.0f} s; try again later.") from error
        except httpx.HTTPError as error:
            raise ModelError(f"{hosted.provider} broke off its answer; try again later.") from error
        if status not in BUSY or tried == TRIES:
            raise Refused(_refusal(card, status, content))
        await asyncio.sleep(_wait(headers))


async def _sent(client: httpx.AsyncClient, hosted: Hosted, request: ImageRequest) -> tuple[int, httpx.Headers, bytes]:
    headers, key = {}, _key(hosted)
    if key:
        headers[hosted.key_header] = f"Bearer {key}" if hosted.key_header == "Authorization" else key
    async with client.stream("POST", hosted.address(), json=body(hosted, request), headers=headers) as response:
        return response.status_code, response.headers, await _read(hosted, response)


def body(hosted: Hosted, request: ImageRequest) -> dict[str, Any]:
    """What is sent: a request in the provider's own names."""
    if hosted.size == "size":
        size = {"size": f"{request.width}x{request.height}"}
    else:
        size = {"width": request.width, "height": request.height}
    taken = {theirs: getattr(request, ours) for ours, theirs in hosted.fields.items()}
    # An empty negative prompt is none; some servers take it for one.
    taken = {name: value for name, value in taken.items() if value != ""}
    return {"model": hosted.model, "prompt": request.prompt, **size, **taken, **hosted.body}


async def _read(hosted: Hosted, response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > ANSWER_BYTES:
            raise ModelError(f"{hosted.provider} sent more than {ANSWER_BYTES >> 20} MB; ask for a smaller size.")
    return bytes(content)


async def _picture(client: httpx.AsyncClient, hosted: Hosted, content: bytes) -> tuple[bytes, Any]:
    """The picture's file, fetched if the answer has only its address, and what the answer says of its use."""
    unreadable = ModelError(f"{hosted.provider} answered with no picture; see that its address is right.")
    try:
        answer = json.loads(content)
        first = answer["data"][0]
        inside, address = first.get("b64_json"), first.get("url")
        usage = answer.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise unreadable from None
    if isinstance(inside, str):
        try:
            return base64.b64decode(inside, validate=True), usage
        except (binascii.Error, ValueError):
            raise unreadable from None
    if not isinstance(address, str) or not address.startswith("https://"):
        raise unreadable
    async with client.stream("GET", address) as response:  # without the key: it is another host's
        if response.status_code != 200:
            raise unreadable
        return await _read(hosted, response), usage


def _checked(card: ModelCard, request: ImageRequest, content: bytes) -> Image.Image:
    """The picture of a file, if it is one, and as large as it was asked for."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        size = image.size
        if size == (request.width, request.height):
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ModelError(f"{card.hosted.provider} answered with a damaged picture; try again.") from None
    raise ModelError(
        f"{card.name} answered with a picture of {size[0]} x {size[1]} pixels where {request.width} x {request.height} "
        "were asked for; choose a size that it makes."
    )


def _counted(usage: Any) -> dict[str, int]:
    """Tokens as the provider counted them, as far as it says."""
    found = {}
    for ours, places in USAGE.items():
        for place in places:
            value = usage
            for name in place:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                found[ours] = value
    return found


def _wait(headers: httpx.Headers) -> float:
    """Seconds that the provider asks to wait; Azure gives them in thousandths."""
    for name, share in (("retry-after-ms", 1000), ("retry-after", 1)):
        with contextlib.suppress(KeyError, ValueError):
            return min(WAIT_MOST_S, max(0.0, float(headers[name]) / share))
    return WAIT_S


def _refusal(card: ModelCard, status: int, content: bytes) -> ModelError:
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
    if status >= 500:
        return ModelError(f"{hosted.provider} failed to draw with {card.name} ({status}{said}); try again later.")
    return ModelError(
        f"{hosted.provider} will not draw this with {card.name} ({status}{said}); ask for something else."
    )


def _said(hosted: Hosted, content: bytes) -> str:
    """The provider's own words, short, on one line, without the key."""
    try:
        told = json.loads(content)
        told = told.get("error", told)
        told = told if isinstance(told, str) else told.get("message", told.get("detail"))
    except (ValueError, AttributeError):
        return ""
    if isinstance(told, list) and told and isinstance(told[0], dict):  # FastAPI, of a field that is wrong
        told = told[0].get("msg")
    if not isinstance(told, str) or not told.strip():
        return ""
    if key := _key(hosted):
        told = told.replace(key, "…")
    return f": {_short(told)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= SAID_MOST else f"{line[: SAID_MOST - 1]}…").rstrip(".")


def _key(hosted: Hosted) -> str:
    return os.environ.get(hosted.key_variable, "").strip() if hosted.key_variable else ""
