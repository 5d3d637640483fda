"""SCALE-Sim: a systolic array that runs a layer's matrix product in folds, one after the other.

Choose it for a TPU-like array with enough bandwidth never to stall (SCALE-Sim's CALC mode), to compare the three
stationarities, or to compare with work that used SCALE-Sim. Stalls on a given DRAM bandwidth are not modelled.

Source: Samajdar et al. 2020, A Systematic Methodology for Characterizing Scalability of DNN Accelerators using
SCALE-Sim, ISPASS, eq. 1-4, and the behaviour of the tool, PyPI `scalesim` 3.0.0. Differs: closed forms instead of a
walk through the cycles; with ``exact_dram`` DRAM reads that have none are counted access by access (about 10 ns each).

With ``corrected`` the SRAM writes of outputs under `os` are the outputs (the tool adds rows + columns for every fold),
an output-stationary fold shifts its results out through the array before the next one starts (2 rows + columns + T - 2
cycles, as in the paper; the tool leaves this out), and DRAM writes are not padded to a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models import _systolic_kernels as kernels
from archip.ir.layer_table import LayerTable

__all__ = ["Systolic"]

Table = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]

_SETS = 100  # into which the tool cuts a read buffer; half of them are in use, half prefetch


@dataclass
class Systolic:
    """SCALE-Sim's cost of layers on one array, without stalls."""

    dataflow: Literal["ws", "os", "is"] = "ws"  # what stands still: weights, outputs or inputs
    rows: Annotated[int, Field(ge=1)] = 32
    cols: Annotated[int, Field(ge=1)] = 32
    ifmap_bytes: Annotated[int, Field(ge=200)] = 65536  # SRAM of each operand, double buffered; one byte an element
    filter_bytes: Annotated[int, Field(ge=200)] = 65536
    ofmap_bytes: Annotated[int, Field(ge=200)] = 65536
    corrected: bool = False  # mend the tool's faults
    exact_dram: bool = False  # count DRAM reads that have no closed form access by access

    def evaluate(self, layers: LayerTable | Mapping[str, ArrayLike]) -> Table:
        """The tool's numbers for every layer: column → array [L]. `costs` says what the columns are."""
        return costs(
            layers,
            self.dataflow,
            rows=self.rows,
            cols=self.cols,
            sram_bytes=(self.ifmap_bytes, self.filter_bytes, self.ofmap_bytes),
            corrected=self.corrected,
            exact_dram=self.exact_dram,
        )


def costs(
    layers: LayerTable | Mapping[str, ArrayLike],
    dataflow: ArrayLike,
    *,
    rows: ArrayLike,
    cols: ArrayLike,
    sram_bytes: tuple[ArrayLike, ArrayLike, ArrayLike] = (65536, 65536, 65536),
    corrected: bool = False,
    exact_dram: bool = False,
) -> Table:
    """Costs of layers on arrays, paired row by row (one row is paired with all of the other side).

    A row is one matrix product: one image and one group. The layer is `repeat` of them, and its cycles and accesses
    are `repeat` times the row's (so does the tool; a depthwise layer has as many as channels).

    Args:
        layers: one row a layer.
        dataflow: `ws`, `os` or `is`, one for all rows or [L]; so are the others.
        rows: of the array.
        cols: columns of the array.
        sram_bytes: of inputs, filters and outputs; they matter for DRAM only.
        corrected: mend the tool's faults (see the module).
        exact_dram: count DRAM reads that have no closed form access by access.

    Returns:
        Column → array [L]. Sizes of the product, cycles, utilisation in percent, SRAM and DRAM accesses in elements
        (`*_dram_exact`: False where windows overlap in an input, or columns repeat in a filter, that does not fit
        in half its SRAM: the count is then a lower estimate), mean SRAM bandwidth in elements a cycle.

    Raises:
        UserError: an unknown dataflow, or an array without rows or columns.
    """
    table = layers if isinstance(layers, LayerTable) else LayerTable.of(layers)
    flows = np.atleast_1d(np.asarray(dataflow, dtype=np.str_))
    unknown = set(flows.tolist()) - {"ws", "os", "is"}
    if unknown:
        raise UserError(f"{min(unknown)!r} is not known", "dataflow", "ws, os or is")
    array = [np.atleast_1d(np.asarray(size, dtype=np.int64)) for size in (rows, cols, *sram_bytes)]
    if min(int(a.min()) for a in array) < 1:
        raise UserError("a size is not positive", "rows, cols, sram_bytes", "at least 1")
    n = max(len(table), len(flows), *(len(a) for a in array))
    table = table.select(np.broadcast_to(np.arange(len(table)), n))
    array = [np.broadcast_to(a, n) for a in array]
    folds = _Folds.of(table, np.broadcast_to(flows, n), array[0], array[1], corrected)
    result = folds.numbers(array[2:])
    if exact_dram:
        folds.count_dram_reads(result, array[2:])
    return result


@dataclass(frozen=True)
class _Folds:
    """M x K by K x N products cut to the array; every array is [L]."""

    table: LayerTable
    os: NDArray[np.bool_]
    ws: NDArray[np.bool_]
    M: Ints
    N: Ints
    K: Ints
    R: Ints  # rows of the array
    C: Ints  # columns of the array
    over_rows: Ints  # size spread over the rows, over the columns, and streamed
    over_cols: Ints
    streamed: Ints
    corrected: bool

    @classmethod
    def of(cls, table: LayerTable, flows: NDArray[np.str_], R: Ints, C: Ints, corrected: bool) -> _Folds:
        M, N = table.OY * table.OX, table.K // table.groups
        K = table.FY * table.FX * (table.C // table.groups)
        os, ws = flows == "os", flows == "ws"
        over_cols = np.where(os | ws, N, M)
        return cls(
            table, os, ws, M, N, K, R, C, np.where(os, M, K), over_cols, np.where(os, K, np.where(ws, M, N)), corrected
        )

    def numbers(self, sram_bytes: list[Ints]) -> Table:
        """All columns."""
        row_folds, col_folds = -(-self.over_rows // self.R), -(-self.over_cols // self.C)
        n_folds = row_folds * col_folds
        result: Table = {
            "repeat": self.table.N * self.table.groups,
            "gemm_M": self.M,
            "gemm_N": self.N,
            "gemm_K": self.K,
        }
        result |= self._cycles(n_folds)
        result |= self._sram(row_folds, col_folds)
        result |= self._dram(row_folds, col_folds, sram_bytes)
        for name, way in (("ifmap", "reads"), ("filter", "reads"), ("ofmap", "writes")):
            result[f"avg_{name}_sram_bw"] = result[f"{name}_sram_{way}"] / np.maximum(result["total_cycles"], 1)
        return result

    def _cycles(self, n_folds: Ints) -> Table:
        """Cycles of all folds: fill, stream, drain; and how much of the array they use.

        The tool prints the index of the last cycle. Its compute utilisation takes for a fold's cycles those of a
        demand matrix with the skew of the columns, which under ws and is have been counted before.
        """
        loads = np.where(self.os, 1 + self.corrected, 2) * self.R
        fold = loads + self.C + self.streamed - 2
        total = n_folds * fold - (0 if self.corrected else 1)
        n_pes, macs = self.R * self.C, self.M * self.N * self.K
        demand = fold if self.corrected else np.where(self.os, fold, fold + self.C - 1)
        return {
            "total_cycles": total,
            "overall_util_pct": 100 * macs / (np.maximum(total, 1) * n_pes),
            "mapping_eff_pct": 100 * self.over_rows * self.over_cols / (n_folds * n_pes),
            "compute_util_pct": 100 * macs / (n_folds * n_pes * demand),
        }

    def _sram(self, row_folds: Ints, col_folds: Ints) -> Table:
        """Every fold reads its operands anew, and writes its (partial) sums, which nothing reads back."""
        inputs, filters, outputs = self.M * self.K, self.K * self.N, self.M * self.N
        surplus = 0 if self.corrected else row_folds * col_folds * (self.R + self.C)
        return {
            "ifmap_sram_reads": inputs * np.where(self.os | self.ws, col_folds, 1),
            "filter_sram_reads": filters * np.where(self.os, row_folds, np.where(self.ws, 1, col_folds)),
            "ofmap_sram_writes": np.where(self.os, outputs + surplus, outputs * row_folds),
        }

    def _dram(self, row_folds: Ints, col_folds: Ints, sram_bytes: list[Ints]) -> Table:
        """A FIFO window over distinct elements, so what fits in half the SRAM is read once.

        What does not is read again by every pass over it: by every column of folds, or row of folds for filters under
        os (folds are run row by row within a column, so that the filters of one column stay if they fit).
        """
        half_ifmap, half_filter = _halves(sram_bytes)
        t = self.table
        touched_y, touched_x = _touched(t.OY, t.FY, t.stride), _touched(t.OX, t.FX, t.stride)
        inputs, filters = t.C // t.groups * touched_y * touched_x, self.K * self.N
        input_fits, filter_fits = inputs <= half_ifmap, filters <= half_filter
        # Under os a column of folds that fits is read once; the last column may be narrower.
        width, last = np.minimum(self.C, self.N), self.N - (col_folds - 1) * self.C
        last_stays = self.os & (self.K * last <= half_filter)
        wide_passes = np.where(self.K * width <= half_filter, 1, row_folds)
        os_filters = self.K * ((self.N - last) * wide_passes + last * np.where(last_stays, 1, row_folds))
        overlap = np.maximum(t.FY, t.FX) > t.stride
        outputs = self.M * self.N * np.where(self.os, 1, row_folds)
        # The first line that leaves a full half is padded to C elements.
        padding = np.where(outputs > sram_bytes[2] // 2, self.C - 1, 0)
        return {
            "ifmap_dram_reads": inputs * np.where(input_fits | ~(self.os | self.ws), 1, col_folds),
            "filter_dram_reads": np.select(
                [filter_fits | self.ws, self.os], [filters, os_filters], filters * col_folds
            ),
            "ofmap_dram_writes": outputs if self.corrected else outputs + padding,
            "ifmap_dram_exact": input_fits | ~overlap,
            "filter_dram_exact": filter_fits | ~last_stays | (row_folds == 1),
        }

    def count_dram_reads(self, result: Table, sram_bytes: list[Ints]) -> None:
        """Replaces the DRAM reads without a closed form in the result."""
        half_ifmap, half_filter = _halves(sram_bytes)
        for i in np.flatnonzero(~result["ifmap_dram_exact"]):
            result["ifmap_dram_reads"][i] = self._ifmap_reads(i, int(half_ifmap[i]))
        for i in np.flatnonzero(~result["filter_dram_exact"]):
            result["filter_dram_reads"][i] = self._filter_reads(i, int(half_filter[i]))
        result["ifmap_dram_exact"][:] = result["filter_dram_exact"][:] = True

    def _ifmap_reads(self, i: np.int64, half: int) -> int:
        """DRAM reads of inputs of one layer; an element is (row, column, channel), for an output and a filter tap."""
        t = self.table
        channels, width = t.C[i] // t.groups[i], t.IX[i]
        outputs_M = _grid(np.arange(t.OY[i]) * t.stride[i] * width, np.arange(t.OX[i]) * t.stride[i]) * channels
        taps_K = _grid(np.arange(t.FY[i]) * width * channels, np.arange(t.FX[i]) * channels, np.arange(channels))
        n_elements = channels * t.IY[i] * width
        if not (self.os[i] or self.ws[i]):
            return kernels.standing_reads(taps_K, outputs_M, self.R[i], self.C[i], half, n_elements)
        streamed, lanes = (outputs_M, taps_K) if self.ws[i] else (taps_K, outputs_M)
        folds = -(-self.over_rows[i] // self.R[i]), -(-self.over_cols[i] // self.C[i])
        return kernels.streamed_reads(streamed, lanes, self.R[i], *folds, False, half, n_elements)

    def _filter_reads(self, i: np.int64, half: int) -> int:
        """DRAM reads of the filters of one layer under os, where they run through the columns."""
        taps, filters = np.arange(self.K[i]) * self.N[i], np.arange(self.N[i])
        folds = -(-self.over_rows[i] // self.R[i]), -(-self.over_cols[i] // self.C[i])
        return kernels.streamed_reads(taps, filters, self.C[i], *folds, True, half, self.K[i] * self.N[i])


def _halves(sram_bytes: list[Ints]) -> tuple[Ints, Ints]:
    """Elements in half the buffer of inputs, and of filters."""
    return sram_bytes[0] // _SETS * (_SETS // 2), sram_bytes[1] // _SETS * (_SETS // 2)


def _grid(*axes: Ints) -> Ints:
    """All sums of one number of each axis, the last axis fastest."""
    total = np.zeros(1, np.int64)
    for axis in axes:
        total = (total[:, None] + axis).ravel()
    return total


def _touched(outputs: Ints, filter_size: Ints, stride: Ints) -> Ints:
    """Rows (or columns) of the padded input that some filter position reads."""
    return np.where(stride <= filter_size, (outputs - 1) * stride + filter_size, outputs * filter_size)
