"""Customise: the best network for some classes within limits, out of a trained factory, in seconds.

The assembler is asked for several shares of modules; then gates of the best network are changed at random, as long as
there are tries. Networks that exceed a limit are not judged, the others by their accuracy on the validation samples of
the wanted classes, with statistics of their own. Costs are those of the network as it is cut out: multiply-accumulates,
or what a device says of its graph.

    found = customise(factory, data, classes=[3, 5, 8], limits={"macs": 2e5})
    found.module(x)                                              # logits of these three classes
    costs = lambda graph: device.costs([Deployed(graph)])        # of archip.hardware.devices
    customise(factory, data, [0, 1], {"flash_bytes": 98304, "sram_bytes": 16384}, costs)

Source: Wen et al. 2023, arXiv:2308.15003 (NN-Factory): search over limits and changed gates on the device's model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archip.core.errors import UserError, nearest
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.ir.graph import Graph
from archip.ir.workload import workload

if TYPE_CHECKING:
    from torch import Tensor

    from archip.nets.build import GraphModule
    from archip.train.nn_factory import Factory

__all__ = ["Customised", "customise", "macs", "of_classes"]

_SHARES = 16  # of modules, that the assembler is asked for
_BATCH, _BATCHES = 128, 2  # of the training samples of the classes, for the norms of each network
_CHANGED = 3  # gates, at most, that differ from those of the best network


@dataclass(frozen=True)
class Customised:
    """A network for some classes.

    Attributes:
        gates: bool [G]: which modules it has.
        costs: of the network as it is cut out.
        accuracy: on the validation samples of its classes.
        module: gives logits of the classes, in the order in which they were wanted.
    """

    gates: np.ndarray
    costs: Mapping[str, float]
    accuracy: float
    module: GraphModule


def macs(graph: Graph) -> dict[str, float]:
    """Multiply-accumulates of a network."""
    return {"macs": float(workload(graph).macs)}


def customise(
    factory: Factory,
    data: DataSet,
    classes: Sequence[int],
    limits: Mapping[str, float],
    costs: Callable[[Graph], Mapping[str, float]] = macs,
    tries: int = 48,
    seed: int = 0,
) -> Customised:
    """The most accurate network that was found; of equally accurate ones, that with fewest modules.

    Args:
        factory: trained by the rule `NNFactory` on `data`.
        limits: the highest value of each cost that is limited.
        costs: of a network's graph, by name.
        tries: changed networks that are looked at.

    Raises:
        UserError: no network that was assembled keeps the limits, or classes or costs that are not there.
    """
    judge, rng = _Judge(factory, data, classes, limits, costs), generator(seed, "customise")
    lowest = len(factory.gated.widths) / len(factory.gated.spans)
    for share in np.linspace(lowest, 1, _SHARES):
        judge(factory.assemble(classes, float(share)))
    if not judge.found:
        least = {name: min(costs[name] for costs in judge.costs.values()) for name in limits}
        text = f"no network that was assembled for {list(classes)} keeps {_words(limits)}"
        raise UserError(text, "limits", f"each cost alone would come down to {_words(least)}")
    for _ in range(tries):
        judge(_changed(factory, judge.best.gates, rng))
    return judge.best


def _changed(factory: Factory, gates: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Some gates switched; a group that would have none keeps its own."""
    import torch

    changed = gates.copy()
    places = rng.choice(len(gates), int(rng.integers(1, _CHANGED + 1)), replace=False)
    changed[places] = ~changed[places]
    for group in factory.gated.members:
        if not changed[group].any():
            changed[group] = gates[group]
    return torch.from_numpy(changed).float().to(next(factory.parameters()).device)


class _Judge:
    """Networks by their accuracy on the classes; none twice."""

    def __init__(
        self,
        factory: Factory,
        data: DataSet,
        classes: Sequence[int],
        limits: Mapping[str, float],
        costs: Callable[[Graph], Mapping[str, float]],
    ) -> None:
        self._factory, self._classes, self._limits, self._costs = factory, list(classes), limits, costs
        self._train, _ = of_classes(data, "train", classes)
        self._val = of_classes(data, "val", classes)
        self.costs: dict[bytes, Mapping[str, float]] = {}
        self.found: list[Customised] = []

    @property
    def best(self) -> Customised:
        return max(self.found, key=lambda one: (one.accuracy, -int(one.gates.sum())))

    def __call__(self, gates: Tensor) -> None:
        import torch

        from archip.train.calibration import batches, recalibrate
        from archip.train.evaluation import evaluate

        on = gates.cpu().numpy() > 0
        if on.tobytes() in self.costs:
            return
        costs = self.costs[on.tobytes()] = self._costs(self._factory.gated.graph(gates, self._classes))
        for name in self._limits:
            if name not in costs:
                raise UserError(f"no cost is called {name!r}", "limits", nearest(name, costs))
        if all(costs[name] <= most for name, most in self._limits.items()):
            module = self._factory.gated.cut(gates, self._classes)
            x = torch.from_numpy(self._train).to(gates.device)
            recalibrate(module, batches(x, _BATCH, _BATCHES, generator(0, "calibration")))
            accuracy = evaluate(module, *self._val, "classification")["accuracy"]
            self.found.append(Customised(on, costs, accuracy, module))


def _words(costs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in costs.items())


def of_classes(data: DataSet, split: str, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Samples of some classes, which are numbered in the order given."""
    x, y = data.splits[split]
    rows = np.isin(y, classes)
    number = {c: i for i, c in enumerate(classes)}
    return x[rows], np.array([number[int(c)] for c in y[rows]], dtype=np.int64)
