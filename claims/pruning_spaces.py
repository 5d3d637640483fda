"""Network pruning spaces (He et al. 2023): at equal cost, good networks gather round one ratio of work to weights.

Sixty random prunings of a small network to half of its multiply-accumulates, trained on handwritten digits. The best
third by multiply-accumulates per weight is found on thirty of them and judged on the other thirty, so that it may fail.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from archip.core import registry
from archip.spaces.pruning_spaces import PruningSpaces
from claims._claim import Observed

EXPECTED = """The third of ratios (multiply-accumulates per weight, relative to the network before pruning) with the
highest mean accuracy on the first thirty networks has a higher mean accuracy than the rest on the other thirty, and
over fifths of all sixty by ratio the mean accuracy rises to one highest fifth and falls from it. Ten networks sampled
from the band have a best accuracy that is at least that of ten random ones."""
SOURCE = "arXiv:2304.09453, abstract (conjecture of the mean computation budget); check of the card, made stricter"

NETWORKS, EPOCHS, MORE = 60, 8, 10
BASE = {"filters": (8, 16, 32), "macs": (0.45, 0.55)}


def check() -> Observed:
    data = registry.create("data", "digits").load()
    space = PruningSpaces(**BASE)
    ratio_N, accuracy_N = _population(space, data, NETWORKS, 0)
    half = NETWORKS // 2
    cuts = np.quantile(ratio_N[:half], (1 / 3, 2 / 3))
    third_N = np.digitize(ratio_N, cuts)
    best = int(np.argmax([accuracy_N[:half][third_N[:half] == t].mean() for t in range(3)]))
    inside, outside = (accuracy_N[half:][(third_N[half:] == best) == is_in].mean() for is_in in (True, False))
    order = np.argsort(ratio_N)
    fifths = [float(part.mean()) for part in np.array_split(accuracy_N[order], 5)]
    top = int(np.argmax(fifths))
    is_unimodal = all(np.diff(fifths[: top + 1]) >= 0) and all(np.diff(fifths[top:]) <= 0)
    edges = [1e-3, *cuts.tolist(), 1e3]
    band = PruningSpaces(**BASE, ratio=(edges[best], edges[best + 1]))
    refined, random = (float(_population(s, data, MORE, 1)[1].max()) for s in (band, space))
    holds = inside > outside and is_unimodal and refined >= random
    return Observed(
        bool(holds),
        f"ratios {ratio_N.min():.2f} to {ratio_N.max():.2f}, best third {edges[best]:.2f} to {edges[best + 1]:.2f}:"
        f" {100 * inside:.2f} % against {100 * outside:.2f} % of the rest; fifths by ratio"
        f" {', '.join(f'{100 * mean:.2f}' for mean in fifths)} %; best of ten {100 * refined:.2f} % from the band,"
        f" {100 * random:.2f} % at random",
    )


def _population(space: PruningSpaces, data: Any, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(ratios, accuracies on validation and test samples) of `n` different networks."""
    from archip.train.loop import Recipe, fit

    rng, seen = np.random.default_rng(seed), []
    while len(seen) < n:
        genotype = space.sample(rng)
        if genotype not in seen:
            seen.append(genotype)
    accuracies = []
    for genotype in seen:
        module = space.build(genotype, data.input_shape, data.n_outputs, 0)
        metrics = fit(module, data, Recipe(epochs=EPOCHS, keep="last"), 0).metrics
        accuracies.append(np.mean([metrics[split]["accuracy"] for split in ("val", "test")]))
    return np.array([space.shares(genotype)[1] for genotype in seen]), np.array(accuracies)
