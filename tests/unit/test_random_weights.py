"""Random checkpoints: as large as the catalogue says, shared on the disk as in memory, and known by a model file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.bench import random_weights
from pipeline.bench.architectures import ARCHITECTURES
from pipeline.bench.random_weights import build, part_bytes
from pipeline.catalog import load_catalog
from pipeline.errors import InputError

SHIPPED = load_catalog()
FULL = [card for card in SHIPPED.models.values() if card.repo and ARCHITECTURES[card.pipeline].has("full")]


def test_the_models_of_the_real_benches_have_a_full_size():
    assert {card.id for card in FULL} >= {
        "flux2-klein-base-4b", "flux2-klein-4b", "z-image", "z-image-turbo", "sdxl", "sdxl-lightning", "sana-1.6b",
        "sana-sprint-1.6b", "sd-2.1", "sd-turbo",
    }  # fmt: skip


@pytest.mark.parametrize("card", FULL, ids=lambda card: card.id)
def test_a_full_size_has_the_bytes_of_the_catalogue_in_every_part(card):
    found = part_bytes(card.pipeline, "full", card.dtypes[0])
    assert found.keys() == card.part_bytes.keys()
    assert sum(found.values()) == pytest.approx(card.weight_bytes, rel=0.005)
    for name, size in card.part_bytes.items():
        assert found[name] == pytest.approx(size, rel=0.02), name


def test_every_full_size_says_where_it_was_read():
    parts = [part for card in FULL for part in ARCHITECTURES[card.pipeline].parts.values()]
    assert all(part.source for part in parts if part.kind.startswith(("Auto", "CLIP", "Gemma", "Qwen", "Flux2T", "U")))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("random")
    assert random_weights.main(["flux2-klein", str(out), "--tiny"]) == 0
    return out


def test_the_model_file_knows_both_models_and_the_pair(out):
    catalog = load_catalog(more=out / "flux2-klein.toml")
    pair = catalog.pair("random-flux2-klein")
    old, new = (catalog.model(lane.model) for lane in (pair.predecessor, pair.efficient))
    assert (old.folder, new.folder) == (out / "random-flux2-klein-base-4b", out / "random-flux2-klein-4b")
    assert old.steps == SHIPPED.model("flux2-klein-base-4b").steps
    assert old.shared == new.shared
    assert not set(old.shared.values()) & set(SHIPPED.model("flux2-klein-4b").shared.values())
    assert old.weight_bytes == sum(old.part_bytes.values())
    assert old.cpu


def test_what_both_models_share_lies_on_the_disk_once(out):
    old, new = (out / f"random-flux2-klein-{name}" for name in ("base-4b", "4b"))
    for name, same in (("text_encoder", True), ("vae", True), ("transformer", False)):
        [left], [right] = ((folder / name).glob("*.safetensors") for folder in (old, new))
        assert left.samefile(right) == same
        assert (left.read_bytes() == right.read_bytes()) == same
    assert '"is_distilled": false' in (old / "model_index.json").read_text()
    assert '"is_distilled": true' in (new / "model_index.json").read_text()


def test_a_folder_that_is_there_stays_as_it_is(out, capsys):
    assert random_weights.main(["flux2-klein", str(out), "--tiny"]) == 2
    assert "is there already; remove it or choose another folder" in capsys.readouterr().err


def test_a_pair_without_a_full_size_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"FLUX\.1 dev has no full size in pipeline/bench/architectures\.py"):
        list(build(SHIPPED, SHIPPED.pair("flux1"), tmp_path))


def test_a_disk_without_room_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**9}))
    with pytest.raises(InputError, match=r"The pair needs 32\.8 GB in .*, which has 1\.0 GB free"):
        list(build(SHIPPED, SHIPPED.pair("z-image"), tmp_path / "out"))
    assert not list((tmp_path / "out").iterdir())
