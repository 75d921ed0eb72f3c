"""A result as a recipe (plain JSON) and back: what a PNG of ours carries, and what the picture cache keeps."""

from __future__ import annotations

from typing import Any

from PIL import Image
from pydantic import ValidationError

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.events import Result
from pipeline.hosted import HostedCall
from pipeline.reading import Reading
from pipeline.request import ImageRequest
from pipeline.timing import Timings


def recipe_of(result: Result) -> dict[str, Any]:
    """Request, result and versions. Seconds are those of every run, in the order they were made."""
    return {
        "request": result.request.model_dump(mode="json"),
        "result": {
            "seconds": [run.as_dict() for run in result.runs],
            "model_evaluations": result.evaluations,
            "device": result.device,
            "dtype": result.dtype,
            "revision": result.revision,
            "warm": result.warm,
            "encode_cached": result.encode_cached,
            "previews": result.previews,
            "peak_memory_bytes": result.peak_memory_bytes,
            "reading": result.reading and result.reading.as_dict(),
            "hosted": result.hosted and result.hosted.model_dump(mode="json"),
        },
        "versions": {"diptych": __version__, **result.versions},
    }


def request_from_recipe(recipe: dict[str, Any]) -> ImageRequest:
    """The request in a recipe, as it was made. Raises InputError if the recipe is not one of ours.

    A recipe is input like any other: pass its fields through make_request before running it.
    """
    try:
        return ImageRequest.model_validate(recipe["request"])
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError("The recipe in this file is incomplete or changed; it cannot be restored.") from error


def result_from_recipe(image: Image.Image, recipe: dict[str, Any], cache: str = "miss") -> Result:
    """The whole result. Raises InputError if the recipe is not one of ours."""
    request = request_from_recipe(recipe)
    try:
        said = recipe["result"]
        if not said["seconds"]:
            raise ValueError("a result has at least one run")
        return Result(
            request=request,
            image=image,
            runs=tuple(Timings.from_dict(run) for run in said["seconds"]),
            evaluations=said["model_evaluations"],
            device=said["device"],
            dtype=said["dtype"],
            revision=said["revision"],
            versions={key: value for key, value in recipe["versions"].items() if key != "diptych"},
            warm=said["warm"],
            cache=cache,
            encode_cached=said["encode_cached"],
            previews=said["previews"],
            peak_memory_bytes=said["peak_memory_bytes"],
            reading=Reading.from_dict(said.get("reading")),
            hosted=HostedCall.model_validate(said["hosted"]) if said.get("hosted") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("The recipe in this file is incomplete or changed; it cannot be restored.") from error
