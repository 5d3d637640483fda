"""ONNX files as such: loading, what an operator is called, which ones are unknown, shapes that ONNX itself infers."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.errors import UserError

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

Shape = tuple[int, ...]
ANY_INPUT = frozenset({"Shape", "Size"})  # whose results are constants once shapes are known


def load(path: Path) -> ModelProto:
    """The model, its functions inlined; the weights of external files are not read.

    Raises:
        UserError: no such file, or no complete ONNX model.
    """
    import onnx
    import onnx.checker
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
    try:
        return onnx.inliner.inline_local_functions(model) if model.functions else model
    except (RuntimeError, ValueError, TypeError, DecodeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"functions cannot be inlined: {reason}", str(path), right) from None


def operator(node: NodeProto) -> str:
    """``Conv``; operators of other domains with the domain in front."""
    return f"{node.domain}.{node.op_type}" if domain(node.domain) else node.op_type


def domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def node_name(node: NodeProto) -> str:
    return node.name or (node.output[0] if node.output else "?")


def bodies(node: NodeProto) -> list[GraphProto]:
    """The graphs inside a node: branches of `If`, the bodies of loops."""
    attributes: Sequence[AttributeProto] = node.attribute
    return [g for a in attributes for g in ([a.g] if a.HasField("g") else a.graphs)]


def unknown_operators(
    graph: GraphProto, known: Container[str], constant: set[str] | None = None
) -> dict[str, list[str]]:
    """Operator → names of the nodes; operators on constants only are worked out and not counted."""
    constant = (constant or {""}) | {t.name for t in graph.initializer}
    missing: dict[str, list[str]] = {}
    for node in graph.node:
        inside = bodies(node)
        if not inside and (operator(node) in ANY_INPUT or all(i in constant for i in node.input)):
            constant.update(node.output)
        elif operator(node) == "If":
            for branch in inside:
                for name, nodes in unknown_operators(branch, known, constant).items():
                    missing.setdefault(name, []).extend(nodes)
        elif operator(node) not in known:
            missing.setdefault(operator(node), []).append(node_name(node))
    return missing


def node_checker(model: ModelProto) -> Any:
    """What `onnx.checker` needs to know to check a single node."""
    import onnx.checker

    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {domain(o.domain): o.version for o in model.opset_import}
    return context


def inferred_shapes(model: ModelProto, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """Value name → shape, where ONNX's own inference finds one, with the sizes of `inputs` put in."""
    import onnx
    from onnx import shape_inference

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False):
            dim.dim_value = size
    try:
        found = shape_inference.infer_shapes(fixed, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError):
        return {}
    return dict(_static(found.graph))


def _static(graph: GraphProto) -> Iterator[tuple[str, Shape]]:
    values: Iterator[ValueInfoProto] = iter([*graph.value_info, *graph.output])
    for value in values:
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            yield value.name, tuple(d.dim_value for d in tensor.shape.dim)
    for node in graph.node:
        for body in bodies(node):
            yield from _static(body)


def model_of(node: NodeProto, feeds: Mapping[str, np.ndarray], opsets: Mapping[str, int]) -> ModelProto:
    """A model of this node alone."""
    from onnx import helper

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in opsets.items()])
