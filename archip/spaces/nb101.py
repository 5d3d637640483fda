"""NAS-Bench-101's networks: three stacks of three equal cells, a cell being a graph of up to 7 vertices and 9 edges.

Choose it to cost, train or score the networks of the benchmark themselves; to search by their published accuracies,
choose `tabular`.

Stem conv 3x3; between stacks max pooling 2x2 and twice the channels; global pooling, linear classifier. A vertex is
conv 3x3 or 1x1 with batch-norm and ReLU, or max pooling 3x3, of the sum of its inputs. The cell's input reaches a
vertex through a projection 1x1 to the vertex' channels; inner vertices that feed the output are concatenated and share
its channels, the others have as many as the widest vertex they feed, and a wider input is cut. Vertices on no path from
input to output are not built, as in the benchmark.
Source: Ying et al. 2019, arXiv:1902.09635, sections 2.1 to 2.3; its code (google-research/nasbench, model_builder.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar, Literal

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Count, NetworkSpace

__all__ = ["NB101"]

OPERATORS = ("conv3x3", "conv1x1", "maxpool3x3")
MOST_VERTICES, MOST_EDGES = 7, 9


@dataclass(frozen=True)
class NB101(NetworkSpace):
    """Genes ``vertices``, ``op_1 …`` of the inner vertices, ``edge_0_1 edge_0_2 …`` (0 or 1), as many as there are.

    Attributes:
        channels: of the first stack.
        stacks: with twice the channels of the one before.
        cells: in each stack.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    channels: Count = 128
    stacks: Count = 3
    cells: Count = 3

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"vertices": Choice(tuple(range(2, MOST_VERTICES + 1)))}
        knobs |= {f"op_{v}": Choice(OPERATORS, ordered=False) for v in range(1, MOST_VERTICES - 1)}
        return knobs | {
            f"edge_{a}_{b}": Choice((1, 0), ordered=False) for a, b in combinations(range(MOST_VERTICES), 2)
        }

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        kind, *vertices = name.split("_")
        last = genes["vertices"] - 1 if kind != "vertices" else 0
        return kind == "vertices" or (int(vertices[0]) < last if kind == "op" else int(vertices[1]) <= last)

    def permits(self, genes: Mapping[str, Any]) -> bool:
        edges = _edges(genes)
        return len(edges) <= MOST_EDGES and bool(_used(edges, genes["vertices"]))

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """The cell without the vertices that are on no path; isomorphic cells stay apart."""
        used = sorted(_used(_edges(genes), genes["vertices"]))
        kept: dict[str, Any] = {"vertices": len(used)}
        kept |= {f"op_{i}": genes[f"op_{v}"] for i, v in enumerate(used[1:-1], 1)}
        pairs = combinations(range(len(used)), 2)
        return kept | {f"edge_{a}_{b}": genes[f"edge_{used[a]}_{used[b]}"] for a, b in pairs}

    def layers_key(self, genotype: Mapping[str, Any]) -> str:
        """The convolutions of a cell with their channels, for cells of 3 x 128 and of 128 to 256 and so on."""
        cell, key = _Cell.of(genotype), []
        for before, width in ((self.channels, self.channels), (self.channels, 2 * self.channels)):
            widths = cell.widths(before, width)
            key += sorted(f"{cell.operators[v]}.{widths[v]}" for v in cell.inner if "conv" in cell.operators[v])
            key += sorted(f"in.{widths[v]}" for v in (*cell.inner, cell.last) if (0, v) in cell.edges)
        return " ".join(key)

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, cell = GraphBuilder(), _Cell.of(genotype)
        x = _conv(g, g.input("image", (1, *input_shape), self.axes), "stem", self.channels, 3)
        side, width = min(input_shape[1:]), self.channels
        for stack in range(1, self.stacks + 1):
            before = width
            if stack > 1:
                width *= 2
                if side >= SMALLEST_HALVED:
                    x, side = g.add("max_pool", x, name=f"stack{stack}.pool", kernel=(2, 2)), side // 2
            for c in range(1, self.cells + 1):
                x = cell.build(g, x, f"stack{stack}.cell{c}", before if c == 1 else width, width)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


@dataclass(frozen=True)
class _Cell:
    """A cell without the vertices that are on no path: `last` is the output, `inner` the rest but the input."""

    operators: Mapping[int, str]
    edges: frozenset[tuple[int, int]]
    inner: tuple[int, ...]
    last: int

    @classmethod
    def of(cls, genes: Mapping[str, Any]) -> _Cell:
        last = genes["vertices"] - 1
        used = _used(_edges(genes), genes["vertices"])
        edges = frozenset((a, b) for a, b in _edges(genes) if a in used and b in used)
        inner = tuple(v for v in sorted(used) if 0 < v < last)
        return cls({v: genes[f"op_{v}"] for v in inner}, edges, inner, last)

    def widths(self, before: int, width: int) -> dict[int, int]:
        """Channels of each vertex (`compute_vertex_channels`)."""
        widths = {0: before, self.last: width}
        ends = [v for v in self.inner if (v, self.last) in self.edges]
        if ends:
            share, more = divmod(width, len(ends))
            widths |= {v: share + (i < more) for i, v in enumerate(ends)}
        for v in reversed(self.inner):
            if v not in widths:
                widths[v] = max(widths[b] for b in self.inner if (v, b) in self.edges)
        return widths

    def build(self, g: GraphBuilder, x: str, name: str, before: int, width: int) -> str:
        widths, values = self.widths(before, width), {0: x}
        for v in self.inner:
            parts = [self._cut(g, values[a], f"{name}.{a}-{v}", widths[a], widths[v])
                     for a in self.inner if (a, v) in self.edges]  # fmt: skip
            if (0, v) in self.edges:
                parts.append(_conv(g, x, f"{name}.in{v}", widths[v], 1))
            total = _sum(g, parts, f"{name}.vertex{v}")
            operator = self.operators[v]
            if operator == "maxpool3x3":
                values[v] = g.add("max_pool", total, name=f"{name}.op{v}", kernel=(3, 3), stride=1, padding=(1, 1))
            else:
                values[v] = _conv(g, total, f"{name}.op{v}", widths[v], int(operator[-1]))
        ends = [values[v] for v in self.inner if (v, self.last) in self.edges]
        parts = (
            [] if not ends else [ends[0] if len(ends) == 1 else g.add("concat", *ends, name=f"{name}.concat", axis=1)]
        )
        if (0, self.last) in self.edges:
            parts.append(_conv(g, x, f"{name}.in{self.last}", width, 1))
        return _sum(g, parts, f"{name}.out")

    @staticmethod
    def _cut(g: GraphBuilder, x: str, name: str, before: int, width: int) -> str:
        return x if before == width else g.add("slice", x, name=f"{name}.cut", axis=1, start=0, stop=width)


def _edges(genes: Mapping[str, Any]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in combinations(range(genes["vertices"]), 2) if genes[f"edge_{a}_{b}"]]


def _used(edges: Sequence[tuple[int, int]], n_vertices: int) -> set[int]:
    """Vertices on a path from input to output; none where there is no path."""
    ahead, behind = {0}, {n_vertices - 1}
    for a, b in sorted(edges):
        if a in ahead:
            ahead.add(b)
    for a, b in sorted(edges, key=lambda edge: -edge[1]):
        if b in behind:
            behind.add(a)
    return ahead & behind if n_vertices - 1 in ahead else set()


def _sum(g: GraphBuilder, parts: Sequence[str], name: str) -> str:
    total = parts[0]
    for i, part in enumerate(parts[1:], 1):
        total = g.add("add", total, part, name=f"{name}.add{i}")
    return total


def _conv(g: GraphBuilder, x: str, name: str, width: int, kernel: int) -> str:
    x = g.add("conv", x, name=f"{name}.conv", out_channels=width, kernel=(kernel, kernel), padding=(kernel // 2,) * 2,
              bias=False)  # fmt: skip
    return g.add("relu", g.add("batch_norm", x, name=f"{name}.norm"), name=f"{name}.relu")
