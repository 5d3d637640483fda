"""Evaluation: a task's own metric and its loss over a whole split, in batches that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from archip.nets.merged import Merged
from archip.train.device import laid_out
from archip.train.losses import METRIC, TaskKind, hits_and_total, loss_function, share

__all__ = ["evaluate", "evaluate_merged", "score"]

_ELEMENTS = 2**19  # of the input, in one batch: some 100 MB of activations


def evaluate(module: nn.Module, x: np.ndarray | Tensor, y: np.ndarray | Tensor, task: TaskKind) -> dict[str, float]:
    """Metric of the task (``accuracy`` or ``iou``, over all of `x` together) and mean loss, in batches."""
    return _evaluated(module, lambda batch: [module(batch)], 1, x, y, task)[0]


def evaluate_merged(
    merged: Merged, x: np.ndarray | Tensor, y: np.ndarray | Tensor, task: TaskKind
) -> list[dict[str, float]]:
    """The same for each network of `merged`, in one pass over the data; equal to `evaluate` of each."""
    return _evaluated(merged, merged, len(merged.networks), x, y, task)


def _evaluated(
    module: nn.Module,
    outputs: Callable[[Tensor], list[Tensor]],
    n: int,
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    task: TaskKind,
) -> list[dict[str, float]]:
    """Metric and loss of `n` networks that `module` holds."""
    device = next(module.parameters()).device
    loss = loss_function(task)
    size = max(1, min(256, _ELEMENTS // math.prod(x.shape[1:])))
    hits, totals = torch.zeros(n, 2, dtype=torch.int64, device=device), [0.0] * n
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            targets = _tensor(y[rows], device)
            for i, logits in enumerate(outputs(laid_out(_tensor(x[rows], device)))):
                hits[i] += hits_and_total(logits, targets, task)
                totals[i] += float(loss(logits, targets)) * len(targets)
    return [{METRIC[task]: share(h), "loss": total / len(x)} for h, total in zip(hits, totals, strict=True)]


def score(outputs: np.ndarray, y: np.ndarray, task: TaskKind) -> dict[str, float]:
    """Metric of the task for outputs that a network has given already, e.g. in another runtime."""
    return {METRIC[task]: share(hits_and_total(torch.from_numpy(outputs), torch.from_numpy(y), task))}


def _tensor(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    return torch.as_tensor(array).to(device)
