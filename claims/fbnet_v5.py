"""FBNetV5 (Wu et al. 2021): one search finds the networks of many tasks, with no more samples than for one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archip.core.knobs import Choice, Knob, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.core.rng import generator
from archip.spaces.product import ProductSpace
from archip.strategies.fbnet_v5 import FBNetV5
from claims._claim import Observed

EXPECTED = """Networks of 12 binary gates, tasks with optima of their own (4,096 networks each, rewards from 0 to 1, a
random network 0.5 or less): after 2,000 candidates, for 1, 4 and 16 tasks alike, the network that each task's policy
holds most likely has at least 95 % of that task's optimum, for every task and two seeds."""
SOURCE = "arXiv:2111.10007, abstract (cost that does not grow with the number of tasks); toy of the card"

_GATES, _SAMPLES = 12, 2000


@dataclass
class _Gates(KnobSpace):
    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {f"gate{i}": Choice((0, 1)) for i in range(_GATES)}


def check() -> Observed:
    worst = {n: [_worst(n, seed) for seed in range(2)] for n in (1, 4, 16)}
    words = [f"{n} tasks {', '.join(f'{share:.3f}' for share in shares)}" for n, shares in worst.items()]
    text = f"least share of the optimum over the tasks, two seeds: {'; '.join(words)}; {_SAMPLES} candidates each"
    return Observed(all(share >= 0.95 for shares in worst.values() for share in shares), text)


def _worst(n_tasks: int, seed: int) -> float:
    """The least share of its optimum that a task gets."""
    tasks = {f"t{i}": _Rewards(generator(seed, "task", i)) for i in range(n_tasks)}
    strategy = FBNetV5()
    strategy.start(ProductSpace({f"net.{name}": _Gates() for name in tasks}), Goals((Objective.of("quality"),)))
    for number in range(_SAMPLES // 10):
        batch = strategy.ask(10, generator(seed, "ask", number))
        told = []
        for candidate in batch:
            values = {name: reward.of(candidate.net[name]) for name, reward in tasks.items()}
            metrics = {f"{name}.accuracy": value for name, value in values.items()}
            told.append(Record(candidate, {**metrics, "quality": float(np.mean([*values.values()]))}))
        strategy.tell(told)
    found = strategy.likeliest()
    assert found is not None
    return min(reward.of(found.net[name]) / reward.best for name, reward in tasks.items())


class _Rewards:
    """1 less the weights of the gates that differ from the task's optimum, and of pairs that differ together."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._optimum = rng.integers(2, size=_GATES)
        self._weights = rng.dirichlet(np.full(_GATES, 5.0)) * 0.9
        self._pairs = [(*rng.choice(_GATES, 2, replace=False), 0.1 / 4) for _ in range(4)]
        self.best = 1.0

    def of(self, genotype) -> float:
        wrong = np.array([*genotype.values()]) != self._optimum
        return float(1 - self._weights[wrong].sum() - sum(w for i, j, w in self._pairs if wrong[i] and wrong[j]))
