"""Keys of a table's rows: columns, cells and graphs turned into knobs and codes.

Legend: N rows, G genes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.errors import UserError
from archip.core.knobs import Choice
from archip.data._table_file import Columns
from archip.data._table_spec import Cell, GeneColumn, GraphCode, TableSpec, listed

__all__ = ["Keys", "read_keys"]


@dataclass(frozen=True)
class Keys:
    """The genes of all rows.

    Attributes:
        knobs: gene → its values.
        codes_NG: place of each gene's value among the values of its knob; -1 where a row lacks the gene.
        same_N: the first row that is the same network; the row itself where only equal genes mean equal networks.
        hash_N: of graphs, the first 64 bits of the hash that isomorphic ones share.
    """

    knobs: Mapping[str, Choice]
    codes_NG: np.ndarray
    same_N: np.ndarray
    hash_N: np.ndarray | None = None


def read_keys(spec: TableSpec, columns: Columns) -> Keys:
    """Genes of every row as the declaration says.

    Raises:
        UserError: an architecture that cannot be read, with its row.
    """
    if spec.cell:
        return _cells(spec.cell, columns)
    if spec.graph:
        return _graphs(spec.graph, columns)
    knobs: dict[str, Choice] = {}
    codes: list[np.ndarray] = []
    for gene in spec.genes:
        for name, texts_N in _genes(gene, columns).items():
            if name in knobs:
                raise UserError(f"two genes are called {name!r}", "genes", "give one of them another name")
            knobs[name], column = _knob(gene, name, texts_N, columns)
            codes.append(column)
    codes_NG = np.stack(codes, 1)
    return Keys(knobs, codes_NG, np.arange(len(codes_NG)))


def _genes(gene: GeneColumn, columns: Columns) -> dict[str, list[Any]]:
    """Gene name → its raw value in each row, None where a row lacks it."""
    raw = columns[gene.column].tolist()
    name = gene.name or re.sub(r"\W", "_", gene.column)
    if gene.split is None and gene.pattern is None:
        return {name: raw}
    parts = [_split(str(text), gene.split) for text in raw]
    n = max(map(len, parts))
    lengths = [len(p) for p in parts]
    length = {f"n_{name}": lengths} if min(lengths) < n else {}
    if gene.pattern is None:
        return length | {f"{name}{i + 1}": [p[i] if i < len(p) else None for p in parts] for i in range(n)}
    pattern = re.compile(gene.pattern)
    matched: dict[str, dict[str, str]] = {}
    for row, some in enumerate(parts):
        for part in some:
            if part not in matched:
                match = pattern.fullmatch(part)
                if match is None:
                    raise UserError(f"{gene.column}: {part!r} is not of the form {gene.pattern}", columns.place(row))
                matched[part] = match.groupdict()
    groups = list(pattern.groupindex)
    return length | {
        f"{group}{i + 1}": [matched[p[i]][group] if i < len(p) else None for p in parts]
        for i in range(n)
        for group in groups
    }


def _split(text: str, separator: str | None) -> list[str]:
    if separator is None:
        return [text]
    return text.split(separator) if separator else list(text)


def _knob(gene: GeneColumn, name: str, raw_N: Sequence[Any], columns: Columns) -> tuple[Choice, np.ndarray]:
    """The knob of a gene and its codes."""
    if isinstance(gene.values, dict):
        of_raw = {str(raw): value for raw, value in gene.values.items()}
    else:
        allowed = [str(v) for v in gene.values] if gene.values else {str(r) for r in raw_N if r is not None}
        as_value = _reader(allowed)
        of_raw = {raw: as_value(raw) for raw in (allowed if gene.values else sorted(allowed, key=as_value))}
    values = list(dict.fromkeys(of_raw.values()))
    place = {raw: values.index(value) for raw, value in of_raw.items()}
    codes = np.empty(len(raw_N), dtype=np.int16)
    for row, raw in enumerate(raw_N):
        code = INACTIVE if raw is None else place.get(str(raw))
        if code is None:
            raise UserError(f"{name}: {raw!r} is not one of {listed(list(of_raw))}", columns.place(row))
        codes[row] = code
    numeric = all(isinstance(value, int | float) for value in values)
    return Choice(tuple(values), numeric if gene.ordered is None else gene.ordered), codes


def _reader(texts: Sequence[str] | set[str]) -> Callable[[str], Any]:
    """What turns the texts into values: integers where all are, else floats where all are, else themselves."""
    for kind in (int, float):
        try:
            [kind(text) for text in texts]
        except ValueError:
            continue
        return kind
    return str


def _cells(cell: Cell, columns: Columns) -> Keys:
    texts = columns[cell.column].tolist()
    code_of = {name: i for i, name in enumerate(cell.operators)}
    n_nodes = texts[0].count("+") + 2
    edges = [(source, node) for node in range(1, n_nodes) for source in range(node)]
    rows = []
    for row, text in enumerate(texts):
        parts = [part.rpartition("~") for node in text.split("+") for part in node.strip("|").split("|")]
        sources = [(name, source) for name, _, source in parts]
        if [source for _, source in sources] != [str(source) for source, _ in edges]:
            right = "|".join(f"op~{source}" for source, _ in edges)
            raise UserError(f"{cell.column}: {text!r} is not a cell of {n_nodes} nodes", columns.place(row), right)
        for name, _ in sources:
            if name not in code_of:
                known = listed(cell.operators)
                raise UserError(f"{cell.column}: unknown operator {name!r}", columns.place(row), f"one of {known}")
        rows.append([code_of[name] for name, _ in sources])
    codes_NG = np.array(rows, dtype=np.int16)
    knob = Choice(tuple(cell.operators), ordered=False)
    return Keys({f"edge_{a}_{b}": knob for a, b in edges}, codes_NG, _same_cells(cell, codes_NG, edges))


def _same_cells(cell: Cell, codes_NG: np.ndarray, edges: list[tuple[int, int]]) -> np.ndarray:
    """[N] the first row with the same unique string, as in NAS-Bench-201's `Structure.to_unique_str(True)`.

    The string keeps sums of nothing, so that it tells some cells apart that compute the same: the published count of
    NAS-Bench-201 is 6,466, without them it would be 5,390.
    """
    if cell.zero is None or cell.identity is None:
        return np.arange(len(codes_NG))
    first: dict[str, int] = {}
    same = []
    for row, codes in enumerate(codes_NG.tolist()):
        nodes = ["0"]
        for node in range(1, edges[-1][1] + 1):
            sums = []
            for (source, target), code in zip(edges, codes, strict=True):
                if target == node:
                    name, value = cell.operators[code], nodes[source]
                    if name == cell.zero or value == "#":
                        sums.append("#")
                    else:
                        sums.append(value if name == cell.identity else f"({value})@{name}")
            nodes.append("+".join(sorted(sums)))
        same.append(first.setdefault(nodes[-1], row))
    return np.array(same)


def _graphs(graph: GraphCode, columns: Columns) -> Keys:
    """Genes ``vertices``, ``op_1 …`` and ``edge_0_1 …`` of as many vertices as a graph has."""
    n_N = columns.numbers(graph.vertices).astype(np.int64)
    most = int(n_N.max())
    names = ["vertices", *(f"op_{i}" for i in range(1, most - 1))]
    pairs = list(combinations(range(most), 2))
    codes_NG = np.full((len(n_N), len(names) + len(pairs)), INACTIVE, dtype=np.int8)
    codes_NG[:, 0] = n_N - 2
    is_inner_NV = np.arange(1, most - 1) < n_N[:, None] - 1
    codes_NG[:, 1 : most - 1] = np.where(is_inner_NV, _graph_operators(graph, columns, most), INACTIVE)
    triangle_N = columns[graph.edges]
    if triangle_N.dtype.kind == "U":
        triangle_N = np.array([int(text, 2) for text in triangle_N.tolist()])
    triangle_N = triangle_N.astype(np.int64)
    for n in range(2, most + 1):
        rows = np.flatnonzero(n_N == n)
        for place, pair in enumerate(combinations(range(n), 2)):
            bit = n * (n - 1) // 2 - 1 - place
            codes_NG[rows, len(names) + pairs.index(pair)] = (triangle_N[rows] >> bit) & 1
    knobs = {"vertices": Choice(tuple(range(2, most + 1)))}
    knobs |= {name: Choice(tuple(graph.names), ordered=False) for name in names[1:]}
    knobs |= {f"edge_{a}_{b}": Choice((0, 1), ordered=False) for a, b in pairs}
    hash_N = None if graph.hash is None else _different(columns[graph.hash].astype(np.uint64), columns)
    return Keys(knobs, codes_NG, np.arange(len(codes_NG)), hash_N)


def _different(hash_N: np.ndarray, columns: Columns) -> np.ndarray:
    """The hashes, which are to be those of different graphs."""
    _, first_M, of_row_N = np.unique(hash_N, return_index=True, return_inverse=True)
    if len(first_M) < len(hash_N):
        row = int(np.argmax(first_M[of_row_N] != np.arange(len(hash_N))))
        text = f"the same graph as in {columns.place(int(first_M[of_row_N[row]]))}, by its hash"
        raise UserError(text, columns.place(row), "each graph once")
    return hash_N


def _graph_operators(graph: GraphCode, columns: Columns, most: int) -> np.ndarray:
    """[N, most - 2] operator codes, -1 beyond a graph's own."""
    if graph.operators in columns:
        texts = columns[graph.operators].tolist()
        code_of = {name: i for i, name in enumerate(graph.names)}
        codes_NV = np.full((len(texts), most - 2), INACTIVE)
        for row, text in enumerate(texts):
            for v, name in enumerate(text.split("-") if text else []):
                if name not in code_of:
                    known = listed(graph.names)
                    raise UserError(f"{graph.operators}: unknown operator {name!r}", columns.place(row), f"of {known}")
                codes_NV[row, v] = code_of[name]
        return codes_NV
    return np.stack([columns[f"{graph.operators}[{i}]"] for i in range(most - 2)], 1)
