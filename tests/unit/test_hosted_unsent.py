"""What keeps a hosted picture from being asked for at all: it costs nothing, and is told by what is to be done."""

from __future__ import annotations

import os
import threading

import httpx
import pytest

from pipeline.backends import How
from pipeline.backends import hosted as module
from pipeline.backends.hosted import HostedBackend
from pipeline.catalog import load_catalog
from pipeline.errors import ModelError, PlaygroundError
from pipeline.network import offline, tell_hub
from pipeline.request import make_request
from tests.fakes import CATALOG
from tests.provider import CARDS


@pytest.fixture
def draw(cards, spending):
    """One picture by Swift at an address where nobody is, whatever is asked of it before."""

    def make(address: str = "https://nobody.invalid") -> None:
        there = cards.model("swift").hosted.model_copy(update={"endpoint": address})
        card = cards.model("swift").model_copy(update={"hosted": there})
        request = make_request(card, "an apple")
        HostedBackend(spending).make(card, request, How(), lambda *_: None, threading.Event())

    return make


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HTTPS_PROXY", "socks5://127.0.0.1:9", "through a SOCKS proxy without the package socksio; install that, or"),
        ("ALL_PROXY", "foo://127.0.0.1:9", "as a proxy's address is wrong; correct or unset HTTPS_PROXY, HTTP_PROXY"),
        ("HTTPS_PROXY", "http://me:sec/ret@proxy:1", "as a proxy's address is wrong"),
        ("SSL_CERT_FILE", "/nonexistent.pem", r"certificates cannot be read \(No such file or directory\); correct or"),
        ("SSL_CERT_FILE", __file__, "certificates cannot be read"),
        ("HTTPS_PROXY", "http://127.0.0.1:9", "cannot be reached at nobody.invalid"),
    ],
)
def test_a_wrong_proxy_or_certificate_costs_nothing(draw, spending, monkeypatch, variable, value, said):
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ModelError, match=said) as caught:
        draw()
    assert spending.spent_usd == 0 and "\n" not in str(caught.value) and "sec" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://example.com:443x", "https://a\x01b", "https://xn--a.example", "https://☃\u200d.example"]
)
def test_an_address_that_is_none_costs_nothing(draw, spending, address):
    with pytest.raises(ModelError, match="endpoint must be the address of Someone and no more"):
        draw(address)
    assert spending.spent_usd == 0


def test_a_proxy_that_lets_nothing_through_costs_nothing(draw, spending, monkeypatch):
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ProxyError("407 Proxy Authentication Required")

    client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    monkeypatch.setattr(module, "_client", lambda hosted: client)
    with pytest.raises(ModelError, match=r"cannot be reached at nobody\.invalid \(407 Proxy Auth"):
        draw()
    assert spending.spent_usd == 0


@pytest.mark.parametrize("address", ["https://[", "https://" + "a" * 70 + "..x/picture.png", "https://xn--a.example"])
def test_a_picture_behind_an_address_that_is_none_is_paid_and_told(draw, spending, monkeypatch, address):
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b'{"data": [{"url": "%s"}]}' % address.encode()))

    client = httpx.AsyncClient(mounts={"https://nobody.invalid": httpx.MockTransport(answer)})
    monkeypatch.setattr(module, "_client", lambda hosted: client)
    with pytest.raises(ModelError, match="Someone drew a picture that cannot be fetched from"):
        draw()
    assert spending.spent_usd == pytest.approx(0.002)


def test_what_no_header_can_be_called_is_a_wrong_card(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(CATALOG + CARDS.format(address="https://x.example").replace('"api-key"', '"api key"'), "utf-8")
    with pytest.raises(PlaygroundError, match=r"hosted\.key_header"):
        load_catalog(path)


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, False), *[(no, False) for no in ("", " ", "0", "false", "No", "OFF")], ("1", True), ("yes", True)],
)
def test_what_reads_as_a_no_is_not_offline(cards, monkeypatch, value, told):
    if value is None:
        monkeypatch.delenv("DIPTYCH_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("DIPTYCH_OFFLINE", value)
    assert offline() is told
    assert bool(cards.model("swift").hosted.why_not()) is told
    monkeypatch.delenv("HF_HUB_OFFLINE")
    tell_hub()
    assert ("HF_HUB_OFFLINE" in os.environ) is told
