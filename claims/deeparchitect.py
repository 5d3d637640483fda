"""DeepArchitect (Negrinho, Gordon 2017): tree search with bisection and a surrogate on n-grams beat random search."""

from __future__ import annotations

from statistics import fmean

from archip.core.problem import Plug
from archip.search.bench import Bench, answers, search_table, setting
from claims._claim import Observed, data_file

EXPECTED = """Size space of NATS-Bench as a tree of five widths. Best accuracy after 300 networks, mean of 40 seeds:
with bisection at least 93.35, plain at least 93.33, bisection above plain, both above random search (93.28; the
card's author saw 93.38 and 93.36). With the surrogate above 93.5 after 200 (10 seeds)."""
SOURCE = "arXiv:1704.08792, sections 4 and 5.2; figures: the card's trial (c = 0.3)"

TRIALS = {  # label → strategy, queries, seeds
    "random": (Plug("random_search"), 300, 40),
    "plain": (Plug("mcts", {"bisect": False}), 300, 40),
    "bisection": (Plug("mcts"), 300, 40),
    "surrogate": (Plug("smbo"), 200, 10),
}


def check() -> Observed:
    data = str(data_file("nats_size_cifar10.csv.gz").parent)
    found = {}
    for label, (plug, budget, n_seeds) in TRIALS.items():
        here = setting(Bench("nats_size", data, budget=budget))
        traces = [search_table(here, plug, 100 + seed) for seed in range(n_seeds)]
        found[label] = 100 * fmean(answers(here, trace.rows)[0, -1] for trace in traces)
    trees = found["bisection"] >= 93.35 and found["plain"] >= 93.33
    ordered = found["bisection"] > found["plain"] > found["random"]
    text = ", ".join(f"{label} {value:.2f}" for label, value in found.items())
    return Observed(trees and ordered and found["surrogate"] > 93.5, text)
