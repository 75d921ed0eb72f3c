"""What differs between diffusers' pipeline classes: how a prompt becomes tensors, and how a preview is had.

One class a family, all stateless. A pipeline class without an entry runs too, with its prompt passed as text: then
encoding cannot be told apart from denoising and nothing is reused.
"""

from __future__ import annotations

from typing import Any

from PIL import Image


class PRXPixel:
    """PRXPixelPipeline: pixel space, embeddings with an attention mask, an empty prompt as the unconditional branch."""

    def encode(self, pipe: Any, text: str) -> tuple[Any, ...]:
        """Embeddings (1, tokens, width) and mask (1, tokens) of one text.

        Each text is encoded by itself, also where the pipeline would put prompt and negative prompt in one batch:
        so a text's embeddings never depend on its company, and both lanes can share them.
        """
        embeds, mask, _, _ = pipe.encode_prompt(text, do_classifier_free_guidance=False)
        return embeds, mask

    def arguments(self, positive: tuple[Any, ...], negative: tuple[Any, ...] | None) -> dict[str, Any]:
        given = {"prompt": None, "prompt_embeds": positive[0], "prompt_attention_mask": positive[1]}
        if negative is not None:
            given |= {"negative_prompt_embeds": negative[0], "negative_prompt_attention_mask": negative[1]}
        return given

    def preview(self, before: Any, after: Any, sigma: float, next_sigma: float) -> Image.Image:
        """The clean picture that the last step pointed at, from the states (1, 3, H, W) at both its ends.

        Flow matching: velocity v = (x_t - x_t') / (t - t'), clean picture x_0 = x_t' - t' v.
        """
        velocity = (before - after) / (sigma - next_sigma)
        clean = (after - next_sigma * velocity)[0].float().clamp(-1, 1)
        pixels = ((clean + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        return Image.fromarray(pixels)


FAMILIES: dict[str, PRXPixel] = {"PRXPixelPipeline": PRXPixel()}
