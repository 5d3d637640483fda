"""Patterns of evolution (Underwood et al. 2023): populations grow alike, few parents have most children, caches pay.

Regularised evolution on the size space of NATS-Bench (32,768 networks) with its full lineage, 600 candidates, ten
seeds; beside it random search, and evolution that asks for 32 candidates at once, as 32 workers would.
"""

from __future__ import annotations

import numpy as np

from archip.core import registry
from archip.core.objectives import Goals, Objective
from archip.core.problem import Budget
from archip.core.protocols import RunContext, Task
from archip.core.record import Record
from archip.evaluators.tabular import Tabular as TabularEvaluator
from archip.search.cascade import Cascade
from archip.search.lineage import TracedSpace, children, diversity, greediness, prefix_hits, traced
from archip.search.loop import search
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular
from archip.store.memory import Memory
from claims._claim import Observed, data_file

EXPECTED = """Means of ten seeds. Alike: the share of genes in which two of the last 50 candidates differ falls, the
last window's is below 0.8 of the first's, and random search's does not fall (above 0.95). Donors: the most popular
tenth of the parents has at least 30 % of the children (10 % if all were as popular). Workers: with 32 at once the last
windows are more diverse and fewer children come from the best so far than with one at a time. Caches: of 200 prefixes,
the last 200 candidates of evolution find more than its first 200 (behind the first 50) and than random search's."""
SOURCE = "arXiv:2309.12576, abstract; check of the card, thresholds ours"

SEEDS, BUDGET, WINDOW, CAPACITY, WORKERS = 10, 600, 50, 200, 32


def check() -> Observed:
    folder = str(data_file("nats_size_cifar10.csv.gz").parent)
    space = Tabular("nats_size", folder)
    plans = {"evolution": ("regularized_evolution", 1), "workers": ("regularized_evolution", WORKERS),
             "random": ("random_search", 1)}  # fmt: skip
    seen = {name: _means(space, *plan) for name, plan in plans.items()}
    evolution, workers, random = seen["evolution"], seen["workers"], seen["random"]
    holds = (
        evolution["last"] < 0.8 * evolution["first"]
        and random["last"] > 0.95 * random["first"]
        and evolution["top_tenth"] >= 0.3
        and workers["last"] > evolution["last"]
        and workers["greedy"] < evolution["greedy"]
        and evolution["late_hits"] > max(evolution["early_hits"], random["late_hits"])
    )
    return Observed(
        bool(holds),
        f"genes that differ: evolution {evolution['first']:.3f} to {evolution['last']:.3f}, 32 workers"
        f" {workers['first']:.3f} to {workers['last']:.3f}, random {random['first']:.3f} to {random['last']:.3f}; top"
        f" tenth of the donors has {100 * evolution['top_tenth']:.0f} % of the children; from the best so far"
        f" {100 * evolution['greedy']:.0f} %, with 32 workers {100 * workers['greedy']:.0f} %; prefix hits"
        f" {100 * evolution['early_hits']:.0f} to {100 * evolution['late_hits']:.0f} %, random"
        f" {100 * random['late_hits']:.0f} %",
    )


def _means(space: Tabular, name: str, batch: int) -> dict[str, float]:
    found = [_one(space, name, batch, seed) for seed in range(SEEDS)]
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def _one(space: Tabular, name: str, batch: int, seed: int) -> dict[str, float]:
    noting, records = _searched(space, name, batch, seed)
    codes_NG = space.codes([r.candidate.net["t"] for r in records])  # pyright: ignore[reportArgumentType]
    apart = diversity(codes_NG, WINDOW)
    popular = sorted(children([noting.birth(r.candidate) for r in records]).values(), reverse=True)
    hits_N = prefix_hits(codes_NG, CAPACITY)
    return {
        "first": float(apart[0]),
        "last": float(apart[-100:].mean()),
        "top_tenth": sum(popular[: max(len(popular) // 10, 1)]) / max(sum(popular), 1),
        "greedy": greediness(records, noting.births, batch),
        "early_hits": float(hits_N[WINDOW:250].mean()),
        "late_hits": float(hits_N[-200:].mean()),
    }


def _searched(space: Tabular, name: str, batch: int, seed: int) -> tuple[TracedSpace, list[Record]]:
    task = Task("t", space, lambda: None, "accuracy", 1.0)
    goals = Goals((Objective("quality", 1),))
    run = RunContext((task,), None, goals, 0, data_file("nats_size_cifar10.csv.gz").parent)
    noting = traced(ProductSpace({"net.t": space}))
    cascade = Cascade(TabularEvaluator().stages(run), goals, Memory(), (task,))
    records: list[Record] = []
    budget = Budget.model_validate({"candidates": BUDGET, "batch": batch})
    search(registry.create("strategies", name), noting, cascade, goals, budget, seed, records.extend)
    return noting, records
