"""Gradient norm: how strongly the loss of one batch pulls at the weights before training.

Choose it as one of several; on its own it is one of the weaker scores.
Source: Abdelfattah et al. 2021, arXiv:2101.08134, section 3.2: the Euclidean norm of the gradients, summed over layers.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe

__all__ = ["GradNorm"]


@dataclass(frozen=True)
class GradNorm:
    """Sum of the layers' gradient norms."""

    def score(self, probe: Probe) -> float:
        return sum(float(gradient.norm()) for _, gradient in probe.gradients)
