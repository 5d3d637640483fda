"""SAT: an array for N:M sparse training; of every M weights it multiplies N in the forward and the backward product.

Choose it to see what N:M sparsity is worth in training on a systolic array before paying for it: cycles of the three
products of each layer, each under the better of weight- and output-stationary dataflow, against the dense array.
Source: Fang et al. 2023, Efficient N:M Sparse DNN Training Using Algorithm, Architecture, and Dataflow Co-Design,
arXiv:2309.13015 (method BDWP, accelerator SAT): forward and input gradient use N of M weights along their own
reduction, input and output channels; the weight gradient is dense; first and last layer stay dense; an index has
log2(M) bits. Operations of a step relative to dense: (2 N / M + 1) / 3.
Choices: a PE takes one group of M operands and does its N products one after the other, so a product's depth shrinks to
N for every started M; cycles are those of SCALE-Sim's folds (`systolic`, corrected). A layer whose reduction has fewer
than M channels stays dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models import systolic
from archip.hardware.models._light import Count, Table
from archip.hardware.models._training import PRODUCTS, needed, products
from archip.ir.layer_table import LayerTable
from archip.ir.workload import Workload

__all__ = ["NmSat"]

Ints = NDArray[np.int64]
_FLOWS = ("ws", "os")


@dataclass(frozen=True)
class NmSat:
    """An array of rows x cols PEs with N:M sparsity; the paper trains 2:8 on 32 x 32 PEs."""

    n: Count = 2
    m: Annotated[int, Field(ge=2)] = 8
    rows: Count = 32
    cols: Count = 32
    weight_bits: Count = 16

    def __post_init__(self) -> None:
        if self.n > self.m:
            raise UserError(f"{self.n} of {self.m} weights", "n", f"at most {self.m}")

    @property
    def op_ratio(self) -> float:
        """Operations of a training step relative to dense."""
        return (2 * self.n / self.m + 1) / 3

    @property
    def index_bits(self) -> int:
        """Bits that say where in its group a weight stands."""
        return (self.m - 1).bit_length()

    def evaluate(self, workload: Workload) -> Table:
        """One training step on the batch of the workload.

        Returns:
            Column → [L]: cycles of the three products (`forward`, `input_gradient`, `weight_gradient`), their
            dataflows (`*_flow`), the sum `cycles`, `dense_cycles` on the same array without sparsity, and
            `weight_bytes` of the compressed forward weights with their indices.
        """
        done_L3, sparse_L3 = needed(workload), self._is_sparse(workload)
        table: Table = {}
        cycles_L, dense_L = np.zeros(len(workload), np.int64), np.zeros(len(workload), np.int64)
        for name, sizes, done, sparse in zip(PRODUCTS, products(workload), done_L3.T, sparse_L3.T, strict=True):
            groups, rows, columns, depth = sizes
            short = np.where(sparse, -(-depth // self.m) * self.n, depth)
            best, flow = self._cycles(groups, rows, columns, short)
            table[name], table[f"{name}_flow"] = best * done, flow
            cycles_L += best * done
            dense_L += self._cycles(groups, rows, columns, depth)[0] * done
        weights = workload.moved_LO[:, 0]
        kept = np.where(sparse_L3[:, 0], weights * self.n / self.m * (self.weight_bits + self.index_bits), 0)
        full = np.where(sparse_L3[:, 0], 0, weights * self.weight_bits)
        return table | {"cycles": cycles_L, "dense_cycles": dense_L, "weight_bytes": (kept + full) / 8}

    def _is_sparse(self, workload: Workload) -> NDArray[np.bool_]:
        """[L, 3] products that use N of M weights."""
        nests = np.flatnonzero(workload.macs_L > 0)
        is_inner = np.isin(np.arange(len(workload)), nests[1:-1])
        _, _, K, C, *_ = workload.dims_LD.T
        return np.stack([is_inner & (self.m <= C), is_inner & (self.m <= K), np.zeros_like(is_inner)], 1)

    def _cycles(self, groups: Ints, rows: Ints, columns: Ints, depth: Ints) -> tuple[Ints, NDArray[np.str_]]:
        """[L] (cycles, dataflow) of the better of the two."""
        layers = LayerTable.of({"N": groups, "K": rows, "C": depth, "OY": columns})
        both = []
        for flow in _FLOWS:
            found = systolic.costs(layers, flow, rows=self.rows, cols=self.cols, corrected=True)
            both.append(found["total_cycles"] * found["repeat"])
        return np.min(both, 0), np.array(_FLOWS)[np.argmin(both, 0)]
