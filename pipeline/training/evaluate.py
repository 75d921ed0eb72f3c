"""What the shipped pair can do, measured: draws the suite with both models as anybody would, and judges the pictures.

Writes beside the models: `samples.json`, one row a picture, which every share and median is taken from; `report.json`;
the contact sheets; and REPORT.md, from report.json alone. The models are read from their folders with a plain
DiffusionPipeline.from_pretrained: what is measured is what is shipped. The pictures themselves stay in the work
folder, so that an interrupted evaluation goes on where it was.
"""

import hashlib
import json
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from pipeline.device import cpu_device
from pipeline.quality import fidelity
from pipeline.stats import NARROW
from pipeline.training import flow, metrics, sheets, suite
from pipeline.training.batches import show
from pipeline.training.captions import held_out
from pipeline.training.data import Pack
from pipeline.training.export import EFFICIENT, PREDECESSOR
from pipeline.training.judge import Judge

log = logging.getLogger(__name__)

ROLES = {
    "predecessor": (PREDECESSOR, {"num_inference_steps": flow.STEPS, "guidance_scale": flow.GUIDANCE}),
    "efficient": (EFFICIENT, {"num_inference_steps": flow.FEW_STEPS, "guidance_scale": 1.0}),
}
EVALUATIONS = {"predecessor": 2 * flow.STEPS, "efficient": flow.FEW_STEPS}
COPY = 1 / 3  # of the second nearest's distance
NEAR_SIZE = 32  # pixels, both sides, that nearness is measured at


@dataclass(frozen=True)
class Suite:
    """prompts and seeds to draw; cells: the same prompts' held-out looks, or none for composed prompts."""

    name: str
    prompts: tuple[str, ...]
    seeds: range
    cells: tuple[suite.Cell, ...] = ()


def suites(pack: Pack) -> tuple[Suite, ...]:
    """everyday: what the pair is made for; wide: every other thing; composed: what nobody drew."""
    core, others = (suite.choose(suite.cells(pack.pictures, core), pack.pictures) for core in (True, False))
    everyday, wide = tuple(core[: suite.PROMPTS]), (*others, *core[suite.PROMPTS :])
    return (
        *(Suite(name, tuple(c.prompt for c in part), suite.SEEDS, part)
          for name, part in (("everyday", everyday), ("wide", wide))),
        Suite("composed", suite.COMPOSED, suite.SEEDS),
    )  # fmt: skip


def evaluate(pack: Pack, judge: Judge, models: Path, work: Path) -> Path:
    """Draw, judge, write; returns REPORT.md's path."""
    planned = suites(pack)
    rows = draw(planned, models, work)
    pictures = [Image.open(work / row["file"]).convert("RGB") for row in rows]
    features = judge_pictures(rows, pictures, planned, pack, judge)
    report = {
        "measured_on": cpu_device().name,
        "trained_on": trained_on(models),
        "prompts": {s.name: len(s.prompts) for s in planned}
        | {"held_out": sum(len(s.prompts) for s in planned if s.cells)},
        **subjects(rows, features, planned, pack, judge),
        "files": {"samples": "samples.json", "everyday": "everyday.webp", "composed": "composed.webp"},
    }
    everyday, _, composed = planned
    write_sheet(models / "everyday.webp", everyday, suite.ON_THE_SHEET, rows, pictures)
    write_sheet(models / "composed.webp", composed, len(composed.prompts), rows, pictures)
    columns = [key for key in rows[0] if key != "file"]
    table = {"prompts": {s.name: s.prompts for s in planned}, "columns": columns}
    table["rows"] = [[row[key] for key in columns] for row in rows]
    (models / "samples.json").write_text(json.dumps(table).replace("], [", "],\n["))
    (models / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return write_report(models)


def draw(planned: Sequence[Suite], models: Path, work: Path) -> list[dict]:
    """Every prompt and seed with both models in turn; a row each, the picture's file in `work` named in it.

    The one that goes first alternates. seconds: the whole pipeline call, text to picture, on a warm model; told of the
    first suite alone, so that the rest can be drawn while the machine does something else.
    """
    pipes = {}
    for role, (name, _) in ROLES.items():
        pipes[role] = DiffusionPipeline.from_pretrained(models / name)
        pipes[role].set_progress_bar_config(disable=True)
    folder = work / f"evaluation-{weights_mark(models)}"
    folder.mkdir(parents=True, exist_ok=True)
    rows, warm = [], False
    jobs = [(s.name, i, seed) for s in planned for i in range(len(s.prompts)) for seed in s.seeds]
    prompts = {s.name: s.prompts for s in planned}
    for number, (name, i, seed) in enumerate(jobs):
        kept = folder / f"{name}-{i:03d}-{seed}.json"
        if not kept.exists():
            if not warm:
                for role in ROLES:
                    _call(pipes[role], role, prompts[name][i], seed)
                warm = True
            pair = {}
            for role in list(ROLES)[:: 1 if number % 2 else -1]:
                image, seconds = _call(pipes[role], role, prompts[name][i], seed)
                image.save(kept.with_name(f"{kept.stem}-{role}.png"))
                pair[role] = seconds
            kept.write_text(json.dumps(pair))
        for role, seconds in sorted(json.loads(kept.read_text()).items(), reverse=True):
            file = str(kept.with_name(f"{kept.stem}-{role}.png").relative_to(work))
            timed = round(seconds, 5) if name == planned[0].name else None
            rows.append({"model": role, "suite": name, "prompt": i, "seed": seed, "seconds": timed, "file": file})
        if number % 50 == 0:
            log.info("drew %d of %d pairs", number, len(jobs))
    return rows


def _call(pipe: DiffusionPipeline, role: str, prompt: str, seed: int) -> tuple[Image.Image, float]:
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    image = pipe(prompt, generator=generator, use_resolution_binning=False, **ROLES[role][1]).images[0]
    return image, time.perf_counter() - start


def weights_mark(models: Path) -> str:
    """Changes with either model, so that pictures of other weights are never taken for these."""
    sums = b"".join((models / name / "SHA256SUMS").read_bytes() for name, _ in ROLES.values())
    return hashlib.sha256(sums).hexdigest()[:12]


def judge_pictures(
    rows: list[dict], pictures: Sequence[Image.Image], planned: Sequence[Suite], pack: Pack, judge: Judge
) -> np.ndarray:
    """Add rank, nearness, seams and fidelity to the rows; returns the eye's features (N, D).

    rank: among the prompts of its suite; rank_of_all: among all held-out ones; nearness: of everyday things only.
    """
    tensors = [torch.from_numpy(np.array(p)).permute(2, 0, 1).float() / 127.5 - 1 for p in pictures]
    features = torch.cat([judge.eye(torch.stack(tensors[i : i + 64])) for i in range(0, len(tensors), 64)]).numpy()
    for part in planned:
        mine = [i for i, row in enumerate(rows) if row["suite"] == part.name]
        own = [rows[i]["prompt"] for i in mine]
        found = metrics.ranks(judge.similarity(features[mine], part.prompts), own)
        for i, rank in zip(mine, found, strict=True):
            rows[i].update(rank=int(rank), rank_of_all=None, nearness=None)
            rows[i]["seams"] = round(metrics.seams(np.asarray(pictures[i]), sheets.PATCH), 3)
    everyday, wide, _ = planned
    held = [i for i, row in enumerate(rows) if row["suite"] in (everyday.name, wide.name)]
    first = {everyday.name: 0, wide.name: len(everyday.prompts)}
    own = [first[rows[i]["suite"]] + rows[i]["prompt"] for i in held]
    found = metrics.ranks(judge.similarity(features[held], everyday.prompts + wide.prompts), own)
    for i, rank in zip(held, found, strict=True):
        rows[i]["rank_of_all"] = int(rank)
    for look in {cell.look for cell in everyday.cells}:
        known = known_in_look(pack, look)
        for i in held:
            if rows[i]["suite"] == everyday.name and everyday.cells[rows[i]["prompt"]].look == look:
                rows[i]["nearness"] = round(metrics.nearness(_small(tensors[i][None])[0].numpy(), known), 4)
    for i, row in enumerate(rows):
        same = row["model"] == "efficient" and fidelity(pictures[_partner(rows, i)], pictures[i])
        row.update(same or {"psnr_db": None, "ssim": None})
    return features


def _partner(rows: Sequence[dict], i: int) -> int:
    """The predecessor's picture of an efficient one's prompt and seed; `draw` puts it just before."""
    before, row = rows[i - 1], rows[i]
    assert before["model"] == "predecessor"  # noqa: S101
    assert all(before[key] == row[key] for key in ("suite", "prompt", "seed"))  # noqa: S101
    return i - 1


def _small(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(images, size=(NEAR_SIZE, NEAR_SIZE), mode="area").flatten(1)


def known_in_look(pack: Pack, look: suite.Look) -> np.ndarray:
    """Every training picture in this look, small: (K, 3 * 32 * 32). What a copy would be a copy of."""
    rows = [i for i, p in enumerate(pack.pictures) if not held_out(p)]
    parts = []
    for part in (rows[i : i + 128] for i in range(0, len(rows), 128)):
        pixels = torch.from_numpy(pack.pixels[part]).permute(0, 3, 1, 2)
        looks = [suite.Look(look.tint if pack.pictures[i].hue is not None else None, look.background) for i in part]
        parts.append(_small(show(pixels, [pack.pictures[i] for i in part], looks)))
    return torch.cat(parts).numpy()


def subjects(
    rows: Sequence[dict], features: np.ndarray, planned: Sequence[Suite], pack: Pack, judge: Judge
) -> dict[str, dict]:
    """real, predecessor and efficient: numbers of the everyday suite, and recall on the wide one and on both as one."""
    everyday, wide, _ = planned
    kept = suite.cells(pack.pictures, core=True)
    real = suite.real(pack, kept)
    every_real = judge.eye(real).numpy()
    index = {(c.row, c.look): i for i, c in enumerate(kept)}
    shown = [index[c.row, c.look] for c in everyday.cells]
    others = np.setdiff1d(np.arange(len(kept)), shown)

    def recalls(seen: np.ndarray, part: Suite, own: Sequence[int]) -> dict:
        found = metrics.ranks(judge.similarity(seen, part.prompts), own)
        return {"r1": metrics.recall(found, 1), "r5": metrics.recall(found, 5)}

    floor, interval = metrics.jackknife(
        lambda keep: metrics.kid(every_real[shown][keep[: len(shown)]], every_real[others][keep[len(shown) :]]),
        [i % metrics.GROUPS for i in (*range(len(shown)), *range(len(others)))],
    )
    wide_real = judge.eye(suite.real(pack, wide.cells)).numpy()
    both = Suite("held_out", everyday.prompts + wide.prompts, suite.SEEDS)
    out = {
        "real": {
            **recalls(every_real[shown], everyday, range(len(shown))),
            "kid": floor, "kid_ci": interval, "diversity": None, "memorised": None, "seconds": None,
            "evaluations": None, "seams": statistics.median(
                metrics.seams(real[i].permute(1, 2, 0).numpy(), sheets.PATCH) for i in shown
            ), "wide": recalls(wide_real, wide, range(len(wide.prompts))),
            "held_out": recalls(np.concatenate([every_real[shown], wide_real]), both, range(len(both.prompts))),
        }
    }  # fmt: skip
    for role in ROLES:
        mine = [i for i, r in enumerate(rows) if r["model"] == role and r["suite"] == "everyday"]
        far = [i for i, r in enumerate(rows) if r["model"] == role and r["suite"] == "wide"]
        prompts = [rows[i]["prompt"] for i in mine]
        # A prompt's pictures and the real picture of the same prompt are left out together.
        groups = [p % metrics.GROUPS for p in prompts] + [_group(i, shown) for i in range(len(kept))]
        count = len(mine)
        kid, interval = metrics.jackknife(
            lambda keep, mine=mine, count=count: metrics.kid(features[mine][keep[:count]], every_real[keep[count:]]),
            groups,
        )
        out[role] = {
            **recalls_of_rows([rows[i] for i in mine]),
            "kid": kid,
            "kid_ci": interval,
            "diversity": metrics.diversity(features[mine], prompts),
            "memorised": statistics.mean(rows[i]["nearness"] < COPY for i in mine),
            "seconds": statistics.median(rows[i]["seconds"] for i in mine),
            "evaluations": EVALUATIONS[role],
            "seams": statistics.median(rows[i]["seams"] for i in mine),
            "wide": recalls_of_rows([rows[i] for i in far]),
            "held_out": recalls_of_rows([rows[i] for i in (*mine, *far)], "rank_of_all"),
        }
    pairs = [r for r in rows if r["model"] == "efficient" and r["suite"] == "everyday"]
    held = [r for r in rows if r["rank_of_all"] is not None]
    gain, interval = recall_gain(held, "rank_of_all")
    least, margin = recall_gain([r for r in rows if r["suite"] == everyday.name])
    out["efficient"] |= {
        "r1_gain": gain,
        "r1_gain_ci": interval,
        "everyday_gain": least,
        "everyday_gain_ci": margin,
        "psnr_db": statistics.mean(r["psnr_db"] for r in pairs if r["psnr_db"] is not None),
        "ssim": statistics.mean(r["ssim"] for r in pairs),
    }
    return rounded(out)


def _group(i: int, shown: Sequence[int]) -> int:
    return (list(shown).index(i) if i in shown else i) % metrics.GROUPS


def recalls_of_rows(rows: Sequence[dict], rank: str = "rank") -> dict[str, float]:
    found = np.array([row[rank] for row in rows])
    return {"r1": metrics.recall(found, 1), "r5": metrics.recall(found, 5)}


def recall_gain(rows: Sequence[dict], rank: str = "rank") -> tuple[float, tuple[float, float]]:
    """The efficient model's R@1 less the predecessor's, with its 95 % interval.

    The two drew the same prompts and seeds; all pictures of a prompt are left out together.
    """
    hit = np.array([row[rank] < 1 for row in rows])
    efficient = np.array([row["model"] == "efficient" for row in rows])
    return metrics.jackknife(
        lambda keep: float(hit[keep & efficient].mean() - hit[keep & ~efficient].mean()),
        [f"{row['suite']} {row['prompt']}" for row in rows],
    )


def rounded(value):
    """Floats to four significant digits, through dicts and sequences."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def trained_on(models: Path) -> dict:
    """What the two models say of their own training: hardware, pictures seen by the predecessor, hours of both."""
    said = {role: json.loads((models / name / "training.json").read_text()) for role, (name, _) in ROLES.items()}
    return {
        "hardware": said["predecessor"]["hardware"],
        "pictures_seen": said["predecessor"]["pictures_seen"],
        "hours": round(sum(part["minutes"] for part in said.values()) / 60, 2),
    }


def write_sheet(path: Path, part: Suite, count: int, rows: Sequence[dict], pictures: Sequence[Image.Image]) -> None:
    """The first `count` prompts: every seed in a row, the predecessor's above the efficient one's."""
    blocks = [(prompt, [[], []]) for prompt in part.prompts[:count]]
    for row, picture in zip(rows, pictures, strict=True):
        if row["suite"] == part.name and row["prompt"] < count:
            blocks[row["prompt"]][1][list(ROLES).index(row["model"])].append(picture)
    sheets.labelled(blocks).save(path, quality=90, method=6)


def write_report(models: Path) -> Path:
    """REPORT.md from report.json, by the template beside this file."""
    environment = Environment(  # noqa: S701 (Markdown out of our own numbers, no HTML)
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    report = json.loads((models / "report.json").read_text())
    path = models / "REPORT.md"
    path.write_text(environment.get_template("report.md.j2").render(report=report, narrow=NARROW), encoding="utf-8")
    return path
