"""DyNAS-T (Cummings et al. 2022): predictors make the search about four times as sample-efficient as evolution."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from claims._claim import Observed
from claims._size_space import searched, share_of_hypervolume, size_space

EXPECTED = """Error against multiply-accumulates on the size space of NATS-Bench, mean of 5 seeds: after 100
measurements LINAS dominates at least as much as NSGA-II after 400."""
SOURCE = "arXiv:2205.10358, abstract: about 4x more sample-efficient than evolutionary search"


def check() -> Observed:
    _, space, record = size_space()
    whole = [record(c) for c in space.enumerate()]
    shares = {}
    for name, n in (("linas", 100), ("nsga2", 100), ("nsga2", 400)):
        searches = [searched(registry.create("strategies", name), space, record, n, seed) for seed in range(5)]
        shares[f"{name} after {n}"] = float(np.mean([share_of_hypervolume(records, whole) for records in searches]))
    holds = shares["linas after 100"] >= shares["nsga2 after 400"]
    return Observed(holds, ", ".join(f"{name} {share:.4f}" for name, share in shares.items()))
