"""ATen operators as rows of the operator table, for `read_torch`.

Each entry takes the place in the draft and the call's arguments under the names of the ATen schema, and returns the
call's value, or a tuple of which the call's outputs are the first. An operator that is not here is decomposed by torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from archip.core.errors import CandidateError
from archip.ir._draft import Known, Value
from archip.ir._place import Place
from archip.ir.ops import UNARY

__all__ = ["ATEN", "FACTORIES"]

Shape = tuple[int, ...]
Result = Any  # Value, None, or a tuple of them


def _same(op: str, **names: str) -> Callable[[Place, Any], Result]:
    """An operator with one tensor; `names`: attribute of the row → argument of the call."""
    return lambda p, a: p.add(op, _tensor(a), **{ours: getattr(a, theirs) for ours, theirs in names.items()})


def _tensor(a: Any) -> Value:
    return a.self if hasattr(a, "self") else a.input


def _binary(op: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        left = a.self if hasattr(a, "self") else a.base
        right = a.other if hasattr(a, "other") else a.exponent
        if getattr(a, "alpha", 1) != 1:
            right = p.add("mul", right, a.alpha, part="alpha")
        return p.add(op, left, right)

    return call


def _view(p: Place, a: Any) -> Result:
    return p.view(_tensor(a), p.out)


def _nothing(p: Place, a: Any) -> Result:
    return _tensor(a)


def _list(value: int | Sequence[int], n: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n if len(values) == 1 else values


def _conv(p: Place, a: Any) -> Result:
    kernel = p.shape(a.weight)[2:]
    rank = len(kernel)
    x, padding, dilation = a.input, a.padding, _list(a.dilation, rank)
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        x, padding = p.padded(x, [(t // 2, t - t // 2) for t in total])
    padding = (0,) * rank if padding == "valid" else _list(padding, rank)
    attrs: dict[str, Any] = {
        "kernel": kernel,
        "stride": _list(a.stride, rank),
        "padding": padding,
        "dilation": dilation,
        "groups": a.groups,
        "bias": a.bias is not None,
    }
    tensors = {"weight": a.weight, "bias": a.bias}
    if getattr(a, "transposed", hasattr(a, "output_padding")):
        channels = p.shape(a.weight)[1] * a.groups
        extra = _list(a.output_padding, rank)
        return p.add("conv_transpose", x, out_channels=channels, output_padding=extra, tensors=tensors, **attrs)
    return p.add("conv", x, out_channels=p.shape(a.weight)[0], tensors=tensors, **attrs)


def _linear(p: Place, a: Any) -> Result:
    bias = a.bias is not None
    return p.add("linear", a.input, out_features=p.shape(a.weight)[0], bias=bias,
                 tensors={"weight": a.weight, "bias": a.bias})  # fmt: skip


def _attention(p: Place, a: Any) -> Result:
    return p.attention(a.query, a.key, a.value, a.attn_mask, a.is_causal, a.scale)


def _norm(op: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        axes: dict[str, Any] = {"n_axes": len(a.normalized_shape)} if hasattr(a, "normalized_shape") else {}
        axes |= {"groups": a.num_groups} if hasattr(a, "num_groups") else {}
        bias = getattr(a, "bias", None)
        axes |= {} if op == "batch_norm" else {"bias": bias is not None}
        tensors = {"weight": a.weight, "bias": bias}
        return p.add(op, a.input, eps=a.eps or 1e-5, affine=a.weight is not None, tensors=tensors, **axes)

    return call


def _embedding(p: Place, a: Any) -> Result:
    if isinstance(a.weight, Known):
        n, dim = a.weight.shape
        return p.add("embedding", a.indices, n=n, dim=dim, tensors={"weight": a.weight})
    return p.add("gather", a.weight, a.indices)


def _pool(kind: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        rank = len(p.out) - 2
        attrs: dict[str, Any] = {
            "kernel": _list(a.kernel_size, rank),
            "padding": _list(a.padding, rank),
            "ceil": a.ceil_mode,
        }
        attrs |= {"stride": _list(a.stride, rank)} if a.stride else {}
        attrs |= {"dilation": _list(a.dilation, rank)} if kind == "max" else {"count_pad": a.count_include_pad}
        return p.add(f"{kind}_pool", a.self, **attrs), None

    return call


def _adaptive(mean: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        x, sizes = _tensor(a), p.out[2:]
        if set(sizes) == {1}:
            return p.add(mean, x, axes=tuple(range(2, len(p.out))), keepdims=True), None
        steps = [(d // s, d % s) for d, s in zip(p.shape(x)[2:], sizes, strict=True)]
        if all(rest == 0 for _, rest in steps):
            kind = "avg_pool" if mean == "mean" else "max_pool"
            return p.add(kind, x, kernel=tuple(step for step, _ in steps)), None
        return p.add("adaptive_pool", x, size=sizes, mode="avg" if mean == "mean" else "max"), None

    return call


def _reduce(op: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        x = _tensor(a)
        rank = len(p.shape(x))
        axes = getattr(a, "dim", None)
        axes = (axes,) if isinstance(axes, int) else tuple(axes or range(rank))
        return p.add(op, x, axes=tuple(i % rank for i in axes), keepdims=getattr(a, "keepdim", False)), None

    return call


def _resize(mode: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        old, new = p.shape(a.input)[2:], p.out[2:]
        if all(b % d == 0 for d, b in zip(old, new, strict=True)):
            return p.add("upsample", a.input, scale=tuple(b // d for d, b in zip(old, new, strict=True)), mode=mode)
        return p.add("resize", a.input, size=new, mode=mode)

    return call


def _pad(mode: str) -> Callable[[Place, Any], Result]:
    def call(p: Place, a: Any) -> Result:
        width = a.pad if hasattr(a, "pad") else a.padding
        pads = tuple(zip(width[::2], width[1::2], strict=True))[::-1]
        return p.add("pad", a.self, pads=pads, mode=getattr(a, "mode", mode), value=getattr(a, "value", 0.0) or 0.0)

    return call


def _permute(p: Place, a: Any) -> Result:
    return p.transposed(a.self, [d % len(p.out) for d in a.dims])


def _transpose(p: Place, a: Any) -> Result:
    perm = list(range(len(p.out)))
    if perm:
        i, j = (a.dim0, a.dim1) if hasattr(a, "dim0") else (0, -1)
        perm[i], perm[j] = perm[j], perm[i]
    return p.transposed(a.self, perm)


def _flatten(p: Place, a: Any) -> Result:
    is_row = len(p.out) == 2 and a.start_dim == 1 and len(p.shape(a.self)) > 2
    return p.add("flatten", a.self) if is_row and isinstance(a.self, str) else p.view(a.self, p.out)


def _slice(p: Place, a: Any) -> Result:
    if p.shape(a.self) == p.out:
        return a.self
    stop = None if a.end is None or a.end >= p.shape(a.self)[a.dim] else a.end
    return p.add("slice", a.self, axis=a.dim, start=a.start or 0, stop=stop, step=a.step)


def _select(p: Place, a: Any) -> Result:
    index = a.index % p.shape(a.self)[a.dim]
    return p.view(p.add("slice", a.self, axis=a.dim, start=index, stop=index + 1), p.out, "view")


def _split(p: Place, a: Any) -> Result:
    """Parts of these sizes; `unbind` drops the axis, which has size 1 then."""
    axis, whole = a.dim, p.shape(a.self)
    sizes = tuple(s[axis] for s in p.shapes) if len(p.out) == len(whole) else (1,) * len(p.shapes)
    name = p.add("split", a.self, axis=axis, sizes=sizes)
    parts = [name if k == 0 else f"{name}:{k}" for k in range(len(sizes))]
    return tuple(p.view(part, shape, "view") for part, shape in zip(parts, p.shapes, strict=True))


def _stack(p: Place, a: Any) -> Result:
    axis = a.dim % len(p.out)
    shape = (*p.out[:axis], 1, *p.out[axis + 1 :])
    return p.add("concat", *(p.view(v, shape, "view") for v in a.tensors), axis=axis)


def _concat(p: Place, a: Any) -> Result:
    tensors = [t for t in a.tensors if 0 not in p.shape(t)]
    return p.add("concat", *tensors, axis=a.dim) if len(tensors) > 1 else tensors[0]


def _expand(p: Place, a: Any) -> Result:
    return a.self if p.shape(a.self) == p.out else p.add("expand", a.self, shape=p.out)


def _repeat(p: Place, a: Any) -> Result:
    shape = p.shape(a.self)
    wide = p.view(a.self, (1,) * (len(a.repeats) - len(shape)) + shape, "view")
    return p.add("tile", wide, repeats=tuple(a.repeats))


def _index(p: Place, a: Any) -> Result:
    """Picks along one axis; several index tensors at once are not a row of the table."""
    given = [(axis, i) for axis, i in enumerate(a.indices) if i is not None]
    if len(given) != 1:
        raise CandidateError(f"node {p.name!r}: indexing with {len(given)} tensors at once is not supported")
    return p.add("gather", a.self, given[0][1], axis=given[0][0])


def _hardtanh(p: Place, a: Any) -> Result:
    if (a.min_val, a.max_val) == (0, 6):
        return p.add("relu6", a.self)
    return p.add("clip", a.self, least=a.min_val, most=a.max_val)


def _clamp(p: Place, a: Any) -> Result:
    return p.add("clip", a.self, least=getattr(a, "min", None), most=getattr(a, "max", None))


_RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _recurrent(op: str) -> Callable[[Place, Any], Result]:
    """One node a layer; ATen lists a layer's weights as ih, hh (, bias ih, bias hh) for each direction."""

    def call(p: Place, a: Any) -> Result:
        x, directions, per = a.input, 1 + a.bidirectional, 2 + 2 * a.has_biases
        x = _swapped(p, x, "steps") if a.batch_first else x
        finals: list[list[str]] = []
        for layer in range(a.num_layers):
            first = a.params[layer * directions * per :][:per]
            both = [replace(t, shape=(directions, *t.shape)) for t in first]
            tensors: dict[str, Any] = dict(zip(_RECURRENT, both, strict=False))
            x = p.add(op, x, part=f"{layer}" if a.num_layers > 1 else "", hidden=p.shape(first[1])[1],
                      bidirectional=a.bidirectional, bias=a.has_biases, tensors=tensors)  # fmt: skip
            finals.append([f"{x}:{k}" for k in range(1, len(p.shapes))])
        states = [s[0] if len(s) == 1 else p.add("concat", *s, axis=0, part="state") for s in zip(*finals, strict=True)]
        return _swapped(p, x, "batch") if a.batch_first else x, *states

    return call


def _swapped(p: Place, x: Value, part: str) -> Value:
    steps, n, size = p.shape(x)
    if 1 in (steps, n):
        return p.view(x, (n, steps, size), part)
    return p.add("transpose", x, perm=(1, 0, 2), part=part)


def _all(names: str, call: Callable[[Place, Any], Result]) -> dict[str, Callable[[Place, Any], Result]]:
    return dict.fromkeys(names.split(), call)


def _renamed(make: Callable[[str], Callable[[Place, Any], Result]], **rows: str) -> dict[str, Any]:
    """Row of the operator table → names of the ATen operators that it stands for."""
    return {name: make(row) for row, names in rows.items() for name in names.split()}


ATEN: dict[str, Callable[[Place, Any], Result]] = {
    **_all("conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d", _conv),
    "linear": _linear,
    **_all("mm bmm", lambda p, a: p.product(a.self, a.mat2)),
    "matmul": lambda p, a: p.product(a.self, a.other),
    "mv": lambda p, a: p.product(a.self, a.vec),
    "addmm": lambda p, a: p.product(a.mat1, a.mat2, a.self),
    "scaled_dot_product_attention": _attention,
    **_renamed(_recurrent, lstm="lstm", gru="gru", rnn="rnn_tanh rnn_relu"),
    **_renamed(_norm, batch_norm="batch_norm _native_batch_norm_legit_no_training", layer_norm="layer_norm",
               rms_norm="rms_norm", group_norm="group_norm", instance_norm="instance_norm"),
    "embedding": _embedding,
    **{row: _same(row) for row in UNARY},
    **_renamed(_same, logical_not="bitwise_not"),
    "elu": _same("elu", alpha="alpha"),
    "leaky_relu": _same("leaky_relu", slope="negative_slope"),
    "prelu": lambda p, a: p.add("prelu", a.self, n=math.prod(p.shape(a.weight)), tensors={"weight": a.weight}),
    "hardtanh": _hardtanh,
    **_all("clamp clamp_min clamp_max", _clamp),
    **_all("softmax _softmax", _same("softmax", axis="dim")),
    **_all("log_softmax _log_softmax", _same("log_softmax", axis="dim")),
    "cumsum": _same("cumsum", axis="dim"),
    "tril": lambda p, a: p.add("triangle", a.self, upper=False, diagonal=a.diagonal),
    "triu": lambda p, a: p.add("triangle", a.self, upper=True, diagonal=a.diagonal),
    **_renamed(_binary, add="add", sub="sub", mul="mul", div="div", pow="pow", mod="remainder fmod", minimum="minimum",
               maximum="maximum", equal="eq", not_equal="ne", less="lt", less_equal="le", greater="gt",
               greater_equal="ge", logical_and="logical_and bitwise_and", logical_or="logical_or bitwise_or"),
    "rsub": lambda p, a: p.add("sub", a.other, a.self),
    "where": lambda p, a: p.add("where", a.condition, a.self, a.other),
    "masked_fill": lambda p, a: p.add("where", a.mask, a.value, a.self),
    **_all("max_pool1d max_pool2d max_pool3d max_pool2d_with_indices", _pool("max")),
    **_all("avg_pool1d avg_pool2d avg_pool3d", _pool("avg")),
    **_all("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", _adaptive("mean")),
    **_all("adaptive_max_pool1d adaptive_max_pool2d", _adaptive("reduce_max")),
    **_renamed(_reduce, mean="mean", sum="sum", reduce_prod="prod", variance="var", reduce_max="amax max",
               reduce_min="amin min", argmax="argmax", reduce_l2="linalg_vector_norm"),
    "topk": lambda p, a: (t := p.add("topk", a.self, k=a.k, axis=a.dim), f"{t}:1"),
    "cat": _concat,
    "stack": _stack,
    **_all("split split_with_sizes chunk unbind", _split),
    "slice": _slice,
    "select": _select,
    "index": _index,
    "index_select": lambda p, a: p.add("gather", a.self, a.index, axis=a.dim),
    **_all("view reshape _unsafe_view unflatten squeeze unsqueeze view_as reshape_as", _view),
    "flatten": _flatten,
    **_all("expand expand_as", _expand),
    "repeat": _repeat,
    "permute": _permute,
    **_all("transpose t swapaxes", _transpose),
    **_all("upsample_nearest1d upsample_nearest2d upsample_nearest3d", _resize("nearest")),
    **_all("upsample_linear1d upsample_bilinear2d upsample_trilinear3d", _resize("bilinear")),
    "upsample_bicubic2d": _resize("bicubic"),
    **_all("constant_pad_nd pad", _pad("constant")),
    **_all("reflection_pad1d reflection_pad2d", _pad("reflect")),
    **_all("replication_pad1d replication_pad2d", _pad("replicate")),
    "roll": lambda p, a: p.add("roll", a.self, shifts=tuple(a.shifts), axes=tuple(a.dims)),
    "flip": lambda p, a: p.add("flip", a.self, axes=tuple(a.dims)),
    "pixel_shuffle": _same("depth_to_space", block="upscale_factor"),
    "pixel_unshuffle": _same("space_to_depth", block="downscale_factor"),
    **_all("dropout feature_dropout alpha_dropout contiguous clone to _to_copy detach alias type_as lift_fresh_copy",
           _nothing),
}  # fmt: skip

FACTORIES = frozenset(
    [
        *("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty", "scalar_tensor"),
        *("zeros_like", "ones_like", "full_like", "empty_like", "arange", "linspace", "eye"),
    ]
)  # of their arguments only the shape counts
