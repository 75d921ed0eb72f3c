"""PNG with its whole recipe inside, and back again.

The recipe is a JSON object in one ``diptych`` text chunk (iTXt, UTF-8): the request, what it took, and the versions
it was made with. Nothing else is stored: no path, no key, no name of a person or machine.
"""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, PngImagePlugin

from pipeline.errors import InputError
from pipeline.request import ImageRequest
from pipeline.wording import slug

CHUNK = "diptych"
NAME_MAX = 100
BROKEN = (SyntaxError, ValueError, IndexError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for a bad file, beside OSError."""


def write(target: Path | BinaryIO, image: Image.Image, recipe: dict) -> None:
    """Save ``image`` as PNG with ``recipe`` inside. Raises OSError if it cannot be written."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(CHUNK, json.dumps(recipe, ensure_ascii=False, sort_keys=True))
    image.save(target, format="PNG", pnginfo=text)


def name_of(request: ImageRequest) -> str:
    """What the file of a picture is called: two that differ in anything a person can set have two names, of a length
    that every system takes, Windows with the folders before it too."""
    said = [
        _told(request.prompt),
        *(["without", _told(request.negative_prompt)] if request.negative_prompt else []),
        str(request.seed),
        slug(Path(request.model).name),  # a folder or a Hub id has a slash
        f"{request.steps}-steps-guidance-{request.guidance!r}".removesuffix(".0"),
        *request.switches,
        f"{request.width}x{request.height}",
    ]
    name = "-".join(said)
    if len(name) > NAME_MAX:
        name = f"{name[: NAME_MAX - 9]}-{zlib.crc32(name.encode()):08x}"
    return f"{name}.png"


def _told(prompt: str) -> str:
    """A prompt in a file's name; what has to be left out of it, or cut off, is told apart by a checksum."""
    short = slug(prompt)
    return short if short.replace("-", " ") == prompt else f"{short}-{zlib.crc32(prompt.encode()):08x}"


def read(source: Path | BinaryIO) -> tuple[Image.Image, dict]:
    """Picture and recipe. Raises OSError for no picture and InputError (an error a user may see) for no recipe."""
    with _opened(source) as image:
        image.load()
        text = image.info.get(CHUNK)
        picture = image.convert("RGB") if image.mode not in ("RGB", "L") else image.copy()
    picture.info = {}
    return picture, _recipe(text)


def read_recipe(source: Path | BinaryIO) -> dict:
    """The recipe alone: no pixel is decoded, so a picture of any size costs nothing. Raises as :func:`read` does."""
    with _opened(source) as image:
        return _recipe(image.info.get(CHUNK))


def readable(source: Path) -> bool:
    """Whether a picture is there and whole: its checksums are, and no pixel is decoded."""
    try:
        with _opened(source) as image:
            image.verify()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Image.Image]:
    try:
        with Image.open(source, formats=["PNG"]) as image:
            yield image
    except BROKEN as error:
        raise OSError(f"broken PNG: {error}") from error


def _recipe(text: object) -> dict:
    try:
        recipe = json.loads(text)
        if not isinstance(recipe, dict) or not isinstance(recipe.get("request"), dict):
            raise ValueError
    except (TypeError, ValueError, RecursionError):
        raise InputError(
            "This PNG carries no Diptych recipe; only pictures saved by Diptych can be restored."
        ) from None
    return recipe
