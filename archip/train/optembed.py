"""OptEmbed: which values of categorical fields need an embedding, and how long it has to be, from one supernet.

Choose it for tables of codes (clicks, purchases) whose embeddings take most of the memory. One network is trained with
random embedding lengths, a new one for every sample and field, while thresholds that rise by themselves drop the rows
whose embedding stays small. Then evolution finds a length for each field by the AUC on the validation split, and a
network with these rows and lengths is trained from the start.

    found = optimal_embedding(data, sizes, dim=16, recipe=Recipe(epochs=10, keep="last", ema=0.0))
    print(found.dims, found.rows, found.auc)          # data: codes [N, F] below `sizes`, two classes

Source: Lyu et al. 2022, arXiv:2208.04482: thresholds on L1 norms, penalty exp(-t), uniform lengths, evolution of 30
generations with 10 mutations (gene probability 0.1), 10 crossovers and 15 survivors. Differs: thresholds learn at the
rate of the weights; the penalty's coefficient is ours for small data (the paper has 1e-6 to 1e-4); a perceptron.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from archip.core.errors import UserError
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.nets.fields import FieldNet
from archip.train.loop import Recipe, fit
from archip.train.rule import Rule, Scene, Step

__all__ = ["Embedding", "OptEmbed", "area_under_curve", "optimal_embedding"]

_SURVIVORS, _MUTATED, _CROSSED, _CHANCE = 15, 10, 10, 0.1


@dataclass
class OptEmbed(Rule):
    """Uniform lengths and rising thresholds."""

    verb: ClassVar[str] = "embed"

    alpha: Annotated[float, Field(ge=0)] = 3e-3  # of the penalty that raises thresholds

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, FieldNet):
            raise UserError("embeddings are pruned in a FieldNet", "rule", "archip.nets.fields.FieldNet")
        self._net = scene.module

    def backward(self, step: Step) -> Tensor:
        shape = (len(step.x), len(self._net.sizes))
        dims = torch.from_numpy(step.rng.integers(1, self._net.dim + 1, shape)).to(step.x.device)
        value = step.loss(step.forward(step.x, dims), step.y)
        (value + self.alpha * torch.exp(-self._net.thresholds).sum()).backward()
        return value.detach()

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        return None


@dataclass(frozen=True)
class Embedding:
    """What is needed of a table of embeddings.

    Attributes:
        dims: length by field.
        rows: by field, which of its values have an embedding.
        auc: on the test split, of a network trained with these alone.
        weights: numbers in the table that is left.
    """

    dims: tuple[int, ...]
    rows: tuple[np.ndarray, ...]
    auc: float
    weights: int
    module: FieldNet


def optimal_embedding(
    data: DataSet,
    sizes: Sequence[int],
    dim: int,
    recipe: Recipe,
    rule: OptEmbed | None = None,
    hidden: Sequence[int] = (64, 32),
    generations: int = 30,
    seed: int = 0,
) -> Embedding:
    """Prune the embeddings of a data set of codes [N, F] with two classes.

    Args:
        sizes: number of codes of each field.
        dim: the greatest length.

    Raises:
        UserError: not two classes, or not one size a field with all codes below it.
    """
    x = data.splits["train"][0]
    if data.n_classes != 2:
        raise UserError(f"{data.n_classes} classes", data.name, "two: the AUC is that of the second")
    if (
        x.ndim != 2
        or x.shape[1] != len(sizes)
        or any((s[0].max(0) >= np.array(sizes)).any() for s in data.splits.values())
    ):
        raise UserError(f"inputs of shape {x.shape[1:]}, {len(sizes)} sizes", "sizes", "one a field, above its codes")
    net = FieldNet(sizes, dim, hidden, 2, seed)
    fit(net, data, recipe, seed, rule=rule or OptEmbed())
    dims = _evolved(lambda dims: _auc(net, data, "val", dims), len(sizes), dim, generations, generator(seed, "dims"))
    module = net.frozen(dims, seed)
    fit(module, data, recipe, seed)
    rows = module.kept.numpy()
    by_field = np.split(rows, np.cumsum(sizes)[:-1])
    weights = sum(int(part.sum()) * d for part, d in zip(by_field, dims, strict=True))
    return Embedding(dims, tuple(by_field), _auc(module, data, "test", dims), weights, module)


def _evolved(
    worth: Callable[[tuple[int, ...]], float], n: int, most: int, generations: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """The lengths of the greatest worth; each is judged once."""
    known: dict[tuple[int, ...], float] = {}
    some = [tuple(rng.integers(1, most + 1, n).tolist()) for _ in range(_SURVIVORS + _MUTATED + _CROSSED)]
    best: list[tuple[int, ...]] = []
    for _ in range(generations + 1):
        known |= {dims: worth(dims) for dims in some if dims not in known}
        best = sorted(known, key=lambda dims: (-known[dims], sum(dims)))[:_SURVIVORS]
        some = []
        for _ in range(_MUTATED):
            parent = np.array(best[int(rng.integers(len(best)))])
            changed = rng.random(n) < _CHANCE
            some.append(tuple(np.where(changed, rng.integers(1, most + 1, n), parent).tolist()))
        for _ in range(_CROSSED):
            a, b = (np.array(best[int(i)]) for i in rng.integers(len(best), size=2))
            some.append(tuple(np.where(rng.random(n) < 0.5, a, b).tolist()))
    return best[0]


@torch.inference_mode()
def _auc(net: FieldNet, data: DataSet, split: str, dims: Sequence[int]) -> float:
    x, y = data.splits[split]
    logits = net(torch.from_numpy(x), torch.tensor(list(dims)))
    return area_under_curve((logits[:, 1] - logits[:, 0]).numpy(), y)


def area_under_curve(scores_N: np.ndarray, y_N: np.ndarray) -> float:
    """Chance that a sample of class 1 has a greater score than one of class 0; equal ones count half."""
    from scipy.stats import rankdata

    ones = y_N == 1
    n = int(ones.sum())
    return float((rankdata(scores_N)[ones].sum() - n * (n + 1) / 2) / (n * (len(y_N) - n)))
