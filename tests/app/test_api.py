"""The named endpoints, as a program meets them: documents, files, limits, stop, several visitors at once."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from pipeline import imagefile
from pipeline.engine import Engine
from pipeline.history import History
from pipeline.recipe import request_from_recipe
from pipeline.ui import api
from pipeline.ui.pace import SETTLE_S
from tests.fakes import CountingBackend, draw

LANE = {
    "role", "model", "image", "steps", "guidance", "model_evaluations", "seconds", "runs", "warm", "cache",
    "cost_usd", "peak_memory_bytes",
}  # fmt: skip
COMPARISON = {
    "prompt", "negative_prompt", "seed", "width", "height", "pair", "device", "price", "lanes", "speedup", "saving",
    "fidelity",
}  # fmt: skip


@pytest.fixture
def url(serve, engine: Engine) -> str:
    return serve(engine)


@pytest.fixture
def client(url: str, tmp_path: Path) -> Client:
    return Client(url, verbose=False, download_files=tmp_path / "downloads")


@pytest.fixture(scope="module")
def shared(shared_page, tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, CountingBackend]:
    url, backend = shared_page
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads")), backend


def test_compare_answers_with_the_contract_and_two_pictures(client: Client):
    document = client.predict("a fox", seed=7, api_name="/compare")
    assert document.keys() >= COMPARISON
    assert [lane["role"] for lane in document["lanes"]] == ["predecessor", "efficient"]
    for lane in document["lanes"]:
        assert lane.keys() >= LANE
        assert lane["seconds"].keys() == {"wait", "load", "encode", "denoise", "decode", "total"}
        picture, recipe = imagefile.read(Path(lane["image"]))
        request = request_from_recipe(recipe)
        assert (request.prompt, request.seed, request.model) == ("a fox", 7, lane["model"])
        assert list(picture.get_flattened_data()) == list(draw(request).get_flattened_data())
    assert document["speedup"] == pytest.approx(
        document["lanes"][0]["seconds"]["total"] / document["lanes"][1]["seconds"]["total"]
    )


def test_what_is_drawn_quickly_is_drawn_once_the_call_is_handed_over(client: Client, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(api, "time", SimpleNamespace(sleep=slept.append))
    client.predict("a fox", seed=7, api_name="/compare")
    assert slept == [], "nobody knows yet that it is quick"
    client.predict("a fox", seed=8, api_name="/compare")
    client.predict("a fox", model="old", seed=9, api_name="/generate")
    assert slept == [SETTLE_S] * 2
    client.predict("a fox", seed=8, api_name="/compare")
    assert slept == [SETTLE_S] * 2, "out of the cache"


def test_throughput_is_measured_when_asked_for(client: Client):
    document = client.predict("a fox", seed=7, throughput=True, api_name="/compare")
    assert [lane["throughput"]["batch"] for lane in document["lanes"]] == [4, 4]
    assert document["throughput_gain"] > 0 < document["speedup"]


def test_a_cached_comparison_says_so_and_claims_no_speed_up(client: Client, backend: CountingBackend):
    first = client.predict("a fox", seed=7, api_name="/compare")
    again = client.predict("a fox", seed=7, api_name="/compare")
    assert [lane["cache"] for lane in again["lanes"]] == ["hit", "hit"]
    assert again["speedup"] is None and again["saving"] is None
    assert [lane["seconds"] for lane in again["lanes"]] == [lane["seconds"] for lane in first["lanes"]]
    assert len(backend.made) == 2
    fresh = client.predict("a fox", seed=7, use_cache=False, api_name="/compare")
    assert [lane["cache"] for lane in fresh["lanes"]] == ["miss", "miss"] and fresh["speedup"]
    alone = [
        client.predict("a fox", "new", seed=7, use_cache=use, api_name="/generate")["cache"] for use in (True, False)
    ]
    assert alone == ["hit", "miss"]


def test_generate_models_and_estimate_answer(client: Client, catalog):
    made = client.predict("a fox", "new", seed=1, api_name="/generate")
    assert Image.open(made["image"]).size == (32, 32) and made["model"] == "new" and made["cost_usd"] > 0
    said = client.predict(api_name="/models")
    assert [model["id"] for model in said["models"]] == list(catalog.models)
    assert [pair["id"] for pair in said["pairs"]] == list(catalog.pairs)
    before = client.predict(repeat=3, price="2", api_name="/estimate")
    assert before["seconds"] == pytest.approx(3 * sum(lane["seconds"] for lane in before["lanes"]))
    assert before["cost_usd"] == pytest.approx(before["seconds"] * 2 / 3600)


@pytest.mark.parametrize(
    ("endpoint", "given", "field"),
    [
        ("/compare", {"prompt": ""}, "prompt"),
        ("/compare", {"prompt": "x" * 10_000}, "prompt"),
        ("/compare", {"prompt": ["a"]}, "prompt"),
        ("/compare", {"prompt": "a", "width": 33}, "width"),
        ("/compare", {"prompt": "a", "height": "tall"}, "height"),
        ("/compare", {"prompt": "a", "seed": 2**64}, "seed"),
        ("/compare", {"prompt": "a", "seed": True}, "seed"),
        ("/compare", {"prompt": "a", "predecessor_steps": -1}, "steps"),
        ("/compare", {"prompt": "a", "efficient_steps": 10**30}, "steps"),
        ("/compare", {"prompt": "a", "predecessor_guidance": "nan"}, "guidance"),
        ("/compare", {"prompt": "a", "repeat": 0}, "repeat"),
        ("/compare", {"prompt": "a", "throughput": "yes"}, "throughput"),
        ("/compare", {"prompt": "a", "use_cache": "no"}, "use_cache"),
        ("/compare", {"prompt": "a", "pair": "none"}, "pair"),
        ("/compare", {"prompt": "a", "price": "gold"}, "price"),
        ("/compare", {"prompt": "a", "run": ""}, "run"),
        ("/compare", {"prompt": "a", "run": 5}, "run"),
        ("/compare", {"prompt": "a", "efficient_switches": [["compile"]]}, "switches"),
        ("/stop", {"run": ["x"]}, "run"),
        ("/generate", {"prompt": "a", "model": "../../etc/passwd"}, "model"),
        ("/estimate", {"pair": {"a": 1}}, "pair"),
        ("/estimate", {"repeat": 10**9}, "repeat"),
    ],
)
def test_bad_input_is_one_sentence_and_runs_nothing(shared, endpoint, given, field):
    client, backend = shared
    made = len(backend.made)
    with pytest.raises(AppError) as caught:
        client.predict(**given, api_name=endpoint)
    said = str(caught.value)
    assert said.startswith(f"{field} ") and said.count("\n") == 0 and len(said) < 400, said
    assert len(backend.made) == made
    assert client.predict("fine", seed=1, use_cache=False, api_name="/compare")["speedup"]


def test_stop_stops_my_run_and_nobody_elses(url: str, engine: Engine, backend: CountingBackend, tmp_path: Path):
    backend.gate.clear()
    mine, other = (Client(url, verbose=False, download_files=tmp_path / name) for name in ("mine", "other"))
    job = mine.submit("slow", seed=1, api_name="/compare")
    wait_for(lambda: backend.served)
    assert other.predict(api_name="/stop") == {"stopped": 0}
    assert mine.predict(api_name="/stop") == {"stopped": 1}
    with pytest.raises(AppError, match="stopped"):
        job.result(timeout=20)
    assert engine.idle(5)
    assert backend.made == []


def test_a_cancelled_call_gives_the_device_back(url: str, engine: Engine, backend: CountingBackend, tmp_path: Path):
    backend.gate.clear()
    client = Client(url, verbose=False, download_files=tmp_path)
    job = client.submit("slow", predecessor_steps=50, api_name="/compare")
    # The device may be at work before the client has heard its call's id, without which it cannot cancel.
    wait_for(lambda: backend.served and job.communicator.event_id)
    job.cancel()
    assert engine.idle(10)
    assert not [request for request in backend.made if request.model == "old"]


def test_a_named_run_is_stopped_by_its_name_from_anywhere(url: str, engine: Engine, backend: CountingBackend, tmp_path):
    backend.gate.clear()
    mine, other = (Client(url, verbose=False, download_files=tmp_path / name) for name in ("mine", "other"))
    job = mine.submit("slow", predecessor_steps=50, run="a name hard to guess", api_name="/compare")
    wait_for(lambda: backend.served)
    assert other.predict(run="another name", api_name="/stop") == {"stopped": 0}
    assert other.predict(run="a name hard to guess", api_name="/stop") == {"stopped": 1}
    with pytest.raises(AppError, match="stopped"):
        job.result(timeout=20)
    assert engine.idle(5)


def test_visitors_who_come_cancel_and_come_again_never_share_the_device(
    url: str, engine: Engine, backend: CountingBackend, tmp_path: Path
):
    backend.step_s = 0.05
    clients = [Client(url, verbose=False, download_files=tmp_path / str(i)) for i in range(4)]

    def visit(i: int) -> None:
        for turn in range(2):
            job = clients[i].submit(f"visitor {i}, turn {turn}", seed=i, api_name="/compare")
            if (i + turn) % 2:
                time.sleep(0.15)
                job.cancel()
            else:
                job.result(timeout=60)

    visitors = [threading.Thread(target=visit, args=(i,)) for i in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert engine.idle(20)
    assert backend.peak == 1
    finished = {request.prompt for request in backend.made}
    assert finished >= {f"visitor {i}, turn {i % 2}" for i in range(4)}


def test_a_failing_model_costs_the_next_visitor_nothing(client: Client, backend: CountingBackend):
    backend.fail = RuntimeError("a secret path: /home/somebody/weights")
    with pytest.raises(AppError) as caught:
        client.predict("a fox", seed=7, api_name="/compare")
    assert "secret" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert client.predict("a fox", seed=7, api_name="/compare")["speedup"]


def test_the_tools_for_agents_are_the_same_five(shared_page):
    url, _ = shared_page
    schema = httpx.get(f"{url}gradio_api/info", timeout=30).json()
    assert set(schema["named_endpoints"]) == {"/compare", "/generate", "/estimate", "/models", "/stop"}
    assert json.dumps(schema).count("lambda") == 0


def test_what_a_program_makes_is_kept_as_nobodys_on_a_page_of_this_machine_only(client: Client, tmp_path: Path):
    said = client.predict("a fox", seed=7, api_name="/compare")
    client.predict("a cat", "new", seed=1, api_name="/generate")
    picture, comparison = History(tmp_path / "history").find("")
    assert (picture.kind, picture.owner, comparison.kind, comparison.owner) == ("picture", "", "comparison", "")
    assert comparison.document["speedup"] == said["speedup"] and sorted(comparison.files) == [0, 1]


def wait_for(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_more_than_a_picture_is_not_taken(shared_page):
    url, _ = shared_page
    answers = [
        httpx.post(f"{url}gradio_api/upload", files={"files": ("a.png", b"x" * size)}, timeout=30)
        for size in (1000, 12 * 1024**2)
    ]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert answers[1].text == "One file of at most 10 MB can be uploaded at a time."
