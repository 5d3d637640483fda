"""NASNet (Zoph et al. 2018): an LSTM trained by PPO finds the best cells of a space sooner than random search."""

from __future__ import annotations

from statistics import fmean

from archip.core.problem import Plug
from archip.search.bench import Bench, Setting, answers, search_table, setting
from claims._claim import Observed, data_file

EXPECTED = """On the size space of NATS-Bench (CIFAR-10) the best of 200, 300 and 500 networks is within 0.1 points of
what the card's author saw with a controller of independent tokens, 93.50, 93.55 and 93.57 (mean of 20 seeds; random
search: 93.22 at 200). On NAS-Bench-201 the cell chosen after 200 queries tests better than that of random search in at
least 14 of 20 seeds. (Tables in place of NASNet's own space, and rates for hundreds of networks.)"""
SOURCE = "arXiv:1707.07012, section 3 and appendix A.2; figures: the card's trial"

AUTHOR = {200: 93.50, 300: 93.55, 500: 93.57}
SEEDS = range(100, 120)


def check() -> Observed:
    data = str(data_file("nats_size_cifar10.csv.gz").parent)
    sizes = setting(Bench("nats_size", data, budget=max(AUTHOR)))
    found = [_curve(sizes, "ppo", seed) for seed in SEEDS]
    means = {q: fmean(values[q - 1] for values in found) for q in AUTHOR}
    cells = setting(Bench("nb201", str(data_file("nb201.csv.gz").parent), budget=200))
    pairs = [(_curve(cells, "ppo", seed)[-1], _curve(cells, "random_search", seed)[-1]) for seed in SEEDS]
    n_better = sum(ours > random for ours, random in pairs)
    near = all(means[q] >= AUTHOR[q] - 0.1 for q in AUTHOR)
    text = "sizes " + ", ".join(f"{q}: {value:.2f}" for q, value in means.items())
    ours, random = (fmean(column) for column in zip(*pairs, strict=True))
    return Observed(
        near and n_better >= 14,
        f"{text}; cells {ours:.2f} against {random:.2f}, better in {n_better} of {len(SEEDS)} seeds",
    )


def _curve(here: Setting, strategy: str, seed: int) -> list[float]:
    """Test accuracy in percent of the answer after each query."""
    return (100 * answers(here, search_table(here, Plug(strategy), seed).rows)[0]).tolist()
