"""GraSP: how much the gradient would lose without each weight, -w · H g, summed over the network.

Choose it as one of several scores; it is among the weaker ones on NAS-Bench-201.
Source: Wang et al. 2020, arXiv:2002.07376, eq. 8; as a score of networks: Abdelfattah et al. 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe, layer_weights

__all__ = ["Grasp"]


@dataclass(frozen=True)
class Grasp:
    """Sum of the weights' effect on the gradient flow."""

    def score(self, probe: Probe) -> float:
        import torch

        module = probe.module()
        x, y = probe.tensors()
        weights = layer_weights(module)
        first = torch.autograd.grad(probe.loss(module(x), y), weights, create_graph=True, allow_unused=True)
        used = [(w, g) for w, g in zip(weights, first, strict=True) if g is not None]
        flow = sum((g.detach() * g).sum() for _, g in used)  # whose gradient is H g
        try:
            second = torch.autograd.grad(flow, [w for w, _ in used], allow_unused=True)  # pyright: ignore
        except RuntimeError as error:  # torch lacks those of some activations, such as hard sigmoid
            if "derivative" not in str(error):
                raise
            raise CandidateError(f"grasp needs second derivatives: {error}") from None
        pairs = zip(used, second, strict=True)
        return sum(float(-(w.detach() * h).sum()) for (w, _), h in pairs if h is not None)
