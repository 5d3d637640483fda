"""Branches of ONNX files, operators that archip cannot cost, and files that packages ship."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from archip.core.errors import UserError
from archip.ir.read_onnx import read_onnx
from archip.ir.workload import workload

WIDE, NARROW = 6 * (8 * 4 + 4), 6 * (8 * 2 + 2)  # multiply-accumulates of the branches


def _branch(name: str, width: int):
    """A product with a matrix of 8 x `width`, then with one of `width` x 1."""
    weights = [
        numpy_helper.from_array(np.ones((8, width), np.float32), f"{name}_w"),
        numpy_helper.from_array(np.ones((width, 1), np.float32), f"{name}_v"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_h"], name=f"{name}_first"),
        helper.make_node("MatMul", [f"{name}_h", f"{name}_v"], [f"{name}_y"], name=f"{name}_second"),
    ]
    return helper.make_graph(nodes, name, [], [helper.make_empty_tensor_value_info(f"{name}_y")], weights)


def _saved(path: Path, nodes, inputs, constants=(), domains=()) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in dict(constants).items()]
    outputs = [helper.make_empty_tensor_value_info("y")]
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture
def branching(tmp_path):
    """16000 as `rate` chooses a branch 4 wide, anything else one 2 wide."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (6, 8)),
              helper.make_tensor_value_info("rate", TensorProto.INT64, ())]  # fmt: skip
    wide, narrow = _branch("wide", 4), _branch("narrow", 2)
    nodes = [helper.make_node("Equal", ["rate", "known"], ["is"], name="compare"),
             helper.make_node("If", ["is"], ["y"], name="choice", then_branch=wide, else_branch=narrow)]  # fmt: skip
    return _saved(tmp_path / "net.onnx", nodes, inputs, {"known": np.int64(16000)})


@pytest.mark.parametrize(("values", "macs"), [(None, WIDE), ({"rate": 16000}, WIDE), ({"rate": 8000}, NARROW)])
def test_one_branch_is_read(branching, values, macs):
    assert workload(read_onnx(branching, input_values=values)).macs == macs


def test_values_of_inputs_that_are_not_there_are_refused(branching):
    with pytest.raises(UserError, match=r"'rats'.*rate"):
        read_onnx(branching, input_values={"rats": 1})


def test_unknown_operators_in_a_branch_are_named(tmp_path):
    bad = helper.make_graph([helper.make_node("Det", ["x"], ["d"], name="inner")], "bad", [],
                            [helper.make_empty_tensor_value_info("d")])  # fmt: skip
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (3, 3)),
              helper.make_tensor_value_info("c", TensorProto.BOOL, ())]  # fmt: skip
    node = helper.make_node("If", ["c"], ["y"], name="choice", then_branch=bad, else_branch=bad)
    with pytest.raises(UserError, match=r"Det \(node inner"):
        read_onnx(_saved(tmp_path / "net.onnx", [node], inputs))


def test_operators_that_cannot_be_costed_are_named_and_the_rest_is_costed(tmp_path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 6, 6))]
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
             helper.make_node("Shrink", ["a"], ["b"], name="odd"),
             helper.make_node("Conv", ["b", "w"], ["y"], name="second")]  # fmt: skip
    path = _saved(tmp_path / "net.onnx", nodes, inputs, {"w": np.ones((4, 4, 3, 3), np.float32)})
    with pytest.raises(UserError, match=r"Shrink \(node odd\)"):
        read_onnx(path)
    graph = read_onnx(path, allow_unknown=True)
    (odd,) = [node for node in graph.nodes if node.op == "opaque"]
    assert (odd.name, odd.attrs["operator"], graph.shapes["odd"]) == ("odd", "Shrink", (1, 4, 4, 4))
    work = workload(graph)
    assert work.macs == 4 * 4 * 9 * (16 + 4)
    assert work.predecessors[1] == (0,)  # through the operator that is not costed


def test_a_layer_behind_a_shape_that_nobody_knows_is_refused(tmp_path):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))]
    nodes = [helper.make_node("Warp", ["x"], ["a"], domain="my.ops", name="odd"),
             helper.make_node("Relu", ["a"], ["b"], name="behind"),
             helper.make_node("MatMul", ["b", "w"], ["y"], name="layer")]  # fmt: skip
    path = _saved(tmp_path / "net.onnx", nodes, inputs, {"w": np.ones((4, 4), np.float32)}, domains=["my.ops"])
    with pytest.raises(UserError, match=r"node odd.*Warp.*shape of a|shape of a.*node odd"):
        read_onnx(path, allow_unknown=True)


def test_what_follows_a_choice_of_boxes_is_named_and_the_layers_before_are_costed(tmp_path):
    """A detector that ends in the suppression of boxes, whose number depends on the image."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 8)), ("s", (1, 1, 9)))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], name="layer"),
             helper.make_node("Reshape", ["a", "shape"], ["boxes"], name="shaped"),
             helper.make_node("NonMaxSuppression", ["boxes", "s"], ["kept"], name="choice"),
             helper.make_node("Gather", ["boxes", "one"], ["first"], name="sized", axis=0),
             helper.make_node("GatherND", ["s", "kept"], ["y"], name="scores")]  # fmt: skip
    constants = {"w": np.ones((8, 36), np.float32), "shape": np.array([1, 9, 4]), "one": np.int64(0)}
    graph = read_onnx(_saved(tmp_path / "net.onnx", nodes, inputs, constants), allow_unknown=True)
    left_out = {node.name: node.attrs["reason"] for node in graph.nodes if node.op == "opaque"}
    assert list(left_out) == ["choice", "scores"]
    assert "depends on what is not costed" in left_out["scores"]
    assert workload(graph).macs == 8 * 36


def _shipped(package: str, file: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {package} is not installed")
    return Path(spec.origin).parent / file


@pytest.mark.golden
@pytest.mark.parametrize("rate", [16000, 8000])
def test_silero_vad(rate):
    """Both rates: STFT as a convolution, four convolutions, LSTM of 128, one output."""
    path = _shipped("silero_vad", "data/silero_vad.onnx")
    samples, bins = (576, 129) if rate == 16000 else (288, 65)
    sizes = {"input": (1, samples), "state": (2, 1, 128)}
    graph = read_onnx(path, sizes, {"sr": rate}, allow_unknown=True)
    work = workload(graph)
    assert not [node for node in graph.nodes if node.op == "opaque"]
    lstm = int(work.macs_L[work.ops.index("lstm")])
    assert lstm == 4 * 128 * (128 + 128)
    steps = 4
    stft = 2 * bins * 2 * (bins - 1) * steps
    convolutions = 3 * (128 * bins * 4 + 64 * 128 * 2 + 64 * 64 * 1 + 128 * 64 * 1)
    assert work.macs == stft + convolutions + lstm + 128


@pytest.mark.golden
def test_rapidocr_classifier():
    path = _shipped("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx")
    model = onnx.load(path)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 48, 192), strict=True):
        dim.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info}
    weights = {n.output[0]: list(n.attribute[0].t.dims) for n in model.graph.node if n.op_type == "Constant"}
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    macs = sum(int(np.prod(shapes[n.output[0]]) * np.prod(weights[n.input[1]][1:])) for n in convolutions)
    work = workload(read_onnx(path, {"x": (1, 3, 48, 192)}))
    assert sum(m for m, kind in zip(work.macs_L, work.kinds, strict=True) if kind == "conv") == macs
    assert work.kinds.count("conv") == len(convolutions)
