"""The report's formulas, against what they must give by hand."""

import numpy as np
import pytest

from pipeline.training import metrics


def test_ranks_count_the_captions_that_are_liked_as_much_or_better():
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.6], [0.3, 0.3, 0.3]])
    ranks = metrics.ranks(similarity, [0, 1, 2])
    assert ranks.tolist() == [0, 2, 2]  # the last judge cannot tell anything apart: no hit for it
    assert metrics.recall(ranks, 1) == pytest.approx(1 / 3)
    assert metrics.recall(ranks, 3) == 1


def test_kid_is_the_unbiased_estimate_pair_by_pair():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 5)), rng.normal(1, size=(4, 5))

    def kernel(a, b):
        return (a @ b / 5 + 1) ** 3

    def mean(pairs):
        return np.mean([kernel(a, b) for a, b in pairs])

    by_hand = (
        mean([(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
        + mean([(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
        - 2 * mean([(a, b) for a in x for b in y])
    )
    assert metrics.kid(x, y) == pytest.approx(by_hand)


def test_kid_of_one_distribution_is_nought_and_of_two_is_not():
    rng = np.random.default_rng(1)
    same = [metrics.kid(rng.normal(size=(60, 8)), rng.normal(size=(60, 8))) for _ in range(60)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(60)
    assert min(same) < 0 < max(same)  # unbiased, so below nought by chance
    assert metrics.kid(rng.normal(size=(60, 8)), rng.normal(0.7, size=(60, 8))) > 10 * np.std(same)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).normal(3, 2, size=50)
    value, (low, high) = metrics.jackknife(lambda keep: float(values[keep].mean()), range(50))
    assert value == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(50))


def test_diversity_is_the_mean_angle_between_seeds_of_one_prompt():
    features = np.array([[1.0, 0], [0, 2.0], [3.0, 0], [3.0, 0], [9.0, 9]])
    assert metrics.diversity(features, [0, 0, 1, 1, 2]) == pytest.approx(0.5)  # a right angle, none, and no pair


def test_a_copy_is_near_one_and_far_from_the_next():
    known = np.array([[0.0, 0], [10.0, 0], [0, 10.0]])
    assert metrics.nearness(np.array([0.1, 0]), known) == pytest.approx(0.1 / 9.9)
    assert metrics.nearness(np.array([5.0, 0]), known) == 1
    assert metrics.nearness(np.array([10.0, 0]), known) == 0


def test_seams_are_one_on_noise_and_high_on_flat_patches():
    rng = np.random.default_rng(3)
    assert metrics.seams(rng.integers(0, 255, (64, 64, 3)), 16) == pytest.approx(1, abs=0.1)
    patches = np.kron(rng.integers(0, 255, (4, 4)), np.ones((16, 16)))[..., None].repeat(3, 2)
    assert metrics.seams(patches + rng.normal(size=patches.shape), 16) > 10
    lines = np.kron(np.ones((4, 4)), np.pad(np.zeros((14, 14)), 1, constant_values=9.0))[..., None].repeat(3, 2)
    assert metrics.seams(lines + rng.normal(size=lines.shape), 16) > 3  # alike on both sides of an edge
