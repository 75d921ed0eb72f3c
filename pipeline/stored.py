"""The comparison and the example pictures that the page shows before anybody has run anything.

They are real: made by ``python -m pipeline stored`` with the bundled pair, kept in assets/stored with their recipes
and marked on the page as stored.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from pipeline import imagefile
from pipeline.cards import ASSETS
from pipeline.compare import compare_document, plan
from pipeline.errors import PlaygroundError
from pipeline.events import Result, final_results
from pipeline.playground import Playground
from pipeline.recipe import recipe_of, result_from_recipe

FOLDER = ASSETS / "stored"
REPEAT = 10
"""Runs a lane behind the stored times."""


def examples() -> list[dict[str, Any]]:
    """The example prompts: prompt, seed and the path of the small picture."""
    table = tomllib.loads((ASSETS / "prompts.toml").read_text(encoding="utf-8"))
    return [{**row, "image": FOLDER / f"example-{i}.png"} for i, row in enumerate(table["prompts"], 1)]


def load() -> tuple[dict[str, Any], dict[str, Result]] | None:
    """The stored comparison's document and results by role; None where there is none that can be read."""
    try:
        document = json.loads((FOLDER / "compare.json").read_text(encoding="utf-8"))
        results = {
            lane["role"]: result_from_recipe(*imagefile.read(FOLDER / lane["image"])) for lane in document["lanes"]
        }
    except (OSError, ValueError, KeyError, PlaygroundError):
        return None
    return document, results


def remake(playground: Playground) -> dict[str, Any]:
    """Make them anew with the default pair and price. Returns the comparison's document."""
    FOLDER.mkdir(exist_ok=True)
    pair = playground.catalog.default_pair
    for example in examples():
        request = plan(playground.catalog, pair, example["prompt"], seed=example["seed"])["efficient"]
        (result,) = final_results(playground.engine.run([request], use_cache=False))
        imagefile.write(example["image"], result.image, recipe_of(result))
    first = examples()[0]
    requests = plan(playground.catalog, pair, first["prompt"], seed=first["seed"])
    made = final_results(playground.engine.run(list(requests.values()), repeat=REPEAT))
    results = dict(zip(requests, made, strict=True))
    document = compare_document(pair, results, playground.price(None, results["efficient"].device))
    for lane in document["lanes"]:
        lane["image"] = f"{lane['role']}.png"
        imagefile.write(FOLDER / lane["image"], results[lane["role"]].image, recipe_of(results[lane["role"]]))
    (FOLDER / "compare.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document
