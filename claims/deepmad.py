"""DeepMAD (Shen et al. 2023): networks of greatest entropy under a bound on effectiveness, found without data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from archip.core.candidate import Candidate
from archip.core.errors import CandidateError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.evaluators.proxies._probe import Probe
from archip.evaluators.proxies.deepmad import DeepMAD, effectiveness, stages_of
from archip.ir.workload import workload
from archip.spaces.bottleneck import Bottleneck
from archip.spaces.product import ProductSpace
from archip.strategies.regularized_evolution import RegularizedEvolution
from claims._claim import Observed

EXPECTED = """At ResNet-18's budget (1.82 G MACs, 11.69 M parameters, 224 x 224), the network found never exceeds its
bound on effectiveness, the best score never falls during the search, and looser bounds (0.1, 0.3, 0.5) give ever more
blocks (the card's trial, 40,000 mutations: 47, 92, 107)."""
SOURCE = "arXiv:2303.02165, section 4.2, and the card's trial"

SHAPE, MACS, PARAMS = (3, 224, 224), 1.82e9, 11.69e6
N_CANDIDATES, POPULATION = 6000, 128
EMPTY = (np.zeros((1, *SHAPE), np.float32), np.zeros(1, np.int64))


def check() -> Observed:
    space = Bottleneck(width=2048, inner=512, kernels=(3, 5, 7), layers=40, stem=64, stages=4, stem_stride=2)
    blocks, holds, texts = [], True, []
    for rho in (0.1, 0.3, 0.5):
        best, scores = _search(space, rho)
        graph = space.graph(best.candidate.net["x"], SHAPE, 1000)
        worst = max(effectiveness(stage) for stage in stages_of(graph))
        n_blocks = sum(best.candidate.net["x"][f"layers{s}"] for s in range(1, 5))
        holds &= worst <= rho and best.metrics["macs"] <= MACS and best.metrics["params"] <= PARAMS
        holds &= all(a <= b for a, b in pairwise(scores))
        blocks.append(n_blocks)
        texts.append(f"rho {rho}: {n_blocks} blocks, effectiveness {worst:.3f}, score {scores[-1]:.0f}")
    return Observed(holds and blocks == sorted(set(blocks)), "; ".join(texts))


def _search(space: Bottleneck, rho: float) -> tuple[Record, list[float]]:
    """Best record, and the best score after every generation."""
    strategy = RegularizedEvolution(population=POPULATION, tournament=16)
    goals = Goals((Objective("quality", 1),), (Limit("macs", MACS), Limit("params", PARAMS)))
    strategy.start(ProductSpace({"net.x": space}), goals)
    rng, scores = np.random.default_rng(0), []
    for _ in range(N_CANDIDATES // POPULATION):
        strategy.tell([_record(space, candidate, rho) for candidate in strategy.ask(POPULATION, rng)])
        if strategy.best is not None and strategy.best.ok:
            scores.append(strategy.best.metrics["quality"])
    assert strategy.best is not None
    return strategy.best, scores


def _record(space: Bottleneck, candidate: Candidate, rho: float) -> Record:
    graph = space.graph(candidate.net["x"], SHAPE, 1000)
    work = workload(graph)
    metrics = {"macs": float(work.macs), "params": float(work.params)}
    try:
        metrics["quality"] = DeepMAD(rho).score(Probe(graph, *EMPTY, "classification", 0))
    except CandidateError as error:
        return Record(candidate, {}, Status.FAILED, str(error))
    broken = metrics["macs"] > MACS or metrics["params"] > PARAMS
    return Record(candidate, metrics, Status.INFEASIBLE if broken else Status.OK)
