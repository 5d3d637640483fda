"""Recipe: how a network is trained; the optimiser and the step count that follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archip.core.errors import UserError

__all__ = ["Recipe", "load_optimiser", "make_optimiser", "steps_per_epoch"]

_STEPS = 16  # an epoch has at least so many steps, as far as the batches keep _LEAST samples
_LEAST = 8


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Defaults suit small networks on small data, trained from scratch.

    Attributes:
        batch: samples a step; fewer where an epoch would have less than 16 steps.
        weight_decay: on weights with more than one axis; as large as usual for the optimiser.
        warmup: share of all steps in which the learning rate rises.
        ema: decay of the moving average of the weights, which is what is evaluated and kept; 0 switches it off.
        clip: largest norm of the gradient; None for no limit.
        patience: stop after so many epochs without a better validation score; None never stops early.
        keep: the weights of the epoch that is best on the validation split, or the last ones (without validation).
    """

    epochs: int = 40
    batch: int = 64
    lr: float = 4e-3
    optimiser: Literal["adamw", "sgd"] = "adamw"  # sgd: Nesterov momentum 0.9
    weight_decay: float = 0.05
    warmup: float = 0.1
    ema: float = 0.99
    label_smoothing: float = 0.1
    augment: bool = True
    clip: float | None = 1.0
    patience: int | None = None
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        if self.keep == "last" and self.patience is not None:
            raise UserError("patience needs a validation after every epoch", "patience", "keep: best")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def steps_per_epoch(n: int, batch: int) -> int:
    """Steps so that batches are of about equal size, at most `batch` (about): no small rest that is only noise."""
    return max(1, round(n / min(batch, max(_LEAST, n // _STEPS))))


def make_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; weight decay spares biases and the weights of normalisation."""
    parameters = list(module.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, recipe.lr, fused=True)


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back the optimiser's tensors, laid out as their parameters are (the fused kernels rely on it)."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for name, tensor in tensors.items():
        number, key = name.split("/")
        parameter = parameters[int(number)]
        same = tensor.shape == parameter.shape and tensor.ndim > 0
        optimiser.state[parameter][key] = (
            torch.empty_like(parameter).copy_(tensor) if same else tensor.to(parameter.device)
        )
