"""Evaluation: a task's own metric and its loss over a whole split, in batches that fit into memory."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from archip.train.device import laid_out
from archip.train.losses import METRIC, TaskKind, hits_and_total, loss_function, share

__all__ = ["evaluate", "score"]

_ELEMENTS = 2**19  # of the input, in one batch: some 100 MB of activations


def evaluate(module: nn.Module, x: np.ndarray | Tensor, y: np.ndarray | Tensor, task: TaskKind) -> dict[str, float]:
    """Metric of the task (``accuracy`` or ``iou``, over all of `x` together) and mean loss, in batches."""
    device = next(module.parameters()).device
    loss = loss_function(task)
    size = max(1, min(256, _ELEMENTS // math.prod(x.shape[1:])))
    hits, total = torch.zeros(2, dtype=torch.int64, device=device), 0.0
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            logits, targets = module(laid_out(_tensor(x[rows], device))), _tensor(y[rows], device)
            hits += hits_and_total(logits, targets, task)
            total += float(loss(logits, targets)) * len(targets)
    return {METRIC[task]: share(hits), "loss": total / len(x)}


def score(outputs: np.ndarray, y: np.ndarray, task: TaskKind) -> dict[str, float]:
    """Metric of the task for outputs that a network has given already, e.g. in another runtime."""
    return {METRIC[task]: share(hits_and_total(torch.from_numpy(outputs), torch.from_numpy(y), task))}


def _tensor(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    return torch.as_tensor(array).to(device)
