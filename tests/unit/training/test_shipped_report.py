"""The report beside the shipped models: its numbers follow from its files, and its pictures are these weights'."""

import json
import shutil
import statistics

import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from pipeline.cards import ASSETS
from pipeline.catalog import load_catalog
from pipeline.quality import fidelity
from pipeline.training import evaluate, sheets, suite

MODELS = ASSETS / "models"


@pytest.fixture(scope="module")
def report() -> dict:
    return json.loads((MODELS / "report.json").read_text())


@pytest.fixture(scope="module")
def samples() -> dict:
    return json.loads((MODELS / "samples.json").read_text())


def rows_of(samples: dict, model: str, part: str) -> list[dict]:
    rows = (dict(zip(samples["columns"], row, strict=True)) for row in samples["rows"])
    return [row for row in rows if (row["model"], row["suite"]) == (model, part)]


@pytest.mark.parametrize("model", ["predecessor", "efficient"])
def test_its_shares_and_medians_follow_from_the_samples(report, samples, model):
    assert len(samples["prompts"]["everyday"]) == suite.PROMPTS == report["prompts"]["everyday"]
    assert len(samples["prompts"]["wide"]) == report["prompts"]["wide"]
    assert report["prompts"]["held_out"] == report["prompts"]["everyday"] + report["prompts"]["wide"]
    held = {role: rows_of(samples, role, "everyday") + rows_of(samples, role, "wide") for role in evaluate.ROLES}
    for rows, rank, said in (
        (rows_of(samples, model, "everyday"), "rank", report[model]),
        (rows_of(samples, model, "wide"), "rank", report[model]["wide"]),
        (held[model], "rank_of_all", report[model]["held_out"]),
    ):
        assert said["r1"] == pytest.approx(statistics.mean(r[rank] < 1 for r in rows), rel=1e-3)
        assert said["r5"] == pytest.approx(statistics.mean(r[rank] < 5 for r in rows), rel=1e-3)
    rows = rows_of(samples, model, "everyday")
    assert len(rows) == suite.PROMPTS * len(suite.SEEDS)
    assert report[model]["seconds"] == pytest.approx(statistics.median(r["seconds"] for r in rows), rel=1e-3)
    if model == "efficient":
        both = rows_of(samples, "predecessor", "everyday") + rows
        least, margin = evaluate.recall_gain(both)
        said = [report[model][name] for name in ("everyday_gain", "everyday_gain_ci")]
        assert [least, *margin] == pytest.approx([said[0], *said[1]], abs=1e-4)
        gain, interval = evaluate.recall_gain(held["predecessor"] + held["efficient"], "rank_of_all")
        recalled = [report[role]["held_out"]["r1"] for role in evaluate.ROLES]
        assert report[model]["r1_gain"] == pytest.approx(recalled[1] - recalled[0], abs=1e-3)
        assert [gain, *interval] == pytest.approx([report[model]["r1_gain"], *report[model]["r1_gain_ci"]], abs=1e-4)
    assert report[model]["memorised"] == pytest.approx(statistics.mean(r["nearness"] < 1 / 3 for r in rows), abs=1e-3)


def test_its_text_is_made_of_its_numbers(tmp_path):
    shutil.copy(MODELS / "report.json", tmp_path)
    assert evaluate.write_report(tmp_path).read_text() == (MODELS / "REPORT.md").read_text()


def test_it_is_of_the_settings_that_the_catalogue_proposes(report):
    catalog = load_catalog()
    for role in ("predecessor", "efficient"):
        card = catalog.model(catalog.default_pair.lane(role).model)
        steps, guidance = card.steps.default, card.guidance.default
        assert evaluate.ROLES[role][1] == {"num_inference_steps": steps, "guidance_scale": guidance}
        assert report[role]["evaluations"] == steps * (2 if guidance > 1 else 1)


def test_its_sheet_shows_what_the_shipped_model_draws(samples):
    pipe = DiffusionPipeline.from_pretrained(MODELS / "diptych-128-efficient")
    sheet = Image.open(MODELS / "everyday.webp").convert("RGB")
    size, seeds = 128, len(suite.SEEDS)
    for number, seed in ((0, 0), (5, 3), (30, 1)):
        drawn = pipe(
            samples["prompts"]["everyday"][number],
            generator=torch.Generator().manual_seed(seed),
            use_resolution_binning=False,
            **evaluate.ROLES["efficient"][1],
        ).images[0]
        left = sheets.GAP + number % 4 * (seeds * size + sheets.GAP) + seed * size
        top = sheets.GAP + number // 4 * (2 * size + sheets.LINE + sheets.GAP) + sheets.LINE + size
        shown = sheet.crop((left, top, left + size, top + size))
        assert fidelity(shown, drawn)["psnr_db"] > 27  # the sheet is compressed; another seed's picture gives 10


def test_the_shipped_weights_keep_what_the_report_says_of_the_pair(report):
    """Not times, which depend on the machine: what the efficient model keeps, and what the predecessor can do."""
    real, old, new = report["real"], report["predecessor"], report["efficient"]
    assert old["r1"] >= 0.5 * real["r1"]
    assert new["r1"] >= 0.95 * old["r1"]
    assert new["kid"] <= 1.25 * old["kid"] or new["kid_ci"][0] <= old["kid_ci"][1]
    assert new["diversity"] >= 0.9 * old["diversity"]
    assert 2 <= new["evaluations"] <= 4
