"""Networks and the accelerator they run on, searched by predicted quality and looked-up costs: a million a minute.

For a space of stages of blocks (`mobilenet_edge_tpu`), accelerators to choose from, and a predictor that was fitted on
networks whose quality is known. Costs are those of the cost engine, exactly; only the quality is predicted. What comes
back is the front to be trained and measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archip.core.encoding import encode_codes
from archip.core.errors import UserError, nearest
from archip.core.rng import generator
from archip.evaluators._block_costs import BlockCosts
from archip.spaces._activity import activity
from archip.strategies._coded_nsga2 import CodedNSGA2

__all__ = ["BlockCosts", "Found", "surrogate_front"]

_METRICS = ("latency_s", "energy_j")


@dataclass(frozen=True)
class Found:
    """One member of the front: its genotype, the accelerator, and what is predicted and looked up of it."""

    genotype: Mapping[str, Any]
    accelerator: str
    quality: float
    latency_s: float
    energy_j: float


def surrogate_front(
    space: Any,
    costs: BlockCosts,
    predictor: Any,
    limits: Mapping[str, float] | None = None,
    candidates: int = 100_000,
    population: int = 1024,
    seed: int = 0,
) -> tuple[list[Found], int]:
    """(front, best quality first; number of evaluations) of quality against latency and energy.

    Args:
        predictor: fitted on ``encode_codes`` of the space's knobs (`predictors/`); its mean counts.
        limits: ``latency_s`` and ``energy_j`` → most.
        candidates: evaluations, rounded up to whole generations.

    Raises:
        UserError: an unknown limit, or a population of less than two.
    """
    for name in limits or {}:
        if name not in _METRICS:
            raise UserError(f"unknown limit {name!r}", "limits", nearest(name, _METRICS))
    if population < 2:
        raise UserError("a population has two members at least", "population")
    knobs, of_space = list(space.knobs.values()), activity(space)
    bounds = [(limits or {}).get(name, np.inf) for name in _METRICS]

    def evaluate(codes_NG: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        latency_N, energy_N = costs.costs(codes_NG[:, :-1], codes_NG[:, -1])
        quality_N = predictor.predict(encode_codes(codes_NG[:, :-1], knobs))[0]
        over_NM = np.stack([latency_N / bounds[0], energy_N / bounds[1]], 1) - 1
        violations_N = np.where(np.isnan(over_NM), np.inf, np.maximum(over_NM, 0)).sum(1)
        return np.stack([-quality_N, latency_N, energy_N], 1), violations_N

    def canonical(codes_NG: np.ndarray) -> np.ndarray:
        return np.column_stack([of_space(codes_NG[:, :-1]), codes_NG[:, -1]])

    sizes = [*(len(knob.values) for knob in knobs), len(costs.accelerators)]
    method = CodedNSGA2(sizes, canonical, evaluate, min(population, candidates))
    rng = generator(seed, "surrogate")
    now, n_seen = method.first(rng), method.population
    while n_seen < candidates:
        now, n_seen = method.next(now, rng), n_seen + method.population
    return _members(space, costs, now.codes_NG[now.front], now.losses_NM[now.front]), n_seen


def _members(space: Any, costs: BlockCosts, codes_NG: np.ndarray, losses_NM: np.ndarray) -> list[Found]:
    members: Sequence[Found] = [
        Found(
            space.canonical(
                {n: k.values[c] for (n, k), c in zip(space.knobs.items(), codes_G, strict=False) if c >= 0}
            ),
            costs.accelerators[codes_G[-1]].name,
            *(-loss_M[:1]).tolist(),
            *loss_M[1:].tolist(),
        )
        for codes_G, loss_M in zip(codes_NG, losses_NM, strict=True)
    ]
    return sorted(members, key=lambda found: -found.quality)
