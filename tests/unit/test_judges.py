"""Judges: what a network says of a picture, where it lies, and what is told of one that cannot be used."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.catalog import load_catalog
from pipeline.errors import InputError, ModelError
from pipeline.judges import Judge, judge_of
from pipeline.weights import NotDownloaded, is_here, locate_judge
from tests.clip import READS, write_clip

SHIPPED = load_catalog()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "tiny-clip")


@pytest.fixture
def folder(made, tmp_path):
    """One of its own, to be spoilt."""
    return shutil.copytree(made, tmp_path / "tiny-clip")


def picture(seed: int, size: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def test_a_score_is_a_hundred_times_the_cosine_of_what_transformers_embeds(made):
    import torch
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    judge, model = Judge(judge_of(SHIPPED, str(made))), CLIPModel.from_pretrained(made).eval()
    seen, heard = CLIPImageProcessorPil.from_pretrained(made), AutoTokenizer.from_pretrained(made)
    scores, words = set(), set()
    for i, prompt in enumerate(("a fox", "a cat", "a red apple")):
        with torch.no_grad():
            picked = model.vision_model(**seen(picture(i), return_tensors="pt")).pooler_output
            said = model.text_model(**heard([prompt], return_tensors="pt")).pooler_output
            left, right = model.visual_projection(picked)[0], model.text_projection(said)[0]
        expected = 100 * float(left @ right / (left.norm() * right.norm()))
        assert judge.score(picture(i), prompt) == pytest.approx(expected, abs=1e-3)
        scores.add(round(expected, 2))
        words.add(round(judge.score(picture(0), prompt), 2))
    assert len(scores) == len(words) == 3  # each word counts, and not its first letter only


def test_any_picture_and_any_prompt_has_a_score(made):
    judge = Judge(judge_of(SHIPPED, str(made)))
    for image in (picture(1, 8), picture(1).convert("L"), picture(1).convert("RGBA"), picture(1).resize((80, 30))):
        assert -100 <= judge.score(image, "a fox") <= 100
    long = "a fox " * 90
    assert judge.score(picture(1), long) == judge.score(picture(1), long + "and a hat")  # what it reads counts
    assert judge.score(picture(1), long[: READS // 2]) != judge.score(picture(1), long)
    assert -100 <= judge.score(picture(1), "狐 🦊 \N{NO-BREAK SPACE}") <= 100


def test_shipped_judges_are_pinned_and_none_is_here():
    known = SHIPPED.judges.values()
    assert all(len(card.revision) == 40 and card.weight_bytes > 10**9 and card.note for card in known)
    card = judge_of(SHIPPED, None)
    assert card == min(known, key=lambda card: card.weight_bytes) and not any(map(is_here, known))
    with pytest.raises(NotDownloaded, match=rf"1\.7 GB with: python -m pipeline download {card.id}$"):
        locate_judge(card)


@pytest.mark.parametrize("name", ["", "nobody", 7, "/nowhere/at/all"])
def test_an_unknown_judge_is_one_sentence(name):
    with pytest.raises(InputError, match="judge must be one of clip-vit-l-14, pickscore-v1, or a folder"):
        judge_of(SHIPPED, name)


def test_a_folder_goes_by_its_name_and_tells_no_path(made):
    card = judge_of(SHIPPED, str(made))
    assert (card.id, card.name, card.source) == ("folder:tiny-clip", "tiny-clip", "folder tiny-clip")


def test_its_mark_changes_with_its_weights(folder):
    card = judge_of(SHIPPED, str(folder))
    before = locate_judge(card)[1]
    assert locate_judge(card)[1] == before
    write_clip(folder, seed=1)
    assert locate_judge(card)[1] != before


@pytest.mark.parametrize(
    ("gone", "said"),
    [("config.json", "lacks config.json"), ("preprocessor_config.json", "lacks preprocessor_config.json"),
     ("model.safetensors", "lacks safetensors weights"), ("tokenizer.json", "lacks tokenizer.json")],
)  # fmt: skip
def test_a_folder_that_lacks_something_says_what(folder, gone, said):
    (folder / gone).unlink()
    with pytest.raises(ModelError, match=said):
        Judge(judge_of(SHIPPED, str(folder)))


def test_what_is_no_clip_or_damaged_is_one_sentence(folder):
    card = judge_of(SHIPPED, str(folder))
    config = folder / "config.json"
    sound = json.loads(config.read_text())
    config.write_text(json.dumps({**sound, "model_type": "bert"}))
    with pytest.raises(ModelError, match="it is no CLIP but 'bert'"):
        Judge(card)
    config.write_text("{")
    with pytest.raises(ModelError, match=r"cannot be loaded from folder tiny-clip \(JSONDecodeError\)"):
        Judge(card)
    config.write_text(json.dumps({**sound, "projection_dim": 99}))
    with pytest.raises(ModelError, match="cannot be loaded from folder tiny-clip"):
        Judge(card)
    config.write_text(json.dumps(sound))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cannot be loaded from folder tiny-clip \(SafetensorError\)"):
        Judge(card)


def test_weights_that_are_not_there_are_never_drawn_at_random(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    left = {name: tensor for name, tensor in load_file(weights).items() if name != "visual_projection.weight"}
    save_file(left, weights, {"format": "pt"})
    with pytest.raises(ModelError, match="some of its weights are not there"):
        Judge(judge_of(SHIPPED, str(folder)))


def test_another_networks_tokenizer_is_refused(folder):
    from pipeline.bench.random_weights import tokenizer

    words = tokenizer(READS)
    words.add_tokens(["fox", "cat"])
    words.save_pretrained(folder)
    with pytest.raises(ModelError, match="its tokenizer is not the one it was trained with"):
        Judge(judge_of(SHIPPED, str(folder)))


def test_a_tokenizer_without_a_limit_reads_what_the_network_can(folder):
    settings = folder / "tokenizer_config.json"
    told = json.loads(settings.read_text())
    del told["model_max_length"]
    settings.write_text(json.dumps(told))
    assert -100 <= Judge(judge_of(SHIPPED, str(folder))).score(picture(1), "a fox " * 90) <= 100


def test_parts_that_do_not_fit_each_other_are_one_sentence(folder):
    settings = folder / "preprocessor_config.json"
    told = json.loads(settings.read_text())
    settings.write_text(json.dumps({**told, "crop_size": {"height": 48, "width": 48}}))
    with pytest.raises(ModelError, match=r"tiny-clip cannot judge a picture \(ValueError\)"):
        Judge(judge_of(SHIPPED, str(folder))).score(picture(1), "a fox")


def test_no_number_is_no_score(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    spoilt = load_file(weights)
    spoilt["visual_projection.weight"][:] = float("nan")
    save_file(spoilt, weights, {"format": "pt"})
    with pytest.raises(ModelError, match="gives no number"):
        Judge(judge_of(SHIPPED, str(folder))).score(picture(1), "a fox")
