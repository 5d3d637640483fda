"""n-BQ-NN: an array of shifters for weights that are powers of two, instead of multipliers.

Choose it to see what power-of-two weights of n bits save: energy of the array on each layer, bytes of the weights, and
the arithmetic itself (`encode`, `product`), exact in integers.
Source: Chen et al. 2020, A Learning Framework for n-bit Quantized Neural Networks toward FPGAs, IEEE TNNLS,
arXiv:2004.02396. Levels 0 and +-2^-k s, k = 0 ... 2^(n-1) - 2, with s the largest weight of the layer or the power of
two next to it. A weight is rounded by log2(|w| / s), and is zero below 2^-(k_max + 0.5) s. The PE computes
x << (k_max - k); one shift and scale at the end of a sum makes up for it.
Choices: energies of integer arithmetic at 45 nm by width (Horowitz, ISSCC 2014, interpolated: addition 0.0034 pJ a bit,
multiplication 0.00308 pJ a bit squared). A shifter has log2(k_max + 1) stages of multiplexers, each half an addition of
the activation's width. Memory is not counted, so the array saves more here than a whole accelerator does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.hardware.models._light import Floats, Table
from archip.ir.workload import Workload

__all__ = ["NbqNn"]

Ints = NDArray[np.int64]
_ADD_J, _MULTIPLY_J = 0.0034e-12, 0.00308e-12  # a bit, a bit squared


@dataclass(frozen=True)
class NbqNn:
    """Shift PEs for weights of `bits` bits."""

    bits: Annotated[int, Field(ge=2, le=6)] = 4  # n in the paper; a sign and 2^(n-1) exponents, one of them for zero
    activation_bits: Annotated[int, Field(ge=1)] = 16
    sum_bits: Annotated[int, Field(ge=1)] = 32
    scale: Literal["largest", "power"] = "largest"

    @property
    def k_max(self) -> int:
        """The largest right shift."""
        return 2 ** (self.bits - 1) - 2

    def levels(self, scale: float) -> Floats:
        """All values of a weight, ascending."""
        powers = scale * 2.0 ** -np.arange(self.k_max + 1)
        return np.concatenate([-powers, [0.0], powers[::-1]])

    def encode(self, weights: ArrayLike) -> tuple[Ints, Ints, float]:
        """(sign -1, 0 or 1; shift k; scale s) of a layer's weights."""
        w = np.asarray(weights, np.float64)
        scale = float(np.abs(w).max()) or 1.0
        if self.scale == "power":
            scale = float(2.0 ** np.round(np.log2(scale)))
        with np.errstate(divide="ignore"):
            exponent = -np.log2(np.abs(w) / scale)
        k = np.clip(np.round(exponent), 0, self.k_max).astype(np.int64)
        return np.where(exponent > self.k_max + 0.5, 0, np.sign(w)).astype(np.int64), k, scale

    def decode(self, sign: ArrayLike, k: ArrayLike, scale: float) -> Floats:
        """The weights that the codes stand for."""
        return np.asarray(sign) * scale * 2.0 ** -np.asarray(k, np.float64)

    def product(self, activations: ArrayLike, sign: ArrayLike, k: ArrayLike) -> Ints:
        """[m, n] sums over integers [m, depth] and codes [depth, n], in units of 2^-k_max s."""
        x = np.asarray(activations, np.int64)[:, :, None]
        return (np.asarray(sign) * (x << (self.k_max - np.asarray(k)))).sum(1)

    @property
    def pe_j(self) -> float:
        """One shift and addition."""
        stages = float(np.ceil(np.log2(self.k_max + 1)))
        return _ADD_J * (stages * self.activation_bits / 2 + self.sum_bits)

    @property
    def multiply_pe_j(self) -> float:
        """One multiplication and addition at the activations' width."""
        return _MULTIPLY_J * self.activation_bits**2 + _ADD_J * self.sum_bits

    def evaluate(self, workload: Workload) -> Table:
        """Column → [L]: `energy_j` of the PEs, `multiply_energy_j` of multiplying ones, `weight_bytes`."""
        return {
            "energy_j": workload.macs_L * self.pe_j,
            "multiply_energy_j": workload.macs_L * self.multiply_pe_j,
            "weight_bytes": workload.moved_LO[:, 0] * self.bits / 8,
        }
