"""ONNX Runtime's own operators: shapes as ONNX Runtime computes them, products as counted by hand."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from archip.ir.read_onnx import read_onnx
from archip.ir.workload import workload

N, STEPS, WIDTH, HEADS = 2, 5, 8, 2
X = {"x": (N, STEPS, WIDTH)}


def f32(*shape):
    return np.ones(shape, np.float32)


SCORES = 2 * N * STEPS * STEPS * WIDTH  # queries times keys, and scores times values, over all heads
# operator, inputs, constants, attributes, multiply-accumulates
CASES = [
    ("FusedMatMul", X | {"z": (N, STEPS, WIDTH)}, {}, {"transB": 1}, N * STEPS * WIDTH * STEPS),
    ("BiasGelu", X, {"b": f32(WIDTH)}, {}, 0),
    ("QuickGelu", X, {}, {}, 0),
    ("SkipLayerNormalization", X | {"z": (N, STEPS, WIDTH)}, {k: f32(WIDTH) for k in "gbc"}, {}, 0),
    ("Attention", X, {"w": f32(WIDTH, 3 * WIDTH), "b": f32(3 * WIDTH)}, {"num_heads": HEADS},
     N * STEPS * WIDTH * 3 * WIDTH + SCORES),
    ("MultiHeadAttention", X | {"k": (N, STEPS, WIDTH), "v": (N, STEPS, WIDTH)}, {}, {"num_heads": HEADS}, SCORES),
    ("MultiHeadAttention", X | {"k": (N, STEPS, WIDTH), "v": (N, STEPS, WIDTH)}, {"b": f32(3 * WIDTH)},
     {"num_heads": HEADS}, SCORES),
    ("FusedConv", {"x": (1, 3, 9, 9)}, {"w": f32(4, 3, 3, 3), "b": f32(4)}, {"activation": "Relu"}, 4 * 3 * 9 * 7 * 7),
    ("FusedGemm", {"x": (4, WIDTH)}, {"w": f32(WIDTH, 6), "b": f32(6)}, {"activation": "Relu"}, 4 * WIDTH * 6),
]  # fmt: skip


def made(op, inputs, constants, attrs, path):
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
    names = [*inputs, *constants]
    if op == "MultiHeadAttention":
        names = [*inputs, "b"] if constants else [*inputs]
    node = helper.make_node(op, names, ["y"], domain="com.microsoft", name="it", **attrs)
    weights = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = helper.make_graph([node], "g", values, [helper.make_empty_tensor_value_info("y")], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(("op", "inputs", "constants", "attrs", "macs"), CASES, ids=lambda v: str(v)[:20])
def test_shapes_are_those_of_onnx_runtime(tmp_path, op, inputs, constants, attrs, macs):
    path = made(op, inputs, constants, attrs, tmp_path / "net.onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {name: f32(*shape) for name, shape in inputs.items()})
    graph = read_onnx(path)
    assert graph.shapes[graph.outputs[0]] == y.shape
    assert workload(graph).macs == macs
    assert workload(graph).params == sum(v.size for v in constants.values())


def test_weights_of_four_bits_have_the_size_that_the_node_says(tmp_path):
    k, n, block = 32, 6, 32
    packed, scales = np.zeros((n, k // block, block // 2), np.uint8), f32(n * (k // block))
    constants, attrs = {"w": packed, "s": scales}, {"K": k, "N": n, "bits": 4, "block_size": block}
    path = made("MatMulNBits", {"x": (3, k)}, constants, attrs, tmp_path / "net.onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": f32(3, k)})
    graph = read_onnx(path)
    work = workload(graph)
    assert graph.shapes[graph.outputs[0]] == y.shape == (3, n)
    assert (work.macs, work.params, work.bits_LO[0, 0]) == (3 * k * n, k * n, 4)


def test_dynamically_quantised_recurrent_layers_cost_what_the_float_ones_do(tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    steps, size, hidden = 4, 6, 5
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (steps, 1, size))
    weights = {"w": f32(1, 4 * hidden, size), "r": f32(1, 4 * hidden, hidden), "b": f32(1, 8 * hidden)}
    node = helper.make_node("LSTM", ["x", *weights], ["y"], name="it", hidden_size=hidden)
    constants = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    graph = helper.make_graph([node], "g", [x], [helper.make_empty_tensor_value_info("y")], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(
        tmp_path / "float.onnx", tmp_path / "int.onnx", extra_options={"DefaultTensorType": TensorProto.FLOAT}
    )
    first, second = (workload(read_onnx(tmp_path / name)) for name in ("float.onnx", "int.onnx"))
    assert "DynamicQuantizeLSTM" in {n.op_type for n in onnx.load(tmp_path / "int.onnx").graph.node}
    assert first.macs == second.macs == steps * 4 * hidden * (size + hidden)
