"""SuperTickets (You et al. 2022): searching and pruning in one training is no worse than one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from archip.core import registry
from archip.data._dataset import DataSet
from archip.train.loop import Recipe
from archip.train.supertickets import SuperTickets, draw_ticket
from claims._claim import Observed

EXPECTED = """A residual network of two blocks with four widths each on 400 digits, 80 % of the weights pruned, 40
epochs, mean of three seeds: the test accuracy of one training is at least that of searching and then pruning, and of
pruning and then searching (half a point of room), and more than one point above that of a random mask of the same
sparsity that is there from the first epoch on. Every sparsity is exact."""
SOURCE = "arXiv:2207.03677, abstract; checks of the cards"

_OPTIONS = 0.8, 0.02, 0.3  # sparsity; coefficient and threshold for a few hundred steps, not the paper's


@dataclass
class _Random(SuperTickets):
    def _scores(self, weights: Tensor) -> Tensor:
        return torch.rand(weights.shape, generator=torch.Generator().manual_seed(weights.numel()))


def check() -> Observed:
    data: DataSet = registry.create("data", "digits", {"test": 0.39, "val": 0.63}).load()
    space = registry.create("spaces", "resnet9", {"stem": [8, 16], "filters": [8, 16, 24, 32], "blocks": 2})
    rules = {
        "together": SuperTickets(*_OPTIONS),
        "search first": SuperTickets(*_OPTIONS, slim=(0.0, 0.5), prune=(0.5, 0.75)),
        "prune first": SuperTickets(*_OPTIONS, slim=(0.5, 0.75), prune=(0.0, 0.5)),
        "random mask": _Random(*_OPTIONS, prune=(0.0, 0.0)),
    }
    recipe = Recipe(epochs=40, batch=32, lr=1e-2, keep="last")
    means, words, exact = {}, [], True
    for name, rule in rules.items():
        tickets = [draw_ticket(space, data, recipe, rule, seed) for seed in range(3)]
        accuracies = [ticket.metrics["test"]["accuracy"] for ticket in tickets]
        counts = [sum(p.numel() for p in ticket.module.parameters() if p.ndim > 1) for ticket in tickets]
        exact &= all(round(0.8 * n) == round(t.sparsity * n) for n, t in zip(counts, tickets, strict=True))
        means[name] = float(np.mean(accuracies))
        words.append(f"{name} {means[name]:.4f} ({min(accuracies):.3f} to {max(accuracies):.3f}, {counts} weights)")
    holds = (
        exact
        and means["together"] >= max(means["search first"], means["prune first"]) - 0.005
        and means["together"] > means["random mask"] + 0.01
    )
    return Observed(holds, f"{'; '.join(words)}; sparsity {'exact' if exact else 'not exact'}")
