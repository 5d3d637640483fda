"""ONNX files: known networks through torch's exporter, operator sets old and new, and files that are wrong."""

import math
import random
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from archip.core.errors import CandidateError, UserError
from archip.ir.graph import Graph
from archip.ir.read_onnx import read_onnx
from archip.ir.workload import workload

torch = pytest.importorskip("torch")
from _networks import Bert, MobileNetV2, ResNet18, ViTTiny  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from archip.ir.read_torch import read_torch  # noqa: E402

FLOAT = TensorProto.FLOAT


def exported(module, inputs, path, **options):
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, path, dynamo=True, verbose=False, external_data=False, **options)
    return path


def trained(module):
    """The module with random numbers in its biases and norms: the exporter merges equal ones and drops zeros."""
    for p in module.parameters():
        if p.ndim == 1:
            nn.init.normal_(p)
    return module


def _layers(graph: Graph) -> list[tuple[int, ...]]:
    w = workload(graph)
    rows = [i for i, kind in enumerate(w.kinds) if kind != "vector"]
    return [(*w.dims_LD[i], *w.stride_L2[i], *w.padding_L2[i]) for i in rows]


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize(
    ("cls", "macs", "params", "n_batch_norm"),
    [(ResNet18, 1_814_073_344, 11_689_512, 4800), (MobileNetV2, 300_774_272, 3_504_872, 17_056),
     (ViTTiny, 1_253_683_200, 5_717_416, 0)],
)  # fmt: skip
def test_known_networks(tmp_path, cls, macs, params, n_batch_norm, optimize):
    module, x = trained(cls()), (torch.zeros(1, 3, 224, 224),)
    graph = read_onnx(exported(module, x, tmp_path / "net.onnx", optimize=optimize))
    w = workload(graph)
    assert w.macs == macs
    assert w.params == params - (n_batch_norm if optimize else 0)  # a folded norm leaves one number of two
    assert _layers(graph) == _layers(read_torch(module, x))


@pytest.mark.slow
def test_a_bert_like_encoder(tmp_path):
    module = trained(Bert(64, 2, 4, 1000, 32))
    ids = torch.zeros(1, 32, dtype=torch.long)
    w = workload(read_onnx(exported(module, (ids, ids), tmp_path / "net.onnx")))
    assert w.params == sum(p.numel() for p in module.parameters())
    assert w.macs == 2 * (12 * 32 * 64 * 64 + 2 * 32 * 32 * 64) + 64 * 64


@pytest.mark.slow
def test_names_are_those_of_the_modules(tmp_path):
    graph = read_onnx(exported(ResNet18(), (torch.zeros(1, 3, 64, 64),), tmp_path / "net.onnx", optimize=False))
    assert {"layer1.0.conv1", "layer2.0.downsample.0", "layer4.1.bn2", "fc"} <= set(graph.node)


class Odds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.conv = nn.Conv1d(12, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.lstm = nn.LSTM(16, 10, bidirectional=True, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(20, 4, 32, batch_first=True)
        self.up = nn.ConvTranspose1d(20, 6, 3, 2, 1, 1)

    def forward(self, ids):
        x = F.silu(self.norm(self.conv(self.embed(ids).transpose(1, 2)))).transpose(1, 2)
        x = self.encoder(self.lstm(x)[0])
        x = F.interpolate(self.up(x.transpose(1, 2)), scale_factor=2)
        a, b = x.chunk(2, 1)
        return F.hardswish(a[..., 1:-1:2]).amax(-1), F.pad(b, (1, 2)).clamp(0, 6), x.flatten(1).softmax(-1)


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [False, True])
def test_many_operators(tmp_path, optimize):
    module, ids = trained(Odds()), torch.zeros(2, 9, dtype=torch.long)
    graph = read_onnx(exported(module, (ids,), tmp_path / "net.onnx", optimize=optimize))
    assert [graph.shapes[o] for o in graph.outputs] == [tuple(y.shape) for y in module(ids)]
    by_torch, w = workload(read_torch(module, (ids,))), workload(graph)
    assert w.macs == by_torch.macs
    assert w.params == by_torch.params == sum(p.numel() for p in module.parameters())


def model(nodes, inputs, outputs=("y",), constants=(), opset=17, domains=()) -> onnx.ModelProto:
    """A model; `inputs`: name → shape, `constants`: name → array."""
    given = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()]
    made = [helper.make_empty_tensor_value_info(name) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in dict(constants).items()]
    graph = helper.make_graph(list(nodes), "net", given, made, tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.fixture
def read(tmp_path):
    def call(proto: onnx.ModelProto, **options) -> Graph:
        onnx.save(proto, tmp_path / "net.onnx")
        return read_onnx(tmp_path / "net.onnx", **options)

    return call


def node(op, inputs, outputs="y", **attrs):
    return helper.make_node(op, inputs.split(","), outputs.split(","), name=f"the_{op}", **attrs)


i64 = np.int64
IMAGE = {"x": (1, 4, 8, 10)}


@pytest.mark.parametrize(
    ("opset", "made", "constants"),
    [
        (9, node("Slice", "x", starts=[1, 2], ends=[3, 2**31], axes=[1, 3]), {}),
        (13, node("Slice", "x,s,e,a,t"),
         {"s": i64([-1, 0]), "e": i64([-(2**63), 7]), "a": i64([2, 3]), "t": i64([-2, 3])}),
        (11, node("Unsqueeze", "x", axes=[0, 3]), {}),
        (13, node("Unsqueeze", "x,a"), {"a": i64([-1])}),
        (11, node("Squeeze", "x", axes=[0]), {}),
        (13, node("Squeeze", "x"), {}),
        (11, node("Split", "x", "y,z", axis=1, split=[1, 3]), {}),
        (13, node("Split", "x,s", "y,z", axis=1), {"s": i64([3, 1])}),
        (18, node("Split", "x", "y,z,u", axis=3, num_outputs=3), {}),
        (11, node("ReduceMean", "x", axes=[2, 3], keepdims=0), {}),
        (18, node("ReduceMean", "x,a"), {"a": i64([-1])}),
        (17, node("ReduceMax", "x", keepdims=0), {}),
        (6, node("Clip", "x", min=0.0, max=6.0), {}),
        (13, node("Clip", "x,,m"), {"m": np.float32(6)}),
        (10, node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 3, 4]), {}),
        (18, node("Pad", "x,p,,a"), {"p": i64([1, 2]), "a": i64([3])}),
        (9, node("Upsample", "x,s"), {"s": np.float32([1, 1, 2, 3])}),
        (10, node("Resize", "x,s"), {"s": np.float32([1, 1, 2, 2])}),
        (13, node("Resize", "x,,s"), {"s": np.float32([1, 1, 1.5, 0.5])}),
        (13, node("Resize", "x,,,s", mode="linear"), {"s": i64([1, 4, 5, 7])}),
        (17, node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 0, 1], ceil_mode=1), {}),
        (17, node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"), {}),
        (17, node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3], auto_pad="VALID"), {}),
        (17, node("Conv", "x,w,b", group=2, strides=[2, 1], pads=[1, 0, 2, 1]),
         {"w": np.ones((6, 2, 3, 3), "f"), "b": np.ones(6, "f")}),
        (17, node("Conv", "x,w", auto_pad="SAME_LOWER", dilations=[2, 1]), {"w": np.ones((6, 4, 2, 2), "f")}),
        (17, node("ConvTranspose", "x,w", strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 0]),
         {"w": np.ones((4, 6, 3, 3), "f")}),
        (17, node("ConvTranspose", "x,w", strides=[2, 2], output_shape=[17, 21]), {"w": np.ones((4, 6, 3, 3), "f")}),
        (17, node("Transpose", "x"), {}),
        (17, node("Flatten", "x", axis=2), {}),
        (17, node("Reshape", "x,s"), {"s": i64([0, -1, 8])}),
        (17, node("Expand", "x,s"), {"s": i64([3, 4, 1, 10])}),
        (17, node("Tile", "x,s"), {"s": i64([1, 2, 1, 3])}),
        (17, node("Gather", "x,i", axis=3), {"i": i64([[1, 2], [3, 4]])}),
        (17, node("Gather", "x,i", axis=1), {"i": i64(2)}),
        (17, node("GlobalAveragePool", "x"), {}),
        (17, node("Softmax", "x", axis=1), {}),
        (17, node("TopK", "x,k", "y,z"), {"k": i64([3])}),
        (17, node("ArgMax", "x", axis=2, keepdims=0), {}),
        (17, node("DepthToSpace", "x", blocksize=2), {}),
        (17, node("Where", "c,x,d"), {"c": np.ones((1, 1, 8, 1), bool), "d": np.ones((3, 1, 1, 1), "f")}),
        (17, node("Max", "x,a,b"), {"a": np.ones((5, 1, 1, 1), "f"), "b": np.ones(10, "f")}),
        (17, node("MatMul", "x,w"), {"w": np.ones((10, 6), "f")}),
        (17, node("LayerNormalization", "x,w,b", axis=-2), {"w": np.ones((8, 10), "f"), "b": np.ones((8, 10), "f")}),
    ],
)  # fmt: skip
def test_shapes_agree_with_onnx(read, opset, made, constants):
    outputs = [o for o in made.output if o]
    proto = model([made], IMAGE, outputs, constants, opset)
    graph = read(proto)
    inferred = shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True).graph.output
    expected = [tuple(d.dim_value for d in o.type.tensor_type.shape.dim) for o in inferred]
    assert [graph.shapes[o] for o in graph.outputs] == expected


def test_weights_become_attributes(read):
    w = {
        "a.weight": np.ones((6, 4, 3, 3), "f"),
        "a.bias": np.ones(6, "f"),
        "w": np.ones((480, 5), "f"),
        "b": np.ones(5, "f"),
    }
    nodes = [
        node("Conv", "x,a.weight,a.bias", "c", pads=[1, 1, 1, 1]),
        node("Flatten", "c", "f"),
        node("MatMul", "f,w", "m"),
        node("Add", "b,m"),
    ]
    graph = read(model(nodes, IMAGE, constants=w))
    assert [(n.name, n.op) for n in graph.nodes] == [
        ("a", "conv"),
        ("the_Flatten", "flatten"),
        ("the_MatMul", "linear"),
    ]
    assert graph.node["a"].attrs == {"out_channels": 6, "kernel": (3, 3), "padding": (1, 1)}
    assert graph.outputs == ("the_MatMul",)
    assert workload(graph).params == 6 * 4 * 9 + 6 + 480 * 5 + 5


def test_a_sum_that_others_read_stays_a_sum(read):
    nodes = [node("MatMul", "x,w", "m"), node("Add", "m,b", "a"), node("Mul", "a,m")]
    graph = read(model(nodes, {"x": (1, 7)}, constants={"w": np.ones((7, 5), "f"), "b": np.ones(5, "f")}))
    assert [n.op for n in graph.nodes] == ["linear", "parameter", "add", "mul"]
    assert workload(graph).params == 40


def test_shape_arithmetic_is_worked_out(read):
    """As older exporters write `x.view(x.size(0), -1)`."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s,zero", "n"),
        node("Unsqueeze", "n,axes", "n1"),
        node("Concat", "n1,rest", "shape", axis=0),
        node("Reshape", "x,shape"),
    ]
    graph = read(model(nodes, IMAGE, constants={"zero": i64(0), "axes": i64([0]), "rest": i64([-1])}))
    assert [(n.op, graph.shapes[n.name]) for n in graph.nodes] == [("flatten", (1, 320))]


def test_recurrent_layers(read):
    w = {"w": np.ones((2, 28, 5), "f"), "r": np.ones((2, 28, 7), "f"), "b": np.ones((2, 56), "f")}
    lstm = node("LSTM", "x,w,r,b", "y,h,c", hidden_size=7, direction="bidirectional")
    graph = read(model([lstm], {"x": (9, 3, 5)}, ("y", "h", "c"), w))
    assert [graph.shapes[o] for o in graph.outputs] == [(9, 2, 3, 7), (2, 3, 7), (2, 3, 7)]
    row = workload(graph)
    assert row.params == sum(a.size for a in w.values())
    assert row.macs == 2 * 9 * 3 * 28 * (5 + 7)


@pytest.mark.parametrize(("op", "gates", "states"), [("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)])
def test_recurrent_layers_with_the_batch_first(read, op, gates, states):
    """Shapes as the operator's definition gives them for layout 1, which ONNX Runtime does not run."""
    w = {"w": np.ones((2, gates * 7, 5), "f"), "r": np.ones((2, gates * 7, 7), "f")}
    outputs = ("y", "h", "c")[: 1 + states]
    layer = node(op, "x,w,r", ",".join(outputs), hidden_size=7, direction="bidirectional", layout=1)
    graph = read(model([layer], {"x": (3, 9, 5)}, outputs, w))
    assert [graph.shapes[o] for o in graph.outputs] == [(3, 9, 2, 7), *[(3, 2, 7)] * states]
    assert workload(graph).macs == 2 * 9 * 3 * gates * 7 * (5 + 7)


ATTENTIONS = [  # inputs, attributes, (queries, keys, widths of a key and of a value) a head, batch times heads
    ({"q": (2, 4, 10, 16), "k": (2, 4, 12, 16), "v": (2, 4, 12, 8)}, {}, (10, 12, 24), 8),
    ({"q": (2, 10, 64), "k": (2, 12, 64), "v": (2, 12, 32)}, {"q_num_heads": 4, "kv_num_heads": 4}, (10, 12, 24), 8),
    ({"q": (2, 10, 64), "k": (2, 12, 32), "v": (2, 12, 16)}, {"q_num_heads": 4, "kv_num_heads": 2}, (10, 12, 24), 8),
    ({"q": (1, 1, 64), "k": (1, 1, 64), "v": (1, 1, 64), "": (), "pk": (1, 4, 9, 16), "pv": (1, 4, 9, 16)},
     {"q_num_heads": 4, "kv_num_heads": 4}, (1, 10, 32), 4),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "attrs", "head", "n_heads"), ATTENTIONS)
def test_attention_has_the_shapes_and_products_of_its_heads(read, inputs, attrs, head, n_heads):
    proto = model([node("Attention", ",".join(inputs), **attrs)], {k: v for k, v in inputs.items() if k}, opset=23)
    proto.ir_version = 10
    feeds = {name: np.ones(shape, "f") for name, shape in inputs.items() if name}
    (y,) = ReferenceEvaluator(proto).run(None, feeds)
    graph = read(proto)
    assert graph.shapes[graph.outputs[0]] == y.shape
    assert workload(graph).macs == n_heads * np.prod(head)


def test_quantised_layers_have_their_bits(read):
    eight = {"w": np.ones((6, 4, 3, 3), np.int8), "b": np.ones(6, np.int32), "s": np.float32(0.1), "z": np.int8(0)}
    proto = model([node("QLinearConv", "q,s,z,w,s,z,s,z,b")], {"q": (1, 4, 8, 8)}, constants=eight)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    w = workload(read(proto), 16, 16)
    assert w.bits_LO.tolist() == [[8, 8, 8]]
    assert (w.macs, w.params) == (6 * 4 * 9 * 36, 6 * 4 * 9 + 6)


def test_float_layers_between_quantisers_have_their_bits(read):
    nodes = [
        node("QuantizeLinear", "x,s,z", "q"),
        node("DequantizeLinear", "q,s,z", "d"),
        node("DequantizeLinear", "w,s,z", "v"),
        node("Gemm", "d,v", "g", transB=1),
        node("Gemm", "g,u"),
    ]
    w = {"w": np.ones((5, 7), np.int8), "u": np.ones((5, 3), "f"), "s": np.float32(0.1), "z": np.int8(0)}
    row = workload(read(model(nodes, {"x": (2, 7)}, constants=w)), 16, 16)
    assert row.bits_LO.tolist() == [[8, 8, 8], [16, 16, 16]]
    assert row.params == 35 + 15


def test_dynamically_quantised_layers(read):
    nodes = [
        node("DynamicQuantizeLinear", "x", "q,s,z"),
        node("MatMulInteger", "q,w,z", "i"),
        node("Cast", "i", "f", to=FLOAT),
        node("Mul", "f,s"),
    ]
    graph = read(model(nodes, {"x": (2, 7)}, constants={"w": np.ones((7, 5), np.uint8)}))
    assert [n.op for n in graph.nodes] == ["quantize", "linear", "mul"]
    assert workload(graph, 16, 16).bits_LO[1].tolist() == [8, 8, 8]


def _relu(shape) -> onnx.ModelProto:
    return model([node("Relu", "x")], {"x": shape})


def test_open_sizes_are_given_by_name_or_by_input(read):
    assert read(_relu(("n", 3, "h", "h")), input_shapes={"n": 1, "h": 8}).shapes["x"] == (1, 3, 8, 8)
    assert read(_relu(("n", 3)), input_shapes={"x": (2, 3)}).shapes["x"] == (2, 3)
    assert read(_relu((None, 3)), input_shapes={"x": (2, 3)}).shapes["x"] == (2, 3)
    assert read(_relu((None,)), input_shapes={"x": 4}).shapes["x"] == (4,)


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        (("n", 3, "h", 8), {"h": 8}, r"input x: the shape \(n, 3, 8, 8\) is not complete.*input_shapes=\{'n': 1\}"),
        ((None, 3), {}, r"input x: the shape \(\?, 3\) is not complete.*'x': \(1, …\)"),
        (None, {}, "input x: the shape unknown is not complete"),
        (("batch", 3), {"bacth": 1}, r"no input or dimension 'bacth'.*'batch'"),
        (("n", 3), {"x": (1, 2, 3)}, "input x: has 2 axes, not 3"),
        (("n", 3), {"x": 1}, "input_shapes: 1 does not fit 'x'.*a shape"),
        (("n", 3), {"n": (1, 3)}, r"input_shapes: \(1, 3\) does not fit 'n'.*one size"),
    ],
)
def test_sizes_that_are_missing_are_named(read, shape, given, message):
    with pytest.raises(UserError, match=message):
        read(_relu(shape), input_shapes=given)


def test_unsupported_operators_are_all_named_before_anything_else(read):
    nodes = [node("NonZero", "x", "a"), node("Det", "x", "b"), helper.make_node("Warp", ["b"], ["y"], domain="my.ops")]
    with pytest.raises(
        UserError, match=r"net\.onnx: .*Det \(node the_Det\), NonZero \(node the_NonZero\), my\.ops\.Warp \(node y\)"
    ):
        read(model(nodes, {"x": ("n", 3, 3)}, domains=["my.ops"]))


def test_a_constant_too_large_to_work_with_is_refused(tmp_path):
    """Its shape is a number in the file, its data may be missing; to sum it up would take minutes."""
    nodes = [helper.make_node("ReduceSum", ["ones"], ["sum"]), helper.make_node("Expand", ["x", "sum"], ["y"])]
    sizes = [helper.make_tensor_value_info(name, FLOAT, [1, 4]) for name in ("x", "y")]
    ones = TensorProto(name="ones", data_type=TensorProto.INT64, dims=[2**40])
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", sizes[:1], sizes[1:], [ones])), tmp_path / "large.onnx")
    with pytest.raises(UserError, match="too large"):
        read_onnx(tmp_path / "large.onnx")


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Conv", "x,w")], {"w": np.ones((6, 3, 3, 3), "f")}, "node the_Conv: Conv cannot be read"),
        ([node("MatMul", "x,w")], {"w": np.ones((9, 6), "f")}, "node the_MatMul: MatMul cannot be read"),
        ([node("Reshape", "x,s")], {"s": i64([7, -1])}, "node the_Reshape: Reshape cannot be read.*does not reshape"),
        ([node("Cast", "x", "s", to=TensorProto.INT64), node("Reshape", "x,s")], {},
         "node the_Reshape: .*input 1 is not a constant"),
        ([node("Concat", "x,w", axis=1)], {"w": np.ones((1, 4, 8, 9), "f")}, "node the_Concat: .*cannot be joined"),
        ([node("Relu", "z")], {}, "'z' is read, but no earlier node makes it"),
        ([node("Relu", "x", bad=1)], {}, "node the_Relu: .*bad"),
        ([node("MaxPool", "x")], {}, "node the_MaxPool: .*kernel_shape"),
    ],
)  # fmt: skip
def test_nodes_that_do_not_fit_are_named(read, nodes, constants, message):
    with pytest.raises(UserError, match=message) as caught:
        read(model(nodes, IMAGE, constants=constants))
    assert "net.onnx" in str(caught.value)


def _small_network() -> bytes:
    rng = np.random.default_rng(0)
    w = {
        "w": rng.normal(size=(6, 4, 3, 3)).astype("f"),
        "v": rng.normal(size=(10, 5)).astype("f"),
        "s": i64([1, -1, 10]),
    }
    nodes = [node("Conv", "x,w", "c", pads=[1, 1, 1, 1]), node("Reshape", "c,s", "r"), node("MatMul", "r,v", "m"),
             node("Softmax", "m")]  # fmt: skip
    return model(nodes, IMAGE, constants=w).SerializeToString()


def test_truncated_files_are_refused(tmp_path):
    whole = _small_network()
    path = tmp_path / "part.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"part\.onnx"):
            read_onnx(path)
    path.write_bytes(whole)
    assert len(read_onnx(path).nodes) == 4


def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path):
    whole, rng = _small_network(), random.Random(0)
    path = tmp_path / "damaged.onnx"
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            workload(read_onnx(path))
        except UserError:
            refused += 1
    assert refused > 50


def test_files_that_are_not_there_or_something_else(tmp_path):
    with pytest.raises(UserError, match=r"gone\.onnx: cannot be read: No such file"):
        read_onnx(tmp_path / "gone.onnx")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_onnx(tmp_path)
    (tmp_path / "text.onnx").write_text("this is not a network\n" * 50)
    with pytest.raises(UserError, match=r"text\.onnx: is no ONNX model"):
        read_onnx(tmp_path / "text.onnx")


def test_external_data_is_needed_only_for_shapes(tmp_path):
    proto = model([node("MatMul", "x,w")], {"x": (1, 64)}, constants={"w": np.ones((64, 128), "f")})
    onnx.save(proto, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=1)
    assert workload(read_onnx(tmp_path / "net.onnx")).params == math.prod((64, 128))
    shape = model([node("Reshape", "x,s")], {"x": (1, 64)}, constants={"s": i64([8, 8])})
    onnx.save(shape, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=1)
    assert read_onnx(tmp_path / "net.onnx").shapes["the_Reshape"] == (8, 8)
    (tmp_path / "net.data").unlink()
    with pytest.raises(UserError, match=r"net\.onnx"):
        read_onnx(tmp_path / "net.onnx")


def test_an_architecture_without_its_weights_has_a_workload(tmp_path):
    """As zigzag-dse ships ResNet-18: small weights and biases are in a file that nobody has."""
    constants = {"w": np.ones((8, 3, 3, 3), "f"), "b": np.ones(8, "f")}
    net = model([node("Conv", "x,w,b", kernel_shape=[3, 3])], {"x": (1, 3, 8, 8)}, constants=constants)
    onnx.save(net, tmp_path / "whole.onnx")
    onnx.save(net, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=1)
    (tmp_path / "net.data").unlink()
    bare, whole = (workload(read_onnx(tmp_path / f"{name}.onnx")) for name in ("net", "whole"))
    assert (bare.params, bare.macs) == (whole.params, whole.macs) == (8 * 27 + 8, 8 * 27 * 36)


def _conv(sizes=(1, 3, 8, 8), **changes):
    net = model([helper.make_node("Conv", ["x", "w"], ["y"])], {"x": sizes}, constants={"w": np.ones((4, 3, 1, 1))})
    net.opset_import[0].version = changes.get("opset", 17)
    for name in changes.get("functions", ()):
        net.functions.add(name=name, domain="x")
    return net


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (_conv(opset=2**40), "versions: cannot be read"),
        (_conv(functions=["f", "f"]), "functions cannot be inlined"),
        (_conv(sizes=(-(2**62), 3, 8, 8)), "has negative sizes"),
    ],
)
def test_numbers_that_no_model_has(tmp_path, net, message):
    (tmp_path / "net.onnx").write_bytes(net.SerializeToString())
    with pytest.raises(UserError, match=message):
        read_onnx(tmp_path / "net.onnx")


def test_layers_too_large_to_be_counted(tmp_path):
    (tmp_path / "net.onnx").write_bytes(_conv(sizes=(1, 3, 2**40, 2**40)).SerializeToString())
    with pytest.raises(CandidateError, match="too large to be counted"):
        workload(read_onnx(tmp_path / "net.onnx"))
