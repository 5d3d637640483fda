"""SNIP: how much the loss would change without each weight, |w · dL/dw|, summed over the network.

Choose it as one of several scores for convolutional networks.
Source: Lee et al. 2019, arXiv:1810.02340, eq. 5-6; as a score of networks: Abdelfattah et al. 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe

__all__ = ["Snip"]


@dataclass(frozen=True)
class Snip:
    """Sum of connection sensitivities."""

    def score(self, probe: Probe) -> float:
        return sum(float((weight * gradient).abs().sum()) for weight, gradient in probe.gradients)
