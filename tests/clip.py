"""A judge of random weights: a CLIP so small that a test can load it, in the layout of those on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

READS = 16
"""Tokens; its tokenizer makes one of every byte."""


def write_clip(folder: Path, seed: int = 0) -> Path:
    """Write one; imports torch and transformers, which takes seconds."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    from pipeline.bench.random_weights import tokenizer

    words = tokenizer(READS)
    # As CLIP's own: what a text means is read off at its end, which is the last token of all.
    words.add_special_tokens({"eos_token": "<end>"})
    ends = [(token, words.convert_tokens_to_ids(token)) for token in (words.bos_token, words.eos_token)]
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{words.bos_token} $A {words.eos_token}", special_tokens=ends
    )
    sides = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": 0}
    heard: dict[str, Any] = {"vocab_size": len(words), "max_position_embeddings": READS, **sides, **special}
    seen: dict[str, Any] = {"image_size": 32, "patch_size": 16, **sides}
    torch.manual_seed(seed)
    CLIPModel(CLIPConfig(text_config=heard, vision_config=seen, projection_dim=16)).save_pretrained(folder)
    words.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
