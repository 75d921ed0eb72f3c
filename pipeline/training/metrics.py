"""What the report says about pictures, as pure functions of numbers: no models, no files.

Features are rows (N, D); prompts and pictures are numbered from 0. Every interval is 95 %.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

GROUPS = 20  # of prompts, for the jackknife


def ranks(similarity: np.ndarray, own: Sequence[int]) -> np.ndarray:
    """How many captions are liked better than the picture's own: int (N,), 0 is a hit.

    similarity: (N pictures, M captions); own: each picture's caption. An equal score counts as better: a judge that
    cannot tell captions apart gets no hit for it.
    """
    mine = similarity[np.arange(len(own)), own]
    return (similarity >= mine[:, None]).sum(1) - 1


def recall(ranks: np.ndarray, k: int) -> float:
    """Share of pictures whose own caption is among the k that the judge likes best."""
    return float((np.asarray(ranks) < k).mean())


def kid(left: np.ndarray, right: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the cubic kernel (x.y / D + 1)^3 (arXiv 1801.01401).

    Around 0, and below it by chance, when both come from one distribution.
    """
    size = left.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x.astype(np.float64) @ y.astype(np.float64).T / size + 1) ** 3

    def among(x: np.ndarray) -> float:
        return (kernel(x, x).sum() - np.trace(kernel(x, x))) / (len(x) * (len(x) - 1))

    return float(among(left) + among(right) - 2 * kernel(left, right).mean())


def jackknife(measure: Callable[[np.ndarray], float], groups: Sequence[int]) -> tuple[float, tuple[float, float]]:
    """A measure of rows and its interval, leaving out one group of rows at a time.

    measure(keep): the value from the rows where the bool array (N,) is True; groups: each row's group. Pictures of
    one prompt belong to one group, because they are not independent.
    """
    groups = np.asarray(groups)
    names = np.unique(groups)
    whole = measure(np.ones(len(groups), bool))
    parts = np.array([measure(groups != name) for name in names])
    error = math.sqrt((len(names) - 1) / len(names) * ((parts - parts.mean()) ** 2).sum())
    return whole, (whole - 1.96 * error, whole + 1.96 * error)


def diversity(features: np.ndarray, prompts: Sequence[int]) -> float:
    """Mean distance (1 - cosine) of two pictures of one prompt with different seeds, over all prompts."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    prompts = np.asarray(prompts)
    means = []
    for prompt in np.unique(prompts):
        rows = unit[prompts == prompt]
        if len(rows) > 1:
            means.append((1 - rows @ rows.T)[np.triu_indices(len(rows), 1)].mean())
    return float(np.mean(means))


def nearness(picture: np.ndarray, known: np.ndarray) -> float:
    """Distance to the nearest of `known` over the distance to the second nearest: 0 is a copy, 1 is no one's.

    picture: (D,); known: (K, D), K > 1. The usual mark of a copy is under 1/3 (as in arXiv 2505.17638).
    """
    distances = np.sort(np.linalg.norm(known - picture, axis=1))
    return float(distances[0] / max(distances[1], 1e-9))


def seams(image: np.ndarray, patch: int) -> float:
    """How much stronger neighbours differ at the edges of patches than within them: about 1 where no edge shows.

    At the edges: across them or one pixel beside, where it is strongest; a grid of thin lines shows as a jump does.
    image: (H, W, C), any scale.
    """
    image = image.astype(np.float64)
    profile = np.zeros(patch)
    for axis in (0, 1):
        steps = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
        place = np.arange(len(steps)) % patch
        profile += [steps[place == i].mean() for i in range(patch)]
    return float(max(profile[-2:].max(), profile[0]) / max(profile[1:-2].mean(), 1e-9))
