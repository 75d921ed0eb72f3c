"""Fidelity to the predecessor, said as what it is: how near two pictures are, not how good either is.

PSNR and SSIM mean something only where both models map the same noise to the same picture (a distillation that
keeps the path, a cache, a quantisation). The catalogue says for which pairs that holds.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image


def fidelity(reference: Image.Image, other: Image.Image) -> dict[str, float | None] | None:
    """PSNR in dB (None when the pictures are equal) and SSIM in [-1, 1]; None when the sizes differ.

    SSIM as in Wang et al. 2004, the usual 7 x 7 window of scikit-image, over RGB.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if reference.size != other.size:
        return None
    left, right = (np.asarray(image.convert("RGB")) for image in (reference, other))
    if min(left.shape[:2]) < 7:
        return None
    equal = bool((left == right).all())
    psnr = math.inf if equal else float(peak_signal_noise_ratio(left, right, data_range=255))
    return {
        "psnr_db": None if math.isinf(psnr) else round(psnr, 2),
        "ssim": round(float(structural_similarity(left, right, channel_axis=2, data_range=255)), 4),
    }


def difference(reference: Image.Image, other: Image.Image) -> Image.Image:
    """Where the pictures differ: the largest channel difference of each pixel, grey, full range as it is."""
    left, right = (np.asarray(image.convert("RGB"), dtype=np.int16) for image in (reference, other))
    if left.shape != right.shape:
        right = np.asarray(other.convert("RGB").resize(reference.size), dtype=np.int16)
    return Image.fromarray(255 - np.abs(left - right).max(axis=2).astype(np.uint8), mode="L")
