"""Networks that judge pictures by their prompts: what they say of one picture.

A judge is a CLIP (Radford et al. 2021, arXiv 2103.00020) in transformers' layout, as it is or trained on people's
choices (PickScore: Kirstain et al. 2023, arXiv 2305.01569). What it says of a picture is 100 × the cosine between the
picture's embedding and the prompt's: CLIP's own logit, and CLIPScore (Hessel et al. 2021, arXiv 2104.08718) but for its
factor and its cut at nought. It runs on the processor, so that no model
has to leave a GPU for it. Knows of no sweeps and no pages; transformers is imported where a judge is loaded.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.cards import JudgeCard
from pipeline.catalog import Catalog
from pipeline.disk import place_of
from pipeline.errors import InputError, ModelError, shown
from pipeline.weights import JUDGE_FILES, is_here, locate_judge


def judge_of(catalog: Catalog, name: object) -> JudgeCard:
    """A judge of the catalogue, or one in a folder; None gives the first that is on this disk, else the first. Raises
    InputError with the known ids."""
    known = catalog.judges
    if name is None and known:
        return next(filter(is_here, known.values()), next(iter(known.values())))
    if name in known:
        return known[name]
    folder = place_of(name) if isinstance(name, str) and name else None
    if folder is None or not folder.is_dir():
        raise InputError(f"judge must be one of {', '.join(known)}, or a folder with a CLIP in it; got {shown(name)}.")
    folder = folder.resolve()
    return JudgeCard(id=f"folder:{folder.name}", name=folder.name, path=str(folder))  # no catalogue has such an id


class Judge:
    """A judge in memory; used by one thread at a time."""

    def __init__(self, card: JudgeCard):
        """Loads it, which takes seconds. Raises ModelError in one sentence, NotDownloaded where it is not here."""
        self.card = card
        folder, self.mark = locate_judge(card)
        self._model, self._pictures, self._words = _loaded(card, folder)
        self._reads = min(self._words.model_max_length, self._model.config.text_config.max_position_embeddings)

    def score(self, image: Image.Image, prompt: str) -> float:
        """100 × cosine, so from -100 to 100; of a CLIP and a picture that fits, some 20 to 35. Of a prompt that is too
        long, what it reads of it counts. Raises ModelError where no number comes out."""
        import torch

        try:
            seen = self._pictures(images=image.convert("RGB"), return_tensors="pt")
            heard = self._words([prompt], truncation=True, max_length=self._reads, return_tensors="pt")
            with torch.inference_mode():
                said = self._model(**seen, input_ids=heard["input_ids"], attention_mask=heard["attention_mask"])
                cosine = torch.nn.functional.cosine_similarity(said.image_embeds, said.text_embeds).item()
        except (ValueError, RuntimeError, IndexError) as error:  # its parts do not fit each other
            raise ModelError(
                f"{self.card.name} cannot judge a picture ({type(error).__name__}); name another judge."
            ) from error
        if not math.isfinite(cosine):
            raise ModelError(f"{self.card.name} gives no number for a picture; its weights are damaged: fetch it anew.")
        return 100 * cosine


def _loaded(card: JudgeCard, folder: Path) -> tuple[Any, Any, Any]:
    """The network, what makes its input of a picture, and what makes it of words."""
    import torch

    # Pillow's, whether torchvision is there or not: they resize differently, and so would the scores differ.
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    fault = f"{card.name} cannot be loaded from {card.source}"
    try:
        kind = json.loads((folder / JUDGE_FILES[0]).read_text(encoding="utf-8")).get("model_type")
        if kind != "clip":
            raise ModelError(f"{fault}: it is no CLIP but {shown(kind)}; name another judge.")
        model, found = CLIPModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        words = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        pictures = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except ModelError:
        raise
    except Exception as error:  # whatever the libraries raise, a user gets one sentence
        raise ModelError(f"{fault} ({type(error).__name__}); fetch it anew, or name another judge.") from error
    if found["missing_keys"]:  # they would be drawn at random, and so would be what it says
        raise ModelError(f"{fault}: some of its weights are not there; fetch it anew, or name another judge.")
    if len(words) != model.config.text_config.vocab_size:  # it would take every word for another
        raise ModelError(f"{fault}: its tokenizer is not the one it was trained with; fetch it anew.")
    return model.eval(), pictures, words
