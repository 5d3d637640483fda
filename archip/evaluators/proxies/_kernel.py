"""The empirical neural tangent kernel of one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["tangent_kernel"]


def tangent_kernel(module: Any, x: torch.Tensor) -> torch.Tensor:
    """Θ[i, j] = ⟨∇w Σ f(x_i), ∇w Σ f(x_j)⟩ over all parameters, [N, N]; the outputs of a sample are summed.

    Batch norms use their running statistics, since otherwise a sample's outputs depend on the others.
    """
    import torch

    module.eval()
    parameters = [p for p in module.parameters() if p.requires_grad]
    outputs = module(x).flatten(1).sum(1)
    rows = []
    for i in range(len(x)):
        found = torch.autograd.grad(outputs[i], parameters, retain_graph=i + 1 < len(x), allow_unused=True)
        rows.append(torch.cat([g.flatten() for g in found if g is not None]))
    jacobian = torch.stack(rows).double()
    return jacobian @ jacobian.T
