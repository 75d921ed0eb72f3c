"""PSNR, SSIM and the difference picture, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from pipeline.quality import difference, fidelity


def flat(level: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def noise(seed: int, size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def test_equal_pictures_have_no_psnr_and_an_ssim_of_one():
    assert fidelity(noise(1), noise(1)) == {"psnr_db": None, "ssim": 1.0}


@pytest.mark.parametrize("step", [1, 5, 51, 255])
def test_psnr_of_flat_pictures_is_twenty_log_of_range_over_step(step):
    found = fidelity(flat(0), flat(step))
    assert found["psnr_db"] == pytest.approx(20 * math.log10(255 / step), abs=0.006)


def test_ssim_of_flat_pictures_is_the_luminance_term_alone():
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert fidelity(flat(100), flat(150))["ssim"] == pytest.approx(expected, abs=6e-5)


def test_unrelated_noise_is_far_away_and_the_order_does_not_matter():
    found = fidelity(noise(1), noise(2))
    assert found["psnr_db"] < 10
    assert abs(found["ssim"]) < 0.1
    assert found == fidelity(noise(2), noise(1))


def test_more_noise_is_less_faithful():
    base = np.asarray(noise(1).resize((64, 64)), dtype=float)
    rng = np.random.default_rng(0)
    found = [
        fidelity(noise(1), Image.fromarray(np.clip(base + rng.normal(0, amount, base.shape), 0, 255).astype(np.uint8)))
        for amount in (2, 10, 40)
    ]
    assert found[0]["psnr_db"] > found[1]["psnr_db"] > found[2]["psnr_db"]
    assert found[0]["ssim"] > found[1]["ssim"] > found[2]["ssim"]


def test_pictures_that_cannot_be_compared_give_nothing():
    assert fidelity(flat(0), flat(0, (32, 16))) is None
    assert fidelity(flat(0, (6, 32)), flat(9, (6, 32))) is None


def test_the_difference_is_white_where_equal_and_darker_with_the_largest_channel():
    left, right = flat(100, (4, 1)), flat(100, (4, 1))
    right.putpixel((1, 0), (100, 90, 103))
    right.putpixel((2, 0), (0, 100, 100))
    right.putpixel((3, 0), (255, 100, 100))
    assert list(difference(left, right).tobytes()) == [255, 245, 155, 100]
    assert difference(right, left).tobytes() == difference(left, right).tobytes()


def test_the_difference_of_two_sizes_has_the_references():
    shown = difference(flat(10, (32, 32)), flat(10, (16, 16)))
    assert (shown.size, shown.mode, shown.getextrema()) == ((32, 32), "L", (255, 255))
