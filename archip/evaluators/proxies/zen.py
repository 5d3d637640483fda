"""Zen: how much the features of an untrained network move with its input; no data are needed.

Choose it for convolutional networks with batch norms, to maximise expressivity under limits.
Inputs x, noise ε and weights are standard normal; Zen = log E ‖f(x) - f(x + α ε)‖₁ (mean over features) + Σ over
batch norms of log sqrt(mean of their batch variances), f up to the global pooling, α = 0.01.
Source: Lin et al. 2021, arXiv:2102.01063, algorithm 1 and the released code. Differs: where the paper removes residual
sums, networks are scored as they are, as in its code for other spaces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe, layer_weights

__all__ = ["Zen"]


@dataclass(frozen=True)
class Zen:
    """Gaussian complexity of the features, with the scales that batch norms hide."""

    alpha: Annotated[float, Field(gt=0)] = 0.01  # size of the noise
    repeats: Annotated[int, Field(ge=1)] = 8  # draws of inputs and noise
    samples: Annotated[int, Field(ge=2)] = 8  # inputs of each

    def score(self, probe: Probe) -> float:
        import torch

        module, graph = probe.module(), probe.graph
        end = next((n.inputs[0] for n in graph.nodes if n.op in ("global_avg_pool", "flatten")), graph.outputs[0])
        norms = [n for n in graph.nodes if n.op == "batch_norm"]
        generator = torch.Generator().manual_seed(probe.seed)
        with torch.no_grad():
            for weight in layer_weights(module):
                weight.normal_(generator=generator)
        shape, scores = (self.samples, *probe.x.shape[1:]), []
        for _ in range(self.repeats):
            x, noise = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
            with torch.no_grad():
                first, second = module.values(x), module.values(x + self.alpha * noise)
            moved = float((first[end] - second[end]).abs().mean())
            if moved == 0:
                raise CandidateError("the features do not depend on the input")
            scores.append(math.log(moved) + sum(_log_scale(first[n.inputs[0]]) for n in norms))
        return sum(scores) / len(scores)


def _log_scale(x: object) -> float:
    """Log sqrt of the mean variance over channels of a batch norm's input; 0 for one that is constant."""
    import torch

    assert isinstance(x, torch.Tensor)
    variance = float(x.var(dim=[0, *range(2, x.ndim)], unbiased=False).mean())
    return 0.5 * math.log(variance) if variance > 0 else 0.0
