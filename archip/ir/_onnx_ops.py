"""ONNX operators as rows of the operator table, for `read_onnx`.

Each entry takes the place in the draft and the node's arguments, and returns the node's value, or a tuple of its
outputs. What older operator sets state as attributes and newer ones as inputs, `Arguments.option` finds in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archip.core.errors import CandidateError
from archip.ir._draft import Known, Unsupported, Value
from archip.ir._onnx_contrib import contributed, join_heads, split_heads
from archip.ir._place import Place
from archip.ir._rules import GATES, broadcast

__all__ = ["ONNX", "Arguments"]

Result = Any  # a Value, or a tuple of them
Handler = Callable[[Place, "Arguments"], Result]


@dataclass(frozen=True)
class Arguments:
    """What a node is given.

    Attributes:
        inputs: None where an optional one is left out.
        attrs: attribute → value.
        n_outputs: how many outputs the node names.
        opset: version of the operator set.
        bits: value name → width, of quantised values.
        bias_of: takes the number of features; gives the bias that the next node adds, if that is all that it does.
    """

    inputs: Sequence[Value | None]
    attrs: dict[str, Any]
    n_outputs: int
    opset: int
    bits: dict[str, int]
    bias_of: Callable[[int], Known | None]

    def __getitem__(self, index: int) -> Value:
        value = self.get(index)
        if value is None:
            raise CandidateError(f"input {index} is missing")
        return value

    def get(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def option(self, name: str, index: int, default: Any = None) -> Any:
        """An attribute, or the constant at this input; a list of numbers or a number."""
        if name in self.attrs or self.get(index) is None:
            return self.attrs.get(name, default)
        return self.constant(index).tolist()

    def constant(self, index: int) -> np.ndarray:
        value = self[index]
        if isinstance(value, str) or value.array is None:
            raise Unsupported(f"input {index} is not a constant, so the shape of the result is not known")
        return value.array

    def width(self, weight: Value) -> dict[str, int]:
        """Bits of the weights and the first input, where the model states them."""
        given = {"weight_bits": weight.bits} if isinstance(weight, Known) and weight.bits else {}
        first = self.inputs[0]
        return given | ({"activation_bits": self.bits[first]} if isinstance(first, str) and first in self.bits else {})


def _row(op: str, *inputs: int, **names: str) -> Handler:
    """A row with these inputs of the node (the first one if none is named); `names`: row's attribute → node's."""
    at = inputs or (0,)
    return lambda p, a: p.add(op, *(a[i] for i in at), **{k: a.attrs[v] for k, v in names.items() if v in a.attrs})


def _fold(op: str) -> Handler:
    """Two inputs at a time, for operators that take any number."""

    def call(p: Place, a: Arguments) -> Result:
        value = a[0]
        for i in range(1, len(a.inputs)):
            value = p.add(op, value, a[i], part="" if i == 1 else str(i))
        return value

    return call


def _same(p: Place, a: Arguments) -> Result:
    return a[0]


def _cast_like(p: Place, a: Arguments) -> Result:
    """Values of the graph are real numbers, so a constant becomes one beside them."""
    value = a[0]
    if isinstance(value, str) or value.array is None or isinstance(a[1], Known):
        return value
    return replace(value, array=value.array.astype(np.float32))


def _ints(value: Any) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, int | float) else tuple(int(v) for v in value)


# Windows


def _pads(
    a: Arguments, size: Sequence[int], kernel: Sequence[int], stride: Any, dilation: Any
) -> list[tuple[int, int]]:
    """(before, after) of every spatial axis. Source: ONNX, Conv: auto_pad."""
    rank, auto = len(kernel), a.attrs.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        given = a.attrs.get("pads", [0] * 2 * rank)
        return list(zip(given[:rank], given[rank:], strict=True))
    if auto == "VALID":
        return [(0, 0)] * rank
    pads = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return pads


def _window(p: Place, a: Arguments, x: Value, kernel: Sequence[int], fill: float = 0.0) -> tuple[Value, dict[str, Any]]:
    """The input of a sliding window, and its kernel, stride, padding and dilation."""
    rank = len(kernel)
    stride = _ints(a.attrs.get("strides", (1,) * rank))
    dilation = _ints(a.attrs.get("dilations", (1,) * rank))
    x, padding = p.padded(x, _pads(a, p.shape(x)[2:], kernel, stride, dilation), fill)
    return x, {"kernel": tuple(kernel), "stride": stride, "padding": padding, "dilation": dilation}


def _conv(p: Place, a: Arguments) -> Result:
    return _convolution(p, a, a[0], a[1], a.get(2))


def _quantized_conv(p: Place, a: Arguments) -> Result:
    return _convolution(p, _eight_bit(a), a[0], a[3], a.get(8))


def _integer_conv(p: Place, a: Arguments) -> Result:
    return _convolution(p, _eight_bit(a), a[0], a[1], None)


def _eight_bit(a: Arguments) -> Arguments:
    return replace(a, bits={str(a[0]): 8})


def _convolution(p: Place, a: Arguments, x: Value, weight: Value, bias: Value | None) -> Value:
    shape = p.shape(weight)
    bias = _trained_bias(bias)
    width: dict[str, Any] = a.width(weight)
    x, attrs = _window(p, a, x, shape[2:])
    tensors = {"weight": weight, "bias": bias}
    return p.add("conv", x, out_channels=shape[0], groups=a.attrs.get("group", 1), bias=bias is not None,
                 tensors=tensors, **attrs, **width)  # fmt: skip


def _trained_bias(bias: Value | None) -> Value | None:
    """The bias, unless it consists of the zeros that an exporter puts where there is none."""
    return None if isinstance(bias, Known) and not bias.is_trained and _is_all(bias, 0) else bias


def _conv_transpose(p: Place, a: Arguments) -> Result:
    weight, bias, groups = a[1], _trained_bias(a.get(2)), a.attrs.get("group", 1)
    kernel = p.shape(weight)[2:]
    stride, dilation, extra = (
        _ints(a.attrs.get(key, (default,) * len(kernel)))
        for key, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads = _pads_of_transpose(a, p.shape(a[0])[2:], list(zip(kernel, stride, dilation, extra, strict=True)))
    attrs: dict[str, Any] = {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": tuple(before for before, _ in pads),
        # What is padded more at the end than at the start is output that is cut off at its end.
        "output_padding": tuple(e + before - after for e, (before, after) in zip(extra, pads, strict=True)),
    }
    tensors = {"weight": weight, "bias": bias}
    return p.add("conv_transpose", a[0], out_channels=p.shape(weight)[1] * groups, groups=groups,
                 bias=bias is not None, tensors=tensors, **attrs)  # fmt: skip


def _pads_of_transpose(a: Arguments, size: Sequence[int], rows: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """(before, after) of every axis; `rows`: kernel, stride, dilation, output padding. Source: ONNX, ConvTranspose."""
    is_same = a.attrs.get("auto_pad", "NOTSET").startswith("SAME")
    wanted = a.attrs.get("output_shape") or ([d * row[1] for d, row in zip(size, rows, strict=True)] if is_same else ())
    if not wanted:
        kernel, stride, dilation, _ = zip(*rows, strict=True)
        return _pads(a, size, kernel, stride, dilation)
    pads = []
    for d, (k, s, t, e), w in zip(size, rows, wanted[-len(rows) :], strict=True):
        total = (d - 1) * s + t * (k - 1) + 1 + e - w
        pads.append((total // 2, total - total // 2))
    return pads


def _pool(kind: str) -> Handler:
    def call(p: Place, a: Arguments) -> Result:
        x, attrs = _window(p, a, a[0], a.attrs["kernel_shape"], -math.inf if kind == "max" else 0.0)
        dilation = attrs.pop("dilation")
        is_outside_left_out = kind == "avg" and any(attrs["padding"]) and not a.attrs.get("count_include_pad", 0)
        attrs |= {"dilation": dilation} if kind == "max" else {"count_pad": False} if is_outside_left_out else {}
        return p.add(f"{kind}_pool", x, ceil=bool(a.attrs.get("ceil_mode", 0)), **attrs)

    return call


def _global_pool(op: str) -> Handler:
    return lambda p, a: p.add(op, a[0], axes=tuple(range(2, len(p.shape(a[0])))), keepdims=True)


# Products


def _matmul(p: Place, a: Arguments) -> Result:
    return _layer(p, a, a[0], a[1])


def _quantized_matmul(p: Place, a: Arguments) -> Result:
    return _layer(p, _eight_bit(a), a[0], a[3])


def _integer_matmul(p: Place, a: Arguments) -> Result:
    return _layer(p, _eight_bit(a), a[0], a[1])


def _layer(p: Place, a: Arguments, left: Value, right: Value) -> Value:
    is_weight = isinstance(right, Known) and len(right.shape) == 2
    bias = a.bias_of(p.shape(right)[-1]) if is_weight else None
    return p.product(left, right, bias, **a.width(right))


def _gemm(p: Place, a: Arguments) -> Result:
    left = p.transposed(a[0], (1, 0), "left") if a.attrs.get("transA") else a[0]
    right = p.transposed(a[1], (1, 0), "right") if a.attrs.get("transB") else a[1]
    return p.product(left, right, a.get(2), **a.width(right))


def _quantized_gemm(p: Place, a: Arguments) -> Result:
    right = p.transposed(a[3], (1, 0), "right") if a.attrs.get("transB") else a[3]
    return p.product(a[0], right, a.get(6), **_eight_bit(a).width(right))


def _einsum(p: Place, a: Arguments) -> Result:
    equation = a.attrs["equation"].replace(" ", "")
    if len(a.inputs) != 2 or "->" not in equation or "." in equation:
        raise Unsupported(f"the equation {equation!r} is not supported: two operands, a result and no ellipsis are")
    return p.add("einsum", a[0], a[1], equation=equation)


def _attention(p: Place, a: Arguments) -> Result:
    """Inputs of three axes have their heads side by side; keys and values that a cache holds come first."""
    parts, is_flat = [a[0], a[1], a[2]], len(p.shape(a[0])) == 3
    if is_flat:
        heads = a.attrs["q_num_heads"], *(a.attrs["kv_num_heads"],) * 2
        named = zip(parts, heads, ("query", "key", "value"), strict=True)
        parts = [split_heads(p, x, n, part) for x, n, part in named]
    for i, (cache, part) in enumerate(((4, "keys"), (5, "values")), 1):
        if (past := a.get(cache)) is not None:
            parts[i] = p.add("concat", past, parts[i], axis=2, part=part)
    mask, is_causal = a.get(3), bool(a.attrs.get("is_causal"))
    y = p.attention(parts[0], parts[1], parts[2], mask, is_causal, a.attrs.get("scale"))
    return join_heads(p, y) if is_flat else y, *parts[1:]


def _recurrent(op: str) -> Handler:
    """Source: ONNX, LSTM: X (steps, batch, size), Y (steps, directions, batch, hidden); layout 1: batches first."""

    def call(p: Place, a: Arguments) -> Result:
        batch_first = bool(a.attrs.get("layout"))
        x = p.transposed(a[0], (1, 0, 2), "steps") if batch_first else a[0]
        steps, n, _ = p.shape(x)
        hidden = a.attrs["hidden_size"]
        directions = 1 + (a.attrs.get("direction") == "bidirectional")
        tensors = {"weight_ih": a[1], "weight_hh": a[2]} | _biases(a.get(3), directions, GATES[op] * hidden)
        width: dict[str, Any] = a.width(a[1])
        y = p.add(op, x, hidden=hidden, bidirectional=directions == 2, bias=a.get(3) is not None, tensors=tensors,
                  **width)  # fmt: skip
        wide = p.view(y, (steps, n, directions, hidden), "directions")
        last = [f"{y}:1", f"{y}:2"][: 2 if op == "lstm" else 1]
        if batch_first:
            last = [p.transposed(state, (1, 0, 2), f"last{i}") for i, state in enumerate(last)]
        return p.transposed(wide, (1, 0, 2, 3) if batch_first else (0, 2, 1, 3), "outer"), *last

    return call


def _biases(both: Value | None, directions: int, rows: int) -> dict[str, Value]:
    """ONNX keeps a layer's two biases in one tensor."""
    if not isinstance(both, Known):
        return {}
    return {name: Known(f"{both.key}.{name}", (directions, rows)) for name in ("bias_ih", "bias_hh")}


# Norms


def _norm(op: str, **names: str) -> Handler:
    """Scale and bias are inputs 1 and 2. Instance norms must have them; ones and zeros stand for none."""

    def call(p: Place, a: Arguments) -> Result:
        weight, bias = a.get(1), a.get(2)
        is_plain = op == "instance_norm" and _is_all(weight, 1) and _is_all(bias, 0)
        attrs: dict[str, Any] = {k: a.attrs[v] for k, v in names.items() if v in a.attrs}
        attrs |= {"n_axes": -_axes([a.attrs.get("axis", -1)], p.shape(a[0]), back=True)[0]} if op in _LAST_AXES else {}
        attrs |= {} if op == "batch_norm" else {"bias": bias is not None}
        attrs |= {"affine": False} if is_plain else {"affine": True, "tensors": {"weight": weight, "bias": bias}}
        return p.add(op, a[0], eps=a.attrs.get("epsilon", 1e-5), **attrs)

    return call


_LAST_AXES = ("layer_norm", "rms_norm")


def _is_all(value: Value | None, number: float) -> bool:
    return isinstance(value, Known) and value.array is not None and bool(np.all(value.array == number))


# Element by element


def _clip(p: Place, a: Arguments) -> Result:
    least, most = (_number(a.option(name, i)) for name, i in (("min", 1), ("max", 2)))
    return p.add("relu6", a[0]) if (least, most) == (0, 6) else p.add("clip", a[0], least=least, most=most)


def _number(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _softmax(op: str) -> Handler:
    def call(p: Place, a: Arguments) -> Result:
        axis = a.attrs.get("axis", -1 if a.opset >= 13 else 1)
        return p.add(op, a[0], axis=-1 if axis == len(p.shape(a[0])) - 1 else axis)

    return call


def _prelu(p: Place, a: Arguments) -> Result:
    return p.add("prelu", a[0], n=math.prod(p.shape(a[1])), tensors={"weight": a[1]})


def _quantize(p: Place, a: Arguments) -> Result:
    """The value is the same with fewer bits; the layer before writes it so, at no cost of its own."""
    value = a[0]
    if isinstance(value, str):
        a.bits[value] = 8
    return value


def _dequantize(p: Place, a: Arguments) -> Result:
    value = a[0]
    return replace(value, is_trained=value.size > 1) if isinstance(value, Known) else value


def _dynamic_quantize(p: Place, a: Arguments) -> Result:
    value = a[0]
    if isinstance(value, Known):  # a weight, which need not be quantised again and again
        scale, zero = (Known(f"{p.name}.{part}", ()) for part in ("scale", "zero"))
        return replace(value, bits=8), scale, zero
    y = p.add("quantize", value)
    a.bits[y] = 8
    return y, f"{y}:1", f"{y}:2"


# Axes and shapes


def _axes(given: Any, shape: Sequence[int], back: bool = False) -> tuple[int, ...]:
    """Axes counted from the front, or from the back."""
    rank = len(shape)
    return tuple(i % rank - (rank if back else 0) for i in _ints(given))


def _reduce(op: str) -> Handler:
    def call(p: Place, a: Arguments) -> Result:
        axes = a.option("axes", 1)
        if not axes and a.attrs.get("noop_with_empty_axes"):
            return a[0]
        shape = p.shape(a[0])
        return p.add(op, a[0], axes=_axes(axes or range(len(shape)), shape), keepdims=bool(a.attrs.get("keepdims", 1)))

    return call


def _sum_square(p: Place, a: Arguments) -> Result:
    return _reduce("sum")(p, replace(a, inputs=[p.add("square", a[0], part="square"), *a.inputs[1:]]))


def _argmax(p: Place, a: Arguments) -> Result:
    axes = _axes(a.attrs.get("axis", 0), p.shape(a[0]))
    return p.add("argmax", a[0], axes=axes, keepdims=bool(a.attrs.get("keepdims", 1)))


def _topk(p: Place, a: Arguments) -> Result:
    y = p.add("topk", a[0], k=_number(a.option("k", 1)), axis=a.attrs.get("axis", -1))
    return y, f"{y}:1"


def _concat(p: Place, a: Arguments) -> Result:
    values = [v for v in a.inputs if v is not None and 0 not in p.shape(v)]
    return p.add("concat", *values, axis=a.attrs["axis"]) if len(values) > 1 else values[0]


def _split(p: Place, a: Arguments) -> Result:
    axis = _axes(a.attrs.get("axis", 0), p.shape(a[0]))[0]
    size, n = p.shape(a[0])[axis], a.attrs.get("num_outputs", a.n_outputs)
    part = -(-size // n)
    sizes = a.option("split", 1) or [part] * (n - 1) + [size - part * (n - 1)]
    return _parts(p, a[0], axis, _ints(sizes))


def _parts(p: Place, x: Value, axis: int, sizes: Sequence[int]) -> tuple[str, ...]:
    name = p.add("split", x, axis=axis, sizes=tuple(sizes))
    return tuple(f"{name}:{k}" if k else name for k in range(len(sizes)))


def _split_to_sequence(p: Place, a: Arguments) -> Result:
    """One output: the tuple of parts, for `SequenceAt`."""
    axis = _axes(a.attrs.get("axis", 0), p.shape(a[0]))[0]
    size, sizes = p.shape(a[0])[axis], a.constant(1).tolist()
    if isinstance(sizes, int):
        sizes = [min(sizes, size - i) for i in range(0, size, sizes)]
    return (_parts(p, a[0], axis, sizes),)


def _sequence_at(p: Place, a: Arguments) -> Result:
    return a[0][int(a.constant(1))]  # pyright: ignore[reportIndexIssue]


def _slice(p: Place, a: Arguments) -> Result:
    starts, ends = _ints(a.option("starts", 1)), _ints(a.option("ends", 2))
    axes = _axes(a.option("axes", 3) or range(len(starts)), p.shape(a[0]))
    x = a[0]
    for axis, start, end, step in zip(
        axes, starts, ends, _ints(a.option("steps", 4) or [1] * len(starts)), strict=True
    ):
        size = p.shape(x)[axis]
        begin, stop, _ = slice(start, end if end > -size - 1 else None, step).indices(size)
        if len(range(begin, stop, step)) != size or step != 1:
            x = p.add("slice", x, axis=axis, start=begin, stop=stop if stop >= 0 else None, step=step)
    return x


def _gather(p: Place, a: Arguments) -> Result:
    """A look-up in a matrix of weights is an embedding; one constant place is a slice."""
    table, index = a[0], a[1]
    shape = p.shape(table)
    axis = _axes(a.attrs.get("axis", 0), shape)[0]
    if isinstance(table, Known) and axis == 0 and len(shape) == 2 and (table.is_trained or table.bits):
        return p.add("embedding", index, n=shape[0], dim=shape[1], tensors={"weight": table})
    if isinstance(index, Known) and index.array is not None and index.size == 1:
        at = int(index.array.reshape(-1)[0]) % shape[axis]
        part = p.add("slice", table, axis=axis, start=at, stop=at + 1)
        return p.view(part, (*shape[:axis], *index.shape, *shape[axis + 1 :]), "view")
    return p.add("gather", table, index, axis=axis)


def _reshape(p: Place, a: Arguments) -> Result:
    old, new = p.shape(a[0]), list(_ints(a.option("shape", 1)))
    if not a.attrs.get("allowzero"):
        new = [old[i] if d == 0 else d for i, d in enumerate(new)]
    if -1 in new:
        new[new.index(-1)] = math.prod(old) // max(-math.prod(new), 1)
    is_row = len(old) > 2 and new == [old[0], math.prod(old[1:])]
    return p.add("flatten", a[0]) if is_row and isinstance(a[0], str) else p.view(a[0], new)


def _flatten(p: Place, a: Arguments) -> Result:
    shape, axis = p.shape(a[0]), a.attrs.get("axis", 1)
    axis = axis % len(shape) if axis < 0 else axis
    if axis == 1 and len(shape) > 2 and isinstance(a[0], str):
        return p.add("flatten", a[0])
    return p.view(a[0], (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _squeeze(p: Place, a: Arguments) -> Result:
    shape = p.shape(a[0])
    axes = a.option("axes", 1)
    drop = [i for i, d in enumerate(shape) if d == 1] if axes is None else _axes(axes, shape)
    return p.view(a[0], [d for i, d in enumerate(shape) if i not in drop])


def _unsqueeze(p: Place, a: Arguments) -> Result:
    axes = _ints(a.option("axes", 1))
    rest, rank = iter(p.shape(a[0])), len(p.shape(a[0])) + len(axes)
    new = {i % rank for i in axes}
    return p.view(a[0], [1 if i in new else next(rest) for i in range(rank)])


def _transpose(p: Place, a: Arguments) -> Result:
    rank = len(p.shape(a[0]))
    return p.transposed(a[0], _ints(a.attrs.get("perm", range(rank)[::-1])))


def _expand(p: Place, a: Arguments) -> Result:
    shape = broadcast(p.shape(a[0]), _ints(a.constant(1).tolist()))
    return a[0] if shape == p.shape(a[0]) else p.add("expand", a[0], shape=shape)


def _pad(p: Place, a: Arguments) -> Result:
    rank = len(p.shape(a[0]))
    given = _ints(a.option("pads", 1))
    axes = _axes(a.option("axes", 3) or range(rank), p.shape(a[0]))
    pads = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        pads[axis] = (given[i], given[i + len(axes)])
    value = _number(a.option("value", 2, 0.0)) if a.attrs.get("mode", "constant") == "constant" else 0.0
    return p.add("pad", a[0], pads=tuple(pads), mode=a.attrs.get("mode", "constant"), value=value or 0.0)


def _resize(p: Place, a: Arguments) -> Result:
    """Inputs: X, scales up to opset 10; X, roi, scales, sizes from 11."""
    old = p.shape(a[0])
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(
        a.attrs.get("mode", "nearest"), a.attrs.get("mode", "nearest")
    )
    if a.attrs.get("axes") or a.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("axes and keep_aspect_ratio_policy are not supported")
    sizes = a.option("sizes", 3)
    if not sizes:
        scales = a.option("scales", 2 if a.opset >= 11 and len(a.inputs) > 2 else 1)
        sizes = [math.floor(d * s) for d, s in zip(old, scales, strict=True)]
    new = _ints(sizes)
    if new[:2] != old[:2]:
        raise Unsupported("resizing batch or channels is not supported")
    if all(b % d == 0 for d, b in zip(old[2:], new[2:], strict=True)):
        return p.add("upsample", a[0], scale=tuple(b // d for d, b in zip(old[2:], new[2:], strict=True)), mode=mode)
    return p.add("resize", a[0], size=new[2:], mode=mode)


def _all(make: Callable[[str], Handler], **rows: str) -> dict[str, Handler]:
    """Row of the operator table → names of the ONNX operators that it stands for."""
    return {name: make(row) for row, names in rows.items() for name in names.split()}


ONNX: dict[str, Handler] = {
    "Conv": _conv, "QLinearConv": _quantized_conv, "ConvInteger": _integer_conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul, "QLinearMatMul": _quantized_matmul, "MatMulInteger": _integer_matmul,
    "Gemm": _gemm, "com.microsoft.QGemm": _quantized_gemm,
    "Einsum": _einsum,
    "Attention": _attention,
    **_all(_recurrent, lstm="LSTM", gru="GRU", rnn="RNN"),
    "BatchNormalization": _norm("batch_norm"),
    "LayerNormalization": _norm("layer_norm"),
    "RMSNormalization": _norm("rms_norm"),
    "InstanceNormalization": _norm("instance_norm"),
    "GroupNormalization": _norm("group_norm", groups="num_groups"),
    "LRN": _row("local_response_norm", size="size"),
    **_all(_row, relu="Relu", gelu="Gelu com.microsoft.Gelu com.microsoft.FastGelu", silu="Swish",
           hardswish="HardSwish", hardsigmoid="HardSigmoid", sigmoid="Sigmoid com.microsoft.QLinearSigmoid",
           tanh="Tanh", softplus="Softplus", mish="Mish", selu="Selu", abs="Abs", neg="Neg", exp="Exp", log="Log",
           sqrt="Sqrt", reciprocal="Reciprocal", erf="Erf", sin="Sin", cos="Cos", floor="Floor", ceil="Ceil",
           round="Round", sign="Sign", logical_not="Not BitwiseNot"),
    "Elu": _row("elu", alpha="alpha"),
    "LeakyRelu": _row("leaky_relu", slope="alpha"), "com.microsoft.QLinearLeakyRelu": _row("leaky_relu", slope="alpha"),
    "PRelu": _prelu,
    "Clip": _clip,
    **_all(_softmax, softmax="Softmax", log_softmax="LogSoftmax"),
    **_all(lambda op: _row(op, 0, 1), sub="Sub", div="Div", pow="Pow", mod="Mod", equal="Equal", less="Less",
           less_equal="LessOrEqual", greater="Greater", greater_equal="GreaterOrEqual",
           logical_and="And BitwiseAnd", logical_or="Or BitwiseOr"),
    **_all(_fold, add="Add Sum", mul="Mul", maximum="Max", minimum="Min"),
    **_all(lambda op: _row(op, 0, 3), add="com.microsoft.QLinearAdd", mul="com.microsoft.QLinearMul"),
    "Where": _row("where", 0, 1, 2),
    "CumSum": lambda p, a: p.add("cumsum", a[0], axis=_number(a.constant(1).tolist())),
    "Trilu": lambda p, a: p.add("triangle", a[0], upper=bool(a.attrs.get("upper", 1))),
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize, "DynamicQuantizeLinear": _dynamic_quantize,
    **_all(_pool, max="MaxPool", avg="AveragePool"),
    **_all(_global_pool, mean="GlobalAveragePool com.microsoft.QLinearGlobalAveragePool", reduce_max="GlobalMaxPool"),
    **_all(_reduce, mean="ReduceMean", sum="ReduceSum", reduce_max="ReduceMax", reduce_min="ReduceMin",
           reduce_prod="ReduceProd", reduce_l1="ReduceL1", reduce_l2="ReduceL2"),
    "ReduceSumSquare": _sum_square,
    **dict.fromkeys(("ArgMax", "ArgMin"), _argmax),
    "TopK": _topk,
    "SplitToSequence": _split_to_sequence, "SequenceAt": _sequence_at,
    "Concat": _concat, "Split": _split, "Slice": _slice, "Gather": _gather,
    "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Transpose": _transpose, "Expand": _expand,
    "Tile": lambda p, a: p.add("tile", a[0], repeats=_ints(a.constant(1).tolist())),
    "Pad": _pad,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "DepthToSpace": _row("depth_to_space", block="blocksize"),
    "SpaceToDepth": _row("space_to_depth", block="blocksize"),
    "CastLike": _cast_like,
    **dict.fromkeys(("Identity", "Cast", "Dropout"), _same),
}  # fmt: skip
ONNX |= {f"com.microsoft.{name}": handler for name, handler in contributed(ONNX).items()}
