"""What differs between pipeline classes, on tensors made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.backends.families import PRXPixel
from pipeline.backends.previews import clean_state


@pytest.mark.parametrize(("sigma", "next_sigma"), [(1.0, 0.75), (0.75, 0.5), (0.25, 0.04)])
def test_a_preview_is_the_clean_picture_that_the_step_pointed_at(sigma, next_sigma):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(1, 3, 16, 24, generator=generator) * 2 - 1
    noise = torch.randn(1, 3, 16, 24, generator=generator)
    before, after = ((1 - t) * clean + t * noise for t in (sigma, next_sigma))
    image = PRXPixel().preview(None, None, clean_state(before, after, sigma, next_sigma))
    expected = ((clean[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    assert image.size == (24, 16)
    assert np.abs(np.asarray(image, float) - expected).max() <= 1


def test_a_preview_beyond_the_range_is_cut_off():
    image = PRXPixel().preview(None, None, torch.full((1, 3, 8, 8), 5.0))
    assert image.getextrema() == ((255, 255),) * 3


def test_without_a_second_text_there_are_no_negative_arguments():
    positive = (torch.zeros(1, 4, 8), torch.ones(1, 4))
    assert set(PRXPixel().arguments(positive, None)) == {"prompt", "prompt_embeds", "prompt_attention_mask"}
    both = PRXPixel().arguments(positive, positive)
    assert both["negative_prompt_embeds"] is positive[0]
    assert both["negative_prompt_attention_mask"] is positive[1]
