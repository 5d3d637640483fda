"""Head confidence: how decided the attention heads of a transformer are, before it is trained.

Choose it for transformers; the parameters alone rank them nearly as well.
confidence of a head = mean over samples and positions of its largest attention weight; score = sum over the heads of
all layers, or with `mean` their mean, which does not grow with the network.
Source: Serianni and Kalita 2023, arXiv:2306.00288 (attention confidence), after Michel et al. 2019, arXiv:1905.10650;
on NAS-Bench-BERT 0.716, parameters 0.652. Attention is found as a softmax over the last axis that a matrix product
reads. Differs: their table counts layers without attention, too (networks that have none score 2.96 there).
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe
from archip.ir.graph import Graph

__all__ = ["HeadConfidence"]


@dataclass(frozen=True)
class HeadConfidence:
    """Sum (or mean) over heads of their mean largest attention weight."""

    mean: bool = False  # over heads, in place of the sum

    def score(self, probe: Probe) -> float:
        import torch

        names = attentions(probe.graph)
        if not names:
            raise CandidateError("the network has no attention")
        with torch.no_grad():
            values = probe.module().values(probe.tensors()[0])
        heads = torch.cat([_heads(values[name]).amax(-1).mean((0, 2)) for name in names])  # of [N, heads, from, to]
        return float(heads.mean() if self.mean else heads.sum())


def attentions(graph: Graph) -> list[str]:
    """Nodes with attention weights [N, …, from, to]."""
    read = {name for node in graph.nodes if node.op == "matmul" for name in node.inputs}
    found = [node for node in graph.nodes if node.op == "softmax" and node.name in read]
    return [n.name for n in found if dict(n.attributes).get("axis", -1) in (-1, len(graph.shapes[n.name]) - 1)]


def _heads(weights):
    """Attention weights as [N, heads, from, to]; without an axis of heads, they are one head."""
    return weights.flatten(1, -3) if weights.ndim > 3 else weights[:, None]
