"""ONNX Runtime's own operators, which its quantiser and its optimiser of transformers write, as rows of the table.

Source: onnxruntime, docs/ContribOperators.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from archip.ir._draft import Known, Unsupported, Value
from archip.ir._place import Place

__all__ = ["contributed"]


def contributed(table: dict[str, Callable[[Place, Any], Any]]) -> dict[str, Callable[[Place, Any], Any]]:
    """Handlers by name; `table` has the standard operators, which some of these extend."""

    def picked(name: str, *inputs: int) -> Callable[[Place, Any], Any]:
        """The standard operator on some of the inputs, the first of which has 8 bits."""

        def call(p: Place, a: Any) -> Any:
            chosen = [a.get(i) for i in inputs]
            return table[name](p, replace(a, inputs=chosen, bits={str(chosen[0]): 8}))

        return call

    def fused_conv(p: Place, a: Any) -> Any:
        y = table["Conv"](p, replace(a, inputs=a.inputs[:3]))
        return y if a.get(3) is None else p.add("add", y, a[3], part="sum")

    return {
        "FusedConv": fused_conv,
        "FusedGemm": lambda p, a: table["Gemm"](p, replace(a, inputs=a.inputs[:3])),
        "QLinearAveragePool": picked("AveragePool", 0),
        "QLinearSoftmax": picked("Softmax", 0),
        "QLinearConcat": lambda p, a: table["Concat"](p, replace(a, inputs=a.inputs[2::3])),
        "DynamicQuantizeMatMul": _product(bias=4),
        "MatMulIntegerToFloat": _product(bias=6),
        "MatMulNBits": _product_of_few_bits,
        "FusedMatMul": _fused_product,
        "DynamicQuantizeLSTM": picked("LSTM", 0, 1, 2, 3),
        "BiasGelu": lambda p, a: p.add("gelu", p.add("add", a[0], a[1], part="bias")),
        "QuickGelu": lambda p, a: p.add("silu", a[0]),
        "SkipLayerNormalization": _skip_norm("layer_norm", bias=4),
        "SkipSimplifiedLayerNormalization": _skip_norm("rms_norm", bias=3),
        "SimplifiedLayerNormalization": lambda p, a: p.add("rms_norm", a[0], tensors={"weight": a[1]}),
        "EmbedLayerNormalization": _embed,
        "Attention": _attention(weight_bits={}),
        "QAttention": _attention(weight_bits={"weight_bits": 8, "activation_bits": 8}),
        "MultiHeadAttention": _multi_head,
        "GroupQueryAttention": _grouped,
    }  # fmt: skip


def _product(bias: int) -> Callable[[Place, Any], Any]:
    eight = {"weight_bits": 8, "activation_bits": 8}
    return lambda p, a: p.product(a[0], a[1], a.get(bias), **eight)


def _product_of_few_bits(p: Place, a: Any) -> Any:
    """The weight is packed; K and N say its size."""
    weight = a[1]
    if not isinstance(weight, Known):
        raise Unsupported("weights that are computed from the input are not supported")
    bits, shape = a.attrs["bits"], (a.attrs["K"], a.attrs["N"])
    return p.product(a[0], replace(weight, shape=shape, array=None, bits=bits), a.get(5), weight_bits=bits)


def _fused_product(p: Place, a: Any) -> Any:
    if a.attrs.get("transBatchA") or a.attrs.get("transBatchB"):
        raise Unsupported("transBatchA and transBatchB are not supported")
    return p.product(*(_turned(p, a[i], a.attrs.get(f"trans{side}"), side) for i, side in enumerate("AB")))


def _turned(p: Place, value: Value, is_turned: Any, part: str) -> Value:
    rank = len(p.shape(value))
    return p.transposed(value, (*range(rank - 2), rank - 1, rank - 2), part) if is_turned else value


def _skip_norm(op: str, bias: int) -> Callable[[Place, Any], Any]:
    """Sum of two values, normalised; the last output is the sum."""

    def call(p: Place, a: Any) -> Any:
        total = p.add("add", a[0], a[1], part="sum")
        if a.get(bias) is not None:
            total = p.add("add", total, a[bias], part="bias")
        shift = a.get(3) if op == "layer_norm" else None
        y = p.add(op, total, bias=shift is not None, tensors={"weight": a[2], "bias": shift})
        return y, None, None, total

    return call


def _embed(p: Place, a: Any) -> Any:
    """Sum of the embeddings of words, positions and segments, normalised."""
    total = None
    for part, index, table in (("words", 0, 2), ("positions", 0, 3), ("segments", 1, 4)):
        if a.get(index) is None or a.get(table) is None:
            continue
        n, dim = p.shape(a[table])
        looked_up = p.add("embedding", a[index], part=part, n=n, dim=dim, tensors={"weight": a[table]})
        total = looked_up if total is None else p.add("add", total, looked_up, part=f"{part}.sum")
    y = p.add("layer_norm", total, bias=True, tensors={"weight": a[5], "bias": a[6]})
    return y, None, total


def split_heads(p: Place, x: Value, n_heads: int, part: str) -> Value:
    """(batch, steps, width) → (batch, heads, steps, width of a head)."""
    n, steps, width = p.shape(x)
    wide = p.view(x, (n, steps, n_heads, width // n_heads), f"{part}.heads")
    return p.transposed(wide, (0, 2, 1, 3), f"{part}.turned")


def join_heads(p: Place, y: Value) -> Value:
    """And back."""
    n, heads, steps, width = p.shape(y)
    return p.view(p.transposed(y, (0, 2, 1, 3), "result.turned"), (n, steps, heads * width), "result")


def _attended(p: Place, a: Any, parts: Sequence[Value], n_heads: Sequence[int]) -> Value:
    each = [split_heads(p, x, n, part) for x, n, part in zip(parts, n_heads, ("query", "key", "value"), strict=True)]
    return join_heads(p, p.attention(each[0], each[1], each[2], None, bool(a.attrs.get("unidirectional")), None))


def _attention(weight_bits: dict[str, int]) -> Callable[[Place, Any], Any]:
    """One matrix makes queries, keys and values of the input."""

    def call(p: Place, a: Any) -> Any:
        sizes = a.attrs.get("qkv_hidden_sizes") or [p.shape(a[1])[1] // 3] * 3
        made = Place(p.draft, f"{p.name}.qkv").product(a[0], a[1], a.get(2), **weight_bits)
        name = p.add("split", made, part="split", axis=2, sizes=tuple(sizes))
        return _attended(p, a, (name, f"{name}:1", f"{name}:2"), [a.attrs["num_heads"]] * 3)

    return call


def _multi_head(p: Place, a: Any) -> Any:
    n_heads = a.attrs["num_heads"]
    if a.get(1) is None or a.get(2) is None:
        raise Unsupported("packed queries, keys and values are not supported")
    parts = [a[0], *(_unheaded(p, a[i], part) for i, part in ((1, "key"), (2, "value")))]
    if a.get(3) is not None:  # one bias for the three
        parts = [p.add("add", x, _part(a[3], p.shape(x)[2], i), part=f"bias{i}") for i, x in enumerate(parts)]
    return _attended(p, a, parts, [n_heads] * 3)


def _unheaded(p: Place, x: Value, part: str) -> Value:
    """(batch, heads, steps, width) as (batch, steps, all widths); values of three axes as they are."""
    if len(p.shape(x)) == 3:
        return x
    n, heads, steps, width = p.shape(x)
    return p.view(p.transposed(x, (0, 2, 1, 3), f"{part}.turned"), (n, steps, heads * width), f"{part}.joined")


def _part(bias: Value, size: int, index: int) -> Value:
    return replace(bias, key=f"{bias.key}.{index}", shape=(size,), array=None) if isinstance(bias, Known) else bias


def _grouped(p: Place, a: Any) -> Any:
    """Without a cache that is filled already: the first pass over a text."""
    if a.get(1) is None or a.get(2) is None:
        raise Unsupported("packed queries, keys and values are not supported")
    if any(past is not None and math.prod(p.shape(past)) for past in (a.get(3), a.get(4))):
        raise Unsupported("a filled cache of keys and values is not supported")
    few = a.attrs["kv_num_heads"]
    return _attended(p, a, (a[0], a[1], a[2]), (a.attrs["num_heads"], few, few))
