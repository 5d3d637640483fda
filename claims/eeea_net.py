"""EEEA-Net (Termritthikun et al. 2021): networks that are too large exit before training, and the front is no worse."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from archip.core import registry
from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import hypervolume
from archip.core.record import Record, Status
from archip.core.rng import generator
from archip.search.bench import Bench, Setting, setting
from claims._claim import Observed, data_file

EXPECTED = """NAS-Bench-201, accuracy after 12 epochs and parameters, bound of 0.5 M parameters, 5 seeds: no network
above the bound is trained, the mean training time of a network falls against NSGA-II without the bound, and in the
same training time (that of 200 average networks) the hypervolume below the bound is at least as large."""
SOURCE = "arXiv:2108.06156, section 3; the card's check"

BETA, N_NETWORKS = 0.5e6, 200
OBJECTIVES = (Objective("quality", +1), Objective("params", -1))


def check() -> Observed:
    data = str(data_file("nb201.csv.gz").parent)
    here = setting(Bench("nb201", data, protocol="early"))
    ours = [_search(here, "eeea_net", Goals(OBJECTIVES, (Limit("params", BETA),)), seed) for seed in range(5)]
    free = [_search(here, "nsga2", Goals(OBJECTIVES), seed) for seed in range(5)]
    (seconds, volume, largest), (free_seconds, free_volume, _) = (
        [fmean(column) for column in zip(*rows, strict=True)] for rows in (ours, free)
    )
    holds = largest <= BETA and seconds < free_seconds and volume >= free_volume
    text = f"{seconds:.0f} s a network against {free_seconds:.0f} s; hypervolume {volume:.4f} against {free_volume:.4f}"
    return Observed(holds, f"{text}; largest network trained {largest / 1e6:.3f} M")


def _search(here: Setting, name: str, goals: Goals, seed: int) -> tuple[float, float, float]:
    """(mean training time, hypervolume below the bound, most parameters) of the networks that were trained."""
    params_N, train_N = here.table.metric("params"), here.table.metric("cifar10_12.train_s")
    strategy, space = registry.create("strategies", name), here.run.tasks[0].space
    strategy.start(here.space, goals)
    rows: list[int] = []
    number = 0
    while train_N[rows].sum() < N_NETWORKS * train_N.mean():
        (candidate,) = strategy.ask(1, generator(seed, "ask", number))
        row, number = space.row(candidate.net["table"]), number + 1
        metrics = {"params": float(params_N[row])}
        if goals.violation(metrics) > 0:
            strategy.tell([Record(candidate, metrics, Status.INFEASIBLE)])
            continue
        rows.append(row)
        strategy.tell([Record(candidate, {**metrics, "quality": float(here.shown_N[row])})])
    losses = np.stack([1 - here.shown_N[rows], params_N[rows] / BETA], axis=1)
    return float(train_N[rows].mean()), hypervolume(losses, np.ones(2)), float(params_N[rows].max())
