"""L2 norm: the Euclidean norms of the untrained weights, summed over layers; it knows only how many and how wide.

Source: Krishnakumar et al. 2022 (NAS-Bench-Suite-Zero), arXiv:2210.03230, baseline scores.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe, layer_weights

__all__ = ["L2Norm"]


@dataclass(frozen=True)
class L2Norm:
    """Sum of the layers' weight norms."""

    def score(self, probe: Probe) -> float:
        return sum(float(weight.detach().norm()) for weight in layer_weights(probe.module()))
