"""Zhang et al., COSMA (2023): the best order, residency and spills together avoid most non-compulsory traffic.

The card's graph of nine operators, then graphs of 16 random operators at the least scratchpad that runs them, each
against its given order with the best replacement for that order.
"""

import numpy as np

from archip.hardware.schedule._tensors import TensorGraph
from archip.hardware.schedule.cosma import Cosma
from claims._claim import Observed

EXPECTED = """Extra traffic of the card's graph 13, 2, 0, 0 units at a scratchpad of 9, 10, 11, 12, proven, while
breadth-first order with optimal replacement costs 36 at each and 12 at 20. On 20 random graphs that need any, the extra
bytes fall by at least half on average against the given order with optimal replacement (paper: 84 % against earlier
mappers on networks)."""
SOURCE = "arXiv:2311.18246, abstract; card COSMA (measured)"


def check() -> Observed:
    graph, sizes = _card(), (9, 10, 11, 12)
    plans = [Cosma().plan(graph, size) for size in sizes]
    best = [plan.extra_bytes for plan in plans]
    breadth = [Cosma().plan(graph, size, order=range(9)).extra_bytes for size in (*sizes, 20)]
    savings = [saving for seed in range(40) if (saving := _saving(_random(seed))) is not None][:20]
    holds = best == [13, 2, 0, 0] and breadth == [36, 36, 36, 36, 12] and all(plan.is_optimal for plan in plans)
    return Observed(
        holds and float(np.mean(savings)) >= 0.5,
        f"optimum {best}, breadth-first {breadth}; on {len(savings)} random graphs the extra bytes fall by"
        f" {np.mean(savings):.0%} on average ({min(savings):.0%} to {max(savings):.0%})",
    )


def _card() -> TensorGraph:
    operators = ["a", "b1", "c1", "d1", "b2", "c2", "d2", "j1", "j2"]
    readers = ["a", "b1 c1 d1", "b2", "c2", "d2", "j1", "j1", "j2", "j2", ""]
    return TensorGraph(
        size_E=(2, 3, 6, 6, 6, 1, 1, 1, 1, 1),
        producer_E=tuple(range(-1, 9)),
        readers_E=tuple(tuple(operators.index(o) for o in text.split()) for text in readers),
        is_output_E=tuple(not text for text in readers),
        name_O=tuple(operators),
    )


def _random(seed: int, n: int = 16) -> TensorGraph:
    """Each operator reads two of the six tensors before it."""
    rng = np.random.default_rng(seed)
    readers: list[list[int]] = [[] for _ in range(n + 1)]
    for o in range(n):
        for tensor in set(rng.integers(max(0, o - 5), o + 1, 2).tolist()):
            readers[tensor].append(o)
    sizes = tuple(rng.integers(1, 9, n + 1).tolist())
    outputs = tuple(not reads for reads in readers)
    return TensorGraph(sizes, tuple(range(-1, n)), tuple(map(tuple, readers)), outputs, tuple(map(str, range(n))))


def _saving(graph: TensorGraph) -> float | None:
    """Share of the given order's extra bytes that the best order avoids; None where it has none."""
    least = max(sum(graph.size_E[e] for e in tensors) for tensors in graph.tensors_O)
    given = Cosma().plan(graph, least, order=range(graph.n_operators)).extra_bytes
    return 1 - Cosma().plan(graph, least).extra_bytes / given if given else None
