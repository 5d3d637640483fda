"""Fisher: the squared effect of each channel's activations on the loss, summed over the network.

Choose it as one of several scores.
A channel of a convolution's output z has (Σ z · dL/dz)² / 2 summed over its positions, averaged over the batch.
Source: Turner et al. 2020, arXiv:1906.04113, eq. 3 (BlockSwap); as a score: Abdelfattah et al. 2021, arXiv:2101.08134.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.evaluators.proxies._probe import Probe

__all__ = ["Fisher"]


@dataclass(frozen=True)
class Fisher:
    """Sum of the channels' Fisher information."""

    def score(self, probe: Probe) -> float:
        import torch

        module = probe.module()
        x, y = probe.tensors()
        values = module.values(x)
        outputs = values[module.graph.outputs[0]]
        activations = [values[n.name] for n in module.graph.nodes if n.op in ("conv", "linear")]
        found = torch.autograd.grad(probe.loss(outputs, y), activations, allow_unused=True)
        total = 0.0
        for z, g in zip(activations, found, strict=True):
            if g is not None:
                effect_NC = (z.detach() * g).flatten(2).sum(2) if z.ndim > 2 else z.detach() * g
                total += float(effect_NC.pow(2).mean(0).sum()) / 2
        return total
