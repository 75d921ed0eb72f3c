"""From a result to a PNG and back: the request that comes out makes the same picture."""

from __future__ import annotations

import copy
import json
from io import BytesIO

import pytest

from pipeline import __version__, imagefile
from pipeline.errors import InputError
from pipeline.recipe import recipe_of, request_from_recipe, result_from_recipe
from pipeline.request import make_request
from tests.fakes import results


@pytest.fixture
def result(engine, requests):
    return results(engine.run(requests, repeat=3))[1]


def test_a_png_gives_back_the_request_and_the_request_the_picture(engine, catalog):
    request = make_request(
        catalog.model("old"),
        "苹果 <script>alert(1)</script> \"quoted\"",
        negative_prompt="dogs",
        seed=2**64 - 1,
        width=48,
        height=16,
        steps=5,
        guidance=2.75,
    )  # fmt: skip
    first = results(engine.run([request]))[0]
    file = BytesIO()
    imagefile.write(file, first.image, recipe_of(first))
    file.seek(0)
    image, recipe = imagefile.read(file)
    assert request_from_recipe(recipe) == request
    again = results(engine.run([request_from_recipe(recipe)], use_cache=False))[0]
    assert again.image.tobytes() == image.tobytes()


def test_a_result_comes_back_whole(result):
    recipe = json.loads(json.dumps(recipe_of(result)))
    assert result_from_recipe(result.image, recipe) == result
    assert result_from_recipe(result.image, recipe, cache="hit").cache == "hit"


def test_a_recipe_says_request_result_and_versions(result):
    recipe = recipe_of(result)
    assert set(recipe) == {"request", "result", "versions"}
    assert set(recipe["request"]) == {
        "model", "prompt", "negative_prompt", "seed", "width", "height", "steps", "guidance", "switches",
    }  # fmt: skip
    assert recipe["versions"] == {"diptych": __version__, "fake": "1"}
    assert len(recipe["result"]["seconds"]) == 3
    assert set(recipe["result"]["seconds"][0]) == {"wait", "load", "encode", "denoise", "decode", "total"}


REQUEST_FAULTS = [
    lambda recipe: recipe.pop("request"),
    lambda recipe: recipe.update(request=None),
    lambda recipe: recipe.update(request=[]),
    lambda recipe: recipe["request"].pop("seed"),
    lambda recipe: recipe["request"].update(seed="many"),
    lambda recipe: recipe["request"].update(extra=1),
]
RESULT_FAULTS = [
    lambda recipe: recipe.pop("result"),
    lambda recipe: recipe.update(result=[]),
    lambda recipe: recipe["result"].pop("device"),
    lambda recipe: recipe["result"].update(seconds=[]),
    lambda recipe: recipe["result"].update(seconds=3),
    lambda recipe: recipe["result"]["seconds"][0].pop("denoise"),
    lambda recipe: recipe["result"]["seconds"][0].update(denoise="long"),
    lambda recipe: recipe["result"]["seconds"].append(None),
    lambda recipe: recipe.pop("versions"),
    lambda recipe: recipe.update(versions=[]),
]


@pytest.mark.parametrize("fault", range(len(REQUEST_FAULTS + RESULT_FAULTS)))
def test_a_changed_recipe_is_refused_in_one_sentence(result, fault):
    recipe = copy.deepcopy(recipe_of(result))
    (REQUEST_FAULTS + RESULT_FAULTS)[fault](recipe)
    with pytest.raises(InputError, match="incomplete or changed"):
        result_from_recipe(result.image, recipe)
    if fault < len(REQUEST_FAULTS):
        with pytest.raises(InputError, match="incomplete or changed"):
            request_from_recipe(recipe)
    else:
        assert request_from_recipe(recipe) == result.request
