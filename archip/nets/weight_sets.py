"""Weight sets: several supernets of one space, each of its networks belonging to one of them.

Rules that give networks weights apart from each other train one (`balanced_mixture`, `few_shot`). Which set a network
belongs to is a table of the module and is stored with the weights.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.nets.build import GraphModule
from archip.nets.supernet import Kind, SuperNet

__all__ = ["MixedSets", "SplitSets", "WeightSets"]

Genotype = Mapping[str, Any]
_MOST_NETWORKS = 512  # in a mixture, where every network has scores of its own


class WeightSets(nn.Module):
    """Supernets `nets` of one space as a single module.

    Attributes:
        about: what the weights are of, as JSON.
    """

    def __init__(self, nets: Sequence[SuperNet]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.space, self.largest, self.smallest = nets[0].space, nets[0].largest, nets[0].smallest
        self.about = {**nets[0].about, "sets": len(nets), "by": type(self).__name__}

    @abstractmethod
    def owner(self, genotype: Genotype) -> int:
        """Number of the set that a network belongs to."""

    # What follows is final.

    def forward(self, x: Tensor, genotype: Genotype | None = None, number: int | None = None) -> Tensor:
        """Outputs of one network (the largest, if none is named) with the weights of set `number`, else its own."""
        genotype = genotype or self.largest
        return self.nets[self.owner(genotype) if number is None else number](x, genotype)

    def extract(self, genotype: Genotype) -> GraphModule:
        """The network with copies of its weights; its norms still need their statistics."""
        return self.net(self.owner(genotype)).extract(genotype)

    def cost(self, genotype: Genotype) -> float:
        """Multiply-accumulates of a network."""
        return self.net(0).cost(genotype)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Gene → what it changes in the largest network."""
        return self.net(0).kinds

    def net(self, number: int) -> SuperNet:
        """Supernet `number`."""
        return cast("SuperNet", self.nets[number])


class MixedSets(WeightSets):
    """Every network has a score in every set, and belongs to the set where it is highest.

    Attributes:
        networks: all of the space.
        scores: [networks, sets].

    Raises:
        UserError: the space has too many networks for such a table.
    """

    scores: Tensor

    def __init__(self, nets: Sequence[SuperNet]) -> None:
        super().__init__(nets)
        if self.space.size > _MOST_NETWORKS:
            right = f"a space of at most {_MOST_NETWORKS}, or the rule few_shot"
            raise UserError(f"a mixture scores every network; this space has {self.space.size:.0f}", "rule", right)
        self.networks: list[Genotype] = list(self.space.enumerate())
        self._places = {canonical_json(genotype): i for i, genotype in enumerate(self.networks)}
        self.register_buffer("scores", torch.ones(len(self.networks), len(nets), dtype=torch.float64))

    def owner(self, genotype: Genotype) -> int:
        return int(self.scores[self._places[canonical_json(self.space.canonical(genotype))]].argmax())


class SplitSets(WeightSets):
    """Every set has some of the values of each gene; set 0 begins with all of them, the others with none.

    Attributes:
        allowed: bool [sets, genes, values], in the order of the space's knobs.
    """

    allowed: Tensor

    def __init__(self, nets: Sequence[SuperNet]) -> None:
        super().__init__(nets)
        knobs = self.space.knobs
        self._codes = {name: {v: code for code, v in enumerate(knob.values)} for name, knob in knobs.items()}
        allowed = torch.zeros(len(nets), len(knobs), max(map(len, self._codes.values())), dtype=torch.bool)
        for gene, codes in enumerate(self._codes.values()):
            allowed[0, gene, : len(codes)] = True
        self.register_buffer("allowed", allowed)

    @property
    def used(self) -> list[int]:
        """Numbers of the sets that have networks."""
        return [number for number, set_GV in enumerate(self.allowed) if bool(set_GV.any())]

    def owner(self, genotype: Genotype) -> int:
        """The first set that has all genes of a network; a gene that the network lacks is in every set."""
        rows = [gene for gene, name in enumerate(self._codes) if name in genotype]
        columns = [codes[genotype[name]] for name, codes in self._codes.items() if name in genotype]
        has_all = self.allowed[:, rows, columns].all(1) & self.allowed.any(2).any(1)
        return int(has_all.int().argmax())

    def values(self, number: int) -> dict[str, list[Any]]:
        """Of each gene, the values that a set has."""
        rows = zip(self._codes.items(), self.allowed[number].tolist(), strict=True)
        return {name: [v for v, code in codes.items() if row[code]] for (name, codes), row in rows}

    def split(self, number: int, gene: str, values: Sequence[Any], child: int) -> None:
        """Give `values` of a gene, and all networks with them, to the set `child`, which begins with equal weights."""
        row, codes = list(self._codes).index(gene), [self._codes[gene][v] for v in values]
        self.allowed[child] = self.allowed[number]
        self.allowed[child, row] = False
        self.allowed[child, row, codes] = True
        self.allowed[number, row, codes] = False
        self.mirror(number, child)

    @torch.no_grad()
    def mirror(self, number: int, child: int) -> None:
        """Give the set `child` the weights of set `number`."""
        for kept, value in zip(self.nets[child].parameters(), self.nets[number].parameters(), strict=True):
            kept.copy_(value)
