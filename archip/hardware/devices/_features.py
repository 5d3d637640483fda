"""Features of a network that say how much work of which kind it is, for predictors of its latency.

The first three are totals; the others are those by kind of layer. All of them are amounts: nothing is negative, and two
networks run one after the other have the sum of their features.
"""

from __future__ import annotations

import numpy as np

from archip.ir.graph import Graph
from archip.ir.workload import Workload, workload

__all__ = ["FEATURES", "PREFIXES", "features"]

_KINDS = ("conv", "pointwise", "grouped", "gemm", "vector")
_TOTALS = ("layers", "macs", "moved")
_BY_KIND = tuple(f"{kind}.{what}" for kind in _KINDS for what in ("layers", "macs", "weights", "activations"))
_APPLIED = frozenset({"batch_norm", "relu", "relu6", "clip"})  # runtimes apply them with the layer before

FEATURES = (*_TOTALS, *(name for name in _BY_KIND if name not in ("vector.macs", "vector.weights")))
PREFIXES = (len(_TOTALS), len(FEATURES))


def features(graph: Graph) -> np.ndarray:
    """[F] amounts of work, in the order of `FEATURES`.

    Raises:
        CandidateError: an operator or shapes that do not fit.
    """
    work = workload(graph)
    counted_L = np.array([op not in _APPLIED for op in work.ops])
    kind_L = np.array([_kind(work, i) for i in range(len(work))])
    activations_L = work.moved_LO[:, 1:].sum(1)
    found: dict[str, float] = {
        "layers": counted_L.sum(),
        "macs": work.macs,
        "moved": (work.moved_LO.sum(1) * counted_L).sum(),
    }
    for kind in _KINDS:
        rows_L = counted_L & (kind_L == kind)
        found |= {
            f"{kind}.layers": rows_L.sum(),
            f"{kind}.macs": work.macs_L[rows_L].sum(),
            f"{kind}.weights": work.moved_LO[rows_L, 0].sum(),
            f"{kind}.activations": activations_L[rows_L].sum(),
        }
    return np.array([found[name] for name in FEATURES], np.float64)


def _kind(work: Workload, row: int) -> str:
    if work.kinds[row] != "conv":
        return work.kinds[row]
    _, groups, _, _, _, _, *kernel = work.dims_LD[row]
    if groups > 1:
        return "grouped"
    return "pointwise" if max(kernel) == 1 else "conv"
