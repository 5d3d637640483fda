"""FLOPs: multiply-accumulates of one pass; the baseline that any other zero-cost score has to beat.

Source: Abdelfattah et al. 2021, arXiv:2101.08134, where it is among the best scores on NAS-Bench-201.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe
from archip.ir.workload import workload

__all__ = ["Flops"]


@dataclass(frozen=True)
class Flops:
    """The logarithm of the multiply-accumulates."""

    def score(self, probe: Probe) -> float:
        return math.log1p(workload(probe.graph).macs)
