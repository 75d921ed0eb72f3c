"""A PNG carries its whole recipe and gives it back; anything else is refused in one sentence."""

from __future__ import annotations

import json
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipeline import imagefile
from pipeline.catalog import load_catalog
from pipeline.errors import InputError
from pipeline.request import make_request

PICTURE = Image.frombytes("RGB", (8, 8), bytes(range(192)))


def written(image: Image.Image, recipe: dict) -> BytesIO:
    buffer = BytesIO()
    imagefile.write(buffer, image, recipe)
    buffer.seek(0)
    return buffer


def png(text: str | None, chunk: str = imagefile.CHUNK, compressed: bool = False) -> BytesIO:
    """A PNG with any text in its recipe's place."""
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_itxt(chunk, text, zip=compressed)
    buffer = BytesIO()
    PICTURE.save(buffer, format="PNG", pnginfo=info)
    buffer.seek(0)
    return buffer


TRICKY = [
    "a red apple",
    "苹果 🍎 яблоко",
    "<script>alert('x')</script>",
    'quotes " and \\ and \u2028',
    "x" * 2000,
    "\u202e right to left",
]


@pytest.mark.parametrize("prompt", TRICKY, ids=range(len(TRICKY)))
def test_picture_and_recipe_come_back_whole(tmp_path, prompt):
    recipe = {"request": {"prompt": prompt, "seed": 2**64 - 1}, "result": {"seconds": [{"total": 0.1 + 0.2}]}}
    path = tmp_path / "picture.png"
    imagefile.write(path, PICTURE, recipe)
    image, read = imagefile.read(path)
    assert read == recipe
    assert image.tobytes() == PICTURE.tobytes()


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.one_of(st.text(st.characters(codec="utf-8")), st.integers(), st.floats(allow_nan=False), st.none()),
    )
)
def test_every_json_object_comes_back(request_part):
    recipe = {"request": request_part}
    assert imagefile.read(written(PICTURE, recipe))[1] == recipe


def test_the_text_of_the_file_stays_out_of_the_picture(tmp_path):
    image, _ = imagefile.read(written(PICTURE, {"request": {}}))
    assert image.info == {}  # or a second save would carry the first one's recipe


def test_a_grey_picture_stays_grey_and_transparency_goes():
    grey, _ = imagefile.read(written(PICTURE.convert("L"), {"request": {}}))
    clear, _ = imagefile.read(written(PICTURE.convert("RGBA"), {"request": {}}))
    assert (grey.mode, clear.mode) == ("L", "RGB")


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "null", "3", "[]", "{}", '{"request": 3}', '{"request": null}', "NaN", "[" * 100_000],
    ids=lambda text: repr(text)[:20],
)
def test_a_png_without_a_recipe_of_ours_is_refused(text):
    with pytest.raises(InputError, match="carries no Diptych recipe"):
        imagefile.read(png(text))


def test_another_programs_text_is_no_recipe():
    with pytest.raises(InputError, match="carries no Diptych recipe"):
        imagefile.read(png(json.dumps({"request": {}}), chunk="parameters"))


def test_a_compressed_recipe_is_read_too():
    assert imagefile.read(png(json.dumps({"request": {"seed": 1}}), compressed=True))[1] == {"request": {"seed": 1}}


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_other_formats_are_no_picture_of_ours(kind):
    buffer = BytesIO()
    PICTURE.save(buffer, format=kind)
    buffer.seek(0)
    with pytest.raises(OSError, match="cannot identify"):
        imagefile.read(buffer)


def test_a_bomb_in_the_text_is_refused():
    with pytest.raises(OSError, match="broken PNG"):
        imagefile.read(png('{"request": "' + "x" * 80_000_000 + '"}', compressed=True))


def test_a_picture_too_large_to_open_is_refused():
    size = (100_000).to_bytes(4, "big")
    file = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + size + size + bytes([8, 2, 0, 0, 0]), b"IDAT" + bytes(40)):
        file += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    with pytest.raises(OSError, match="broken PNG"):
        imagefile.read(BytesIO(file))


@pytest.mark.parametrize("content", [b"\x01", b""])
def test_a_chunk_that_is_cut_short_is_a_broken_picture(content):
    file = written(PICTURE, {"request": {}}).getvalue()
    chunk = b"gAMA" + content
    cut = len(content).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    end = file.index(b"IEND") - 4
    with pytest.raises(OSError, match="broken PNG"):
        imagefile.read(BytesIO(file[:end] + cut + file[end:]))


def test_the_recipe_alone_is_read_without_the_pixels():
    buffer = written(PICTURE, {"request": {"seed": 1}})
    assert imagefile.read_recipe(buffer) == {"request": {"seed": 1}}
    with pytest.raises(InputError, match="carries no Diptych recipe"):
        imagefile.read_recipe(png(None))
    with pytest.raises(OSError, match="cannot identify"):
        imagefile.read_recipe(BytesIO(b"\x89PNG"))


def test_pictures_that_differ_in_anything_have_different_names():
    card = load_catalog().model("sdxl")
    asked = {"prompt": "a red apple", "seed": 7}
    others = [
        {}, {"prompt": "a red apple!"}, {"prompt": "苹果"}, {"prompt": "苹"}, {"prompt": "x" * 60},
        {"prompt": "x" * 61}, {"seed": 8}, {"steps": 9},
        {"guidance": 2.5}, {"guidance": 4.1234561}, {"guidance": 4.1234562},
        {"switches": ["compile"]}, {"width": 512}, {"height": 512},
        {"prompt": "x" * 60, "negative_prompt": "y" * 60, "switches": ["compile", "int8-weights", "channels-last"]},
        {"prompt": "x" * 60, "negative_prompt": "y" * 60, "switches": ["compile", "int8-weights"]},
        {"negative_prompt": "blur"}, {"negative_prompt": "Blur"},
    ]  # fmt: skip
    made = [{**asked, **other} for other in others]
    names = [imagefile.name_of(make_request(card, each.pop("prompt"), **each)) for each in made]
    assert names[0] == "a-red-apple-7-sdxl-25-steps-guidance-6-1024x1024.png"
    assert names[-2].startswith("a-red-apple-without-blur-7-sdxl-")
    assert len(set(names)) == len(names)
    assert all(name.isascii() and len(name) <= 104 for name in names)
