"""A model of the Hub on the page: not there, half there, there, with the same page running all the while."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from pipeline.backends.local import LocalBackend
from pipeline.cards import ASSETS
from pipeline.catalog import load_catalog
from pipeline.engine import Engine
from tests.hub import CARD, REPO, Faults, Hub


def test_the_page_says_what_is_missing_and_runs_once_it_is_there(serve, checkpoint, tmp_path: Path, monkeypatch):
    # Read from the environment when it is imported, which may be long ago.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    with Hub().running() as hub:
        commit, *_ = hub.add(REPO, checkpoint("StableDiffusionPipeline"))
        own = tmp_path / "my.toml"
        own.write_text(CARD.format(revision=commit))
        client = Client(serve(Engine(load_catalog(more=own), LocalBackend())), verbose=False)

        def fetch() -> int:
            command = [sys.executable, "-m", "pipeline", "download", "tiny", "--model-file", str(own)]
            return subprocess.run(command, cwd=ASSETS.parent, env=hub.environment(tmp_path)).returncode

        def not_there() -> None:
            with pytest.raises(AppError, match=r"Tiny is not on this machine yet.*python -m pipeline download tiny"):
                client.predict("a fox", pair="tiny:tiny", api_name="/compare")
            (told,) = [model for model in client.predict(api_name="/models")["models"] if model["id"] == "tiny"]
            assert not told["runs_here"] and not told["downloaded"]

        not_there()
        hub.faults.missing = {"diffusion_pytorch_model.safetensors"}
        assert fetch() == 2
        not_there()
        hub.faults = Faults()
        assert fetch() == 0
        document = client.predict("a fox", pair="tiny:tiny", api_name="/compare")
        assert [lane["model"] for lane in document["lanes"]] == ["tiny", "tiny"]
