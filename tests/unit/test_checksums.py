"""Checksums of bundled weights: a missing, damaged or changed file is found before it is loaded."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from pipeline import cards as cards_module
from pipeline import checksums
from pipeline.cards import ASSETS
from pipeline.errors import ModelError


@pytest.fixture
def card(catalog, tmp_path, monkeypatch):
    """A card whose three files lie in a temporary assets folder, with their sums."""
    for module in (cards_module, checksums):
        monkeypatch.setattr(module, "ASSETS", tmp_path)
    found = catalog.model("old")
    (found.folder / "transformer").mkdir(parents=True)
    listing = ""
    for name in ("model_index.json", "transformer/weights.safetensors"):
        (found.folder / name).write_bytes(name.encode())
        listing += f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n"
    (found.folder / checksums.SUMS).write_text(listing)
    return found


def test_sound_files_give_a_fingerprint_that_changes_with_them(card):
    before = checksums.check_files(card)
    assert before == checksums.check_files(card)
    changed = b"other weights"
    (card.folder / "model_index.json").write_bytes(changed)
    sums = card.folder / checksums.SUMS
    sums.write_text(f"{hashlib.sha256(changed).hexdigest()}  model_index.json\n")
    assert checksums.check_files(card) != before


@pytest.mark.parametrize("name", ["SHA256SUMS", "model_index.json", "transformer/weights.safetensors"])
def test_a_missing_weight_file_is_named(card, name):
    (card.folder / name).unlink()
    with pytest.raises(ModelError, match=rf"Old lacks its file .*{name}; restore it"):
        checksums.check_files(card)


def test_a_damaged_weight_file_is_named(card):
    with (card.folder / "transformer/weights.safetensors").open("r+b") as file:
        file.write(b"X")
    with pytest.raises(ModelError, match=r"Old has a damaged file .*transformer/weights\.safetensors; restore"):
        checksums.check_files(card)


def test_a_truncated_weight_file_is_damaged(card):
    (card.folder / "model_index.json").write_bytes(b"model_ind")
    with pytest.raises(ModelError, match=r"damaged file .*model_index\.json"):
        checksums.check_files(card)


def test_a_clone_that_rewrites_line_ends_leaves_the_bundled_models_alone(tmp_path):
    """As Git for Windows does by default."""
    command = ["git", "-c", "core.autocrlf=true", "checkout-index", "--force", f"--prefix={tmp_path}/", "--all"]
    if not (ASSETS.parent / ".git").exists():
        pytest.skip("not in a clone")
    subprocess.run(command, cwd=ASSETS, check=True)
    for model in ("diptych-128", "diptych-128-efficient"):
        sums = (tmp_path / "assets/models" / model / checksums.SUMS).read_text().splitlines()
        for expected, name in (line.split("  ") for line in sums):
            assert hashlib.sha256((tmp_path / "assets/models" / model / name).read_bytes()).hexdigest() == expected
