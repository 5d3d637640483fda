"""BlockCosts: costs of whole networks by looking up what each of their blocks costs on each accelerator.

In a space of stages of blocks a network's cost is the sum over its blocks, and what a block costs depends on a few
genes. Every variant of every block is costed once, by the cost engine and with its best mappings; after that a network
is a handful of look-ups, so millions of them are costed a minute, with the same numbers.

Legend: N networks, G genes, A accelerators, K variants of a block.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archip.core.errors import ArchipError
from archip.core.knobs import Knob
from archip.hardware.accelerator import Accelerator
from archip.hardware.cost import layer_costs
from archip.ir.workload import workload

__all__ = ["BlockCosts"]

_ABSENT = -1


@dataclass(frozen=True)
class _Block:
    """One block: the genes that its cost depends on, and its variants by their codes in mixed radix.

    Attributes:
        units_G: weight of each gene's code in the number of a variant, 0 of genes that do not matter.
        costs_KAM: cycles and energy; NaN of a variant that cannot be mapped.
    """

    genes: tuple[int, ...]
    units_G: np.ndarray
    costs_KAM: np.ndarray


@dataclass(frozen=True)
class BlockCosts:
    """Costs of the networks of a space whose class says which genes its blocks depend on (``blocks``)."""

    accelerators: tuple[Accelerator, ...]
    blocks: tuple[_Block, ...]

    @classmethod
    def of(
        cls,
        space: Any,
        input_shape: Sequence[int],
        n_outputs: int,
        accelerators: Sequence[Accelerator],
        seed: int = 0,
    ) -> BlockCosts:
        """Cost every variant of every block of `space`, with the mappings of the fewest cycles.

        Raises:
            ArchipError: the networks have layers that belong to no block.
        """
        names, knobs = list(space.knobs), list(space.knobs.values())
        blocks = {prefix: _empty(genes, names, knobs, len(accelerators)) for prefix, genes in space.blocks.items()}
        rng = np.random.default_rng(seed)
        for prefix, block in blocks.items():
            for codes_G in _variants(block, knobs):
                if np.isinf(block.costs_KAM[int(codes_G @ block.units_G)]).any():
                    filled_G = _filled(space, codes_G, block.genes, rng)
                    _cost(space, filled_G, input_shape, n_outputs, accelerators, blocks)
            if np.isinf(block.costs_KAM).any():
                raise ArchipError(f"block {prefix} has variants that no network has")
        return cls(tuple(accelerators), tuple(blocks.values()))

    def costs(self, codes_NG: np.ndarray, which_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(latency_s, energy_j) [N] of networks, each on one accelerator, layer after layer.

        Args:
            codes_NG: place of each gene among its values; -1 where it is inactive, so that its block is not there.
            which_N: the accelerators.
        """
        total_NM = np.zeros((len(codes_NG), 2))
        for block in self.blocks:
            genes = list(block.genes)
            k_N = codes_NG[:, genes] @ block.units_G[genes]
            found_NM = block.costs_KAM[k_N, which_N]
            if genes:
                is_absent_N = (codes_NG[:, genes] == _ABSENT).any(1)
                found_NM[is_absent_N] = 0.0
            total_NM += found_NM
        hertz_A = np.array([a.clock_hz for a in self.accelerators])
        return total_NM[:, 0] / hertz_A[which_N], total_NM[:, 1]


def _empty(genes: Sequence[str], names: Sequence[str], knobs: Sequence[Knob], n_accelerators: int) -> _Block:
    at, units_G, size = tuple(names.index(gene) for gene in genes), np.zeros(len(names), dtype=np.int64), 1
    for gene in reversed(at):
        units_G[gene] = size
        size *= len(knobs[gene].values)
    return _Block(at, units_G, np.full((size, n_accelerators, 2), np.inf))


def _variants(block: _Block, knobs: Sequence[Knob]) -> Iterator[np.ndarray]:
    for values in itertools.product(*(range(len(knobs[gene].values)) for gene in block.genes)):
        codes_G = np.zeros(len(knobs), dtype=np.int64)
        codes_G[list(block.genes)] = values
        yield codes_G


def _filled(space: Any, codes_G: np.ndarray, fixed: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A network that has the block: its genes as they are, counts of layers at their most, the others drawn."""
    filled_G = codes_G.copy()
    for gene, (name, knob) in enumerate(space.knobs.items()):
        if gene not in fixed:
            n = len(knob.values)
            filled_G[gene] = n - 1 if name in space.depths else rng.integers(n)
    return filled_G


def _cost(
    space: Any,
    codes_G: np.ndarray,
    input_shape: Sequence[int],
    n_outputs: int,
    accelerators: Sequence[Accelerator],
    blocks: Mapping[str, _Block],
) -> None:
    """Cost one network and enter what its blocks cost."""
    genotype = {name: knob.values[code] for (name, knob), code in zip(space.knobs.items(), codes_G, strict=True)}
    work = workload(space.graph(genotype, input_shape, n_outputs))
    found = layer_costs(work, accelerators)
    cycles_AL = np.where(found.feasible_AL, found.cycles_AL, np.nan)
    sums = {prefix: np.zeros((len(accelerators), 2)) for prefix in blocks}
    for layer, name in enumerate(work.names):
        prefix = next((p for p in blocks if name == p or name.startswith(p + ".")), None)
        if prefix is None:
            raise ArchipError(f"layer {name} belongs to no block of {type(space).__name__}")
        sums[prefix] += np.stack([cycles_AL[:, layer], found.energy_AL[:, layer]], 1)
    for prefix, block in blocks.items():
        block.costs_KAM[int(codes_G @ block.units_G)] = sums[prefix]
