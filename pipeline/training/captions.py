"""What may be said about a picture, and which sayings are never trained on.

Pure functions of strings and a random.Random: no pictures, no tensors. A Look is one way to show a picture;
`caption` says it in one of several forms, because caption richness is the strongest single lever on a small
text-to-image model (PRX part 2: short captions 36.8 FID, long ones 18.2).
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.training.data import HUES, Picture

# sRGB of each background word. White is the ground that is used when nothing is said.
BACKGROUNDS = {
    "yellow": (255, 214, 64),
    "orange": (255, 160, 66),
    "red": (226, 62, 62),
    "pink": (255, 170, 200),
    "purple": (158, 110, 214),
    "blue": (66, 128, 230),
    "light blue": (168, 216, 248),
    "green": (96, 184, 96),
    "gray": (150, 154, 160),
    "black": (22, 22, 26),
}
# Share of drawn looks in another colour (where there is one to turn), and on a coloured ground. A fifth each was enough
# for a million pictures; where a GPU sees many more, variety keeps a network from learning single pictures.
TINTED, GROUNDED = 0.3, 0.3
HELD_OUT_CONCEPTS = 0.02  # share of pictures never shown at all
HELD_OUT_PAIRS = 0.05  # share of (picture, colour) and of (picture, background) never shown
# What people type for what CLDR calls otherwise.
ALIASES = {
    "automobile": "car",
    "red apple": "apple",
    "locomotive": "train",
    "closed book": "book",
    "wrapped gift": "gift",
    "flying saucer": "ufo",
    "honeybee": "bee",
    "mobile phone": "phone",
    "deciduous tree": "tree",
    "birthday cake": "cake",
    "soccer ball": "football",
    "wine glass": "glass of wine",
    "beer mug": "beer",
    "grinning face": "smiley",
    "red heart": "heart",
    "running shoe": "sneaker",
    "front-facing baby chick": "chick",
    "headphone": "headphones",
    "gem stone": "gem",
    "droplet": "water drop",
    "hamburger": "burger",
    "lady beetle": "ladybug",
    "locked": "padlock",
}
MEANS_NO_PICTURE = frozenset({"face", "symbol", "button", "suit", "done", "not", "emoji"})


@dataclass(frozen=True)
class Look:
    """tint: colour word the hue was turned to, or None; background: a key of BACKGROUNDS, or None for white."""

    tint: str | None = None
    background: str | None = None


def share(*parts: str) -> float:
    """A number in [0, 1) that depends on the words alone, so that the split is the same on every machine."""
    digest = hashlib.sha256("\x1f".join(("diptych-split-1", *parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def held_out(picture: Picture, look: Look | None = None) -> bool:
    """Whether a picture, or this look of it, is kept from training."""
    if share("concept", picture.name) < HELD_OUT_CONCEPTS:
        return True
    if look is None:
        return False
    tinted = look.tint is not None and share("tint", picture.name, look.tint) < HELD_OUT_PAIRS
    placed = look.background is not None and share("background", picture.name, look.background) < HELD_OUT_PAIRS
    return tinted or placed


def held_out_list(pictures: Sequence[Picture]) -> dict[str, list]:
    """Everything that is never trained on: concept names, [name, tint] pairs and [name, background] pairs."""
    kept = [p for p in pictures if not held_out(p)]
    return {
        "concepts": [p.name for p in pictures if held_out(p)],
        "tints": [[p.name, w] for p in kept if p.hue is not None for w in HUES if held_out(p, Look(tint=w))],
        "backgrounds": [[p.name, w] for p in kept for w in BACKGROUNDS if held_out(p, Look(background=w))],
    }


def draw_look(picture: Picture, rng: random.Random) -> Look:
    """A look that is not held out."""
    while True:
        tint = rng.choice(tuple(HUES)) if picture.hue is not None and rng.random() < TINTED else None
        background = rng.choice(tuple(BACKGROUNDS)) if rng.random() < GROUNDED else None
        look = Look(None if tint == picture.colour else tint, background)
        if not held_out(picture, look):
            return look


def short_name(picture: Picture) -> str:
    """The name as people type it: "automobile" -> "car" and, for animals and plants only, "cat face" -> "cat"."""
    if picture.name in ALIASES:
        return ALIASES[picture.name]
    if picture.group == "Animals & Nature" and picture.name.endswith(" face"):
        return picture.name.removesuffix(" face")
    return picture.name


def with_article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def coloured(name: str, colour: str) -> str:
    """ "red apple" turned green is "green apple": the old colour word must go."""
    words = [w for w in name.split() if w not in HUES and w != "brown"] or name.split()
    return " ".join([colour, *words])


def vocabulary(pictures: Sequence[Picture]) -> list[str]:
    """Every name and keyword, and the words that captions put round them."""
    frames = ["3d icon of a an picture emoji on white background brown", *HUES, *BACKGROUNDS]
    return [*frames, *ALIASES.values(), *(text for p in pictures for text in (p.name.replace("’", "'"), *p.keywords))]


def caption(picture: Picture, look: Look, rng: random.Random) -> str:
    """One true sentence about the picture in this look."""
    name = rng.choice((picture.name, short_name(picture))).replace("’", "'")
    colour = look.tint
    if colour is None and picture.colour is not None and rng.random() < 0.2:
        colour = picture.colour
    if colour is not None:
        name = coloured(name, colour)
    keywords = [k for k in picture.keywords if k.lower() not in name.lower() and k not in MEANS_NO_PICTURE]
    if look.tint is not None:
        keywords = [k for k in keywords if k not in HUES and k != "brown"]
    chosen = rng.sample(keywords, min(len(keywords), rng.choice((1, 2, 2, 3))))

    form = rng.random()
    if form < 0.30:
        text = name
    elif form < 0.62 or not chosen:
        text = with_article(name)
    elif form < 0.82:
        text = ", ".join([name, *chosen])
    elif form < 0.92:
        text = " ".join(filter(None, [colour, *chosen]))
    else:
        text = f"{rng.choice(('3d icon of', 'an icon of', 'a 3d picture of', 'emoji of'))} {with_article(name)}"
    if look.background is not None:
        text += rng.choice((f" on a {look.background} background", f", {look.background} background"))
    elif rng.random() < 0.12:
        text += rng.choice((" on a white background", ", white background"))
    return text
