"""Prompt embeddings are reused with their time, unless that was not the model's."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import embeddings
from pipeline.backends.embeddings import Embeddings, Text
from tests.fakes import CountingBackend


def text(words: str, encoder: str = "one") -> Text:
    return Text((encoder,), "float32", "Pipeline", "[]", False, words)


def test_a_time_far_above_the_usual_is_not_charged_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embeddings, "DISTURBED", 3)
    made = Embeddings()
    made.put(text("busy"), (np.zeros(2), None), 0.9)
    assert made.get(text("busy"))[1] == 0.9, "nobody knows yet what is usual"
    for words in ("x" * 300, "a"):  # a long one may take long
        made.put(text(words), (np.zeros(2), None), 0.004 * len(words))
    made.put(text("always busy"), (np.zeros(2), None), 0.8)
    made.put(text("other"), (np.zeros(2), None), 0.9)
    made.put(text("slow", "large"), (np.zeros(2), None), 0.9)
    made.put(text("c"), (np.zeros(2), None), 0.011)
    assert made.get(text("busy")) is None and made.get(text("other")) is None
    assert made.get(text("c"))[1] == 0.011 and made.get(text("slow", "large"))[1] == 0.9
    assert made.get(text("x" * 300))[1] == 1.2 and made.get(text("always busy")) is None
    made.put(text("busy"), (np.ones(2), None), 0.005)
    assert made.get(text("busy"))[0][0].tolist() == [1, 1] and made.get(text("busy"))[1] == 0.005
    made.clear()
    assert made.get(text("c")) is None


@pytest.mark.parametrize(
    ("how", "reuse"), [({}, True), ({"use_cache": False}, False), ({"repeat": 2}, False), ({"throughput": True}, False)]
)
def test_who_wants_it_anew_has_the_prompt_encoded_anew_too(
    engine, requests, backend: CountingBackend, monkeypatch, how, reuse
):
    make, asked = backend.make, []
    monkeypatch.setattr(backend, "make", lambda *args: asked.append(args[2].reuse) or make(*args))
    list(engine.run(requests, **how))
    assert asked[0] is reuse
