"""The bundled pair, with its real weights, in diffusers: the fake of the other tests stands in for this."""

from __future__ import annotations

import shutil
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from pipeline import cards as cards_module
from pipeline import imagefile
from pipeline.backends.families import FAMILIES
from pipeline.backends.local import LocalBackend
from pipeline.cards import ModelCard
from pipeline.catalog import Catalog, load_catalog
from pipeline.checksums import check_files
from pipeline.compare import plan
from pipeline.engine import Engine
from pipeline.errors import Cancelled, ModelError
from pipeline.events import Result, Step
from pipeline.recipe import recipe_of, request_from_recipe
from pipeline.request import ImageRequest, make_request
from tests.fakes import results

SHIPPED = load_catalog()
OLD, NEW = (SHIPPED.model(SHIPPED.default_pair.lane(role).model) for role in ("predecessor", "efficient"))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return SHIPPED


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return LocalBackend()


@pytest.fixture
def engine(backend) -> Engine:
    """No picture cache: here every picture is made."""
    return Engine(SHIPPED, backend)


def old(prompt: str = "a red apple", **fields: object) -> ImageRequest:
    return make_request(OLD, prompt, **{"seed": 7, "steps": 4, **fields})


def new(prompt: str = "a red apple", **fields: object) -> ImageRequest:
    return make_request(NEW, prompt, **{"seed": 7, "steps": 2, **fields})


def test_a_stop_is_heard_while_a_model_is_warmed_up():
    backend, parts = LocalBackend(), []

    def on_part(part: str, done: int, total: int) -> None:
        parts.append(part)
        if parts.count("warm-up") == 2:
            raise Cancelled("The run was stopped.")

    with pytest.raises(Cancelled):
        backend.prepare(NEW, new(), frozenset(), on_part)
    assert parts == ["weights", "warm-up", "warm-up"]
    backend.prepare(NEW, new(), frozenset(), lambda part, *_: parts.append(part))
    assert parts[3:] == ["warm-up"] * 3  # in memory already, and warmed from the beginning


def make(engine: Engine, *requests: ImageRequest, **how: object) -> list[Result]:
    made = results(engine.run(requests, **how))
    return [made[lane] for lane in range(len(requests))]


def pixels(engine: Engine, *requests: ImageRequest) -> list[bytes]:
    return [result.image.tobytes() for result in make(engine, *requests)]


# What is shipped


@pytest.mark.parametrize("card", [OLD, NEW], ids=lambda card: card.id)
def test_the_weights_are_whole_and_hold_no_code(card: ModelCard):
    check_files(card)
    files = [file for file in card.folder.rglob("*") if file.is_file()]
    assert not [file for file in files if file.suffix in (".py", ".bin", ".pt", ".pth", ".pkl", ".ckpt")]
    listed = {line.partition("  ")[2] for line in (card.folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == {str(file.relative_to(card.folder)) for file in files} - {"SHA256SUMS", "README.md"}
    held = sum(file.stat().st_size for file in files if file.suffix == ".safetensors")
    assert 0.5 < card.weight_bytes / held < 2.1  # weights may be stored at half their size in memory


def test_what_the_catalogue_calls_shared_is_equal_on_disk():
    assert OLD.shared == NEW.shared
    for component in OLD.shared:
        left, right = (
            {file.name: file.read_bytes() for file in (card.folder / component).iterdir()} for card in (OLD, NEW)
        )
        assert left
        assert left == right


@pytest.fixture
def copied(tmp_path: Path, monkeypatch) -> Path:
    """The efficient model in a folder of its own, where it may be broken."""
    shutil.copytree(NEW.folder, tmp_path / NEW.path)
    monkeypatch.setattr(cards_module, "ASSETS", tmp_path)
    return tmp_path / NEW.path


@pytest.mark.parametrize("harm", ["missing", "damaged", "cut"])
def test_broken_weights_are_named_and_the_next_run_works(copied, harm):
    engine = Engine(SHIPPED, LocalBackend())
    weights = next((copied / "transformer").glob("*.safetensors"))
    sound = weights.read_bytes()
    if harm == "missing":
        weights.unlink()
    else:
        weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]) if harm == "damaged" else sound[:1000])
    with pytest.raises(ModelError, match=rf"{weights.name}; restore it"):
        make(engine, new())
    weights.write_bytes(sound)
    assert make(engine, new())[0].image.size == (128, 128)


def test_weights_that_diffusers_cannot_read_are_one_sentence(copied):
    (copied / "model_index.json").write_text("{}")
    sums = copied / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("model_index.json")]
    sums.write_text("\n".join(kept))
    with pytest.raises(ModelError, match=rf"{NEW.name} could not be loaded from .*{NEW.id}") as caught:
        make(Engine(SHIPPED, LocalBackend()), new())
    assert "\n" not in str(caught.value)


# Pixels


def bare_pipeline(card: ModelCard):
    pipe = DiffusionPipeline.from_pretrained(card.folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def bare(card: ModelCard, request: ImageRequest, **prompt: object) -> Image.Image:
    """The picture that diffusers makes when it is called as its documentation says."""
    return bare_pipeline(card)(
        **(prompt or {"prompt": request.prompt}),
        **card.call,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        width=request.width,
        height=request.height,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    ).images[0]


def test_the_efficient_lane_makes_exactly_what_diffusers_makes(engine):
    request = new(steps=4)
    assert make(engine, request)[0].image.tobytes() == bare(NEW, request).tobytes()


@pytest.mark.parametrize("negative", ["", "a green leaf"])
def test_the_guided_lane_makes_exactly_what_diffusers_makes_of_the_same_embeddings(engine, negative):
    request = old(negative_prompt=negative)
    pipe, family = bare_pipeline(OLD), FAMILIES[OLD.pipeline]
    embeddings = family.arguments(family.encode(pipe, request.prompt), family.encode(pipe, negative))
    assert make(engine, request)[0].image.tobytes() == bare(OLD, request, **embeddings).tobytes()


@pytest.mark.parametrize("card", [OLD, NEW], ids=lambda card: card.id)
def test_the_fewest_steps_that_may_be_asked_for_make_a_picture(engine, card: ModelCard):
    """A schedule with a terminal shift has no single step: its only noise level is 0 / 0."""
    made = results(engine.run([make_request(card, "a red apple", steps=card.steps.min, seed=7)]))
    assert np.asarray(made[0].image).std() > 20


def test_the_guided_lane_is_within_rounding_of_diffusers_own_encoding(engine):
    request = old(steps=6)
    ours, theirs = np.asarray(make(engine, request)[0].image, int), np.asarray(bare(OLD, request), int)
    assert np.abs(ours - theirs).max() <= 2


def test_the_same_request_gives_the_same_pixels_whatever_ran_between(engine):
    first = pixels(engine, new(), old())
    pixels(engine, new("a blue boat", seed=1, steps=3), old("a blue boat", seed=1, negative_prompt="red", guidance=5))
    assert pixels(engine, new(), old()) == first
    assert pixels(engine, old(), new()) == first[::-1]
    assert pixels(Engine(SHIPPED, LocalBackend()), old()) == first[1:]


def test_every_field_of_a_request_shows_in_the_picture(engine):
    requests = [
        old(),
        old("a fox face"),
        old(seed=8),
        old(steps=5),
        old(guidance=4.0),
        old(guidance=1.0),
        old(negative_prompt="a green leaf"),
        old(seed=2**63),
    ]
    assert len(set(pixels(engine, *requests))) == len(requests)


def test_previews_show_the_picture_and_change_nothing(engine, monkeypatch):
    monkeypatch.setattr("pipeline.backends.previews.PREVIEW_EVERY_S", 0)
    request = old(steps=8)
    shown = [event.preview for event in engine.run([request], previews=True) if isinstance(event, Step)]
    previews = [preview for preview in shown if preview is not None]
    assert len(previews) >= 5
    assert {(preview.size, preview.mode) for preview in previews} == {((128, 128), "RGB")}
    final = make(engine, request)[0].image
    apart = [np.abs(np.asarray(preview, float) - np.asarray(final, float)).mean() for preview in previews]
    assert apart[-1] < apart[0]
    assert make(engine, request, previews=True)[0].image.tobytes() == final.tobytes()


def test_a_run_leaves_the_shared_pipeline_as_it_was(engine, backend):
    list(engine.warm_up([old()]))
    pipe = backend.resident(OLD, old()).pipe
    before = {**vars(pipe)}, {**vars(pipe.scheduler)}
    make(engine, old(steps=5))
    assert vars(pipe) == before[0]
    assert list(vars(pipe.scheduler)) == list(before[1])
    assert all(vars(pipe.scheduler)[name] is value for name, value in before[1].items())


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_run_cancelled_midway_leaves_nothing_behind(engine, backend, how):
    before = pixels(engine, old())
    stop, seen = threading.Event(), 0
    events = engine.run([old("a blue boat", steps=20)], stop=stop)
    try:
        for event in events:
            seen += isinstance(event, Step)
            if seen == 3 and how == "stop":
                stop.set()
            if seen == 3 and how == "close":
                events.close()
                break
    except Cancelled:
        assert how == "stop"
    assert engine.idle(10)
    assert seen < 8
    assert pixels(engine, old()) == before


def test_a_prompt_is_encoded_once_for_both_lanes_and_said_so(engine):
    backend = LocalBackend()
    engine = Engine(SHIPPED, backend)
    list(engine.warm_up([new(), old()]))
    first, second, again = make(engine, new(), old(), new())
    assert (first.encode_cached, second.encode_cached, again.encode_cached) == (False, False, True)
    assert again.timings.encode == first.timings.encode > 0
    assert second.timings.encode > first.timings.encode  # the empty prompt had to be encoded as well
    assert again.image.tobytes() == first.image.tobytes()


def test_every_run_is_timed_by_stage_and_loading_is_kept_apart():
    (made,) = make(Engine(SHIPPED, LocalBackend()), old(steps=6), repeat=3)
    assert len(made.runs) == 3
    assert made.evaluations == 12
    assert made.timings.load > 0
    for run in made.runs:
        assert min(run.encode, run.denoise, run.decode) > 0
    assert sum(run.denoise for run in made.runs) > sum(run.encode + run.decode for run in made.runs)


def test_a_saved_picture_can_be_made_again(engine):
    (first,) = make(engine, old("ein Äpfelchen 🍎", negative_prompt="leaf", seed=2**40))
    file = BytesIO()
    imagefile.write(file, first.image, recipe_of(first))
    file.seek(0)
    image, recipe = imagefile.read(file)
    assert set(recipe["versions"]) == {"diptych", "torch", "diffusers", "transformers"}
    assert pixels(engine, request_from_recipe(recipe)) == [image.tobytes()]


def test_a_measurement_encodes_anew_in_every_run(engine, catalog):
    requests = list(plan(catalog, catalog.default_pair, "a red apple", seed=7).values())
    for _ in range(2):
        single = results(engine.run(requests))
    assert single[0].encode_cached and single[1].encode_cached
    measured = results(engine.run(requests, repeat=3))
    assert not measured[0].encode_cached and not measured[1].encode_cached
    assert len({run.encode for run in measured[0].runs}) == 3
