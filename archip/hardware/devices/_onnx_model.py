"""A graph as an ONNX model to be timed: the operators and shapes of the network, weights of any value.

It needs no torch, so that a device can be measured where nothing is trained; `export/onnx.py` writes trained networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes, buffers, weights

__all__ = ["onnx_model"]

Values = Callable[[str, str, tuple[int, ...]], np.ndarray]

_OPSET = 18
_SAME_NAME = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hardswish": "HardSwish", "softplus": "Softplus",
    "mish": "Mish", "abs": "Abs", "neg": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "erf": "Erf",
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min", "matmul": "MatMul",
    "flatten": "Flatten", "identity": "Identity", "dropout": "Identity",
}  # fmt: skip


def onnx_model(graph: Graph, values: Values | None = None) -> bytes:
    """The serialised model with the graph's names, shapes and batch size.

    Args:
        values: (node, tensor, shape) → the tensor; small random numbers where it is left out.

    Raises:
        CandidateError: an operator that this cannot write; names the node.
    """
    from onnx import TensorProto, helper

    writer = _Writer(graph, values or _small_numbers)
    for node in graph.nodes:
        writer.write(node)
    types = {i.name: TensorProto.INT64 for i in graph.inputs if i.is_tokens}
    tensor = lambda name: helper.make_tensor_value_info(  # noqa: E731
        name, types.get(name, TensorProto.FLOAT), graph.shapes[name]
    )
    body = helper.make_graph(
        writer.nodes, "network", [tensor(i.name) for i in graph.inputs], [tensor(v) for v in graph.outputs],
        writer.constants,
    )  # fmt: skip
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    return model.SerializeToString()


def _small_numbers(node: str, tensor: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights that keep values near 1; variances are positive. (Denormal numbers would be slow.)"""
    fan_in = max(1, math.prod(shape[1:]))
    return np.random.default_rng(0).uniform(0.5, 1.0, shape) / fan_in


class _Writer:
    """Collects nodes and constants."""

    def __init__(self, graph: Graph, values: Values) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._values = values

    def write(self, node: Node) -> None:
        name = f"_{node.op}"
        if node.op in _SAME_NAME:
            self.node(_SAME_NAME[node.op], node.inputs, node.name)
        elif hasattr(self, name):
            getattr(self, name)(node, attributes(node))
        else:
            raise CandidateError(f"node {node.name!r}: {node.op} cannot be written for ONNX Runtime yet")

    def node(self, op: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, list(inputs), [output], **attrs))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def tensors(self, node: Node) -> dict[str, str]:
        """Tensor of the node → name of the constant that holds it."""
        shapes = [self.graph.shapes[v] for v in node.inputs]
        return {
            tensor: self.constant(
                f"{node.name}.{tensor}", np.asarray(self._values(node.name, tensor, shape), np.float32)
            )
            for tensor, shape in {**weights(node, shapes), **buffers(node, shapes)}.items()
        }

    def rank(self, node: Node) -> int:
        return len(self.graph.shapes[node.inputs[0]]) - 2

    def _conv(self, node: Node, a: Mapping[str, Any]) -> None:
        given = (node.inputs[0], *self.tensors(node).values())
        self.node("Conv", given, node.name, group=a["groups"], **self._window(node, a))

    def _conv_transpose(self, node: Node, a: Mapping[str, Any]) -> None:
        given = (node.inputs[0], *self.tensors(node).values())
        more = _each(a["output_padding"], self.rank(node))
        self.node("ConvTranspose", given, node.name, group=a["groups"], output_padding=more, **self._window(node, a))

    def _window(self, node: Node, a: Mapping[str, Any]) -> dict[str, Any]:
        rank = self.rank(node)
        stride = a["kernel"] if a["stride"] is None else a["stride"]
        window = {
            "kernel_shape": _each(a["kernel"], rank),
            "strides": _each(stride, rank),
            "pads": 2 * _each(a["padding"], rank),
        }
        return window | ({"dilations": _each(a["dilation"], rank)} if "dilation" in a else {})

    def _linear(self, node: Node, a: Mapping[str, Any]) -> None:
        names = self.tensors(node)
        if len(self.graph.shapes[node.inputs[0]]) == 2:
            self.node("Gemm", (node.inputs[0], *names.values()), node.name, transB=1)
            return
        turned = self.node("Transpose", (names["weight"],), f"{node.name}/turned", perm=(1, 0))
        product = f"{node.name}/product" if "bias" in names else node.name
        self.node("MatMul", (node.inputs[0], turned), product)
        if "bias" in names:
            self.node("Add", (product, names["bias"]), node.name)

    def _embedding(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Gather", (self.tensors(node)["weight"], node.inputs[0]), node.name)

    def _parameter(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Identity", (self.tensors(node)["weight"],), node.name)

    def _constant(self, node: Node, a: Mapping[str, Any]) -> None:
        self.constant(node.name, np.full(a["shape"], 0.5 if a["value"] is None else a["value"], np.float32))

    def _equal(self, node: Node, a: Mapping[str, Any]) -> None:
        """1 or 0; whole numbers are compared as floats."""
        given = [self.node("Cast", (v,), f"{node.name}/{i}", to=1) for i, v in enumerate(node.inputs)]
        self.node("Cast", (self.node("Equal", given, f"{node.name}/is"),), node.name, to=1)

    def _batch_norm(self, node: Node, a: Mapping[str, Any]) -> None:
        names = self.tensors(node)
        n = self.graph.shapes[node.inputs[0]][1]
        scale = names.get("weight") or self.constant(f"{node.name}.weight", np.ones(n, np.float32))
        shift = names.get("bias") or self.constant(f"{node.name}.bias", np.zeros(n, np.float32))
        given = (node.inputs[0], scale, shift, names["running_mean"], names["running_var"])
        self.node("BatchNormalization", given, node.name, epsilon=a["eps"])

    def _layer_norm(self, node: Node, a: Mapping[str, Any]) -> None:
        names = self.tensors(node)
        shape = self.graph.shapes[node.inputs[0]][-a["n_axes"] :]
        scale = names.get("weight") or self.constant(f"{node.name}.weight", np.ones(shape, np.float32))
        given = [node.inputs[0], scale, *([names["bias"]] if "bias" in names else [])]
        self.node("LayerNormalization", given, node.name, axis=-a["n_axes"], epsilon=a["eps"])

    def _max_pool(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("MaxPool", node.inputs, node.name, ceil_mode=int(a["ceil"]), **self._window(node, a))

    def _avg_pool(self, node: Node, a: Mapping[str, Any]) -> None:
        more = {"ceil_mode": int(a["ceil"]), "count_include_pad": int(a["count_pad"])}
        self.node("AveragePool", node.inputs, node.name, **more, **self._window(node, a))

    def _global_avg_pool(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Flatten", (self.node("GlobalAveragePool", node.inputs, f"{node.name}/pooled"),), node.name)

    def _concat(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Concat", node.inputs, node.name, axis=a["axis"])

    def _softmax(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Softmax", node.inputs, node.name, axis=a["axis"])

    def _leaky_relu(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("LeakyRelu", node.inputs, node.name, alpha=a["slope"])

    def _hardsigmoid(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("HardSigmoid", node.inputs, node.name, alpha=1 / 6, beta=0.5)

    def _relu6(self, node: Node, a: Mapping[str, Any]) -> None:
        bounds = [self.constant(f"{node.name}.{k}", np.array(k, np.float32)) for k in (0, 6)]
        self.node("Clip", (*node.inputs, *bounds), node.name)

    def _silu(self, node: Node, a: Mapping[str, Any]) -> None:
        gate = self.node("Sigmoid", node.inputs, f"{node.name}/gate")
        self.node("Mul", (node.inputs[0], gate), node.name)

    def _gelu(self, node: Node, a: Mapping[str, Any]) -> None:
        half, root = (self.constant(f"{node.name}.{i}", np.array(v, np.float32)) for i, v in enumerate((0.5, 2**-0.5)))
        one = self.constant(f"{node.name}.2", np.array(1, np.float32))
        scaled = self.node("Mul", (node.inputs[0], root), f"{node.name}/scaled")
        erf = self.node("Erf", (scaled,), f"{node.name}/erf")
        share = self.node("Add", (erf, one), f"{node.name}/share")
        self.node("Mul", (self.node("Mul", (node.inputs[0], half), f"{node.name}/half"), share), node.name)

    def _mean(self, node: Node, a: Mapping[str, Any]) -> None:
        axes = self.constant(f"{node.name}.axes", np.array(_each(a["axes"], 1), np.int64))
        self.node("ReduceMean", (node.inputs[0], axes), node.name, keepdims=int(a["keepdims"]))

    def _sum(self, node: Node, a: Mapping[str, Any]) -> None:
        axes = self.constant(f"{node.name}.axes", np.array(_each(a["axes"], 1), np.int64))
        self.node("ReduceSum", (node.inputs[0], axes), node.name, keepdims=int(a["keepdims"]))

    def _square(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Mul", (node.inputs[0], node.inputs[0]), node.name)

    def _clip(self, node: Node, a: Mapping[str, Any]) -> None:
        bounds = [
            "" if a[k] is None else self.constant(f"{node.name}.{k}", np.array(a[k], np.float32))
            for k in ("least", "most")
        ]
        self.node("Clip", (node.inputs[0], *bounds), node.name)

    def _slice(self, node: Node, a: Mapping[str, Any]) -> None:
        stop = np.iinfo(np.int64).max if a["stop"] is None else a["stop"]
        parts = {"start": a["start"], "stop": stop, "axis": a["axis"], "step": a["step"]}
        given = [self.constant(f"{node.name}.{k}", np.array([v], np.int64)) for k, v in parts.items()]
        self.node("Slice", (node.inputs[0], *given), node.name)

    def _pad(self, node: Node, a: Mapping[str, Any]) -> None:
        pads = [(0, 0)] * (self.rank(node) + 2 - len(a["pads"])) + list(a["pads"])
        widths = [before for before, _ in pads] + [after for _, after in pads]
        given = [self.constant(f"{node.name}.pads", np.array(widths, np.int64))]
        given += (
            [self.constant(f"{node.name}.value", np.array(a["value"], np.float32))] if a["mode"] == "constant" else []
        )
        self.node("Pad", (node.inputs[0], *given), node.name, mode=a["mode"])

    def _transpose(self, node: Node, a: Mapping[str, Any]) -> None:
        self.node("Transpose", node.inputs, node.name, perm=a["perm"])

    def _reshape(self, node: Node, a: Mapping[str, Any]) -> None:
        shape = self.constant(f"{node.name}.shape", np.array(self.graph.shapes[node.name], np.int64))
        self.node("Reshape", (node.inputs[0], shape), node.name)

    def _upsample(self, node: Node, a: Mapping[str, Any]) -> None:
        scales = [1.0, 1.0, *map(float, _each(a["scale"], self.rank(node)))]
        self._resized(node, a, ("", self.constant(f"{node.name}.scales", np.array(scales, np.float32))))

    def _resize(self, node: Node, a: Mapping[str, Any]) -> None:
        size = self.constant(f"{node.name}.sizes", np.array(self.graph.shapes[node.name], np.int64))
        self._resized(node, a, ("", "", size))

    def _resized(self, node: Node, a: Mapping[str, Any], to: Sequence[str]) -> None:
        modes = {"nearest": ("nearest", "asymmetric"), "linear": ("linear", "half_pixel"), "bilinear": ("linear",
                 "half_pixel")}  # fmt: skip
        mode, transform = modes[a["mode"]]
        self.node("Resize", (node.inputs[0], *to), node.name, mode=mode, coordinate_transformation_mode=transform,
                  nearest_mode="floor")  # fmt: skip


def _each(value: Any, rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value)
