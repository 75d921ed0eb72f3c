"""Models that a provider draws: how it is asked, what it wants for a picture, and what is known of one afterwards.

Plain data; nothing is sent from here (see backends/hosted.py), and a new provider is data too, as long as it answers a
POST of JSON with a picture, as the images endpoint of OpenAI does and most others after it.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import ModelError

OFFLINE = "DIPTYCH_OFFLINE"
"""Set where nothing may be asked of the network."""

Taken = Literal["seed", "steps", "guidance", "negative_prompt"]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HostedPrice(_Data):
    """What a provider asks for one picture, by its price list."""

    name: str
    unit: Literal["image", "megapixel", "million output tokens"]
    usd: float
    usd_further: float | None = None
    """Where the first megapixel costs ``usd``: what every further one costs; None where all cost the same."""
    usd_prompt: float | None = None
    """For a million tokens of the prompt, on top; None where the prompt costs nothing."""
    source: str
    as_of: str
    note: str = ""


class HostedCall(_Data):
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


class Hosted(_Data):
    """How a provider is asked for a picture with one of its models."""

    provider: str
    """Who draws, as a person would write it."""
    endpoint: str | None = None
    """Address that ``route`` is put behind; None where everybody has his own."""
    endpoint_variable: Variable | None = None
    """Environment variable with an address to take instead."""
    route: str = "/images/generations"
    model: str
    """What the provider calls the model, or the user's deployment of it."""
    key_variable: Variable | None = None
    """Environment variable with the key; None where none is asked for."""
    key_header: str = "Authorization"
    """In which the key goes: in this one after the word Bearer, in any other alone."""
    size: Literal["size", "width and height"] = "size"
    """Whether the size goes as one text, 1024x1024, or as two numbers."""
    fields: dict[Taken, str] = Field(default_factory=dict)
    """What the provider takes of a request, and how it calls it."""
    body: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further fields, the same for every request."""
    price: HostedPrice | str | None = None
    """The price, or the name of one in assets/prices.toml, which :func:`pipeline.catalog.load_catalog` looks up."""

    def call(self, width: int, height: int) -> HostedCall:
        """What is known of a picture of this size before it is drawn."""
        return HostedCall(
            provider=self.provider, takes=tuple(self.fields), width=width, height=height, price=self.price
        )

    def why_not(self) -> str | None:
        """Why it cannot be asked from here, as far as this process's environment tells; None where it can."""
        if os.environ.get(OFFLINE):
            return f"It is drawn by {self.provider}, and Diptych was started offline."
        wanted = [None if self.endpoint else self.endpoint_variable, self.key_variable]
        missing = [name for name in wanted if name and not os.environ.get(name)]
        if missing:
            return f"It is drawn by {self.provider}; set {' and '.join(missing)} in the environment."
        try:
            self.address()
        except ModelError as error:
            return str(error)
        return None

    def address(self) -> str:
        """The whole address that is asked. Raises ModelError if it is none, or would show the key to the network."""
        base = (self.endpoint_variable and os.environ.get(self.endpoint_variable)) or self.endpoint or ""
        try:
            parts = urlsplit(base)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not host:
            whence = f"{self.endpoint_variable} must be" if self.endpoint_variable else "endpoint must be"
            raise ModelError(f"{whence} the address of {self.provider}, such as https://example.com; correct it.")
        if parts.scheme == "http" and self.key_variable and not _loopback(host):
            raise ModelError(
                f"{self.provider} wants a key, which is never sent over plain http; give an https address."
            )
        return base.rstrip("/") + self.route


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
