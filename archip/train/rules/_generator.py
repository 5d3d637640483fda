"""Architecture generator: a recurrent network that names a network of a wanted cost.

It decides the genes one by one, each by a Gumbel softmax, and is trained on a cost that is differentiable: a sum over
genes and pairs of genes, fitted to the costs of networks drawn at random.
Source: Zhang et al. 2023, arXiv:2307.08300 (ShiftNAS), section 3.3. Differs: pairs of genes in the cost, as widths of
neighbouring layers multiply; the drawn network whose cost is nearest is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archip.train.rule import Shared

__all__ = ["ArchitectureGenerator"]

_FITTED = 400  # networks that the cost is fitted to
_TARGETS = 16  # a training step
_DRAWN = 256  # of which the nearest is taken
_MEASURED = 4  # whose exact costs are looked at
_RIDGE = 1e-4


class ArchitectureGenerator(nn.Module):
    """Draws networks of a wanted cost.

    Attributes:
        low, high: costs of the smallest and the largest network.
    """

    def __init__(self, shared: Shared, hidden: int = 64) -> None:
        super().__init__()
        self._shared = (shared,)  # not a part of this module
        self.sizes = [len(knob.values) for knob in shared.space.knobs.values()]
        self.low, self.high = shared.cost(shared.smallest), shared.cost(shared.largest)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.cell = nn.LSTMCell(1 + max(self.sizes), hidden)
            self.heads = nn.ModuleList(nn.Linear(hidden, n) for n in self.sizes)
        self.linear, self.pairs = self._fitted()

    @property
    def shared(self) -> Shared:
        return self._shared[0]

    def forward(self, targets_B: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """One-hot genes [B, sum of sizes] of networks for these costs, and the logarithm [B] of their probability."""
        inputs = torch.log(targets_B / self.low)[:, None] / np.log(self.high / self.low)
        before = torch.zeros(len(inputs), max(self.sizes))
        memory = None
        parts, logs = [], torch.zeros(len(inputs))
        for head, size in zip(self.heads, self.sizes, strict=True):
            memory = self.cell(torch.cat([inputs, before], 1), memory)
            logits = head(memory[0])
            noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=rng).clamp(1e-9, 1 - 1e-7)))
            soft = (logits + noise).softmax(1)
            hard = F.one_hot(soft.argmax(1), size).float()
            parts.append(hard + soft - soft.detach())
            logs = logs + (hard * logits.log_softmax(1)).sum(1)
            before = F.pad(hard, (0, max(self.sizes) - size))
        return torch.cat(parts, 1), logs

    def cost(self, genes_BG: Tensor) -> Tensor:
        """Fitted costs [B] of one-hot genes, as shares of the largest network's."""
        return genes_BG @ self.linear + ((genes_BG @ self.pairs) * genes_BG).sum(1)

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Mean squared error of the costs' logarithms for random targets."""
        targets = torch.from_numpy(np.exp(rng.uniform(np.log(self.low), np.log(self.high), _TARGETS))).float()
        genes, _ = self(targets, _torch_generator(rng))
        costs = (self.cost(genes) * self.high).clamp(self.low / 10)
        return torch.log(costs / targets).square().mean()

    def draw(self, target: float, rng: np.random.Generator) -> tuple[dict[str, Any], Tensor]:
        """The network nearest to a cost among some that are drawn, and the logarithm of its probability."""
        genes, logs = self(torch.full((_DRAWN,), target), _torch_generator(rng))
        order = (self.cost(genes.detach()) * self.high - target).abs().argsort(stable=True).tolist()
        places = torch.stack([part.argmax(1) for part in genes.detach().split(self.sizes, 1)], 1)
        found: list[tuple[float, int, dict[str, Any]]] = []
        for i in order:
            row = dict(zip(self.shared.space.knobs, places[i].tolist(), strict=True))
            genotype = self.shared.space.decide(lambda gene, _, row=row: row[gene])
            if genotype is not None:
                found.append((abs(self.shared.cost(genotype) - target), i, genotype))
            if len(found) == _MEASURED:
                break
        if not found:  # constraints of the space that none of them keeps
            return self.shared.space.sample(rng), torch.zeros(())
        _, i, genotype = min(found, key=lambda entry: entry[:2])
        return genotype, logs[i]

    def _fitted(self) -> tuple[Tensor, Tensor]:
        """Coefficients of genes and of pairs of genes, by ridge regression on relative errors."""
        rng = np.random.default_rng(0)
        genotypes = [self.shared.space.sample(rng) for _ in range(_FITTED)] + [
            self.shared.smallest,
            self.shared.largest,
        ]
        codes = self.shared.space.codes(genotypes)
        hot = np.concatenate([np.eye(n + 1)[codes[:, i]][:, :n] for i, n in enumerate(self.sizes)], 1)
        costs = np.array([self.shared.cost(genotype) for genotype in genotypes]) / self.high
        upper = np.triu_indices(hot.shape[1], 1)
        features = np.concatenate([hot, hot[:, upper[0]] * hot[:, upper[1]]], 1) / costs[:, None]
        gram = features @ features.T + _RIDGE * np.eye(len(features))
        weights = features.T @ np.linalg.solve(gram, np.ones(len(features)))
        pairs = np.zeros((hot.shape[1],) * 2)
        pairs[upper] = weights[hot.shape[1] :]
        return torch.from_numpy(weights[: hot.shape[1]]).float(), torch.from_numpy(pairs).float()


def _torch_generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**31)))
