"""NN-Factory: an assembler sets the gates of a modular network for a task and a budget, without training for it.

Choose it where many small networks of one network are wanted: each for some of its classes and for a share of its
modules. The network is trained on all classes first; then every step draws some classes and a limit, the assembler says
which modules are on, and both learn from the loss on these classes. `archip.search.customise` gives the network of a
task and a limit in seconds.

    factory = Factory(space.build(genotype, data.input_shape, 10, seed=0), n_classes=10)
    fit(factory, data, Recipe(epochs=60, keep="last"), 0, rule=NNFactory())
    gates = factory.assemble([3, 5, 8], limit=0.5)      # at most half of the modules
    small = factory.gated.cut(gates, [3, 5, 8])         # its norms still need statistics: `customise` measures them

Source: Wen et al. 2023, arXiv:2308.15003: modules with gates, assembler of task and limit, joint training after the
network's own. The paper's losses and sizes are not known to us. Ours: gates that are on with the chance of the limit
until the assembler has learned; hard by a logistic noise, with gradients passed straight through; a hinge on the share
of modules above the limit, and a reward for gates that differ by task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from archip.core.errors import UserError
from archip.core.rng import integer_seed
from archip.nets.build import GraphModule
from archip.nets.gated import Gated
from archip.train.rule import Rule, Scene, Step

__all__ = ["Factory", "NNFactory"]

_COMPARED = 8  # tasks whose gates should differ
_FEWEST = 8  # samples of a step that are of the drawn classes; of fewer, another task is drawn
_TRIES = 20
_CERTAIN = 0.02  # a gate's chance before the assembler has learned is the limit, but at least this far from 0 and 1

Share = Annotated[float, Field(ge=0, le=1)]


class Factory(nn.Module):
    """A gated network and its assembler.

    C classes, G gates.

    Attributes:
        gated: the network.
        assembler: from wanted classes (0 or 1) and limit [N, C + 1] to logits of gates [N, G].
    """

    def __init__(
        self, backbone: GraphModule, n_classes: int, modules: int = 8, hidden: int = 128, seed: int = 0
    ) -> None:
        """Split each group of channels of `backbone` into `modules`; `hidden` is the assembler's width."""
        super().__init__()
        self.gated, self.n_classes = Gated(backbone, modules), n_classes
        with torch.random.fork_rng([]):
            torch.manual_seed(integer_seed(seed, "assembler"))
            last = nn.Linear(hidden, len(self.gated.spans))
            first = [nn.Linear(n_classes + 1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
            self.assembler = nn.Sequential(*first, last)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """Outputs for all classes; without gates, of the whole network."""
        return self.gated(x, gates)

    def logits(self, tasks: Sequence[Sequence[int]], limit: float) -> Tensor:
        """[N, G] of the gates, for tasks given by their classes: what the assembler adds to the odds of the limit."""
        device = next(self.parameters()).device
        inputs = torch.zeros(len(tasks), self.n_classes + 1, device=device)
        for row, classes in zip(inputs, tasks, strict=True):
            row[list(classes)] = 1
        inputs[:, -1] = limit
        odds = min(max(limit, _CERTAIN), 1 - _CERTAIN)
        return self.assembler(inputs) + math.log(odds / (1 - odds))

    @torch.no_grad()
    def assemble(self, classes: Sequence[int], limit: float) -> Tensor:
        """Gates [G], 0 or 1, of the network for these classes: the share `limit` of the modules, rounded down.

        Those that are most likely on; every group of channels keeps one at least.

        Raises:
            UserError: classes that are not there, or a limit below one module a group.
        """
        unknown = [c for c in classes if not 0 <= c < self.n_classes]
        if unknown or not classes or len(set(classes)) < len(classes):
            raise UserError(f"classes {list(classes)}", "classes", f"some of 0 to {self.n_classes - 1}, each once")
        n, fewest = int(limit * len(self.gated.spans) + 1e-9), len(self.gated.widths)
        if n < fewest:
            text = f"{limit:g} of {len(self.gated.spans)} modules, and {fewest} groups of channels need one each"
            raise UserError(text, "limit", f"at least {fewest / len(self.gated.spans):.3f}")
        logits = self.logits([classes], limit)[0]
        order = logits.argsort(descending=True, stable=True).tolist()
        needed = [max(group, key=lambda i: float(logits[i])) for group in self.gated.members]
        others = [i for i in order if i not in needed]
        gates = torch.zeros_like(logits)
        gates[[*needed, *others[: n - fewest]]] = 1
        return gates


@dataclass
class NNFactory(Rule):
    """The network alone, then with its assembler."""

    verb: ClassVar[str] = "factory"

    pretrain: Share = 0.3  # share of the steps in which the whole network learns all classes
    fewest: Annotated[int, Field(ge=1)] = 2  # classes of a task
    most: Annotated[int, Field(ge=1)] = 5  # the same
    low: Share = 0.25  # the lowest limit; the highest is 1
    excess: Annotated[float, Field(ge=0)] = 5.0  # weight of the share of modules above the limit
    diversity: Annotated[float, Field(ge=0)] = 0.5  # weight of how much gates differ between tasks
    temperature: Annotated[float, Field(gt=0)] = 1.0  # of the noise that decides whether a gate is on

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, Factory):
            raise UserError("this rule trains a network with its assembler", "rule", "a Factory")
        if scene.task != "classification":
            raise UserError(f"tasks are sets of classes, and this is {scene.task}", "rule", "classification")
        self._factory = scene.module

    def backward(self, step: Step) -> Tensor:
        if step.done < self.pretrain:
            value = step.loss(step.forward(step.x), step.y)
            value.backward()
            return value.detach()
        classes, rows = self._drawn(step)
        limit = float(step.rng.uniform(self.low, 1))
        tasks = [classes, *(self.task(step.rng) for _ in range(_COMPARED - 1))]
        logits = self._factory.logits(tasks, limit)
        gates = self._gates(logits[0], step.rng)
        outputs = step.forward(step.x[rows], gates)[:, classes]
        value = step.loss(outputs, torch.searchsorted(_tensor(classes, step.y), step.y[rows]))
        above = (gates.mean() - limit).clamp(min=0)
        differing = logits.sigmoid().std(0).mean()
        (value + self.excess * above - self.diversity * differing).backward()
        return value.detach()

    def evaluated(self, module: nn.Module) -> nn.Module | None:
        return None

    def task(self, rng: np.random.Generator) -> list[int]:
        """Classes of a task that is trained, in order."""
        n = self._factory.n_classes
        size = int(rng.integers(min(self.fewest, n), min(self.most, n) + 1))
        return sorted(rng.choice(n, size, replace=False).tolist())

    def _drawn(self, step: Step) -> tuple[list[int], Tensor]:
        """A task, and the rows of the batch that are of its classes."""
        for _ in range(_TRIES):
            classes = self.task(step.rng)
            rows = torch.isin(step.y, _tensor(classes, step.y)).nonzero().flatten()
            if len(rows) >= min(_FEWEST, len(step.y) // 2):
                return classes, rows
        return list(range(self._factory.n_classes)), torch.arange(len(step.y), device=step.y.device)

    def _gates(self, logits: Tensor, rng: np.random.Generator) -> Tensor:
        """[G] of 0 and 1, with the gradient of the chance to be on; every group has one that is on."""
        uniform = torch.from_numpy(rng.uniform(1e-6, 1 - 1e-6, len(logits))).to(logits)
        soft = ((logits + uniform.logit()) / self.temperature).sigmoid()
        chances = soft.detach()
        hard = (chances > 0.5).to(soft)
        for group in self._factory.gated.members:
            hard[group[int(chances[group].argmax())]] = 1
        return hard + (soft - chances)


def _tensor(classes: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(list(classes), device=like.device, dtype=like.dtype)
