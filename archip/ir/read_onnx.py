"""Reads an ONNX file: its operators as rows of the operator table, constants worked out, sizes fixed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.errors import CandidateError, UserError, nearest
from archip.ir._draft import Draft, Known, Value
from archip.ir._onnx_ops import ONNX, Arguments
from archip.ir._place import Place
from archip.ir.graph import Graph

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["read_onnx"]

Shape = tuple[int, ...]
_SMALL = 4096  # elements; the values of larger constants say nothing about shapes
_ANY_INPUT = frozenset({"Shape", "Size"})  # whose results are constants once shapes are known
_WRONG_FILE = (
    *(CandidateError, IndexError, KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError),
    *(MemoryError, RuntimeError, OSError),
)
_PUT_TOGETHER = frozenset({"Concat", "Slice", "Split"})
_NAMED_LIKE_WEIGHT = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization",
                                "InstanceNormalization", "GroupNormalization", "PRelu", "Gather"})  # fmt: skip


def read_onnx(path: str | Path, input_shapes: Mapping[str, int | Sequence[int]] | None = None) -> Graph:
    """The graph of an ONNX file.

    Layers are called like their weight (``layer1.0.conv1`` for ``layer1.0.conv1.weight``), other nodes as in the
    file. Constants count as weights if they are tensors of real numbers with more than one element. Weights are not
    copied, only their shapes and, in quantised models, their bits.

    Args:
        path: the file; of external data beside it, only small tensors are read.
        input_shapes: sizes that the file leaves open: name of a dimension → size, or name of an input → shape.

    Raises:
        UserError: a file that is no ONNX model or broken, operators that archip does not know (all of them are
            named), or a size that is neither in the file nor in `input_shapes`.
    """
    model = _load(Path(path))
    if missing := _unsupported(model):
        listed = ", ".join(f"{op} (node {', '.join(names[:3])})" for op, names in sorted(missing.items()))
        raise UserError(
            f"operators that archip does not know: {listed}", str(path), "operators with a row in archip.ir.ops.OPS"
        )
    return _Reader(model, Path(path)).graph(dict(input_shapes or {}))


def _load(path: Path) -> ModelProto:
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError

    right = "a complete ONNX file"
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", str(path), right) from None
    except DecodeError:
        raise UserError("is no ONNX model, or only a part of one", str(path), right) from None
    texts = [text for node in model.graph.node for text in (node.name, node.op_type, node.domain, *node.output)]
    is_text = all(isinstance(text, str) for text in texts)  # protobuf gives bytes where it finds no text
    if not texts or not is_text or not model.graph.output or not model.opset_import:
        raise UserError("is no ONNX model, or only a part of one", str(path), right)
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _operator(node: NodeProto) -> str:
    """``Conv``; operators of other domains with the domain in front."""
    return f"{node.domain}.{node.op_type}" if _domain(node.domain) else node.op_type


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _unsupported(model: ModelProto) -> dict[str, list[str]]:
    """Operator → names of the nodes; operators on constants only are worked out and not counted."""
    constant = {t.name for t in model.graph.initializer} | {""}
    missing: dict[str, list[str]] = {}
    for node in model.graph.node:
        is_constant = _operator(node) in _ANY_INPUT or all(i in constant for i in node.input)
        if is_constant and not _has_body(node):
            constant.update(node.output)
        elif _operator(node) not in ONNX:
            missing.setdefault(_operator(node), []).append(node.name or (node.output[0] if node.output else "?"))
    return missing


def _has_body(node: NodeProto) -> bool:
    return any(a.HasField("g") or a.graphs for a in node.attribute)


def _checker(model: ModelProto) -> Any:
    """What `onnx.checker` needs to know to check a single node."""
    import onnx.checker

    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {_domain(o.domain): o.version for o in model.opset_import}
    return context


class _Reader:
    """Walks a model and writes the draft."""

    def __init__(self, model: ModelProto, path: Path) -> None:
        self._path = path
        self._proto: GraphProto = model.graph
        self._opsets = {_domain(o.domain): o.version for o in model.opset_import}
        self._rules = _checker(model)
        self._draft = Draft()
        self._values: dict[str, Value] = {}
        self._bits: dict[str, int] = {}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for value in node.input:
                self._readers.setdefault(value, []).append(node)
        self._outputs = {o.name for o in model.graph.output}
        self._absorbed: dict[str, str] = {}

    def graph(self, given: dict[str, Any]) -> Graph:
        import onnx.checker

        for tensor in self._proto.initializer:
            with self._blaming(f"tensor {tensor.name}"):
                self._values[tensor.name] = self._weight(tensor)
        with self._blaming("inputs"):
            for name, shape in self._input_shapes(given).items():
                self._values[name] = self._draft.input(name, shape)
        for node in self._proto.node:
            with self._blaming(f"node {node.name or ', '.join(node.output)}", f"{_operator(node)} "):
                onnx.checker.check_node(node, self._rules)
                self._read(node)
        return self._draft.finish(*(self._value(o.name) for o in self._proto.output))

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
        array = onnx.numpy_helper.to_array(tensor, base_dir=str(self._path.parent)) if size <= _SMALL else None
        return Known(tensor.name, shape, real and size > 1, array, _BITS.get(_type_name(tensor.data_type)))

    def _input_shapes(self, given: dict[str, Any]) -> dict[str, Shape]:
        """Input → shape, with the sizes that the caller gives."""
        inputs = [i for i in self._proto.input if i.name not in self._values]
        dims = {i.name: [d.dim_value or d.dim_param or "?" for d in i.type.tensor_type.shape.dim] for i in inputs}
        known = {*dims, *(d for shape in dims.values() for d in shape if isinstance(d, str) and d != "?")}
        for name in given:
            if name not in known:
                raise UserError(f"there is no input or dimension {name!r}", str(self._path), nearest(name, known))
            if (name in dims) == isinstance(given[name], int):
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
            shape = tuple(given[name])
            if len(shape) != len(dims) and dims:
                raise UserError(f"has {len(dims)} axes, not {len(shape)}", f"{self._path}: input {name}")
            return shape
        fixed = tuple(given.get(d, d) if isinstance(d, str) else d for d in dims)
        if any(isinstance(d, str) for d in fixed) or not self._has_shape(name):
            text = f"({', '.join(map(str, fixed))})" if dims else "unknown"
            example = ", ".join(f"{d!r}: 1" for d in fixed if isinstance(d, str) and d != "?") or f"{name!r}: (1, …)"
            raise UserError(f"the shape {text} is not complete", f"{self._path}: input {name}",
                            f"sizes for it: input_shapes={{{example}}}")  # fmt: skip
        return fixed

    def _has_shape(self, name: str) -> bool:
        return any(i.name == name and i.type.tensor_type.HasField("shape") for i in self._proto.input)

    def _read(self, node: NodeProto) -> None:
        if node.output and node.output[0] in self._absorbed:
            self._values[node.output[0]] = self._values[self._absorbed[node.output[0]]]
            return
        inputs = [self._value(i) if i else None for i in node.input]
        present = [v for v in inputs if v is not None]
        if _operator(node) not in ONNX or _is_worked_out(node, present):
            results = self._worked_out(node, present)
        else:
            place = Place(self._draft, self._name(node, inputs))
            results = ONNX[_operator(node)](place, self._arguments(node, inputs))
        results = results if isinstance(results, tuple) else (results,)
        self._values |= {name: value for name, value in zip(node.output, results, strict=False) if name}

    def _value(self, name: str) -> Value:
        if name not in self._values:
            raise UserError(f"{name!r} is read, but no earlier node makes it", str(self._path), "a complete ONNX file")
        return self._values[name]

    def _arguments(self, node: NodeProto, inputs: Sequence[Value | None]) -> Arguments:
        import onnx

        attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attrs = {k: v.decode() if isinstance(v, bytes) else v for k, v in attrs.items()}
        opset = self._opsets.get(_domain(node.domain), 1)
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

        if node.op_type in _ANY_INPUT:
            feeds = {node.input[0]: np.broadcast_to(np.float32(0), self._draft.shape(inputs[0]))}
            known = []
        else:
            known = [v for v in inputs if isinstance(v, Known)]
            feeds = {name: _array_like(v) for name, v in zip(filter(None, node.input), known, strict=True)}
        results = onnx.reference.ReferenceEvaluator(_model_of(node, feeds, self._opsets)).run(None, feeds)
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


def _model_of(node: NodeProto, feeds: Mapping[str, np.ndarray], opsets: Mapping[str, int]) -> ModelProto:
    """A model of this node alone."""
    from onnx import helper

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in opsets.items()])
