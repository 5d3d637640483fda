"""Jacobian covariance: how alike the network treats the samples of one batch, from the gradients at its inputs.

Choose it without labels, as one of several scores.
J[n] = gradient of the sum of the outputs at sample n; λ = eigenvalues of the correlation matrix of J's rows; score =
-Σ (log(λ + k) + 1 / (λ + k)), k = 1e-5.
Source: Mellor et al. 2020, arXiv:2006.04647v1, eq. 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.evaluators.proxies._correlation import correlation_score
from archip.evaluators.proxies._probe import Probe

__all__ = ["Jacov"]


@dataclass(frozen=True)
class Jacov:
    """Score of the correlations between input gradients."""

    def score(self, probe: Probe) -> float:
        import torch

        x, _ = probe.tensors()
        x.requires_grad_()
        (jacobian,) = torch.autograd.grad(probe.module()(x).sum(), x)
        return correlation_score(jacobian.flatten(1).numpy())
