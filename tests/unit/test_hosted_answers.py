"""What providers send back: refusals, pictures that are none, counts that cannot be, and keys that nobody may see."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image

from pipeline.backends import hosted as module
from pipeline.errors import ModelError
from pipeline.request import make_request
from tests.provider import KEY, asked_for, run


@pytest.fixture
def engine(hosted_engine):
    """In place of the usual one."""
    return hosted_engine


ERROR = {"error": {"code": "content_safety_violation", "message": "Input  violated\nthe policies."}}


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, ERROR, "Someone will not draw this with Swift (400: Input violated the policies); ask"),
        (
            401,
            {"error": {"message": f"Key {KEY} is wrong"}},
            "Someone refused the key in DIPTYCH_TEST_KEY (401: Key … is",
        ),
        (403, {}, "Someone refused the key in DIPTYCH_TEST_KEY (403); set one that may use swift-1."),
        (404, {"detail": "Not Found"}, "Someone has no swift-1 (404: Not Found); deploy it, or name another"),
        (410, b"gone", "Someone has retired swift-1 (410); deploy it, or name another"),
        (
            422,
            {"detail": [{"msg": "too small"}]},
            "Someone refused what Swift was asked for (422: too small); correct the card.",
        ),
        (402, {"error": "no credit"}, "Someone refused what Swift was asked for (402: no credit); correct the card."),
        (429, {"error": "slow down"}, "Someone is too busy for Swift (429: slow down); try again in a minute."),
        (500, {"message": "x" * 999}, f"Someone failed to draw with Swift (500: {'x' * 199}…); try again later."),
        (302, {}, "Someone sends elsewhere (302) and is not followed; correct its address."),
    ],
)
def test_a_refusal_is_one_sentence_and_costs_nothing(engine, cards, provider, spending, status, answer, said):
    provider.answers = [(status, {"retry-after": "0"}, answer)] * module.TRIES
    with pytest.raises(ModelError) as caught:
        run(engine, asked_for(cards)["efficient"])
    assert said in str(caught.value) and KEY not in str(caught.value) and "\n" not in str(caught.value)
    assert spending.spent_usd == 0
    provider.answers.clear()
    assert run(engine, asked_for(cards)["efficient"]), "and the next one is drawn"


def picture(width: int, height: int, kind: str = "PNG") -> dict:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return {"data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "answered with no picture"),
        ([], "answered with no picture"),
        ({"data": []}, "answered with no picture"),
        ({"data": [{"b64_json": "%%%"}]}, "answered with no picture"),
        ({"data": [{"url": "http://127.0.0.1/secret"}]}, "answered with no picture"),
        ({"data": [{"url": "file:///etc/passwd"}]}, "answered with no picture"),
        ({"data": [{"b64_json": base64.b64encode(b"GIF89a").decode()}]}, "answered with a damaged picture"),
        (picture(64, 64, "GIF"), "answered with a damaged picture"),
        (picture(48, 64), "answered with a picture of 48 x 64 pixels where 64 x 64 were asked for"),
    ],
)
def test_what_is_no_picture_is_said(engine, cards, provider, answer, said):
    provider.answers = [(200, {}, answer)]
    with pytest.raises(ModelError, match=said):
        run(engine, asked_for(cards)["efficient"])


def test_other_kinds_of_pictures_will_do(engine, cards, provider):
    provider.answers = [(200, {}, picture(64, 64, "JPEG")), (200, {}, picture(64, 64, "WEBP"))]
    assert [result.image.mode for result in run(engine, *asked_for(cards).values())] == ["RGB", "RGB"]


def test_an_endless_answer_is_cut_off(engine, cards, provider, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_BYTES", 1 << 20)
    provider.answers = [(200, {}, b"x" * (2 << 20))]
    with pytest.raises(ModelError, match="sent more than 1 MB"):
        run(engine, asked_for(cards)["efficient"])


def test_a_picture_behind_an_address_is_fetched_without_the_key(engine, cards, provider, spending, monkeypatch):
    seen = []
    drawn = base64.b64decode(picture(64, 64)["data"][0]["b64_json"])

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.method == "POST":
            told = json.dumps({"data": [{"url": "https://pictures.example/x.png"}]}).encode()
            return httpx.Response(200, stream=httpx.ByteStream(told))
        if len(seen) > 2:
            raise httpx.ConnectError("blocked")
        return httpx.Response(200, stream=httpx.ByteStream(drawn))

    def client(**options) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), **options)

    monkeypatch.setattr(module, "httpx", SimpleNamespace(**vars(httpx) | {"AsyncClient": client}))
    swift = make_request(cards.model("swift"), "an apple")
    [result] = run(engine, swift, use_cache=False)
    assert result.image.size == (64, 64)
    post, get = seen
    assert "authorization" in post.headers and "authorization" not in get.headers
    with pytest.raises(ModelError, match=r"drew a picture that cannot be fetched from pictures\.example"):
        run(engine, swift, use_cache=False)
    assert spending.spent_usd == pytest.approx(0.004), "drawn, so paid"


def test_what_was_asked_for_plain_is_not_unpacked(engine, cards, provider):
    provider.answers = [(200, {"content-encoding": "br"}, b"\x00" * 900)]
    with pytest.raises(ModelError, match="answered with no picture"):
        run(engine, make_request(cards.model("swift"), "an apple"))


@pytest.mark.parametrize("usage", [{"num_output_tokens": 10**12}, {"num_output_tokens": 10**400}])
def test_a_count_that_cannot_be_is_none(engine, cards, provider, spending, usage):
    provider.usage = usage
    run(engine, make_request(cards.model("grand"), "an apple"))
    assert spending.spent_usd == pytest.approx(64 * 64 / 1024 * 4000 / 1e6)


def test_a_key_that_no_header_can_carry_is_told_and_nothing_is_asked(engine, cards, provider, monkeypatch):
    monkeypatch.setenv("DIPTYCH_TEST_KEY", "gehe\nim")
    with pytest.raises(ModelError, match="key in DIPTYCH_TEST_KEY has a character") as caught:
        run(engine, make_request(cards.model("swift"), "an apple"))
    assert "gehe" not in str(caught.value) and not provider.asked


def test_no_proxy_sees_the_key_that_goes_to_this_machine(engine, cards, provider, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run(engine, make_request(cards.model("swift"), "an apple"))
