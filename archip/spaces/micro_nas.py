"""MicroNAS: networks for series of several sensors on microcontrollers; first along time, then across the sensors.

Choose it for motion and other sensors under limits of flash, SRAM and latency. Where `conv1d` mixes all sensors in its
first layer, here each keeps a row of its own in the beginning, which takes few weights.

The series is an image with a row for each sensor. A network is, from input to output::

    time cell    conv 1 x kernel along time (filters), which halves it while it is at least 4 long
    mixing cell  main path: conv over all rows (inner), then a sum of convolutions along time with any of the kernels
                 (filters); residual path: conv 1x1 (filters); the sum of the paths that are there
    end          global average pooling - linear classifier

Batch-norm and ReLU follow every convolution. The first mixing cell of a group halves the number of rows, the others
leave it as it is and may be left out (``on``). A cell without kernels has its residual path only.
Source: King et al. 2023, arXiv:2310.18384, and the authors' code: cells, kernels, steps of 4 and 8 filters, and the
rule for the options: as many time cells as leave at least 16 steps, as many groups as leave at least 5 rows, but one
each. Differs: batch-norm everywhere; the classifier stands behind the pooling, without ReLU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import conv_norm, odd
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, increasing

__all__ = ["MicroNas"]


@dataclass(frozen=True)
class MicroNas(NetworkSpace):
    """Genes ``kernel1 filters1 …`` of the time cells; ``use3_1.1 … residual_1.1 inner_1.1 filters_1.1 on_1.2 …``.

    Attributes:
        kernels: choices of a time cell; those of which a mixing cell may use any; odd.
        time_filters: choices for the filters of a time cell.
        filters: choices for the filters of a mixing cell, and of its inner convolution.
        time_cells: their number.
        groups, cells: groups of mixing cells, and cells in each besides its first.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCL"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    kernels: Counts = (3, 5, 7)
    time_filters: Counts = (4, 8, 12, 16)
    filters: Counts = (8, 16, 24, 32, 40, 48, 56, 64)
    time_cells: Count = 2
    groups: Count = 1
    cells: Annotated[int, Field(ge=0)] = 2

    def __post_init__(self) -> None:
        for option in ("kernels", "time_filters", "filters"):
            increasing(getattr(self, option), option)
        odd(self.kernels, "kernels")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {}
        for i in range(1, self.time_cells + 1):
            knobs |= {f"kernel{i}": Choice(self.kernels), f"filters{i}": Choice(self.time_filters)}
        for cell, is_first in self._mixing():
            knobs |= {} if is_first else {f"on_{cell}": Choice((0, 1))}
            knobs |= {f"use{k}_{cell}": Choice((0, 1)) for k in self.kernels}
            knobs |= {f"residual_{cell}": Choice((0, 1))}
            knobs |= {f"inner_{cell}": Choice(self.filters), f"filters_{cell}": Choice(self.filters)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        gene, _, cell = name.partition("_")
        if not cell or gene == "on":
            return True
        depends_on_kernels = gene in ("residual", "inner")
        return bool(genes.get(f"on_{cell}", 1)) and (not depends_on_kernels or bool(self._used(cell, genes)))

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("series", (1, *input_shape), self.axes)
        rows, length = input_shape
        x = g.add("reshape", x, name="rows", shape=(1, 1, rows, length))
        for i in range(1, self.time_cells + 1):
            kernel, stride = (1, genotype[f"kernel{i}"]), (1, 2 if length >= SMALLEST_HALVED else 1)
            x = conv_norm(g, x, f"time{i}", genotype[f"filters{i}"], kernel, stride=stride, act="relu")
            length = -(-length // stride[1])
        for cell, is_first in self._mixing():
            if genotype.get(f"on_{cell}", 1):
                stride = 2 if is_first and rows > 1 else 1
                x = self._cell(g, x, cell, genotype, rows, stride)
                rows = -(-rows // stride)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    def _mixing(self) -> Iterator[tuple[str, bool]]:
        """(name, whether it begins a group) of all mixing cells."""
        return ((f"{i}.{j}", j == 1) for i in range(1, self.groups + 1) for j in range(1, self.cells + 2))

    def _used(self, cell: str, genes: Mapping[str, Any]) -> list[int]:
        return [k for k in self.kernels if genes.get(f"use{k}_{cell}")]

    def _cell(self, g: GraphBuilder, x: str, cell: str, genes: Mapping[str, Any], rows: int, stride: int) -> str:
        name, width, paths = f"mix{cell}", genes[f"filters_{cell}"], []
        if used := self._used(cell, genes):
            y = x if rows == 1 else g.add("pad", x, name=f"{name}.pad", pads=(((rows - 1) // 2, rows // 2), (0, 0)))
            y = g.add("conv", y, name=f"{name}.inner.conv", out_channels=genes[f"inner_{cell}"], kernel=(rows, 1),
                      stride=(stride, 1), bias=False)  # fmt: skip
            y = g.add("relu", g.add("batch_norm", y, name=f"{name}.inner.norm"), name=f"{name}.inner.relu")
            paths += [conv_norm(g, y, f"{name}.time{k}", width, (1, k), act="relu") for k in used]
        if genes.get(f"residual_{cell}", 1):
            paths.append(conv_norm(g, x, f"{name}.residual", width, (1, 1), stride=(stride, 1), act="relu"))
        x = paths[0]
        for i, path in enumerate(paths[1:], 1):
            x = g.add("add", x, path, name=f"{name}.add{i}")
        return x
