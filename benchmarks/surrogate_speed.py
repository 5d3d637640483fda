"""How many candidates a minute does NSGA-II evaluate where costs are looked up and the quality is predicted?

    python -m benchmarks.surrogate_speed            300,000 candidates; pymoo beside it (pip install 'archip[search]')
    python -m benchmarks.surrogate_speed --toy      20,000 candidates

A space of inverted bottlenecks (plain or fused; five stages of up to three layers, 32 x 32 images) times nine
accelerators. Latency and energy are those of the cost engine, exactly; the quality is a linear predictor fitted on 200
networks to their entropy score (`deepmad`), which stands for accuracies. pymoo's NSGA-II gets the same evaluation, in
arrays, and the same population.

Expected before the first run: at least 1,000,000 candidates a minute of wall time on two cores, the dearest goals
included; more than pymoo; and a hypervolume not below 0.99 of pymoo's at as many evaluations.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from archip.core.encoding import encode_codes, knob_codes
from archip.core.pareto import hypervolume, non_dominated_mask
from archip.evaluators._block_costs import BlockCosts
from archip.evaluators.proxies._probe import Probe
from archip.evaluators.proxies.deepmad import DeepMAD
from archip.hardware.instances import instance_names, load_accelerator
from archip.predictors.ridge import Ridge
from archip.search.surrogate import surrogate_front
from archip.spaces._activity import activity
from archip.spaces.mobilenet_edge_tpu import MobileNetEdgeTPU
from benchmarks._machine import write_result

SHAPE, CLASSES, POPULATION, LABELS = (3, 32, 32), 10, 1024, 200
ASKED_A_MINUTE = 1_000_000


def main(toy: bool) -> dict[str, Any]:
    """Measure, print, return the figures."""
    candidates = 20_000 if toy else 300_000
    space = MobileNetEdgeTPU(filters=(32, 48, 64, 96, 192))
    accelerators = [load_accelerator(name) for name in instance_names() if name != "gpu_roofline"]
    began = time.perf_counter()
    costs = BlockCosts.of(space, SHAPE, CLASSES, accelerators)
    tables_s = time.perf_counter() - began
    predictor = _fitted(space)
    evaluate, sizes = _goals(space, costs, predictor)
    figures: dict[str, Any] = {
        "candidates": candidates,
        "population": POPULATION,
        "accelerators": len(accelerators),
        "block_variants": sum(len(block.costs_KAM) for block in costs.blocks),
        "tables_s": round(tables_s, 2),
        "load_before": round(os.getloadavg()[0], 2),
    }
    fronts = {}
    for name, run in {
        "archip": lambda: _archip(space, costs, predictor, candidates),
        "pymoo": lambda: _pymoo(evaluate, sizes, candidates),
        "random": lambda: _random(evaluate, sizes, candidates),
    }.items():
        began, began_cpu = time.perf_counter(), time.process_time()
        fronts[name], n_seen = run()
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        figures[name] = {
            "seen": n_seen,
            "wall_s": round(wall_s, 2),
            "cpu_s": round(cpu_s, 2),
            "a_minute": round(60 * n_seen / wall_s),
            "a_cpu_minute": round(60 * n_seen / cpu_s),
        }
        print(name, figures[name])
    volumes = _volumes(fronts)
    for name, volume in volumes.items():
        figures[name]["hypervolume"] = round(volume, 4)
    figures["holds"] = (
        figures["archip"]["a_minute"] >= ASKED_A_MINUTE
        and figures["archip"]["a_minute"] > figures["pymoo"]["a_minute"]
        and volumes["archip"] >= 0.99 * volumes["pymoo"]
    )
    print("share of the joint front's hypervolume", volumes)
    return figures


def _fitted(space: MobileNetEdgeTPU) -> Ridge:
    rng = np.random.default_rng(0)
    known = [space.sample(rng) for _ in range(LABELS)]
    none = np.zeros((1, 1), np.float32)
    score = DeepMAD(rho=10.0).score
    entropies = [score(Probe(space.graph(g, SHAPE, CLASSES), none, none, "classification", 0)) for g in known]
    return Ridge().fit(encode_codes(knob_codes(space.knobs, known), list(space.knobs.values())), np.array(entropies))


def _goals(space: MobileNetEdgeTPU, costs: BlockCosts, predictor: Ridge) -> tuple[Callable[..., np.ndarray], list[int]]:
    knobs, canonical = list(space.knobs.values()), activity(space)

    def evaluate(codes_NG: np.ndarray) -> np.ndarray:
        genes_NG = canonical(codes_NG[:, :-1])
        latency_N, energy_N = costs.costs(genes_NG, codes_NG[:, -1])
        losses_NM = np.stack([-predictor.predict(encode_codes(genes_NG, knobs))[0], latency_N, energy_N], 1)
        return np.where(np.isnan(losses_NM), 1e30, losses_NM)

    return evaluate, [*(len(knob.values) for knob in knobs), len(costs.accelerators)]


def _archip(space: MobileNetEdgeTPU, costs: BlockCosts, predictor: Ridge, candidates: int) -> tuple[np.ndarray, int]:
    front, n_seen = surrogate_front(space, costs, predictor, candidates=candidates, population=POPULATION)
    return np.array([(-f.quality, f.latency_s, f.energy_j) for f in front]), n_seen


def _random(evaluate: Callable[..., np.ndarray], sizes: list[int], candidates: int) -> tuple[np.ndarray, int]:
    losses = evaluate(np.random.default_rng(0).integers(0, sizes, (candidates, len(sizes))))
    return losses[non_dominated_mask(losses)], candidates


def _pymoo(evaluate: Callable[..., np.ndarray], sizes: list[int], candidates: int) -> tuple[np.ndarray, int]:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PolynomialMutation
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Goals(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=len(sizes), n_obj=3, xl=0, xu=np.array(sizes) - 1, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = evaluate(x.astype(np.int64))

    crossover: Any = UniformCrossover()
    mutation: Any = PolynomialMutation(prob=0.9, eta=3, vtype=float, repair=RoundingRepair())
    method = NSGA2(POPULATION, sampling=IntegerRandomSampling(), crossover=crossover, mutation=mutation)
    found: Any = minimize(Goals(), method, ("n_gen", -(-candidates // POPULATION)), seed=0, verbose=False)
    return np.atleast_2d(found.F), int(found.algorithm.evaluator.n_eval)


def _volumes(fronts: dict[str, np.ndarray]) -> dict[str, float]:
    """Share of the hypervolume of all fronts together; costs as logarithms, in the box of the joint front."""
    logs = {name: np.column_stack([f[:, 0], np.log(f[:, 1:])]) for name, f in fronts.items()}
    everything = np.concatenate(list(logs.values()))
    joint = everything[non_dominated_mask(everything)]
    low, span = joint.min(0), np.ptp(joint, axis=0)
    whole = hypervolume((joint - low) / span, np.full(3, 1.1))
    return {name: hypervolume((f - low) / span, np.full(3, 1.1)) / whole for name, f in logs.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    is_toy = parser.parse_args().toy
    result = main(is_toy)
    if not is_toy:
        print(write_result("surrogate_speed", "python -m benchmarks.surrogate_speed", result))
