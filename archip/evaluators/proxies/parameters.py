"""Parameters: how many weights a network has; a baseline that most zero-cost scores hardly beat.

Source: Serianni and Kalita 2023, arXiv:2306.00288, table 2 (transformers: 0.652 Spearman with GLUE).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe
from archip.ir.workload import workload

__all__ = ["Parameters"]


@dataclass(frozen=True)
class Parameters:
    """The logarithm of the number of weights."""

    def score(self, probe: Probe) -> float:
        return math.log1p(workload(probe.graph).params)
