"""LUT-ternary: a matrix core for weights -1, 0, 1 that looks sums of activations up instead of multiplying.

Choose it to size such a core for 1.58-bit language models: `area` for any group size and sharing, `explore` for the
best of them, `evaluate` for the cycles of layers, `matmul` for the arithmetic itself.
Source: Hardware Generation and Exploration of Lookup Table-Based Accelerators for 1.58-bit LLM Inference, 2026. A group
of mu activations has E = (3^mu - 1) / 2 signed combinations (the other signs are their negatives, zero is free), built
with E - mu additions and shared by C weight columns; each of them selects one (E : 1), negates it if its code says
so and accumulates:

    area of a weight = ((E - mu) A_add / C + E A_mux + A_neg + A_acc) / mu

Choices: areas are in units of one multiplexer input; a negation takes as much as one (`negate_area`), an accumulator as
much as an adder. A weight code has ceil(log2(3^mu)) bits. The reduction is cut into groups of mu on `rows` tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.hardware.models._light import Count, Positive, Table
from archip.ir.workload import Workload

__all__ = ["LutTernary"]

Ints = NDArray[np.int64]
_MAX_MU = 8  # a table of 3280 entries


@dataclass(frozen=True)
class LutTernary:
    """One core; 45 is an FP16 adder in multiplexer inputs, 4 an INT8 one."""

    mu: Annotated[int, Field(ge=1, le=_MAX_MU)] = 3  # activations of a table
    columns: Count = 32  # weights that share a table
    rows: Count = 16  # tables
    add_area: Positive = 45.0
    negate_area: Positive = 1.0
    clock_hz: Positive = 1e9

    @property
    def entries(self) -> int:
        """E, of one table."""
        return (3**self.mu - 1) // 2

    @property
    def code_bits(self) -> int:
        """Of the weights of a group."""
        return (3**self.mu - 1).bit_length()

    @property
    def area(self) -> float:
        """Of one weight, in multiplexer inputs."""
        build = (self.entries - self.mu) * self.add_area / self.columns
        return (build + self.entries + self.negate_area + self.add_area) / self.mu

    def explore(self, columns: ArrayLike) -> Table:
        """For each number of columns the group size of least area: `mu`, `area`, `relative` to mu = 1."""
        cores = [[replace(self, mu=mu, columns=int(c)) for mu in range(1, _MAX_MU + 1)] for c in np.atleast_1d(columns)]
        areas = np.array([[core.area for core in row] for row in cores])
        return {"mu": areas.argmin(1) + 1, "area": areas.min(1), "relative": areas.min(1) / areas[:, 0]}

    def evaluate(self, workload: Workload) -> Table:
        """Column → [L]: `cycles` and `latency_s` (0 without multiplications), `utilisation`, `weight_bytes` as codes.

        Every row of the result takes ceil(depth / (mu rows)) ceil(columns of the result / columns) cycles.
        """
        B, G, K, C, OY, OX, FY, FX = workload.dims_LD.T
        depth, is_nest = C * FY * FX, workload.macs_L > 0
        passes = -(-depth // (self.mu * self.rows)) * -(-K // self.columns)
        cycles = np.where(is_nest, B * G * OY * OX * passes, 0)
        weights = self.mu * self.rows * self.columns
        return {
            "cycles": cycles,
            "latency_s": cycles / self.clock_hz,
            "utilisation": workload.macs_L / (np.maximum(cycles, 1) * weights),
            "weight_bytes": np.where(is_nest, G * K * -(-depth // self.mu) * self.code_bits / 8, 0.0),
        }

    def encode(self, weights: ArrayLike) -> tuple[Ints, NDArray[np.bool_]]:
        """(entry, negated) [groups, n] of weights [depth, n] in -1, 0, 1; entry -1 is the free zero."""
        padded = _padded(np.asarray(weights), self.mu)
        value = np.tensordot(padded, 3 ** np.arange(self.mu), axes=(1, 0))  # balanced ternary: sign and rank
        return np.abs(value) - 1, value < 0

    def matmul(self, activations: ArrayLike, weights: ArrayLike) -> Ints:
        """The product of integers [m, depth] and ternary weights [depth, n] the way the core computes it."""
        entry, is_negated = self.encode(weights)
        groups = _padded(np.asarray(activations).T, self.mu)  # [groups, mu, m]
        signs = np.array([s[::-1] for s in product((-1, 0, 1), repeat=self.mu)])[3**self.mu // 2 + 1 :]
        tables = np.einsum("em,gmr->ger", signs, groups)  # positive codes only; their order is that of the entries
        found = np.take_along_axis(tables, np.maximum(entry, 0)[:, :, None], axis=1)
        found = np.where(entry[:, :, None] < 0, 0, np.where(is_negated[:, :, None], -found, found))
        return found.sum(0).T


def _padded(matrix: NDArray[np.int64], mu: int) -> Ints:
    """[depth, n] → [groups, mu, n], zeros at the end."""
    missing = -len(matrix) % mu
    return np.pad(matrix, ((0, missing), (0, 0))).reshape(-1, mu, matrix.shape[1]).astype(np.int64)
