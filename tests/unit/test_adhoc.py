"""A model that is in no catalogue: what its folder says, what one of its class in the catalogue says, and the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.adhoc import catalog_with
from pipeline.backends import How
from pipeline.backends.local import LocalBackend
from pipeline.bench.random_weights import part_bytes
from pipeline.catalog import load_catalog
from pipeline.errors import ModelError
from pipeline.request import make_request
from pipeline.weights import NotDownloaded

SHIPPED = load_catalog()


@pytest.fixture(scope="module")
def flux(checkpoint) -> Path:
    return checkpoint("FluxPipeline")


def test_a_folder_of_a_known_class_begins_with_what_that_class_wants(flux):
    card = catalog_with(SHIPPED, str(flux)).model(str(flux))
    like = SHIPPED.model("flux1-dev")
    assert (card.steps.default, card.guidance.default, card.size.default) == (28, 3.5, 1024)
    assert (card.dtypes, card.negative_prompt, card.size.multiple) == (like.dtypes, False, 16)
    assert (card.steps.min, card.steps.max, card.size.min, card.size.max) == (1, 200, 16, 2048)
    assert card.evaluations(28, 3.5) == 28, "guidance is an input of this network, not a second evaluation"
    request = make_request(card, "a red apple", steps=2, width=32, height=32)
    made = LocalBackend().make(card, request, How(), lambda *_: None, threading.Event())
    assert made.image.size == (32, 32)


def test_bytes_are_those_in_the_first_type_whatever_the_files_hold(flux, tmp_path):
    """These hold float32, twice as much."""
    needed = part_bytes("FluxPipeline", "tiny", "bfloat16")
    card = catalog_with(SHIPPED, str(flux)).model(str(flux))
    assert card.dtypes[0] == "bfloat16"
    assert card.part_bytes == needed and card.weight_bytes == card.bytes_as("bfloat16") == sum(needed.values())
    folder = shutil.copytree(flux, tmp_path / "halved")
    for file in folder.glob("*/*.safetensors"):
        tensors = load_file(file)
        save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, file, {"format": "pt"})
    assert catalog_with(SHIPPED, str(folder)).model(str(folder)).part_bytes == needed


def test_of_several_variants_the_plain_one_counts(flux, tmp_path):
    folder = shutil.copytree(flux, tmp_path / "own")
    for file in list(folder.glob("*/*.safetensors")):
        shutil.copyfile(file, file.with_suffix(".fp16.safetensors"))
    [file] = (folder / "vae").glob("*model.safetensors")
    for shard in ("model-00001-of-00002", "model-00002-of-00002", "model.fp16-00002-of-00002"):
        shutil.copyfile(file, file.with_name(f"{shard}.safetensors"))
    file.unlink()
    needed = part_bytes("FluxPipeline", "tiny", "bfloat16")
    needed["vae"] *= 2
    assert catalog_with(SHIPPED, str(folder)).model(str(folder)).part_bytes == needed


def test_what_a_folder_is_called_tells_no_path(flux, tmp_path, monkeypatch):
    """A picture's recipe names its model, and a path whoever has it at home."""
    home = tmp_path / "Jane Doe"
    folder = home / "My, own: model"
    shutil.copytree(flux, folder)
    (home / "link").symlink_to(folder)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(folder)
    (home / "empty").mkdir()
    found = []
    for given in (str(folder), "~/My, own: model", ".", "../empty/../My, own: model", f"{folder}/"):
        catalog = catalog_with(SHIPPED, given)
        found.append(catalog.model(given))
        assert catalog.model(found[-1].id) is found[-1]
    card = found[0]
    assert re.fullmatch(r"my-own-model-[0-9a-f]{8}", card.id) and card.name == "My, own: model"
    assert found == [card] * 5
    request = make_request(card, "a red apple", steps=1, width=32, height=32)
    assert request.model == card.id and "Jane" not in request.model_dump_json()
    link = catalog_with(SHIPPED, "~/link").model("~/link")
    assert (link.name, link.id[:5]) == ("link", "link-") and link.id[5:] != card.id[-8:]


def test_weights_that_change_on_the_disk_are_others_as_soon_as_they_are_read(flux, tmp_path):
    folder = shutil.copytree(flux, tmp_path / "own")
    card = catalog_with(SHIPPED, str(folder)).model(str(folder))
    backend, request = LocalBackend(), make_request(card, "a red apple", steps=1, width=32, height=32)
    backend.resident(card, request)
    before = backend.identity(card)
    os.utime(next(folder.glob("transformer/*.safetensors")), (1, 1))
    backend.resident(card, request)
    assert backend.identity(card) == before, "in memory are the old ones"
    backend.residency.evict_all()
    backend.resident(card, request)
    assert backend.identity(card) != before


def test_a_folder_of_an_unknown_class_forbids_nothing(flux, tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "some.safetensors").write_bytes(b"x" * 10)
    (tmp_path / "loose.safetensors").write_bytes(b"x" * 1000)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "NobodysPipeline"}))
    card = catalog_with(SHIPPED, str(tmp_path)).model(str(tmp_path))
    assert (card.pipeline, card.weight_bytes, card.part_bytes) == ("NobodysPipeline", 10, {"unet": 10})
    assert (card.steps.default, card.guidance.default, card.dtypes) == (20, 1.0, ("bfloat16", "float32"))


def test_what_is_no_pipeline_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"has no readable model_index\.json; a pipeline in diffusers' layout"):
        catalog_with(SHIPPED, str(tmp_path))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(ModelError, match="has no safetensors files, and other weights are not read"):
        catalog_with(SHIPPED, str(tmp_path))


def test_a_hub_id_that_is_not_here_names_the_command_and_a_known_id_stays_as_it_is():
    with pytest.raises(NotDownloaded, match=r"python -m pipeline download someone/nothing$"):
        catalog_with(SHIPPED, "someone/nothing")
    assert catalog_with(SHIPPED, "sdxl") is SHIPPED
    assert catalog_with(SHIPPED, "no such model") is SHIPPED


@pytest.mark.parametrize("name", ["./my-model", "../sd-turbo", "models/my--model", "a/b/c", "/nowhere"])
def test_a_mistyped_folder_is_no_hub_id(name):
    with pytest.raises(ModelError, match=f"There is no folder {name}"):
        catalog_with(load_catalog(), name)
