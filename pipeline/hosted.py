"""Models that a provider draws: how it is asked, what it wants for a picture, and what is known of one afterwards.

Plain data; nothing is sent from here (see backends/hosted.py), and a new provider is data too, as long as it answers a
POST of JSON with a picture, as the images endpoint of OpenAI does and most others after it.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pipeline.errors import ModelError
from pipeline.network import offline, on_this_machine
from pipeline.tables import Data

if TYPE_CHECKING:
    from pipeline.request import ImageRequest

KEY = re.compile(r"[!-~]+")
"""What a header can carry."""
HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
"""What one can be called (RFC 9110)."""
PROMPT_TOKENS_MORE = 20
"""At most, that a provider puts round a prompt and counts with it; a guess, several times what is seen."""

Taken = Literal["seed", "steps", "guidance", "negative_prompt"]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class HostedPrice(Data):
    """What a provider asks for one picture, by its price list."""

    name: str
    unit: Literal["image", "megapixel", "million output tokens"]
    usd: Dollars
    usd_further: Dollars | None = None
    """Where the first megapixel costs ``usd``: what every further one costs; None where all cost the same."""
    usd_prompt: Dollars | None = None
    """For a million tokens of the prompt, on top; None where the prompt costs nothing."""
    source: str
    as_of: str
    note: str = ""


class HostedCall(Data):
    """What is known of one picture that a provider draws."""

    provider: str
    takes: tuple[Taken, ...]
    """Of a request; the provider decides about the others, and without a seed every call gives another picture."""
    width: int
    height: int
    price: HostedPrice | None
    """None where no price is known."""
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    """As the provider counted them; None before, and where it does not say."""
    cut_short: str | None = None
    """How many runs were made of those that were asked for, and why no more; None where all were."""


class Hosted(Data):
    """How a provider is asked for a picture with one of its models."""

    provider: str
    """Who draws, as a person would write it."""
    endpoint: str | None = None
    """Address that ``route`` is put behind; None where everybody has their own."""
    endpoint_variable: Variable | None = None
    """Environment variable with an address to take instead."""
    route: str = "/images/generations"
    model: str
    """What the provider calls the model, or the user's deployment of it."""
    key_variable: Variable | None = None
    """Environment variable with the key; None where none is asked for."""
    key_header: Annotated[str, Field(pattern=HEADER)] = "Authorization"
    """In which the key goes: in this one after the word Bearer, in any other alone."""
    size: Literal["size", "width and height"] = "size"
    """Whether the size goes as one text, 1024x1024, or as two numbers."""
    fields: dict[Taken, str] = Field(default_factory=dict)
    """What the provider takes of a request, and how it calls it."""
    body: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further fields, the same for every request."""
    price: HostedPrice | str | None = None
    """The price, or the name of one in assets/prices.toml, which :func:`pipeline.catalog.load_catalog` looks up."""

    @model_validator(mode="after")
    def _can_be_limited(self) -> Hosted:
        if self.key_variable and self.price is None:
            raise ValueError("where a key is asked for a price is needed, or what is spent cannot be limited")
        return self

    def call(self, width: int, height: int) -> HostedCall:
        """What is known of a picture of this size before it is drawn."""
        return HostedCall(
            provider=self.provider, takes=tuple(self.fields), width=width, height=height, price=self.price
        )

    def dearest(self, request: ImageRequest) -> HostedCall:
        """The same of a request with as many tokens as its words can have, for whoever must know what it costs at most.
        A token has at least one byte."""
        words = request.prompt + request.negative_prompt
        most = len(words.encode(errors="surrogatepass")) + PROMPT_TOKENS_MORE
        return self.call(request.width, request.height).model_copy(update={"prompt_tokens": most})

    def why_not(self) -> str | None:
        """Why it cannot be asked from here, as far as this process's environment tells; None where it can."""
        if offline():
            return f"{self.provider} draws it, and Diptych was started offline."
        wanted = [None if self.endpoint else self.endpoint_variable, self.key_variable]
        missing = [name for name in wanted if name and not os.environ.get(name)]
        if missing:
            return f"{self.provider} draws it; set {' and '.join(missing)} in the environment and start Diptych anew."
        if self.key_variable and not KEY.fullmatch(self.key):
            return f"The key in {self.key_variable} has a character that none has, such as a line break; set it anew."
        try:
            self.address()
        except ModelError as error:
            return str(error)
        return None

    @property
    def key(self) -> str:
        """Empty where none is asked for."""
        return os.environ.get(self.key_variable, "").strip() if self.key_variable else ""

    @property
    def place(self) -> str:
        """The host that is asked, and which variable's key it is given, for whoever wants to know before asking."""
        with contextlib.suppress(ModelError):
            key = f", key in {self.key_variable}" if self.key_variable else ", without a key"
            return f"{urlsplit(self.address()).netloc}{key}"
        return f"address in {self.endpoint_variable}" if self.endpoint_variable else "no address"

    def address(self) -> str:
        """The whole address that is asked. Raises ModelError if it is none, or would show the key to the network."""
        base = ((self.endpoint_variable and os.environ.get(self.endpoint_variable)) or self.endpoint or "").strip()
        try:
            parts = urlsplit(base)
            host, _ = parts.hostname or "", parts.port  # a port that is none raises, too
        except ValueError:
            parts, host = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
            raise self.wrong_address()
        if parts.scheme == "http" and self.key_variable and not on_this_machine(base):
            raise ModelError(
                f"{self.provider} wants a key, which is never sent over plain http; give an https address."
            )
        return base.rstrip("/") + self.route

    def wrong_address(self) -> ModelError:
        """That it is none."""
        whence = self.endpoint_variable or "endpoint"
        return ModelError(
            f"{whence} must be the address of {self.provider} and no more, such as https://example.com; correct it."
        )
