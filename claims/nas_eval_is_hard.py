"""NAS evaluation is frustratingly hard (Yang et al. 2020): most of what a search reports is its space, not its method.

RI, the relative improvement over the average architecture of the space, tells the two apart.
"""

from __future__ import annotations

from archip.core.problem import Plug
from archip.search._bench_report import markdown, mean_ranks, summary_rows
from archip.search.bench import Bench, run_bench, setting
from claims._claim import Observed, data_file

EXPECTED = """On the size space of NATS-Bench the average network has 91.085 %, the best RI is 2.82 % (within 0.01),
that of regularised evolution (population 20, sample 5) after 300 evaluations 2.72 % (within 0.05), and random search
has 85 % of that or more: the method adds little to what the space gives. With fewer than three seeds the report ranks
nobody."""
SOURCE = "arXiv:1912.12522, section 3; values recomputed from nats_size_cifar10.csv.gz by the card's author"

SEEDS = 30


def check() -> Observed:
    folder = str(data_file("nats_size_cifar10.csv.gz").parent)
    bench = Bench("nats_size", folder, budget=300)
    here = setting(bench)
    plugs = {
        "random_search": Plug("random_search"),
        "regularized_evolution": Plug("regularized_evolution", {"population": 20, "tournament": 5}),
    }
    found = run_bench(bench, plugs, SEEDS, n_jobs=1)
    ri = {row["strategy"]: row["ri"] for row in summary_rows(here, found, [300])}
    best = 100 * (here.optimum - here.average) / here.average
    two = run_bench(bench, plugs, 2, n_jobs=1)
    silent = not mean_ranks(here, two) and "too few to rank" in markdown(here, two, [300])
    share = ri["random_search"] / ri["regularized_evolution"]
    holds = (
        abs(100 * here.average - 91.085) < 5e-3
        and abs(best - 2.82) <= 0.01
        and abs(ri["regularized_evolution"] - 2.72) <= 0.05
        and share >= 0.85
        and silent
    )
    return Observed(
        bool(holds),
        f"average {100 * here.average:.3f} %; RI best {best:.3f}, regularised evolution"
        f" {ri['regularized_evolution']:.3f}, random search {ri['random_search']:.3f} ({100 * share:.0f} % of it),"
        f" {SEEDS} seeds; two seeds are {'not ' if silent else ''}ranked",
    )
