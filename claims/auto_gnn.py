"""Auto-GNN (Zhou et al. 2019): changing one class of decisions at a time finds better graph networks than chance."""

from __future__ import annotations

from statistics import fmean, stdev

from archip.core.problem import Plug
from archip.search.bench import Bench, search_table, setting
from claims._claim import Observed, data_file

EXPECTED = """NAS-Bench-Graph, best validation accuracy of 500 networks, mean of 8 seeds: above random search on Cora
(81.11) and Photo (93.49; both the card's, 30 seeds) by more than its standard error. Without the paper's sharing of
weights."""
SOURCE = "arXiv:1909.03184, section 4; figures recomputed from the table by the card's author"

RANDOM = {"cora": 81.11, "photo": 93.49}


def check() -> Observed:
    data = str(data_file("nas_bench_graph.npz").parent)
    holds, texts = True, []
    for name, random in RANDOM.items():
        here = setting(Bench("nas_bench_graph", data, metric=name, budget=500))
        traces = [search_table(here, Plug("auto_gnn"), seed) for seed in range(100, 108)]
        best = [100 * float(here.shown_N[trace.rows].max()) for trace in traces]
        error = stdev(best) / len(best) ** 0.5
        holds &= fmean(best) - error > random
        texts.append(f"{name} {fmean(best):.2f} +- {error:.2f} (random {random})")
    return Observed(holds, ", ".join(texts))
