"""Where a reader writes an operator: the draft and a name; and the patterns that every reader needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archip.ir._draft import Draft, Known, Unsupported, Value

__all__ = ["Place"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a call is written to.

    Attributes:
        draft: takes the nodes.
        name: of the call; further nodes are called ``name.part``.
        shapes: of the call's outputs, where the source states them.
    """

    draft: Draft
    name: str
    shapes: Sequence[Shape] = ()

    @property
    def out(self) -> Shape:
        return self.shapes[0]

    def add(
        self,
        op: str,
        *inputs: Value | float,
        part: str = "",
        tensors: Mapping[str, Value | None] | None = None,
        **attrs: Any,
    ) -> str:
        """Adds a node; numbers among the inputs become constants, absent weights are left out."""
        name = f"{self.name}.{part}" if part else self.name
        values = [self._number(v) if isinstance(v, int | float) else v for v in inputs]
        present = {k: self._weight(v) for k, v in (tensors or {}).items() if v is not None}
        return self.draft.add(name, op, *values, tensors=present, **attrs)

    def shape(self, value: Value) -> Shape:
        return self.draft.shape(value)

    def view(self, value: Value, shape: Sequence[int], part: str = "") -> Value:
        """The value in another shape."""
        return self.draft.reshaped(f"{self.name}.{part}" if part else self.name, value, shape)

    def transposed(self, x: Value, perm: Sequence[int], part: str = "") -> Value:
        """The value with its axes in another order; a view if only axes of size 1 change places."""
        shape = self.shape(x)
        large = [i for i in perm if shape[i] != 1]
        if isinstance(x, Known):
            return replace(x, shape=tuple(shape[i] for i in perm), array=None)
        if large == sorted(large):
            return self.view(x, [shape[i] for i in perm], part)
        return self.add("transpose", x, perm=tuple(perm), part=part)

    def padded(self, x: Value, pads: Sequence[tuple[int, int]], value: float = 0.0) -> tuple[Value, tuple[int, ...]]:
        """The input of a window, and its symmetric padding; uneven pads become a node."""
        if all(before == after for before, after in pads):
            return x, tuple(before for before, _ in pads)
        return self.add("pad", x, part="pad", pads=tuple(pads), value=value), (0,) * len(pads)

    def product(self, left: Value, right: Value, bias: Value | None = None, **bits: Any) -> Value:
        """A matrix product, plus `bias`; a linear layer if the right side is a matrix of weights."""
        b = self.shape(right)
        is_layer = isinstance(right, Known) and (right.is_trained or right.bits is not None) and len(b) == 2
        if is_layer and (bias is None or (isinstance(bias, Known) and bias.size == b[1])):
            tensors = {"weight": right, "bias": bias}
            return self.add("linear", left, out_features=b[1], bias=bias is not None, tensors=tensors, **bits)
        y = self.add("linear", left, out_features=b[1], bias=False, tensors={"weight": right}, **bits) if is_layer \
            else self._matmul(left, right, bits)  # fmt: skip
        return y if bias is None else self.add("add", y, bias, part="bias")

    def _matmul(self, left: Value, right: Value, bits: Mapping[str, Any]) -> Value:
        """As numpy multiplies: a vector is a row on the left, a column on the right."""
        a, b = self.shape(left), self.shape(right)
        left = self.view(left, (1, *a), "left") if len(a) == 1 else left
        right = self.view(right, (*b, 1), "right") if len(b) == 1 else right
        y = self.add("matmul", left, right, **bits)
        shape = self.shape(y)
        drop = {len(shape) - 2} if len(a) == 1 else set()
        drop |= {len(shape) - 1} if len(b) == 1 else set()
        return self.view(y, [d for i, d in enumerate(shape) if i not in drop], "result")

    def attention(
        self, query: Value, key: Value, value: Value, mask: Value | None, is_causal: bool, scale: float | None
    ) -> Value:
        """Scores, softmax, weighted sum. Source: torch.nn.functional.scaled_dot_product_attention."""
        key, value = (self._for_every_head(query, v, part) for v, part in ((key, "key"), (value, "value")))
        rank = len(self.shape(key))
        turned = self.transposed(key, (*range(rank - 2), rank - 1, rank - 2), "transpose")
        scores = self.add("matmul", query, turned, part="scores")
        scores = self.add("mul", scores, scale or 1 / math.sqrt(self.shape(query)[-1]), part="scale")
        if mask is None and is_causal:
            mask = Known(f"{self.name}.causal", self.shape(scores)[-2:])
        if mask is not None:
            scores = self.add("add", scores, mask, part="mask")
        return self.add("matmul", self.add("softmax", scores, part="softmax"), value, part="context")

    def _for_every_head(self, query: Value, value: Value, part: str) -> Value:
        """Grouped queries: each head of keys and values serves several heads of queries."""
        shape = self.shape(value)
        if len(shape) < 4 or shape[-3] == self.shape(query)[-3]:
            return value
        shares = self.shape(query)[-3] // shape[-3]
        return self.add("tile", value, part=part, repeats=(*(1,) * (len(shape) - 3), shares, 1, 1))

    def _number(self, value: float) -> Known:
        return Known(f"{self.name}.number", (), array=np.asarray(value))

    def _weight(self, value: Value) -> Known:
        if isinstance(value, Known):
            return value
        raise Unsupported(f"node {self.name!r}: weights that are computed from the input are not supported")
