"""What training hands over: two ordinary diffusers folders, each with its model card.

Weights are stored as float16, half the size; a plain `DiffusionPipeline.from_pretrained` reads them as float32,
because diffusers' default is float32 and the text encoder's config says so.
"""

import json
import shutil
from pathlib import Path

import torch
from diffusers import PRXPixelPipeline, PRXTransformer2DModel
from transformers import BertModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from pipeline.checksums import write_sums
from pipeline.errors import PlaygroundError
from pipeline.training import checkpoint, distil, flow, text, train
from pipeline.training.data import CORE, GROUPS, MINILM, PICTURES, WORDS

PREDECESSOR, EFFICIENT = "diptych-128", "diptych-128-efficient"
HOW_LOADED = ("is_local", "local_files_only")
"""What transformers writes into a tokenizer's settings besides."""

CARD = """---
license: mit
library_name: diffusers
pipeline_tag: text-to-image
---
# {name}

{what}

```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("assets/models/{name}")
settings = {{"num_inference_steps": {steps}, "guidance_scale": {guidance}, "use_resolution_binning": False}}
image = pipe("a red apple", **settings).images[0]
```

- **Draws**: single things in the style of Fluent 3D emoji, 128 x 128 pixels, on white or, with "on a yellow
  background", on a plain colour. English words. Colour words before a thing ("a purple apple") turn its hue. The
  {core} everyday animals, foods, vehicles and objects of `CORE` in `pipeline/training/data.py` were drawn more often in
  training than each of the rest of the {pictures}, which are vaguer.
- **Does not draw**: people, flags, signs, text, scenes, several objects, counts, photos. A word that names nothing in
  the training set gives the nearest thing it knows, or a shapeless one.
- **Data**: {pictures} pictures of {pictures_package} (MIT, Microsoft's Fluent art) with English names and keywords of
  {words_package} (Unicode-3.0), chosen by the groups of {groups_package} (MIT). About 2 % of the pictures and 5 % of
  the picture-colour pairs were held out.
- **Text encoder**: a two-layer BERT of width 128; its word vectors started from all-MiniLM-L6-v2 ({minilm_package},
  Apache-2.0) and are the same file in both models of the pair.
- **Training**: {training}{note}
- **Licence**: MIT for these weights. The sources' notices are in `assets/NOTICE`.

Made by `python -m pipeline.training`.
"""


def write_pipeline(
    folder: Path,
    transformer: PRXTransformer2DModel,
    encoder: BertModel,
    tokenizer: PreTrainedTokenizerBase,
    schedule: dict,
    card: str,
    history: dict,
) -> Path:
    """Write a diffusers folder beside `folder` and move it into place. The models are not changed.

    card: README.md; history: training.json.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    half = PRXTransformer2DModel.from_config(transformer.config)
    half.load_state_dict(transformer.state_dict())
    # A pooler that nobody uses, of 33 kB, spares every user a "newly initialized weights" report on loading.
    pooled = BertModel(encoder.config, add_pooling_layer=True)
    pooled.load_state_dict(encoder.state_dict(), strict=False)
    for weight in pooled.pooler.parameters():
        torch.nn.init.zeros_(weight)
    pipe = PRXPixelPipeline(
        transformer=half.half(),
        scheduler=flow.make_scheduler(schedule),
        text_encoder=pooled.half(),
        tokenizer=tokenizer,
        default_sample_size=8 * transformer.config.patch_size,
        prompt_max_tokens=text.MAX_TOKENS,
        noise_scale=1.0,
    )
    transformers_logging.disable_progress_bar()
    pipe.save_pretrained(part)
    for weights in part.rglob("*.safetensors"):
        weights.chmod(0o644)
    config = part / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    words = part / "tokenizer" / "tokenizer_config.json"  # how it was loaded says nothing of the model
    kept = {key: value for key, value in json.loads(words.read_text()).items() if key not in HOW_LOADED}
    words.write_text(json.dumps(kept, indent=2) + "\n")
    (part / "README.md").write_text(card, encoding="utf-8")
    (part / "training.json").write_text(json.dumps(history, indent=2) + "\n")
    write_sums(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def publish(
    work: Path,
    out: Path,
    tokenizer: PreTrainedTokenizerBase,
    encoder: BertModel,
    pictures: int,
    note: str = "",
    keep: float = 0.0,
) -> list[Path]:
    """Write both models of the pair from the checkpoints in `work` to folders in `out`.

    note: a sentence for the cards, where this run was not simply what the commands do. keep: the share of the weights
    that stays as it was in the exported model training went on from, and in its student, beside it if distillation went
    on from none: their mean in the space of weights gains most of what is new and loses less of what was there (arXiv
    2109.01903). Raises PlaygroundError without those.
    """
    teacher, saved = train.load_average(work, encoder)
    student, distilled = distil.load_average(work, saved)
    before = distilled["before"]
    if keep:
        if saved["settings"]["start"] is None:
            raise PlaygroundError("--keep is of a model that training went on from; give train --start.")
        start = Path(saved["settings"]["start"])
        beside = Path(distilled["settings"]["start"] or start.with_name(EFFICIENT))
        before = train.history(str(beside), "trajectories")
        old = train.published(start, train.Settings())
        mix(teacher.encoder, old.encoder, keep)
        mix(teacher.transformer, old.transformer, keep)
        mix(student, distil.exported(beside), keep)
        way = f"Shipped is {100 * (1 - keep):.0f} % of the way"
        note = f"{note} {way} from the weights before the last training to those after it.".strip()
    out.mkdir(parents=True, exist_ok=True)
    history = {
        "hardware": all_hardware(saved["hardware"], saved["before"]["hardware"]),
        "steps": saved["before"]["steps"] + saved["step"],
        "pictures_seen": saved["before"]["pictures_seen"] + saved["seen"],
        "minutes": round(saved["before"]["minutes"] + saved["active"] / 60, 1),
        "loss": round(saved["loss"], 4),
    }
    seconds = distilled["active"] + (checkpoint.load(distil.clock(work, saved)) or {"active": 0.0})["active"]
    distil_history = {
        "hardware": all_hardware(distilled["hardware"], before["hardware"]),
        "trajectories": before["trajectories"] + distilled["trajectories"],
        "steps": before["steps"] + distilled["step"],
        "minutes": round(before["minutes"] + seconds / 60, 1),
        "loss": round(distilled["loss"], 5),
    }
    training = (
        f"{history['pictures_seen']:,} pictures seen in {history['steps']:,} steps, {history['minutes']:.0f} minutes "
        f"on {history['hardware']}; flow matching in pixels, the clean picture predicted (arXiv 2511.13720)."
    )
    distillation = (
        f"{distil_history['trajectories']:,} guided trajectories of the predecessor, then {distil_history['steps']:,} "
        f"steps of piecewise endpoint regression, {distil_history['minutes']:.0f} minutes. The "
        f"predecessor itself: {training}"
    )
    common = {
        "pictures": pictures,
        "note": f" {note}" if note else "",
        "core": len(CORE),
        "pictures_package": PICTURES,
        "words_package": WORDS,
        "groups_package": GROUPS,
        "minilm_package": MINILM,
    }
    predecessor_card = CARD.format(
        name=PREDECESSOR,
        what=f"The predecessor of Diptych's bundled pair: {flow.STEPS} steps with guidance {flow.GUIDANCE:g}.",
        steps=flow.STEPS,
        guidance=flow.GUIDANCE,
        training=training,
        **common,
    )
    efficient_card = CARD.format(
        name=EFFICIENT,
        what=f"The efficient one of Diptych's bundled pair, distilled from {PREDECESSOR}: {flow.FEW_STEPS} steps, the "
        f"predecessor's guidance of {flow.GUIDANCE:g} baked in. Use no guidance; negative prompts have no effect.",
        steps=flow.FEW_STEPS,
        guidance=1.0,
        training=distillation,
        **common,
    )
    parts = (
        (PREDECESSOR, teacher.transformer, flow.PREDECESSOR_SCHEDULE, predecessor_card, history),
        (EFFICIENT, student, flow.EFFICIENT_SCHEDULE, efficient_card, distil_history),
    )
    return [write_pipeline(out / name, model, teacher.encoder, tokenizer, *rest) for name, model, *rest in parts]


@torch.no_grad()
def mix(model: torch.nn.Module, old: torch.nn.Module, keep: float) -> None:
    """Move the model's weights `keep` of the way to those of `old`, an equal network."""
    for new, before in zip(model.parameters(), old.parameters(), strict=True):
        new.lerp_(before, keep)


def all_hardware(now: str, before: str) -> str:
    """What a model was trained on, and what was before that."""
    return now if not before else before if before.endswith(now) else f"{before}, then {now}"
