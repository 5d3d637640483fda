"""Understanding NAS Techniques (Adam, Lorraine 2019): a controller forgets its networks; a memory mends it."""

from __future__ import annotations

from statistics import fmean

import numpy as np
from scipy.stats import spearmanr

from archip.core.record import Record
from archip.core.rng import generator
from archip.search.bench import Bench, Setting, setting
from archip.strategies._controller import Decision
from archip.strategies.enas_memory import ENASMemory
from claims._claim import Observed, data_file

EXPECTED = """Size space of NATS-Bench, 100 networks, 5 seeds. Rank correlation between how far apart the final states
of two networks are and in how many of the five genes they differ (200 random networks): near 0 (below 0.15) for the
plain controller, above 0.3 with the memory. The best network of both is at least that of random search (93.11)."""
SOURCE = "arXiv:1904.00438, sections 4 and 5; figures: the card's check"

N_QUERIES, RANDOM = 100, 93.11
WEIGHTS = (0.0, ENASMemory().weight, 10 * ENASMemory().weight)  # the last for comparison only


def check() -> Observed:
    data = str(data_file("nats_size_cifar10.csv.gz").parent)
    here = setting(Bench("nats_size", data, budget=N_QUERIES))
    trials = [[_trial(here, weight, seed) for seed in range(5)] for weight in WEIGHTS]
    (plain, plain_best), (memory, memory_best), (strong, _) = (map(fmean, zip(*t, strict=True)) for t in trials)
    holds = abs(plain) < 0.15 and memory > 0.3 and min(plain_best, memory_best) >= RANDOM
    text = f"correlation {plain:.2f} plain, {memory:.2f} with memory ({strong:.2f} where it weighs ten times as much)"
    return Observed(holds, f"{text}; best {plain_best:.2f} and {memory_best:.2f}")


def _trial(here: Setting, weight: float, seed: int) -> tuple[float, float]:
    """(rank correlation, best accuracy) of one search."""
    strategy, space = ENASMemory(weight=weight), here.run.tasks[0].space
    strategy.start(here.space, here.goals)
    best = 0.0
    for number in range(N_QUERIES):
        (candidate,) = strategy.ask(1, generator(seed, "ask", number))
        accuracy = float(here.shown_N[space.row(candidate.net["table"])])
        best = max(best, 100 * accuracy)
        strategy.tell([Record(candidate, {"quality": accuracy})])
    return _correlation(here, strategy, np.random.default_rng(seed)), best


def _correlation(here: Setting, strategy: ENASMemory, rng: np.random.Generator) -> float:
    codes_NG = here.space.codes([here.space.sample(rng) for _ in range(200)])
    knobs = list(here.space.knobs.items())
    rows = [
        [Decision(name, tuple(range(len(knob.values))), code) for (name, knob), code in zip(knobs, codes, strict=True)]
        for codes in codes_NG.tolist()
    ]
    states_NH = strategy._policy.follow(rows).end_NH.detach().numpy()
    one, other = np.triu_indices(len(rows), 1)
    apart = np.linalg.norm(states_NH[one] - states_NH[other], axis=1)
    return float(spearmanr(apart, (codes_NG[one] != codes_NG[other]).sum(1)).statistic)
