"""NASAIC (Yang et al. 2020): networks and chip found together keep the specs that networks found first break."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from archip.search.codesign import ChipDesigner
from archip.spaces.chip import Chip
from archip.spaces.product import ProductSpace
from archip.spaces.resnet9 import ResNet9
from archip.strategies.asic_then_nas import AsicThenNas
from archip.strategies.nas_then_asic import NasThenAsic
from archip.strategies.nasaic import NASAIC
from claims._claim import Observed

EXPECTED = """Two ResNet-9 tasks at 32 x 32, accuracy an analytic function that saturates in log MACs (78.9 to 94.2 %),
specs at 60 % of the least latency and energy that 300 random chips reach for the most accurate networks. NAS first,
ASIC after breaks a spec on every one of these chips; NASAIC (60 episodes, phi = 10) keeps all specs for 3 of 3 seeds,
within 1.5 points of the most accurate; fewer sets of networks are trained than episodes run. Of its baselines, as
strategies with as many candidates: NAS then ASIC (60 sets of networks by accuracy, then the exact best chip for the
best) breaks a spec for 3 of 3 seeds; ASIC then HW-NAS (300 chips, then networks on the one nearest to the specs) keeps
them for 3 of 3, less accurate than NASAIC on the mean."""
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
    prunes: bool = True

    def __post_init__(self) -> None:
        data = SimpleNamespace(input_shape=SHAPE, n_outputs=CLASSES, digest="none")
        tasks = tuple(Task(name, SPACE, lambda: data, "accuracy", 0.5) for name in ("a", "b"))
        run = RunContext(tasks, CHIP, self.goals, 0, Path())
        (self.stage,) = Cost().stages(run)
        self.space = ProductSpace({"net.a": SPACE, "net.b": SPACE, "hw": CHIP}, ChipDesigner(run))
        self.trained: set[str] = set()

    def judge(self, candidates: list[Candidate]) -> list[Record]:
        return [self._record(c, o.metrics) for c, o in zip(candidates, self.stage.evaluate(candidates), strict=True)]

    def _record(self, candidate: Candidate, costs: Any) -> Record:
        if not costs:
            return Record(candidate, {}, Status.FAILED, "cannot be mapped")
        is_broken = self.goals.violation(costs) > 0
        if is_broken and self.prunes:
            return Record(candidate, costs, Status.INFEASIBLE)
        self.trained.add(str(candidate.net))
        quality = sum(_accuracy(dict(candidate.net[task])) for task in ("a", "b")) / 2
        return Record(candidate, {**costs, "quality": quality}, Status.INFEASIBLE if is_broken else Status.OK)


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
    first = [_best(goals, NasThenAsic(networks=EPISODES), seed, EPISODES + 1) for seed in range(SEEDS)]
    second = [_best(goals, AsicThenNas(chips=300), seed, EPISODES * (PHI + 1)) for seed in range(SEEDS)]
    holds = n_in_spec == 0 and all(q is not None and top - q <= 0.015 for q in qualities) and max(trained) < EPISODES
    holds = holds and not any(first) and all(second) and np.mean(np.array(second, float)) < np.mean(qualities)
    text = f"NAS first: {n_in_spec} of {len(found)} chips in spec, accuracy {100 * top:.2f} %; "
    text += f"NASAIC {_shown(qualities)}; "
    text += f"{', '.join(map(str, trained))} of {EPISODES} sets of networks trained; strategies: "
    return Observed(bool(holds), text + f"NAS then ASIC {_shown(first)}; ASIC then HW-NAS {_shown(second)}")


def _shown(qualities: Sequence[float | None]) -> str:
    return ", ".join("nothing in spec" if q is None else f"{100 * q:.2f} %" for q in qualities)


def _best(goals: Goals, strategy: NasThenAsic | AsicThenNas, seed: int, n: int) -> float | None:
    """Quality of the best of `n` candidates within the specs."""
    world = _World(goals, getattr(strategy, "prunes", True))
    strategy.start(world.space, goals)
    rng, best = np.random.default_rng(seed), None
    for begin in range(0, n, PHI + 1):
        records = world.judge(strategy.ask(min(PHI + 1, n - begin), rng))
        strategy.tell(records)
        best = max([r.metrics["quality"] for r in records if r.ok] + ([] if best is None else [best]), default=None)
    return best


def _search(goals: Goals, seed: int) -> tuple[float | None, int]:
    """Quality of the best candidate within the specs, and the number of sets of networks that were trained."""
    world, strategy = _World(goals), NASAIC(phi=PHI, lr=0.01)
    strategy.start(world.space, goals)
    rng = np.random.default_rng(seed)
    for _ in range(EPISODES):
        strategy.tell(world.judge(strategy.ask(PHI + 1, rng)))
    best = strategy.best
    return (best.metrics["quality"] if best is not None and best.ok else None), len(world.trained)
