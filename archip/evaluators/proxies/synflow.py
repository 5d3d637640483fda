"""SynFlow: the product of absolute weights along all paths, summed; needs no data.

Choose it where there are no labels; strong on cell spaces with convolutions, of little use beyond them.
Weights are made positive, batch norms are taken out, and the input is all ones; the score is the logarithm of
Σ |w · dR/dw| for R the sum of the outputs. Values in double precision, since the product of many layers overflows.
Source: Tanaka et al. 2020, arXiv:2006.05467, eq. 2; without batch norm: Abdelfattah et al. 2021, arXiv:2101.08134.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe, layer_weights

__all__ = ["SynFlow"]


@dataclass(frozen=True)
class SynFlow:
    """Logarithm of the synaptic flow."""

    def score(self, probe: Probe) -> float:
        import torch
        from torch import nn

        module = probe.module().double()
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())
        weights = layer_weights(module)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.abs_()
        ones = torch.ones(1, *probe.x.shape[1:], dtype=torch.float64)
        found = torch.autograd.grad(module(ones).sum(), weights, allow_unused=True)
        flow = sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, found, strict=True) if g is not None)
        if not 0 < flow < math.inf:
            raise CandidateError(f"the synaptic flow is {flow}")
        return math.log(flow)
