"""The tokenizer and text encoder of the bundled pair, started from all-MiniLM-L6-v2 (Apache-2.0).

Knows vocabularies and word vectors; nothing of pictures. Word embeddings start from MiniLM's "static" vectors:
each piece once through its encoder as [CLS] piece [SEP], the piece's output, PCA to 128. So a word that no
caption ever used still lies beside its neighbours, and it stays there because these rows learn slowly.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from transformers import BertConfig, BertModel, BertTokenizerFast

from pipeline.training.data import minilm_file

WIDTH, LAYERS, HEADS = 128, 2, 4
MAX_TOKENS = 24
COMMON = 23_000  # of 30,522 pieces; the two models of the pair must fit into 64 MB
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def choose_pieces(pieces: list[str], used: set[str]) -> list[int]:
    """Which pieces to keep, in order: of the commoner ones those in plain Latin, and all that captions are made of.

    pieces: the whole vocabulary, common ones first; used: pieces of the training captions.
    """

    def wanted(i: int, piece: str) -> bool:
        plain = piece.isascii() and not piece.startswith("[unused")
        return piece in SPECIAL or piece in used or (plain and i < COMMON)

    return [i for i, piece in enumerate(pieces) if wanted(i, piece)]


def make_tokenizer(pieces: list[str]) -> BertTokenizerFast:
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=MAX_TOKENS)


def make_encoder(vocabulary: int, width: int = WIDTH, layers: int = LAYERS, heads: int = HEADS) -> BertModel:
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(config, add_pooling_layer=False)


def build(work: Path, captions: Iterable[str]) -> None:
    """Write `text/` in the work folder: the pruned tokenizer and an encoder with MiniLM's neighbourhood of words.

    captions: everything that training may say; none of its words loses its piece.
    """
    pieces = minilm_file(work, "vocab.txt").decode().splitlines()
    whole = make_tokenizer(pieces)
    kept = choose_pieces(pieces, {piece for caption in captions for piece in whole.tokenize(caption)})
    vectors = static_vectors(work, kept)
    encoder = make_encoder(len(kept))
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight.copy_(vectors)
    encoder.save_pretrained(work / "text" / "encoder")
    make_tokenizer([pieces[i] for i in kept]).save_pretrained(work / "text" / "tokenizer")


def load_minilm(work: Path) -> BertModel:
    """all-MiniLM-L6-v2 without its pooler, for reading only."""
    minilm = BertModel(BertConfig(**json.loads(minilm_file(work, "config.json"))), add_pooling_layer=False)
    weights = load_safetensors(minilm_file(work, "model.safetensors"))
    minilm.load_state_dict({k: v for k, v in weights.items() if k in minilm.state_dict()})
    return minilm.eval().requires_grad_(False)


@torch.no_grad()
def static_vectors(work: Path, pieces: list[int]) -> torch.Tensor:
    """(len(pieces), WIDTH) float32: the pieces through MiniLM, centred, PCA, unit standard deviation over all."""
    minilm = load_minilm(work)
    ids = torch.tensor(pieces)
    frame = torch.stack([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], 1)  # [CLS] piece [SEP]
    outputs = torch.cat([minilm(input_ids=part).last_hidden_state[:, 1] for part in frame.split(512)])
    centred = outputs - outputs.mean(0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    projected = centred @ axes[:, -WIDTH:].flip(1)
    return projected / projected.std()


def load(work: Path) -> tuple[BertTokenizerFast, BertModel]:
    folder = work / "text"
    return (
        BertTokenizerFast.from_pretrained(folder / "tokenizer"),
        BertModel.from_pretrained(folder / "encoder", add_pooling_layer=False, dtype=torch.float32),
    )
