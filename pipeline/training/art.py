"""Pictures of the same things by other hands: what the judge learns from, and no generator ever saw.

Knows the iconify packages of npm and how to draw their SVG. Written like data.py's pack, as `judge.npy` and
`judge.json`, one row a drawing; several rows share a name.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import PlaygroundError
from pipeline.training.data import SIZE, Pack, Picture, archive_name, dominant_colour, npm_pack, read_pack

# The two Fluent sets are flat and glossy drawings of the same designs as the 3D ones, which are in none of them.
SETS = (
    "@iconify-json/fluent-emoji@1.2.7",
    "@iconify-json/fluent-emoji-flat@1.2.6",
    "@iconify-json/noto@1.2.9",
    "@iconify-json/twemoji@1.2.5",
)
NAMES_BY = "@iconify-json/fluent-emoji-flat@1.2.6"  # the gradient set has the same icon names and no table of its own


def load(work: Path, pictures: Sequence[Picture]) -> Pack:
    """Drawings of `pictures` in every set that has them; fetched and drawn the first time. Raises PlaygroundError."""
    if not (work / "judge.json").exists():
        folder = work / "downloads"
        folder.mkdir(parents=True, exist_ok=True)
        for package in SETS:
            npm_pack(package, folder)
        found = [row for package in SETS for row in _drawings(folder, package, pictures)]
        np.save(work / "judge.npy", np.stack([pixels for pixels, _ in found]))
        (work / "judge.json").write_text(json.dumps([asdict(p) for _, p in found], ensure_ascii=False, indent=0))
    return read_pack(work, "judge")


def _drawings(folder: Path, package: str, pictures: Sequence[Picture]) -> Iterator[tuple[np.ndarray, Picture]]:
    icons = _read(folder, package, "icons.json")
    names = _read(folder, package, "chars.json") or _read(folder, NAMES_BY, "chars.json")
    size = icons.get("width", 16), icons.get("height", 16)
    for picture in pictures:
        points = [f"{ord(character):x}" for character in picture.emoji]
        name = names.get("-".join(points)) or names.get("-".join(p for p in points if p != "fe0f"))
        icon = icons["icons"].get(icons.get("aliases", {}).get(name, {}).get("parent", name))
        if icon is None:
            continue
        pixels = draw(icon["body"], icon.get("width", size[0]), icon.get("height", size[1]))
        hue, colour = dominant_colour(pixels)
        yield pixels, replace(picture, hue=hue, colour=colour)


def _read(folder: Path, package: str, name: str) -> dict:
    with tarfile.open(folder / archive_name(package)) as archive:
        return json.load(archive.extractfile(f"package/{name}"))


def draw(body: str, width: int, height: int) -> np.ndarray:
    """The inside of an SVG of that size as uint8 (SIZE, SIZE, 4) RGBA, straight alpha."""
    try:
        import resvg_py
    except ImportError as error:
        raise PlaygroundError(
            "resvg-py is not installed; run `pip install -r pipeline/training/requirements.txt`."
        ) from error
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{SIZE}" height="{SIZE}">{body}</svg>'
    )
    image = Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE)))
    return np.asarray(image.convert("RGBA").resize((SIZE, SIZE)))
