"""Pictures drawn by a provider that is asked over HTTP, or by a server of one's own that answers the same way.

One POST of JSON a picture. The time is that of the whole call as this machine sees it: network, the provider's queue
and its model, which nobody outside can tell apart. What comes back is read in answers.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from PIL import Image

from pipeline.backends import How, Identity, Made, OnPart, OnStep
from pipeline.backends.answers import BUSY, checked, counted, no_picture, picture_of, refusal, short
from pipeline.cards import ModelCard
from pipeline.cost import call_sum
from pipeline.errors import BatchTooLarge, Cancelled, ModelError
from pipeline.hosted import Hosted
from pipeline.network import on_this_machine
from pipeline.request import ImageRequest, Key
from pipeline.spending import Refused, Spending
from pipeline.switches import SWITCHES, check_usable

CONNECT_S, ANSWER_S = 10.0, 300.0
"""How long to wait for a connection, and for the whole answer: large models at peak hours take minutes."""
STOP_EVERY_S = 0.1
TRIES = 5
WAIT_S, WAIT_MOST_S = 30.0, 120.0
"""After "too many requests": where the provider does not say how long (one answers two a minute), and at most."""
ANSWER_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class _Answer:
    image: Image.Image
    seconds: float
    usage: Any


class HostedBackend:
    """What :class:`pipeline.backends.Backend` asks of one model; it loads and holds nothing, so there is no more."""

    def __init__(self, spending: Spending | None = None):
        self.spending = spending or Spending()

    def identity(self, card: ModelCard) -> Identity:
        """Of a model that can change at any time all that is known: who is asked where, and how. Raises ModelError if
        the provider cannot be asked from here."""
        hosted = card.hosted
        if why_not := hosted.why_not():
            raise ModelError(f"{card.name} cannot be drawn yet. {why_not}")
        how = f"{hosted.address()} {hosted.model_dump_json(exclude={'price', 'provider', 'key_variable'})}"
        return Identity(
            f"{hosted.model}, asked as {hashlib.sha256(how.encode()).hexdigest()[:8]}", hosted.provider, "not told", {}
        )

    def switches(self, card: ModelCard) -> dict[str, str | None]:
        """None of them: it is the provider's machine."""
        return dict.fromkeys(SWITCHES, f"{card.hosted.provider} draws it, which takes no efficiency switches.")

    def prepare(self, card: ModelCard, request: ImageRequest, keep: frozenset[Key], on_part: OnPart) -> None:
        self.identity(card)
        check_usable(card, request.switches, self.switches(card))
        anyio.run(anyio.sleep, 0)  # httpx's own libraries are imported by its first call, which is timed

    def make(self, card: ModelCard, request: ImageRequest, how: How, on_step: OnStep, stop: threading.Event) -> Made:
        hosted = card.hosted
        if how.batch > 1:
            raise BatchTooLarge(f"{hosted.provider} is asked for one picture at a time.")
        client = _client(hosted)  # what is wrong here is known before anything is sent, and costs nothing
        dearest = call_sum(hosted.dearest(request)).usd or 0.0
        with self.spending.paying(dearest, f"A picture by {card.name}") as paid:
            expected = paid[0]

            def tell(waiting: bool) -> None:
                paid[0] = 0.0 if waiting else expected  # nothing is drawn while it wants a wait
                on_step(0, 0 if waiting else 1, None)

            answer = _run(_stoppable(_patiently(client, card, request, tell), stop))
            call = hosted.call(request.width, request.height).model_copy(update=counted(answer.usage))
            paid[0] = call_sum(call).usd or 0.0
        return Made(answer.image, {"call": answer.seconds}, False, None, hosted=call)


def _client(hosted: Hosted) -> httpx.AsyncClient:
    """Who asks it, with this machine's certificates and proxies. Raises ModelError where nothing can be sent; never
    with the words of the fault, which can be a proxy's password."""
    address = hosted.address()
    try:
        _ = httpx.URL(address).host  # it is stricter than urlsplit, about the host only when that is read
    except (httpx.InvalidURL, ValueError):
        raise hosted.wrong_address() from None
    try:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_keepalive_connections=0),  # each call is timed over a new connection
            # A proxy would be shown the key that goes to this machine in the clear.
            trust_env=not on_this_machine(address),
        )
    except ImportError:
        raise ModelError(
            f"{hosted.provider} cannot be asked through a SOCKS proxy without the package socksio; install that, or "
            "take the proxy out of HTTPS_PROXY, HTTP_PROXY and ALL_PROXY."
        ) from None
    except OSError as error:
        raise ModelError(
            f"{hosted.provider} cannot be asked, as this machine's certificates cannot be read "
            f"({short(error.strerror or 'damaged')}); correct or unset SSL_CERT_FILE and SSL_CERT_DIR."
        ) from None
    except (httpx.InvalidURL, ValueError):
        raise ModelError(
            f"{hosted.provider} cannot be asked, as a proxy's address is wrong; correct or unset HTTPS_PROXY, "
            "HTTP_PROXY, ALL_PROXY and NO_PROXY."
        ) from None


def _run(coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
    """As asyncio.run does, which would wait at its end for a name that is still being looked up."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def _stoppable(coroutine: Coroutine[Any, Any, _Answer], stop: threading.Event) -> _Answer:
    """Raises Cancelled once ``stop`` is set."""
    task = asyncio.ensure_future(coroutine)
    while not task.done():
        await asyncio.wait({task}, timeout=STOP_EVERY_S)
        if stop.is_set() and not task.done():
            task.cancel()  # closes the connection
            await asyncio.wait({task})
            raise Cancelled("The run was stopped.")
    return task.result()


async def _patiently(
    client: httpx.AsyncClient, card: ModelCard, request: ImageRequest, tell: Callable[[bool], None]
) -> _Answer:
    """The answer, asked for again after a wait where the provider wants one; ``tell``: whether it is waited now. Raises
    Refused where nothing is to be paid, else ModelError."""
    hosted, address = card.hosted, card.hosted.address()
    async with client:
        for tried in range(1, TRIES + 1):
            tell(False)
            try:
                async with asyncio.timeout(ANSWER_S):
                    begin = time.perf_counter()
                    status, headers, content = await _sent(client, hosted, address, request)
                    if status == 200:
                        found, usage = picture_of(hosted, content)
                        if isinstance(found, str):
                            found = await _fetched(client, hosted, found)
                        seconds = time.perf_counter() - begin
                        return _Answer(checked(card, request, found), seconds, usage)
            except (httpx.TimeoutException, TimeoutError):
                late = f"{hosted.provider} did not answer within {ANSWER_S:.0f} s; try again later."
                raise ModelError(late) from None
            except httpx.HTTPError:
                raise ModelError(f"{hosted.provider} broke off its answer; try again later.") from None
            if status not in BUSY or tried == TRIES:
                break
            tell(True)
            await asyncio.sleep(_wait(headers))
    raise Refused(refusal(card, status, content))


async def _sent(
    client: httpx.AsyncClient, hosted: Hosted, address: str, request: ImageRequest
) -> tuple[int, httpx.Headers, bytes]:
    headers = {"accept-encoding": "identity"}
    if hosted.key:
        headers[hosted.key_header] = f"Bearer {hosted.key}" if hosted.key_header == "Authorization" else hosted.key
    try:
        async with client.stream("POST", address, json=body(hosted, request), headers=headers) as response:
            return response.status_code, response.headers, await _read(hosted, response)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        where, told = urlsplit(address).netloc, short(str(error) or "no connection in time")
        lost = f"{hosted.provider} cannot be reached at {where} ({told}); see to its address and the network."
        raise Refused(ModelError(lost)) from None


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


async def _fetched(client: httpx.AsyncClient, hosted: Hosted, address: str) -> bytes:
    """The picture behind an address, which is another host's and is not shown the key."""
    try:
        async with client.stream("GET", address, headers={"accept-encoding": "identity"}) as response:
            if response.status_code == 200:
                return await _read(hosted, response)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):  # also what urlsplit or httpx take for no host's name
        pass
    where = short(address.split("/")[2])
    raise ModelError(f"{hosted.provider} drew a picture that cannot be fetched from {where}; see to the network.")


async def _read(hosted: Hosted, response: httpx.Response) -> bytes:
    """As it was sent: what was asked for plain is not unpacked, so that what counts is what arrived."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise no_picture(hosted)
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > ANSWER_BYTES:
            raise ModelError(f"{hosted.provider} sent more than {ANSWER_BYTES >> 20} MB; ask for a smaller size.")
    return bytes(content)


def _wait(headers: httpx.Headers) -> float:
    """Seconds that the provider asks to wait; Azure gives them in thousandths."""
    for name, share in (("retry-after-ms", 1000), ("retry-after", 1)):
        with contextlib.suppress(KeyError, ValueError):
            return min(WAIT_MOST_S, max(0.0, float(headers[name]) / share))
    return WAIT_S
