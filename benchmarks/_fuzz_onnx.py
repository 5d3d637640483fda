"""Small ONNX models as seeds for fuzzing, and models made hostile field by field."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import Any

__all__ = ["hostile_model", "seed_models"]

_NUMBERS = (0, -1, 1, 2, 3, 7, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1, -2, 1000)
_TYPES = (
    "Conv",
    "Gemm",
    "MatMul",
    "Relu",
    "Reshape",
    "Add",
    "Concat",
    "Transpose",
    "Slice",
    "Split",
    "MaxPool",
    "LSTM",
    "If",
    "Loop",
    "Gather",
    "Einsum",
    "Resize",
    "Pad",
    "Tile",
    "Expand",
    "Constant",
    "ConstantOfShape",
    "Range",
    "Shape",
    "QuantizeLinear",
    "TopK",
    "ReduceMean",
    "Clip",
    "Softmax",
    "Cast",
    "BatchNormalization",
    "LayerNormalization",
    "ConvTranspose",
    "Unsqueeze",
    "Squeeze",
    "Flatten",
    "Nonsense",
    "DepthToSpace",
    "Attention",
)


@lru_cache
def seed_models() -> tuple[bytes, ...]:
    """A convolutional, a dense, a recurrent, a shape-computing, a quantised and a branching model."""
    from onnx import TensorProto, helper

    weights, ints, n = _weights, _ints, helper.make_node
    conv = _model(
        [
            n("Conv", ["x", "a.weight", "a.bias"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
            n("BatchNormalization", ["c", "s", "s", "s", "s"], ["b"]),
            n("Relu", ["b"], ["r"]),
            n("MaxPool", ["r"], ["m"], kernel_shape=[2, 2]),
            n("GlobalAveragePool", ["m"], ["g"]),
            n("Flatten", ["g"], ["f"]),
            n("Gemm", ["f", "w", "v"], ["y"], transB=1),
        ],
        {"x": ["batch", 3, 8, 8]},
        [weights("a.weight", 4, 3, 3, 3), weights("a.bias", 4), weights("s", 4), weights("w", 5, 4), weights("v", 5)],
    )
    shapes = _model(
        [
            n("Shape", ["x"], ["sh"]),
            n("Slice", ["sh", "zero", "one"], ["n"]),
            n("Concat", ["n", "minus"], ["to"], axis=0),
            n("Reshape", ["x", "to"], ["r"]),
            n("MatMul", ["r", "w"], ["p"]),
            n("Add", ["p", "v"], ["q"]),
            n("Softmax", ["q"], ["o"], axis=-1),
            n("Transpose", ["o"], ["y"], perm=[1, 0]),
        ],
        {"x": [2, 3, 4]},
        [weights("w", 12, 6), weights("v", 6), ints("zero", 0), ints("one", 1), ints("minus", -1)],
    )
    recurrent = _model(
        [
            n("LSTM", ["x", "wi", "wh", "b"], ["h"], hidden_size=4),
            n("Squeeze", ["h", "one"], ["s"]),
            n("ReduceMean", ["s"], ["y"], axes=[0], keepdims=0),
        ],
        {"x": [5, 1, 3]},
        [weights("wi", 1, 16, 3), weights("wh", 1, 16, 4), weights("b", 1, 32), ints("one", 1)],
        opset=13,
    )
    quantised = _model(
        [
            n("QuantizeLinear", ["x", "sc", "zp"], ["q"]),
            n("DequantizeLinear", ["q", "sc", "zp"], ["d"]),
            n("Clip", ["d", "lo", "hi"], ["c"]),
            n("Split", ["c"], ["s1", "s2"], axis=1),
            n("Mul", ["s1", "s2"], ["m"]),
            n("Resize", ["m", "", "scales"], ["u"]),
            n("Pad", ["u", "pads"], ["y"]),
        ],
        {"x": [1, 4, 6, 6]},
        [
            helper.make_tensor("sc", TensorProto.FLOAT, [], [0.1]),
            helper.make_tensor("zp", TensorProto.UINT8, [], [3]),
            helper.make_tensor("lo", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("hi", TensorProto.FLOAT, [], [6.0]),
            helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0]),
            ints("pads", 0, 0, 1, 1, 0, 0, 1, 1),
        ],
        opset=13,
    )
    branch = _model(
        [
            n("ReduceSum", ["x"], ["t"]),
            n("Cast", ["t"], ["k"], to=TensorProto.BOOL),
            n("If", ["k"], ["i"], then_branch=_branch("Relu"), else_branch=_branch("Sigmoid")),
            n("TopK", ["i", "one"], ["v", "at"]),
            n("Gather", ["table.weight", "at"], ["e"]),
            n("Einsum", ["e", "e"], ["y"], equation="abcd,abcd->abc"),
        ],
        {"x": [2, 2, 3]},
        [ints("one", 1), weights("table.weight", 3, 4)],
        opset=13,
    )
    return (conv, shapes, recurrent, quantised, branch)


def _weights(name: str, *dims: int) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.FLOAT, dims, [0.5] * math.prod(dims))


def _ints(name: str, *values: int) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, [len(values)], list(values))


def _branch(op: str) -> Any:
    from onnx import helper

    result = helper.make_empty_tensor_value_info(f"{op}_y")
    return helper.make_graph([helper.make_node(op, ["x"], [result.name])], op, [], [result])


def _model(nodes: list[Any], inputs: dict[str, list[Any]], tensors: list[Any], opset: int = 17) -> bytes:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "seed",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info("y")],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def hostile_model(data: bytes, rng: Random) -> bytes:
    """The model with one to three fields changed: operators, names, attributes, sizes, weights, versions."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_node, _node, _attribute, _attribute, _tensor, _tensor, _input, _model_field))(model, rng)
    return model.SerializeToString()


def _node(model: Any, rng: Random) -> None:
    nodes = model.graph.node
    if not nodes:
        return
    node, choice = rng.choice(nodes), rng.randrange(8)
    names = [name for n in nodes for name in (*n.input, *n.output)] or [""]
    if choice == 0:
        node.op_type = rng.choice(_TYPES)
    elif choice in (1, 2) and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice((*names, "", "nobody"))
    elif choice == 3 and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice((*names, "", ":", "a:1"))
    elif choice == 4:
        rng.choice((node.input, node.output)).append(rng.choice(names))
    elif choice == 5 and (node.input if rng.random() < 0.7 else node.output):
        (node.input or node.output).pop()
    elif choice == 6:
        nodes.append(rng.choice(nodes))
    else:
        node.domain, node.name = (
            rng.choice(("", "ai.onnx.ml", "com.microsoft", "x")),
            rng.choice(("", "n", ":", "\n" * 3)),
        )


def _attribute(model: Any, rng: Random) -> None:
    from onnx import helper

    with_some = [node for node in model.graph.node if node.attribute]
    node = rng.choice(with_some or list(model.graph.node) or [None])
    if node is None:
        return
    if not node.attribute or rng.random() < 0.2:
        name = rng.choice(
            ("axis", "axes", "pads", "group", "to", "perm", "auto_pad", "kernel_shape", "hidden_size", "blocksize")
        )
        value = rng.choice((0, -5, 2**40, [1, 2], [0], 1.5, "SAME_UPPER", "x", [2**62] * 4))
        node.attribute.append(helper.make_attribute(name, value))
        return
    a, choice = rng.choice(node.attribute), rng.randrange(6)
    if choice == 0:
        node.attribute.remove(a)
    elif choice == 1:
        a.type = rng.randrange(1, 15)
    elif choice == 2:
        a.i, a.s = (
            rng.choice(_NUMBERS),
            rng.choice((b"", b"x", b"\xff", b"SAME_LOWER", b"bidirectional", b"ab,bc->ac", b"...->")),
        )
    elif a.ints and choice <= 4:
        a.ints[rng.randrange(len(a.ints))] = rng.choice(_NUMBERS)
    else:
        a.ints.append(rng.choice(_NUMBERS))


def _tensor(model: Any, rng: Random) -> None:
    tensors = model.graph.initializer
    if not tensors:
        return
    t, choice = rng.choice(tensors), rng.randrange(7)
    if choice <= 1 and t.dims:
        t.dims[rng.randrange(len(t.dims))] = rng.choice(_NUMBERS)
    elif choice == 2:
        t.data_type = rng.randrange(0, 26)
    elif choice == 3 and t.int64_data:
        t.int64_data[rng.randrange(len(t.int64_data))] = rng.choice(_NUMBERS)
    elif choice == 4:
        t.dims.append(rng.choice(_NUMBERS)) if rng.random() < 0.5 or not t.dims else t.dims.pop()
    elif choice == 5:
        t.raw_data = rng.randbytes(rng.choice((0, 1, 8, 64)))
    else:
        t.name = rng.choice(("", "x", "y", "z.weight", t.name + ":1"))


def _input(model: Any, rng: Random) -> None:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return
    value = rng.choice(values)
    dims, choice = value.type.tensor_type.shape.dim, rng.randrange(5)
    if choice <= 1 and dims:
        rng.choice(dims).dim_value = rng.choice(_NUMBERS)
    elif choice == 2 and dims:
        rng.choice(dims).dim_param = rng.choice(("n", "batch", ""))
    elif choice == 3:
        value.name = rng.choice(("", "x", "y", "w", "é"))
    elif rng.random() < 0.5:
        value.type.Clear()
    else:
        dims.add().dim_value = rng.choice(_NUMBERS)


def _model_field(model: Any, rng: Random) -> None:
    choice = rng.randrange(5)
    if choice == 0:
        model.ir_version = rng.choice((0, 1, 3, 12, 2**40))
    elif choice == 1 and model.opset_import:
        model.opset_import[0].version = rng.choice((-1, 0, 1, 6, 9, 11, 13, 18, 23, 99, 2**40))
    elif choice == 2:
        model.opset_import.add().domain = rng.choice(("", "com.microsoft", "x"))
    elif choice == 3 and model.graph.node:
        model.graph.node.reverse() if hasattr(model.graph.node, "reverse") else model.graph.node.pop()
    else:
        model.functions.add(name=rng.choice(("Relu", "f", "")), domain=rng.choice(("", "x")))
