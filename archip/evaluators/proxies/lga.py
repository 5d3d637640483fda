"""LGA: how well the network's tangent kernel is aligned with the labels, after a little training.

Choose it where a few epochs a network are affordable; at initialisation (`epochs` 0) it says little.
LGA = centred alignment of Θ (the empirical neural tangent kernel) and L = Y Yᵀ (1 where two samples have one class, -1
elsewhere): Σ (Θ - mean Θ) ∘ (L - mean L) / (‖Θ - mean Θ‖ ‖L - mean L‖), between -1 and 1.
Source: Mok et al. 2022, arXiv:2203.14577, section 4. Our choice: training on the probe's own batch, AdamW, with `lr`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from archip.core.errors import CandidateError
from archip.evaluators.proxies._kernel import tangent_kernel
from archip.evaluators.proxies._probe import Probe

if TYPE_CHECKING:
    import torch

__all__ = ["LGA"]


@dataclass(frozen=True)
class LGA:
    """Label-gradient alignment after `epochs` passes over the batch."""

    epochs: Annotated[int, Field(ge=0)] = 5  # passes over the batch before the kernel is looked at
    lr: Annotated[float, Field(gt=0)] = 4e-3  # of AdamW
    samples: Annotated[int, Field(ge=2)] = 32  # of the kernel

    def score(self, probe: Probe) -> float:
        import torch

        if probe.task != "classification":
            raise CandidateError("label-gradient alignment needs one label a sample")
        module = probe.module()
        x, y = probe.tensors()
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.lr)
        for _ in range(self.epochs):
            optimizer.zero_grad()
            probe.loss(module(x), y).backward()
            optimizer.step()
        return alignment(tangent_kernel(module, x[: self.samples]), y[: self.samples])


def alignment(kernel_NN: torch.Tensor, y_N: torch.Tensor) -> float:
    """Centred alignment of a kernel with the labels, between -1 and 1; 1 where the kernel is proportional to L."""
    labels_NN = (y_N[:, None] == y_N[None]).double() * 2 - 1
    a, b = (matrix.double() - matrix.double().mean() for matrix in (kernel_NN, labels_NN))
    norm = float(a.norm() * b.norm())
    if norm == 0:
        raise CandidateError("all samples are alike, so there is nothing to align")
    return float((a * b).sum()) / norm
