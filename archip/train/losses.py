"""Losses and the tasks' own metrics.

N samples, C classes, H x W pixels. A network gives logits: [N, C] for classification, [N, 1, H, W] for binary
segmentation; targets are class numbers [N] or masks [N, H, W] of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "METRIC",
    "TaskKind",
    "bce_dice",
    "cross_entropy",
    "distillation",
    "hits_and_total",
    "loss_function",
    "share",
]

TaskKind = Literal["classification", "segmentation"]
METRIC: dict[TaskKind, str] = {"classification": "accuracy", "segmentation": "iou"}


def cross_entropy(logits_NC: Tensor, labels_N: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy with the target 1 - smoothing + smoothing / C for the true class, smoothing / C elsewhere.

    Source: label smoothing of Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    return F.cross_entropy(logits_NC, labels_N, label_smoothing=smoothing)


def bce_dice(logits_N1HW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Binary cross-entropy plus one minus the soft Dice coefficient of all pixels of the batch together.

    Source: Dice loss of Milletari et al. 2016, arXiv:1606.04797, eq. 1, with plain sums below the line and 1 added
    above and below so that an empty batch has no loss.
    """
    logits, masks = logits_N1HW.squeeze(1), masks_NHW.to(logits_N1HW.dtype)
    p = logits.sigmoid()
    dice = (2 * (p * masks).sum() + 1) / (p.sum() + masks.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + 1 - dice


def distillation(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean cross-entropy with the teacher's probabilities, of classes [N, C] or of the foreground [N, 1, H, W].

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2, at temperature 1.
    """
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits, teacher.sigmoid())
    return F.cross_entropy(logits, teacher.softmax(1))


def loss_function(task: TaskKind, smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a task, from (logits, targets) to a scalar; `smoothing` is for classification only."""
    return bce_dice if task == "segmentation" else lambda logits, labels: cross_entropy(logits, labels, smoothing)


def hits_and_total(logits: Tensor, targets: Tensor, task: TaskKind) -> Tensor:
    """int64 [2] whose sums over all batches give the metric: `share` divides them.

    Classification: samples classified correctly, and samples. Segmentation: foreground pixels in the intersection of
    prediction (logit > 0) and mask, and those in their union.
    """
    if task == "classification":
        hits = logits.argmax(1) == targets
        return torch.stack([hits.sum(), torch.tensor(hits.numel(), device=hits.device)])
    predicted, true = logits.squeeze(1) > 0, targets > 0
    return torch.stack([(predicted & true).sum(), (predicted | true).sum()])


def share(hits: Tensor) -> float:
    """Hits over total; 1 where there was nothing to hit (no foreground, and none predicted)."""
    hit, total = hits.tolist()
    return hit / total if total else 1.0
