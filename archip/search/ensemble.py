"""Ensembles: networks of one supernet that answer together, and the best of them within a budget.

Choose them where several small networks are better than one of the same cost. Members whose first layers are the same
need to compute them once, and a budget counts them once. The answer is the mean of the members' probabilities.

    rule = Neas()
    fit(net, data, Recipe(epochs=40, keep="last"), 0, rule=rule)     # a SuperNet, trained by any rule
    found = best_ensemble(net, data, macs=2e6, size=2, allowed=rule.allowed)
    found.module(x)                                                  # class probabilities

Source: Chen et al. 2021, arXiv:2104.00597 (NEAS), section 3.3: layer sharing up to a split depth, and evolution.
Differs: the split depth is no variable; members share what they have in common, and one of the changes of the
evolution gives a member the first genes of another. Members keep the supernet's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.ir.graph import Graph
from archip.ir.workload import workload

if TYPE_CHECKING:
    from torch import nn

    from archip.nets.supernet import SuperNet

__all__ = ["Found", "best_ensemble", "shared_macs"]

Genotype = Mapping[str, Any]
_TRIES = 200
_BATCH, _BATCHES = 128, 4  # for the norms of each network


@dataclass(frozen=True)
class Found:
    """An ensemble.

    Attributes:
        accuracy: of the members together, on the validation split.
        macs: multiply-accumulates of all members, shared layers counted once.
        module: gives class probabilities.
    """

    genotypes: tuple[Genotype, ...]
    accuracy: float
    macs: float
    module: nn.Module


@dataclass(frozen=True)
class _Judged:
    genotypes: tuple[Genotype, ...]
    accuracy: float
    macs: float


def best_ensemble(
    net: SuperNet,
    data: DataSet,
    macs: float,
    size: int = 2,
    allowed: Mapping[str, Sequence[Any]] | None = None,
    steps: int = 500,
    population: int = 40,
    seed: int = 0,
) -> Found:
    """Evolution of ensembles of `size` networks with at most `macs` multiply-accumulates.

    Args:
        net: trained.
        allowed: gene → values that members may have; by default all.
        steps: ensembles judged in all.

    Raises:
        UserError: the task is no classification, or no ensemble that was drawn keeps the budget.
    """
    if data.task != "classification":
        raise UserError(f"ensembles answer with classes, and this is {data.task}", data.name, "classification")
    judge, rng = _Judge(net, data, macs, allowed or {}), generator(seed, "ensembles")
    living: list[_Judged] = []
    for _ in range(_TRIES * population):
        if len(living) == population:
            break
        found = judge([_drawn(net.space, allowed or {}, rng) for _ in range(size)])
        living += [found] if found else []
    if not living:
        within = " among the values allowed" if allowed else ""
        raise UserError(f"no ensemble of {size} keeps {macs:g} multiply-accumulates{within}", "macs", "a larger budget")
    for _ in range(max(0, steps - population)):
        some = [living[int(i)] for i in rng.integers(len(living), size=3)]
        child = judge(_changed(net, max(some, key=lambda found: found.accuracy).genotypes, rng))
        if child is not None:
            living = sorted([*living, child], key=lambda found: -found.accuracy)[:population]
    best = max(living, key=lambda found: (found.accuracy, -found.macs))
    return Found(best.genotypes, best.accuracy, best.macs, judge.module(best.genotypes))


def _drawn(space: Any, allowed: Mapping[str, Sequence[Any]], rng: np.random.Generator) -> Genotype:
    """A network whose genes have allowed values."""
    from archip.train.rules._draw import draw_within

    def places(gene: str, all_places: Sequence[int]) -> Sequence[int]:
        values = space.knobs[gene].values
        return [place for place in all_places if gene not in allowed or values[place] in allowed[gene]]

    return draw_within(space, rng, places)


def _changed(net: SuperNet, members: Sequence[Genotype], rng: np.random.Generator) -> list[Genotype]:
    """The ensemble with one member mutated, or given the first genes of another."""
    changed = list(members)
    place = int(rng.integers(len(changed)))
    if len(changed) > 1 and rng.random() < 0.3:
        depth = int(rng.integers(1, len(changed[place]) + 1))
        genes = {**changed[place], **dict(list(changed[place - 1].items())[:depth])}
        try:
            changed[place] = net.space.canonical(genes)
        except UserError:  # the two do not fit together
            changed[place] = changed[place - 1]
    else:
        changed[place] = net.space.mutate(changed[place], rng)
    return changed


class _Judge:
    """Ensembles by their accuracy; none twice, and each network is measured once."""

    def __init__(self, net: SuperNet, data: DataSet, macs: float, allowed: Mapping[str, Sequence[Any]]) -> None:
        self._net, self._data, self._macs, self._allowed = net, data, macs, allowed
        self._known: dict[str, np.ndarray] = {}
        self._seen: set[str] = set()

    def __call__(self, members: Sequence[Genotype]) -> _Judged | None:
        """None where the ensemble is known, too large, or has a value that is not allowed."""
        key = "|".join(sorted(map(canonical_json, members)))
        if key in self._seen or any(v not in self._allowed.get(n, [v]) for g in members for n, v in g.items()):
            return None
        self._seen.add(key)
        shape, n_outputs = self._data.input_shape, self._data.n_outputs
        cost = shared_macs([self._net.space.graph(genotype, shape, n_outputs) for genotype in members])
        if cost > self._macs:
            return None
        mean_NC = np.mean([self._probabilities(genotype) for genotype in members], axis=0)
        return _Judged(tuple(members), float((mean_NC.argmax(1) == self._data.splits["val"][1]).mean()), cost)

    def module(self, members: Sequence[Genotype]) -> nn.Module:
        """The members as one module, with statistics of their own."""
        import torch

        class Ensemble(torch.nn.Module):
            """The mean of the class probabilities of several networks."""

            def __init__(self, members: Sequence[nn.Module]) -> None:
                super().__init__()
                self.members = torch.nn.ModuleList(members)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.stack([member(x).softmax(1) for member in self.members]).mean(0)

        return Ensemble([self._single(genotype) for genotype in members]).eval()

    def _single(self, genotype: Genotype) -> nn.Module:
        import torch

        from archip.train.calibration import batches, recalibrate

        module, x = self._net.extract(genotype), torch.from_numpy(self._data.splits["train"][0])
        recalibrate(module, batches(x, _BATCH, _BATCHES, generator(0, "calibration")))
        return module

    def _probabilities(self, genotype: Genotype) -> np.ndarray:
        import torch

        key = canonical_json(genotype)
        if key not in self._known:
            with torch.inference_mode():
                outputs = self._single(genotype)(torch.from_numpy(self._data.splits["val"][0]))
            self._known[key] = outputs.softmax(1).numpy()
        return self._known[key]


def shared_macs(graphs: Sequence[Graph]) -> float:
    """Multiply-accumulates of networks that share weights by name: layers with equal inputs are counted once."""
    every: dict[Any, float] = {}
    for graph in graphs:
        work = workload(graph)
        cost = dict(zip(work.names, work.macs_L.tolist(), strict=True))
        keys: dict[str, int | str] = {}
        for node in graph.nodes:
            key = (node.name, node.op, node.attributes, tuple(keys.get(source, source) for source in node.inputs))
            keys[node.name] = hash(key)
            every[key] = cost.get(node.name, 0.0)
    return float(sum(every.values()))
