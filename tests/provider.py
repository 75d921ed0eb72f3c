"""A stand-in for a provider on loopback: answers a POST of JSON with a picture, as hosted models do; and faults."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from pipeline.catalog import Catalog
from pipeline.compare import plan
from pipeline.engine import Engine
from pipeline.events import Result, final_results
from pipeline.request import ImageRequest

KEY = "key-of-a-test"
CARDS = """
[models.grand]
name = "Grand"
summary = "The dear one."
licence = "its own"
size = {{ default = 64, min = 32, max = 64, multiple = 16 }}
reference_seconds_per_evaluation = 20
reference_device = "a guess"
[models.grand.hosted]
provider = "Someone"
endpoint = "{address}"
route = "/grand"
model = "grand-1"
key_variable = "DIPTYCH_TEST_KEY"
key_header = "api-key"
size = "width and height"
[models.grand.hosted.price]
name = "Grand"
unit = "million output tokens"
usd = 4000.0
usd_prompt = 1000.0
source = "https://example.com"
as_of = "2026-11-27"

[models.swift]
name = "Swift"
summary = "The efficient one."
licence = "its own"
size = {{ default = 64, min = 32, max = 64, multiple = 16 }}
steps = {{ default = 4, min = 1, max = 9 }}
reference_seconds_per_evaluation = 1
reference_device = "a guess"
[models.swift.hosted]
provider = "Someone"
endpoint = "{address}"
route = "/swift"
model = "swift-1"
key_variable = "DIPTYCH_TEST_KEY"
fields = {{ seed = "seed", steps = "num_inference_steps" }}
body = {{ response_format = "b64_json" }}
[models.swift.hosted.price]
name = "Swift"
unit = "image"
usd = 0.002
source = "https://example.com"
as_of = "2026-11-27"

[models.own-server]
name = "Own server"
summary = "Without a key and without a price."
licence = "its own"
size = {{ default = 64, min = 32, max = 64, multiple = 16 }}
reference_seconds_per_evaluation = 1
reference_device = "a guess"
[models.own-server.hosted]
provider = "A server of one's own"
endpoint = "{address}"
route = "/swift"
model = "swift-1"
[pairs.hosted]
name = "Grand → Swift"
question = "Does the swift one do?"
predecessor = {{ model = "grand" }}
efficient = {{ model = "swift" }}
same_path = false
"""
"""Models of the stand-in as a file of the user's own has them; ``address`` is to be filled in."""


@dataclass
class Provider:
    """``asked`` holds (path, headers, body) of every request."""

    address: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    """(status, headers, JSON or bytes) of the next answers, in turn; then pictures again."""
    connections: set[tuple[str, int]] = field(default_factory=set)
    """From where they came, one for every connection."""
    slow_s: float = 0.0
    """Before every answer."""
    usage: dict[str, Any] | None = field(default_factory=lambda: {"num_output_tokens": 5, "num_input_text_tokens": 3})

    def picture(self, body: dict[str, Any]) -> dict[str, Any]:
        """One plain colour, another for every prompt, seed and request without a seed."""
        width, height = body.get("width"), body.get("height")
        if "size" in body:
            width, height = map(int, body["size"].split("x"))
        colour = hash((body["prompt"], body.get("seed", len(self.asked)))) % 0xFFFFFF
        file = io.BytesIO()
        Image.new("RGB", (width, height), f"#{colour:06x}").save(file, "PNG")
        answer = {"created": 0, "data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}]}
        return answer | ({"usage": self.usage} if self.usage else {})


@contextmanager
def serving() -> Iterator[Provider]:
    """A provider while the block runs."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection is kept for the next request, if whoever asks wants that

        def do_POST(self) -> None:
            provider.connections.add(self.client_address)
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.asked.append((self.path, dict(self.headers), body))
            status, headers, answer = 200, {}, None
            if provider.answers:
                status, headers, answer = provider.answers.pop(0)
            time.sleep(provider.slow_s)
            answer = provider.picture(body) if answer is None else answer
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            with suppress(BrokenPipeError):  # who asked has gone
                self._send(status, headers, content)

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked_for(cards: Catalog, pair: str = "hosted", **fields: object) -> dict[str, ImageRequest]:
    """A comparison of the two hosted models of ``CARDS``, or of another pair."""
    return plan(cards, cards.pair(pair), "a red apple", **{"seed": 7, **fields})


def run(engine: Engine, *requests: ImageRequest, **how: object) -> list[Result]:
    """To the end."""
    return final_results(engine.run(list(requests), **how))
