"""NASAIC (Yang et al. 2020): networks and chip found together keep the specs that networks found first break."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.protocols import RunContext, Task
from archip.core.record import Record, Status
from archip.evaluators.cost import Cost
from archip.ir.workload import workload
from archip.spaces.chip import Chip
from archip.spaces.product import ProductSpace
from archip.spaces.resnet9 import ResNet9
from archip.strategies.nasaic import NASAIC
from claims._claim import Observed

EXPECTED = """Two ResNet-9 tasks at 32 x 32, accuracy an analytic function that saturates in log MACs (78.9 to 94.2 %),
specs at 60 % of the least latency and energy that 300 random chips reach for the most accurate networks. NAS first,
ASIC after breaks a spec on every one of these chips; NASAIC (60 episodes, phi = 10) keeps all specs for 3 of 3 seeds,
within 1.5 points of the most accurate; fewer sets of networks are trained than episodes run."""
SOURCE = "arXiv:2002.04116, table I and section V; the card's toy co-search"

SHAPE, CLASSES, EPISODES, PHI, SEEDS = (3, 32, 32), 10, 60, 10, 3
SPACE = ResNet9()
CHIP = Chip(min_cores=2)
LARGEST = {name: max(knob.values) for name, knob in SPACE.knobs.items()}
SMALLEST = {name: min(knob.values) for name, knob in SPACE.knobs.items()}


def _macs(genes: dict[str, Any]) -> float:
    return math.log(workload(SPACE.graph(genes, SHAPE, CLASSES)).macs)


def _accuracy(genes: dict[str, Any]) -> float:
    """From the smallest network's 78.93 % to the largest one's 94.17 %, ever more slowly."""
    share = (_macs(genes) - _macs(SMALLEST)) / (_macs(LARGEST) - _macs(SMALLEST))
    return 0.7893 + (0.9417 - 0.7893) * (1 - math.exp(-4 * share)) / (1 - math.exp(-4))


@dataclass
class _World:
    """The cost stage, and what was trained."""

    goals: Goals

    def __post_init__(self) -> None:
        data = SimpleNamespace(input_shape=SHAPE, n_outputs=CLASSES, digest="none")
        tasks = tuple(Task(name, SPACE, lambda: data, "accuracy", 0.5) for name in ("a", "b"))
        (self.stage,) = Cost().stages(RunContext(tasks, CHIP, self.goals, 0, Path()))
        self.trained: set[str] = set()

    def judge(self, candidates: list[Candidate]) -> list[Record]:
        return [self._record(c, o.metrics) for c, o in zip(candidates, self.stage.evaluate(candidates), strict=True)]

    def _record(self, candidate: Candidate, costs: Any) -> Record:
        if not costs:
            return Record(candidate, {}, Status.FAILED, "cannot be mapped")
        if self.goals.violation(costs):
            return Record(candidate, costs, Status.INFEASIBLE)
        self.trained.add(str(candidate.net))
        quality = sum(_accuracy(dict(candidate.net[task])) for task in ("a", "b")) / 2
        return Record(candidate, {**costs, "quality": quality})


def check() -> Observed:
    rng = np.random.default_rng(0)
    best_nets = {"a": LARGEST, "b": LARGEST}
    chips = [Candidate(net=best_nets, hw=CHIP.sample(rng)) for _ in range(300)]
    free = _World(Goals((Objective("quality", 1),)))
    found = [r for r in free.judge(chips) if r.ok]
    specs = tuple(Limit(m, 0.6 * min(r.metrics[m] for r in found)) for m in ("latency_cycles", "energy_j"))
    goals = Goals((Objective("quality", 1),), specs)
    n_in_spec = sum(goals.violation(r.metrics) == 0 for r in found)
    qualities, trained = zip(*(_search(goals, seed) for seed in range(SEEDS)), strict=True)
    top = _accuracy(LARGEST)
    holds = n_in_spec == 0 and all(q is not None and top - q <= 0.015 for q in qualities) and max(trained) < EPISODES
    shown = ", ".join("none" if q is None else f"{100 * q:.2f} %" for q in qualities)
    text = f"NAS first: {n_in_spec} of {len(found)} chips in spec, accuracy {100 * top:.2f} %; NASAIC {shown}; "
    return Observed(holds, text + f"{', '.join(map(str, trained))} of {EPISODES} sets of networks trained")


def _search(goals: Goals, seed: int) -> tuple[float | None, int]:
    """Quality of the best candidate within the specs, and the number of sets of networks that were trained."""
    world, strategy = _World(goals), NASAIC(phi=PHI, lr=0.01)
    strategy.start(ProductSpace({"net.a": SPACE, "net.b": SPACE, "hw": CHIP}), goals)
    rng = np.random.default_rng(seed)
    for _ in range(EPISODES):
        strategy.tell(world.judge(strategy.ask(PHI + 1, rng)))
    best = strategy.best
    return (best.metrics["quality"] if best is not None and best.ok else None), len(world.trained)
