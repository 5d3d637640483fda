"""LINAS (Cummings et al. 2022): light predictors that lead NSGA-II find more of the front than NSGA-II alone."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from claims._claim import Observed
from claims._size_space import searched, share_of_hypervolume, size_space

EXPECTED = """Error against multiply-accumulates on the size space of NATS-Bench, 250 measurements, 5 seeds: LINAS has
at least 98 % of the hypervolume, more than NSGA-II, which has more than random search; the card's own count of
multiply-accumulates gave 0.988, 0.963 and 0.956."""
SOURCE = "arXiv:2202.12954, abstract; shares recomputed by the card's author"


def check() -> Observed:
    _, space, record = size_space()
    whole = [record(c) for c in space.enumerate()]
    shares = {}
    for name in ("linas", "nsga2", "random_search"):
        searches = [searched(registry.create("strategies", name), space, record, 250, seed) for seed in range(5)]
        shares[name] = float(np.mean([share_of_hypervolume(records, whole) for records in searches]))
    holds = shares["linas"] >= 0.98 and shares["linas"] > shares["nsga2"] > shares["random_search"]
    return Observed(holds, ", ".join(f"{name} {share:.4f}" for name, share in shares.items()))
