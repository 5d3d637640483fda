"""Reads an ONNX file: its operators as rows of the operator table, constants worked out, sizes fixed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.errors import CandidateError, UserError, nearest
from archip.ir._draft import Draft, Known, Unsupported, Value
from archip.ir._onnx_file import (
    ANY_INPUT,
    bodies,
    domain,
    inferred_shapes,
    load,
    model_of,
    node_checker,
    node_name,
    operator,
    unknown_operators,
)
from archip.ir._onnx_ops import ONNX, Arguments
from archip.ir._place import Place
from archip.ir.graph import Graph

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["read_onnx"]

Shape = tuple[int, ...]
_SMALL = 4096  # elements; the values of larger constants say nothing about shapes
_LARGEST = 2**31  # elements of a constant that is worked with
_WRONG_FILE = (
    *(CandidateError, IndexError, KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError),
    *(MemoryError, RuntimeError, OSError, ArithmeticError, AssertionError, StopIteration),
)
_PUT_TOGETHER = frozenset({"Concat", "Slice", "Split"})
_NAMED_LIKE_WEIGHT = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization",
                                "InstanceNormalization", "GroupNormalization", "PRelu", "Gather"})  # fmt: skip
_MULTIPLYING = ("Conv", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Attention", "Einsum")  # parts of operators' names


def read_onnx(
    path: str | Path,
    input_shapes: Mapping[str, int | Sequence[int]] | None = None,
    input_values: Mapping[str, float] | None = None,
    *,
    allow_unknown: bool = False,
) -> Graph:
    """The graph of an ONNX file.

    Layers are called like their weight (``layer1.0.conv1`` for ``layer1.0.conv1.weight``), other nodes as in the
    file. Constants count as weights if they are tensors of real numbers with more than one element. Weights are not
    copied, only their shapes and, in quantised models, their bits. Of an `If` one branch is read: that of its
    condition, or the first where the condition depends on the values of inputs.

    Args:
        path: the file; of external data beside it, only small tensors are read, and weights may be absent.
        input_shapes: sizes that the file leaves open: name of a dimension → size, or name of an input → shape.
        input_values: input → the number that all its elements have; conditions on it are then decided.
        allow_unknown: operators that archip does not know become ``opaque`` nodes, with shapes from ONNX's own
            inference, instead of being refused.

    Raises:
        UserError: a file that is no ONNX model or broken, operators that archip does not know (all of them are
            named), or a size that is neither in the file nor in `input_shapes`.
    """
    model = load(Path(path))
    missing = {} if allow_unknown else unknown_operators(model.graph, ONNX)
    if missing:
        listed = ", ".join(f"{op} (node {', '.join(names[:3])})" for op, names in sorted(missing.items()))
        raise UserError(
            f"operators that archip does not know: {listed}", str(path), "operators with a row in archip.ir.ops.OPS"
        )
    reader = _Reader(model, Path(path), dict(input_values or {}), allow_unknown)
    return reader.graph(dict(input_shapes or {}))


class _Reader:
    """Walks a model and writes the draft."""

    def __init__(self, model: ModelProto, path: Path, given: Mapping[str, float], allow_unknown: bool) -> None:
        self._path = path
        self._model = model
        self._proto: GraphProto = model.graph
        self._given = given
        self._allow_unknown = allow_unknown
        self._opsets = {domain(o.domain): o.version for o in model.opset_import}
        with self._blaming("versions"):
            self._rules = node_checker(model)
        self._draft = Draft()
        self._values: dict[str, Value] = {}
        self._bits: dict[str, int] = {}
        self._readers: dict[str, list[NodeProto]] = {}
        self._shapes: dict[str, Shape] = {}
        self._outputs = {o.name for o in model.graph.output}
        self._absorbed: dict[str, str] = {}
        self._found: dict[str, Shape] | None = None
        self._sizeless: dict[str, UserError] = {}

    def graph(self, given: dict[str, Any]) -> Graph:
        with self._blaming("inputs"):
            weights = {tensor.name for tensor in self._proto.initializer}
            self._shapes = self._input_shapes(given, weights)
            self._check_values()
            for name, shape in self._shapes.items():
                is_given = name in self._given
                self._values[name] = self._number(name, shape) if is_given else self._draft.input(name, shape)
        self._read_all(self._proto)
        return self._draft.finish(*(self._value(o.name) for o in self._proto.output))

    def _read_all(self, proto: GraphProto) -> None:
        """The weights and nodes of the model, or of a branch in it."""
        import onnx.checker

        for node in proto.node:
            for value in node.input:
                self._readers.setdefault(value, []).append(node)
        for tensor in proto.initializer:
            with self._blaming(f"tensor {tensor.name}"):
                self._values[tensor.name] = self._weight(tensor)
        for node in proto.node:
            with self._blaming(f"node {node.name or ', '.join(node.output)}", f"{operator(node)} "):
                if self._is_checkable(node):
                    onnx.checker.check_node(node, self._rules)
                self._read(node)

    def _is_checkable(self, node: NodeProto) -> bool:
        """Bodies read values that the checker does not see; ONNX Runtime writes operators newer than it says."""
        import onnx.defs

        name = domain(node.domain)
        is_newer = onnx.defs.has(node.op_type, name) and not onnx.defs.has(
            node.op_type, self._opsets.get(name, 1), name
        )
        return not bodies(node) and not (is_newer and operator(node) in ONNX)

    def _check_values(self) -> None:
        for name in self._given:
            if name not in self._shapes:
                raise UserError(f"there is no input {name!r}", str(self._path), nearest(name, self._shapes))

    def _number(self, name: str, shape: Shape) -> Known:
        return Known(name, shape, array=np.full(shape, self._given[name]) if math.prod(shape) <= _SMALL else None)

    @contextmanager
    def _blaming(self, part: str, what: str = "") -> Iterator[None]:
        """Errors inside are errors of this part of the file; files come from anywhere and hold anything."""
        import onnx.checker

        try:
            yield
        except (*_WRONG_FILE, onnx.checker.ValidationError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{what}cannot be read: {reason}", f"{self._path}: {part}") from None

    def _weight(self, tensor: TensorProto) -> Known:
        import onnx.numpy_helper

        shape = tuple(tensor.dims)
        real = tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
                                    onnx.TensorProto.BFLOAT16)  # fmt: skip
        size = math.prod(shape)
        is_read = size <= _SMALL and not (real and self._is_absent(tensor))
        array = onnx.numpy_helper.to_array(tensor, base_dir=str(self._path.parent)) if is_read else None
        return Known(tensor.name, shape, real and size > 1, array, _BITS.get(_type_name(tensor.data_type)))

    def _is_absent(self, tensor: TensorProto) -> bool:
        """Whether the values are in a file that is not there, as where only the architecture is handed on."""
        places = [entry.value for entry in tensor.external_data if entry.key == "location"]
        return bool(places) and not (self._path.parent / places[0]).exists()

    def _input_shapes(self, given: dict[str, Any], weights: set[str]) -> dict[str, Shape]:
        """Input → shape, with the sizes that the caller gives."""
        inputs = [i for i in self._proto.input if i.name not in weights]
        dims = {i.name: [d.dim_value or d.dim_param or "?" for d in i.type.tensor_type.shape.dim] for i in inputs}
        known = {*dims, *(d for shape in dims.values() for d in shape if isinstance(d, str) and d != "?")}
        for name in given:
            if name not in known:
                raise UserError(f"there is no input or dimension {name!r}", str(self._path), nearest(name, known))
            has_one_axis = len(dims.get(name, ())) == 1
            if (name in dims) == isinstance(given[name], int) and not has_one_axis:
                right = "a shape such as (1, 3, 224, 224)" if name in dims else "one size"
                raise UserError(f"{given[name]!r} does not fit {name!r}", "input_shapes", right)
        shapes = {i.name: self._fixed(i.name, dims[i.name], given) for i in inputs if i.type.HasField("tensor_type")}
        for value in inputs:
            if value.name not in shapes:
                raise UserError(
                    "is not a tensor", f"{self._path}: input {value.name}", "a model with tensors as inputs"
                )
        return shapes

    def _fixed(self, name: str, dims: list[int | str], given: Mapping[str, Any]) -> Shape:
        if name in given:
            shape = (given[name],) if isinstance(given[name], int) else tuple(given[name])
            if len(shape) != len(dims) and dims:
                raise UserError(f"has {len(dims)} axes, not {len(shape)}", f"{self._path}: input {name}")
            return shape
        fixed = tuple(given.get(d, d) if isinstance(d, str) else d for d in dims)
        if any(isinstance(d, str) for d in fixed) or not self._has_shape(name):
            text = f"({', '.join(map(str, fixed))})" if dims else "unknown"
            example = ", ".join(f"{d!r}: 1" for d in fixed if isinstance(d, str) and d != "?") or f"{name!r}: (1, …)"
            raise UserError(f"the shape {text} is not complete", f"{self._path}: input {name}",
                            f"sizes for it: input_shapes={{{example}}}")  # fmt: skip
        if any(d < 0 for d in fixed if isinstance(d, int)):
            raise UserError(f"the shape {fixed} has negative sizes", f"{self._path}: input {name}", "positive sizes")
        return fixed

    def _has_shape(self, name: str) -> bool:
        return any(i.name == name and i.type.tensor_type.HasField("shape") for i in self._proto.input)

    def _read(self, node: NodeProto) -> None:
        if node.output and node.output[0] in self._absorbed:
            self._values[node.output[0]] = self._values[self._absorbed[node.output[0]]]
            return
        if operator(node) == "If":
            self._values |= zip(node.output, self._branch(node), strict=True)
            return
        inputs = [self._value(i) if i else None for i in node.input]
        present = [v for v in inputs if v is not None]
        sizeless = [self._sizeless[v] for v in present if isinstance(v, str) and v in self._sizeless]
        if sizeless and any(part in node.op_type for part in _MULTIPLYING):
            raise sizeless[0]
        if sizeless:
            results = self._opaque(node, present, "the size of its input depends on what is not costed", sizeless[0])
        elif not bodies(node) and (operator(node) in ANY_INPUT or _is_worked_out(node, present)):
            results = self._worked_out(node, present)
        elif operator(node) not in ONNX:
            results = self._opaque(node, present, "archip does not know this operator")
        else:
            results = self._row(node, inputs)
        results = results if isinstance(results, tuple) else (results,)
        made = zip(node.output, results, strict=False)
        self._values |= {name: value for name, value in made if name and value is not None}

    def _row(self, node: NodeProto, inputs: Sequence[Value | None]) -> Any:
        place = Place(self._draft, self._name(node, inputs))
        try:
            return ONNX[operator(node)](place, self._arguments(node, inputs))
        except Unsupported as error:
            if not self._allow_unknown:
                raise
            return self._opaque(node, [v for v in inputs if v is not None], str(error))

    def _branch(self, node: NodeProto) -> list[Value]:
        """The outputs of an `If`: of the branch that its condition says, or of the first."""
        condition = self._value(node.input[0])
        decided = None if isinstance(condition, str) or condition.array is None else bool(condition.array.any())
        (chosen,) = [a.g for a in node.attribute if a.name == ("else_branch" if decided is False else "then_branch")]
        self._read_all(chosen)
        return [self._value(o.name) for o in chosen.output]

    def _opaque(
        self, node: NodeProto, inputs: Sequence[Value], reason: str, cause: UserError | None = None
    ) -> tuple[str, ...]:
        """A node that stands for what archip cannot cost, with the shapes that ONNX infers.

        Where it infers none (what is left of boxes, say), what follows is not costed either, and must not multiply.
        """
        if not self._allow_unknown:
            raise Unsupported(reason)
        found = self._inferred() | _stft_shape(node, self._draft, inputs)
        shapes = tuple(found.get(name, ()) for name in node.output)
        attrs: dict[str, Any] = {"operator": operator(node), "shapes": shapes, "reason": reason}
        name = Place(self._draft, self._name(node, inputs)).add("opaque", *inputs, **attrs)
        values = tuple(f"{name}:{k}" if k else name for k in range(len(shapes)))
        sizeless = {made: v for made, v in zip(node.output, values, strict=True) if made and made not in found}
        what = f"{reason}, and ONNX does not tell the shape of {', '.join(sizeless)}"
        error = cause or UserError(what, f"{self._path}: node {node_name(node)} ({operator(node)})")
        self._sizeless |= dict.fromkeys(sizeless.values(), error)
        return values

    def _inferred(self) -> dict[str, Shape]:
        if self._found is None:
            self._found = inferred_shapes(self._model, self._shapes)
        return self._found

    def _value(self, name: str) -> Value:
        if name not in self._values:
            raise UserError(f"{name!r} is read, but no earlier node makes it", str(self._path), "a complete ONNX file")
        return self._values[name]

    def _arguments(self, node: NodeProto, inputs: Sequence[Value | None]) -> Arguments:
        import onnx

        attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attrs = {k: v.decode() if isinstance(v, bytes) else v for k, v in attrs.items()}
        opset = self._opsets.get(domain(node.domain), 1)
        return Arguments(inputs, attrs, len(node.output), opset, self._bits, lambda n: self._bias_after(node, n))

    def _bias_after(self, node: NodeProto, features: int) -> Known | None:
        """The bias, where the only reader of a product adds one; that addition is then part of the layer."""
        readers = self._readers.get(node.output[0], [])
        if len(readers) != 1 or readers[0].op_type != "Add" or node.output[0] in self._outputs:
            return None
        for name in readers[0].input:
            value = self._values.get(name)
            if isinstance(value, Known) and value.is_trained and value.shape == (features,):
                self._absorbed[readers[0].output[0]] = node.output[0]
                return value
        return None

    def _worked_out(self, node: NodeProto, inputs: Sequence[Value]) -> tuple[Known, ...]:
        """The values of a node whose inputs are constants; of large ones only the shapes."""
        import onnx
        import onnx.reference

        if node.op_type in ANY_INPUT:
            feeds = {node.input[0]: np.broadcast_to(np.float32(0), self._draft.shape(inputs[0]))}
            known = []
        else:
            known = [v for v in inputs if isinstance(v, Known)]
            feeds = {name: _array_like(v) for name, v in zip(filter(None, node.input), known, strict=True)}
            if (largest := max((array.size for array in feeds.values()), default=0)) > _LARGEST:
                raise UserError(f"a constant of {largest:,} elements is too large to work with",
                                f"{self._path}: node {node_name(node)} ({operator(node)})")  # fmt: skip
        results = onnx.reference.ReferenceEvaluator(model_of(node, feeds, self._opsets)).run(None, feeds)
        is_exact = all(v.array is not None for v in known)
        is_trained = any(v.is_trained for v in known)
        return tuple(
            Known(
                name,
                array.shape,
                is_trained or (node.op_type == "Constant" and array.size > _SMALL and array.dtype.kind == "f"),
                array if is_exact and array.size <= _SMALL else None,
                _BITS.get(array.dtype.name),
            )
            for name, array in zip(node.output, map(np.asarray, results), strict=True)  # pyright: ignore
        )

    def _name(self, node: NodeProto, inputs: Sequence[Value | None]) -> str:
        if node.op_type in _NAMED_LIKE_WEIGHT:
            for value in inputs:
                if isinstance(value, Known) and value.key.endswith("weight"):
                    return value.key.removesuffix("weight").rstrip("._") or "weight"
        return node.name.removeprefix("node_") or node.output[0]


def _stft_shape(node: NodeProto, draft: Draft, inputs: Sequence[Value]) -> dict[str, Shape]:
    """Shape (batch, frames, bins, 2), which ONNX's inference gets wrong for windows. Source: ONNX, STFT."""
    if operator(node) != "STFT" or not isinstance(inputs[1], Known) or inputs[1].array is None:
        return {}
    n, size = draft.shape(inputs[0])[:2]
    step, (length, *_) = int(inputs[1].array), draft.shape(inputs[2])
    onesided = next((a.i for a in node.attribute if a.name == "onesided"), 1)
    return {node.output[0]: (n, (size - length) // step + 1, length // 2 + 1 if onesided else length, 2)}


def _is_worked_out(node: NodeProto, inputs: Sequence[Value]) -> bool:
    """Whether the result is a constant, or weights that are put together from parts of others."""
    if not all(isinstance(v, Known) for v in inputs):
        return False
    is_trained = any(isinstance(v, Known) and v.is_trained for v in inputs)
    return node.op_type in _PUT_TOGETHER if is_trained else node.op_type != "DequantizeLinear"


_BITS = {"int8": 8, "uint8": 8, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}


def _type_name(data_type: int) -> str:
    import onnx

    return onnx.TensorProto.DataType.Name(data_type).lower()


def _array_like(known: Known) -> np.ndarray:
    return known.array if known.array is not None else np.broadcast_to(np.float32(0), known.shape)
