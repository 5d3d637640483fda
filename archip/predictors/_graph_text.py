"""The text of a network, and the text as features: the same for the same network, whatever its nodes are called.

Legend: N networks, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from archip.ir.graph import Graph, Node
from archip.ir.ops import OPS, REQUIRED

__all__ = ["graph_text", "text_features"]

_COMMUTES = {"add", "mul", "max", "min"}
_WIDTHS = ("out_channels=", "out_features=")  # the shape says them


def graph_text(graph: Graph, parameters: bool = True, references: bool = True, shapes: bool = True) -> str:
    """One line a node, ``conv kernel=3x3 @3 >16x32x32``, each after those that it reads.

    ``@3`` is an input that is made three lines above; those that the line above makes are not written. Nodes that no
    output needs are left out, and attributes that have their default.

    Source: the slim chain format of ONNX-Net, arXiv:2510.04938; the flags are its ablations.
    """
    node_of, lines, place = graph.node, [], {}
    for name in _order(graph):
        node, words = node_of.get(name), []
        words.append("input" if node is None else node.op)
        if node is not None and parameters:
            words += [word for word in _parameters(node) if not word.startswith(_WIDTHS)]
        if node is not None and references:
            above = [len(lines) - place[_maker(value)] for value in node.inputs]
            words += [f"@{far}" for far in (sorted(above) if node.op in _COMMUTES else above) if far != 1]
        if shapes:
            words.append(">" + _joined(graph.shapes[name][1:]))
        place[name] = len(lines)
        lines.append(" ".join(words))
    return "\n".join(lines)


def text_features(texts: Sequence[str], width: int = 4096, n: int = 4) -> np.ndarray:
    """[N, F] log(1 + count) of the word sequences of up to `n` words, hashed into `width` columns."""
    counts_NF = np.zeros((len(texts), width))
    for row_F, text in zip(counts_NF, texts, strict=True):
        words = text.replace("\n", " ; ").split(" ")
        for size in range(1, n + 1):
            for start in range(len(words) - size + 1):
                row_F[crc32(" ".join(words[start : start + size]).encode()) % width] += 1
    return np.log1p(counts_NF)


def _order(graph: Graph) -> Iterator[str]:
    """Nodes and inputs in the order in which the outputs need them, depth first; names play no part."""
    signs, node_of, done = _signs(graph), graph.node, set()
    for output in graph.outputs:
        stack = [(_maker(output), False)]
        while stack:
            name, is_ready = stack.pop()
            if is_ready and name not in done:
                done.add(name)
                yield name
            elif name not in done:
                node = node_of.get(name)
                read = [] if node is None else [_maker(value) for value in node.inputs]
                if node is not None and node.op in _COMMUTES:
                    read.sort(key=lambda value: signs[value])
                stack += [(name, True), *((value, False) for value in reversed(read))]


def _signs(graph: Graph) -> dict[str, int]:
    """What each value is computed from, as a number."""
    signs = {i.name: crc32(f"input {i.shape}".encode()) for i in graph.inputs}
    for node in graph.nodes:
        read = [signs[_maker(value)] for value in node.inputs]
        read = sorted(read) if node.op in _COMMUTES else read
        signs[node.name] = crc32(f"{node.op} {_parameters(node)} {read}".encode())
    return signs


def _parameters(node: Node) -> list[str]:
    """Attributes that are not their default."""
    default = OPS[node.op].attrs if node.op in OPS else {}
    return [f"{k}={_joined(v)}" for k, v in node.attributes if default.get(k, REQUIRED) != v]


def _joined(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _maker(value: str) -> str:
    return value.partition(":")[0]
