"""The catalogue: the shipped one is sound, a bad one says where it is bad."""

from __future__ import annotations

import re
import tomllib

import pytest

from pipeline.cards import ASSETS, Sizes
from pipeline.catalog import ROLES, load_catalog
from pipeline.errors import InputError, ModelError
from pipeline.request import make_request
from tests.fakes import CATALOG


def faulty(tmp_path, text: str | bytes) -> str:
    """The message that a catalogue file of this text gives, after checking that it is one sentence with its file."""
    path = tmp_path / "catalog.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError) as caught:
        load_catalog(path)
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_the_shipped_catalogue_is_sound():
    catalog = load_catalog()
    assert catalog.default_pair.id == next(iter(tomllib.loads((ASSETS / "catalog.toml").read_text())["pairs"]))
    for card in catalog.models.values():
        request = make_request(card, "a cat")  # every default lies within its own limits
        assert request.steps == card.steps.default
        assert card.folder is not None or card.repo or card.hosted
        assert card.licence
        assert card.negative_prompt or card.guidance.max > 1 or card.fixed_guidance
        assert card.steps.max > 1 or card.fixed_steps


def test_a_pairs_question_holds_at_any_settings():
    catalog = load_catalog()
    for pair in catalog.pairs.values():
        cards = [catalog.model(pair.lane(role).model) for role in ROLES]
        fixed = {f"{card.steps.default:g}" for card in cards if card.steps.min == card.steps.max}
        said = re.findall(r"(\d+)(?:-| )(?:steps?|evaluations?)", pair.question)
        assert set(said) <= fixed, pair.id


def test_ids_come_from_the_tables(catalog):
    assert catalog.model("old").id == "old"
    assert catalog.pair("short").lane("efficient").steps == 3
    assert catalog.pair(None) is catalog.default_pair is catalog.pair("both")


@pytest.mark.parametrize(
    "key", ["older", "", 7, True, ["old"], {"id": "old"}, "x" * 5000, 10**5000], ids=lambda key: type(key).__name__
)
def test_an_unknown_id_is_refused_with_the_known_ones(catalog, key):
    with pytest.raises(InputError) as caught:
        catalog.pair(key)
    assert str(caught.value).startswith("pair must be one of both, short; got ")
    assert len(str(caught.value)) < 150
    with pytest.raises(InputError, match="model must be one of old, new; got"):
        catalog.model(key)


def test_none_is_no_model(catalog):
    with pytest.raises(InputError, match="model must be one of"):
        catalog.model(None)


def test_guidance_evaluates_twice_a_step(catalog):
    old, new = catalog.model("old"), catalog.model("new")
    assert (old.evaluations(6, 3.0), old.evaluations(6, 1.0), new.evaluations(2, 1.0)) == (12, 6, 2)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.toml cannot be read .*; correct or restore the file\."):
        load_catalog(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models = 3",
        "[models.a]",
        "[models]\n[pairs]",
        "models = { a = 3 }\npairs = {}",
        "[[models]]\n[[pairs]]",
        "this is not TOML",
        b"name = '\xff'",
    ],
)
def test_a_file_that_is_no_catalogue_is_named(tmp_path, text):
    faulty(tmp_path, text)


STEPS = "steps = { default = 6, min = 1, max = 50 }"


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ('name = "Old"', "name = 3", "models.old.name"),
        (STEPS, 'steps = { default = "six", min = 1, max = 50 }', "models.old.steps.default"),
        (STEPS, "steps = { default = 6, min = 1 }", "models.old.steps.max"),
        ("multiple = 16", "multiple = 0", "models.old.size.multiple"),
        ("weight_bytes = 1000", "weight_bytes = 0", "models.old"),
        ('licence = "MIT"', 'license = "MIT"', "models.old.licence"),
        ('path = "models/old"', "", "models.old"),
        ('path = "models/old"', 'path = "models/old"\nrepo = "someone/old"', "models.old"),
        ('model = "new" }', 'model = "newer" }', "both.efficient"),
        ('question = "Will the new one do?"', "", "pairs.both.question"),
    ],
)
def test_a_fault_is_named_where_it_is(tmp_path, right, wrong, where):
    assert right in CATALOG
    assert where in faulty(tmp_path, CATALOG.replace(right, wrong, 1))


def own(tmp_path, text: str):
    path = tmp_path / "my.toml"
    path.write_text(text)
    return path


MINE = CATALOG.partition("[pairs.both]")[0].replace("models.old", "models.mine").partition("[models.new]")[0]


def test_a_users_own_models_come_beside_the_shipped_ones(tmp_path):
    catalog = load_catalog(more=own(tmp_path, MINE.replace('path = "models/old"', 'path = "weights/mine"')))
    assert catalog.default_pair.id == load_catalog().default_pair.id
    card = catalog.model("mine")
    assert card.folder == tmp_path / "weights/mine"
    assert not card.bundled
    assert card.source == "folder mine"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    """As Windows' own editors write it."""
    path = tmp_path / "mine.toml"
    text = '[pairs.mine]\nname = "M"\nquestion = "Q?"\npredecessor = { model = "sd-2.1" }\nsame_path = false\n'
    path.write_text(text + 'efficient = { model = "sdxl" }\n', "utf-8-sig")
    assert "mine" in load_catalog(more=path).pairs


def test_a_users_pair_may_name_shipped_models(tmp_path):
    text = '[pairs.own]\nname = "O"\nquestion = "Q?"\npredecessor = { model = "sdxl" }\nsame_path = false\n'
    catalog = load_catalog(more=own(tmp_path, text + 'efficient = { model = "sdxl", steps = 10 }\n'))
    assert catalog.pair("own").efficient.steps == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINE.replace("models.mine", "models.sdxl"), "models.sdxl: that id is taken"),
        (MINE.replace('licence = "MIT"', ""), "models.mine.licence"),
        ("[model.mine]", "'model' is none of models, pairs, judges"),
    ],
)
def test_a_fault_of_a_users_file_is_named(tmp_path, text, said):
    path = own(tmp_path, text)
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        load_catalog(more=path)
    assert str(path) in str(caught.value)


def test_a_users_judge_lies_in_a_folder_or_is_pinned(tmp_path):
    text = '[judges.mine]\nname = "Mine"\n'
    card = load_catalog(more=own(tmp_path, text + 'path = "clips/mine"\n')).judges["mine"]
    assert card.path == str(tmp_path / "clips/mine") and card.source == "folder mine"
    for source in ("", 'repo = "someone/clip"\n', f'path = "mine"\nrepo = "someone/clip"\nrevision = "{"a" * 40}"\n'):
        with pytest.raises(ModelError, match=r"judges\.mine: .*either a path or a repo with its revision"):
            load_catalog(more=own(tmp_path, text + source))


def test_a_branch_is_no_pin(tmp_path):
    text = MINE.replace('path = "models/old"', 'repo = "someone/mine"\nrevision = "main"')
    with pytest.raises(ModelError, match=r"models\.mine\.revision"):
        load_catalog(more=own(tmp_path, text))


def test_a_model_without_a_commit_says_so(catalog):
    card = catalog.model("old").model_copy(update={"path": None, "repo": "someone/old"})
    assert card.source == "someone/old (not pinned yet)"


def test_what_the_shipped_cards_say_adds_up():
    catalog = load_catalog()
    for card in catalog.models.values():
        if card.part_bytes:
            assert sum(card.part_bytes.values()) == pytest.approx(card.weight_bytes, rel=0.01), card.id
        if card.repo:
            assert card.memory_bytes > card.weight_bytes and card.memory_source
            parts = [card, *card.replace.values(), *(part for part in (card.lora, card.preview_vae) if part)]
            assert all(part.revision for part in parts) or card.id == "prx-512-sft-distilled"
    for pair in catalog.pairs.values():
        old, new = (catalog.model(pair.lane(role).model) for role in ROLES)
        assert old.size.default == new.size.default
        if old.repo:
            assert pair.note
            assert set(old.shared) & set(new.shared) == set(old.shared)


def test_a_models_bytes_follow_its_type(catalog):
    card = catalog.model("old").model_copy(update={"dtypes": ("bfloat16", "float32"), "weight_bytes": 10})
    assert (card.bytes_as("bfloat16"), card.bytes_as("float16"), card.bytes_as("float32")) == (10, 10, 20)


def test_pipelines_differ_in_where_guidance_begins():
    model = load_catalog().model("z-image")
    assert (model.evaluations(9, 0), model.evaluations(9, 1)) == (9, 18)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ((512, 256, 768, 8), (1024, 512, 1536, 32), (512, 512, 768, 32)),
        ((1024, 256, 1536, 16), (1024, 256, 1536, 16), (1024, 256, 1536, 16)),
        ((128, 128, 128, 16), (512, 96, 1024, 32), (128, 128, 128, 32)),
        ((100, 90, 110, 12), (100, 90, 200, 8), (96, 96, 96, 24)),
        ((128, 128, 128, 16), (1024, 512, 1536, 8), None),
    ],
)
def test_two_models_are_compared_at_sizes_that_both_make(one, other, common):
    names = ("default", "min", "max", "multiple")
    left, right = (Sizes(**dict(zip(names, sizes, strict=True))) for sizes in (one, other))
    expected = common and Sizes(**dict(zip(names, common, strict=True)))
    assert left.common(right) == right.common(left) == expected
