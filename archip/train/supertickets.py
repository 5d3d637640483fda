"""SuperTickets: widths and a sparse mask from one training of a supernet, weights included.

Choose it for one small sparse network where a search and a pruning one after the other cost too much. The largest
network of the space is trained. Batch-norm scales of what a width could do without are drawn towards zero, the more
the more multiply-accumulates it costs; where they are small enough, the width shrinks for good. At the same time all
remaining weights are pruned by magnitude, a little more after every epoch. Pruned weights go on learning from the
gradients of the pruned network, so they may come back at the next epoch.

    ticket = draw_ticket(ResNet9(), data, Recipe(epochs=40, keep="last"), SuperTickets(sparsity=0.8))
    print(ticket.genotype, ticket.metrics["test"], ticket.sparsity)      # ticket.module is an ordinary network

Source: You et al. 2022, arXiv:2207.03677, section 3.2 and the authors' configuration: coefficient 1.8e-4 with a linear
warm-up, scales below 1e-3, sparsity that rises step by step. Differs: groups of channels are those between neighbouring
values of a width; after every epoch, not every 25; their warm-up of 25 epochs is a quarter of the time of slimming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archip.core.errors import UserError
from archip.core.protocols import Progress
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.nets.supernet import SuperNet
from archip.train.calibration import batches, recalibrate
from archip.train.loop import Recipe, fit
from archip.train.rule import Rule, Scene, Step

__all__ = ["SuperTickets", "Ticket", "draw_ticket"]

Share = Annotated[float, Field(ge=0, le=1)]
Genotype = Mapping[str, Any]


@dataclass(frozen=True)
class _Group:
    """Channels that a width loses when it becomes the next smaller value: layer of their norm → (first, end)."""

    gene: str
    smaller: Genotype
    channels: Mapping[str, tuple[int, int]]
    weight: float  # its share of the multiply-accumulates


@dataclass
class SuperTickets(Rule):
    """Slimming and magnitude pruning of the largest network, together."""

    verb: ClassVar[str] = "ticket"

    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of all weights of convolutions and linear layers
    slimming: Annotated[float, Field(ge=0)] = 1.8e-4  # L1 coefficient of the norms' scales
    threshold: Annotated[float, Field(ge=0)] = 1e-3  # mean scale below which channels go
    slim: tuple[Share, Share] = (0.0, 0.75)  # shares of the training between which widths may shrink
    prune: tuple[Share, Share] = (0.0, 0.75)  # and between which the sparsity rises

    def start(self, scene: Scene) -> None:
        if not isinstance(scene.module, SuperNet):
            raise UserError("tickets are drawn from the supernet of a space", "rule", "SuperNet(space, ...)")
        self._net, self._epochs = scene.module, scene.epochs
        self._whole = self._net.cost(self._net.largest)
        self.genotype: Genotype = dict(self._net.largest)
        self._masks: dict[str, Tensor] = {}
        self._groups = self._found_groups()

    def backward(self, step: Step) -> Tensor:
        dense = {name: p.detach().clone() for name, p in self._net.named_parameters() if name in self._masks}
        self._mask(self._net)
        value = step.loss(step.forward(step.x, self.genotype), step.y)
        (value + self._slimming(step.done)).backward()
        with torch.no_grad():
            for name, kept in dense.items():  # the step goes from the unpruned weights
                self._net.get_parameter(name).copy_(kept)
        return value.detach()

    def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
        before, done = number / self._epochs, (number + 1) / self._epochs
        if self.slim[0] < done and before < self.slim[1]:
            self._shrink()
        if before < max(self.slim[1], self.prune[1]) or not self._masks:
            start, end = self.prune
            risen = min(1.0, max(0.0, (done - start) / (end - start) if end > start else float(done >= end)))
            self._masks = self._new_masks(self.sparsity * risen)

    def state(self) -> dict[str, Tensor]:
        places = [list(self._net.space.knobs[name].values).index(v) for name, v in sorted(self.genotype.items())]
        return {"genotype": torch.tensor(places), **{f"mask/{name}": mask for name, mask in self._masks.items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        names = sorted(self.genotype)
        places = zip(names, state["genotype"].tolist(), strict=True)
        self.genotype = self._net.space.canonical({n: self._net.space.knobs[n].values[place] for n, place in places})
        device = next(self._net.parameters()).device
        self._masks = {name[5:]: mask.to(device) for name, mask in state.items() if name.startswith("mask/")}
        self._groups = self._found_groups()

    @torch.no_grad()
    def evaluated(self, module: nn.Module) -> nn.Module:
        """The ticket: the network as it shrank, its pruned weights zero."""
        assert isinstance(module, SuperNet)
        kept = {name: module.get_parameter(name).clone() for name in self._masks}
        self._mask(module)
        ticket = module.extract(self.genotype)
        for name, value in kept.items():
            module.get_parameter(name).copy_(value)
        return ticket

    @torch.no_grad()
    def _mask(self, net: SuperNet) -> None:
        for name, mask in self._masks.items():
            parameter = net.get_parameter(name)
            parameter.mul_(mask.to(parameter.device))  # a training ends on the processor

    def _slimming(self, done: float) -> Tensor | float:
        """The L1 penalty of a step; it warms up over the first quarter of its time."""
        start, end = self.slim
        if not start <= done < end or not self._groups:
            return 0.0
        coefficient = self.slimming * min(1.0, 4 * (done - start) / (end - start))
        scales = [
            group.weight * self._net.get_parameter(f"{layer}.weight")[first:last].abs().sum()
            for group in self._groups
            for layer, (first, last) in group.channels.items()
        ]
        return coefficient * torch.stack(scales).sum() * len(self._groups) / sum(group.weight for group in self._groups)

    def _shrink(self) -> None:
        """Lower every width whose last channels have small scales, as often as there are such."""
        while True:
            small = [group for group in self._groups if self._scale(group) < self.threshold]
            if not small:
                return
            self.genotype = small[0].smaller
            self._groups = self._found_groups()

    @torch.no_grad()
    def _scale(self, group: _Group) -> float:
        parts = [self._net.get_parameter(f"{layer}.weight")[a:b].abs() for layer, (a, b) in group.channels.items()]
        return float(torch.cat(parts).mean())

    def _found_groups(self) -> list[_Group]:
        """What each width of the present network would lose next."""
        before, cost = _norms(self._net.extract(self.genotype)), self._net.cost(self.genotype)
        groups = []
        for gene, value in self.genotype.items():
            values = list(self._net.space.knobs[gene].values)
            place = values.index(value)
            if self._net.kinds[gene] != "width" or place == 0:
                continue
            try:
                smaller = self._net.space.canonical({**self.genotype, gene: values[place - 1]})
            except UserError:
                continue
            after = _norms(self._net.extract(smaller))
            channels = {name: (after[name], n) for name, n in before.items() if after.get(name, n) < n}
            if channels:
                share = (cost - self._net.cost(smaller)) / self._whole
                groups.append(_Group(gene, smaller, channels, share))
        return groups

    @torch.no_grad()
    def _new_masks(self, sparsity: float) -> dict[str, Tensor]:
        """Masks in the shapes of the store that leave exactly this share of the network's weights at zero."""
        parameters = {name: p for name, p in self._net.named_parameters() if p.ndim > 1}
        kept = {name: p.detach().clone() for name, p in parameters.items()}
        for p in parameters.values():  # a network of marks tells which weights it uses
            p.copy_(torch.arange(1, p.numel() + 1, dtype=torch.float64).reshape(p.shape))
        places = dict(self._net.extract(self.genotype).named_parameters())
        for name, p in parameters.items():
            p.copy_(kept[name])
        used = {name: places[name].flatten().long() - 1 for name in parameters if name in places}
        scores = torch.cat([self._scores(kept[name]).flatten()[index] for name, index in used.items()])
        n = round(sparsity * len(scores))
        keep = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
        keep[scores.argsort(stable=True)[:n]] = False
        masks = {name: torch.ones(kept[name].shape, device=keep.device) for name in used}
        for (name, index), part in zip(used.items(), keep.split([len(i) for i in used.values()]), strict=True):
            masks[name].view(-1)[index] = part.to(masks[name].dtype)
        return masks

    def _scores(self, weights: Tensor) -> Tensor:
        return weights.abs()


@dataclass(frozen=True)
class Ticket:
    """A sparse network with its weights.

    Attributes:
        metrics: by split (``val``, ``test``).
    """

    genotype: Genotype
    module: nn.Module
    metrics: Mapping[str, Mapping[str, float]]

    @property
    def sparsity(self) -> float:
        """Share of zeros among the weights of convolutions and linear layers."""
        weights = [p.detach().flatten() for p in self.module.parameters() if p.ndim > 1]
        return float((torch.cat(weights) == 0).double().mean())


def draw_ticket(
    space: Any, data: DataSet, recipe: Recipe, rule: SuperTickets, seed: int = 0, progress: Progress | None = None
) -> Ticket:
    """Train a supernet of `space` and take its ticket; the metrics are those of the ticket as it is."""
    net = SuperNet(space, data.input_shape, data.n_outputs, seed)
    result = fit(net, data, recipe, seed, progress, rule=rule)
    module = rule.evaluated(net)
    inputs = torch.from_numpy(data.splits["train"][0]).to(next(module.parameters()).device)
    recalibrate(module, batches(inputs, recipe.batch, 4, generator(seed, "calibration")))
    return Ticket(rule.genotype, module, result.metrics)


def _norms(module: nn.Module) -> dict[str, int]:
    """Name of every batch-norm layer → its channels."""
    return {name: layer.num_features for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)}
