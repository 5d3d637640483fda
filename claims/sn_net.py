"""SN-Net (Pan et al. 2023): stitches between trained models, fitted by least squares, give networks in between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from torch import nn

from archip.core import registry
from archip.data._dataset import DataSet
from claims._claim import Observed

EXPECTED = """Three perceptrons on digits (4 blocks of width 8, 24 and 96), window 2: 2 x 10 + 3 networks. Before any
training the fitted stitches have a mean test accuracy at least 20 points above random ones. After 60
epochs of all routes, 47 steps a route, every stitched network lies between its two models (1 point of
room on both sides, test accuracies of the models after the same training), and cost and accuracy have a
Spearman correlation above 0.8. The first run had 5 epochs, 4 steps a route: there a network was 0.12
outside, and all else held."""
SOURCE = "arXiv:2302.06586, figures 1 and 6; check of the card"

_WIDTHS, _BLOCKS = (8, 24, 96), 4


def check() -> Observed:
    import torch

    from archip.nets.stitch import stitch
    from archip.predictors._agreement import agreement
    from archip.train.loop import Recipe, fit

    data: DataSet = registry.create("data", "digits").load()
    models = [_trained(width, data) for width in _WIDTHS]
    x = torch.from_numpy(data.splits["train"][0][:200])
    fitted, loose = (stitch(models, x, start=start) for start in ("fitted", "random"))  # pyright: ignore[reportArgumentType]
    before = [_accuracies(net, data) for net in (fitted, loose)]
    is_stitched = np.array([route.leave is not None for route in fitted.routes])
    gains = [float(accuracies[is_stitched].mean()) for accuracies in before]
    fit(fitted, data, Recipe(epochs=60, lr=1e-3, keep="last"), 0, rule=registry.create("train/rules", "uniform"))
    after = _accuracies(fitted, data)
    alone = [after[i] for i, route in enumerate(fitted.routes) if route.leave is None]
    outside = [
        max(alone[route.first] - after[i], after[i] - alone[route.first + 1])
        for i, route in enumerate(fitted.routes)
        if route.leave is not None
    ]
    rho = agreement(np.array(fitted.macs), after).spearman
    text = (
        f"{len(after)} networks; before training fitted {gains[0]:.3f}, random {gains[1]:.3f}; models after it "
        f"{', '.join(f'{a:.3f}' for a in alone)}; the farthest outside by {max(outside):.4f}; Spearman {rho:.3f}"
    )
    holds = len(after) == 23 and gains[0] >= gains[1] + 0.2 and max(outside) <= 0.01 and rho > 0.8
    return Observed(holds, text)


def _trained(width: int, data: DataSet) -> nn.Sequential:
    import torch

    from archip.train.loop import Recipe, fit

    torch.manual_seed(width)
    sizes = [64, *[width] * _BLOCKS]
    blocks = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    model = nn.Sequential(nn.Flatten(), *blocks, nn.Linear(width, 10))
    fit(model, data, Recipe(epochs=30, lr=4e-3), 0)
    return model


def _accuracies(net, data: DataSet) -> np.ndarray:
    """Of every route, on the test split."""
    from archip.train.loop import evaluate

    return np.array(
        [evaluate(net.extract(g), *data.splits["test"], data.task)["accuracy"] for g in net.space.enumerate()]
    )
