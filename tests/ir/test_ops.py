"""Every rule against torch, on tensors without data."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, GraphBuilder, Input, Node
from archip.ir.ops import OPS, UNARY, attributes, buffers, infer_shapes, loop_nest, output_shapes, weights

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

small = st.integers(1, 4)


def meta(*shape: int) -> "torch.Tensor":
    return torch.empty(shape, device="meta")


def shape_of(op: str, *inputs: tuple[int, ...], **attrs) -> tuple[int, ...]:
    return output_shapes(Node.of("n", op, ["x"] * len(inputs), attrs), inputs)["n"]


def not_empty(x: "torch.Tensor") -> "torch.Tensor":
    """Torch lets some results of size 0 pass, depending on the device; the table lets none."""
    if x.numel() == 0:
        raise ValueError("empty")
    return x


def agrees(call, op: str, *inputs: tuple[int, ...], **attrs) -> None:
    """The table has the shape that `call` has, or both refuse."""
    try:
        expected = tuple(call().shape)
    except (RuntimeError, ValueError, IndexError):
        with pytest.raises(CandidateError, match="'n'"):
            shape_of(op, *inputs, **attrs)
    else:
        assert shape_of(op, *inputs, **attrs) == expected


@given(st.data(), st.integers(1, 3))
@settings(max_examples=500, deadline=None)
def test_convolutions(data, rank):
    kernel, stride, dilation = (data.draw(st.tuples(*[small] * rank)) for _ in range(3))
    padding = data.draw(st.tuples(*[st.integers(0, 3)] * rank))
    size = data.draw(st.tuples(*[st.integers(1, 12)] * rank))
    groups, per_group, out_per_group = data.draw(st.tuples(small, small, small))
    c, k = groups * per_group, groups * out_per_group
    attrs = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    module = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1](c, k, kernel, stride, padding, dilation, groups, device="meta")
    agrees(lambda: module(meta(2, c, *size)), "conv", (2, c, *size), out_channels=k, **attrs)
    node = Node.of("n", "conv", ["x"], {"out_channels": k, **attrs})
    assert weights(node, [(2, c, *size)]) == {name: tuple(p.shape) for name, p in module.named_parameters()}


@given(st.data(), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_transposed_convolutions(data, rank):
    kernel, stride, dilation = (data.draw(st.tuples(*[small] * rank)) for _ in range(3))
    padding, extra = (data.draw(st.tuples(*[st.integers(0, 2)] * rank)) for _ in range(2))
    assume(all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)))
    size = data.draw(st.tuples(*[st.integers(1, 6)] * rank))
    groups = data.draw(st.integers(1, 3))
    attrs = {"kernel": kernel, "stride": stride, "padding": padding, "output_padding": extra, "groups": groups}
    module = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1](
        2 * groups, 3 * groups, kernel, stride, padding, extra, groups, dilation=dilation, device="meta"
    )
    given = {"out_channels": 3 * groups, "dilation": dilation, **attrs}
    agrees(lambda: not_empty(module(meta(1, 2 * groups, *size))), "conv_transpose", (1, 2 * groups, *size), **given)
    node = Node.of("n", "conv_transpose", ["x"], given)
    assert weights(node, [(1, 2 * groups, *size)]) == {name: tuple(p.shape) for name, p in module.named_parameters()}


@given(st.data(), st.booleans())
@settings(max_examples=500, deadline=None)
def test_pooling(data, ceil):
    kernel, stride, dilation, size = (data.draw(st.integers(1, n)) for n in (4, 4, 3, 12))
    padding = data.draw(st.integers(0, kernel // 2))
    options = {"kernel": (kernel,), "stride": (stride,), "padding": (padding,), "ceil": ceil}
    x = (1, 2, size)
    agrees(
        lambda: F.max_pool1d(meta(*x), kernel, stride, padding, dilation, ceil), "max_pool", x,
        dilation=(dilation,), **options,
    )  # fmt: skip
    agrees(lambda: F.avg_pool1d(meta(*x), kernel, stride, padding, ceil), "avg_pool", x, **options)


shapes = st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple)


@given(shapes, shapes)
@settings(deadline=None)
def test_broadcasting(a, b):
    agrees(lambda: meta(*a) + meta(*b), "add", a, b)


@given(shapes.filter(lambda s: len(s) > 1), shapes.filter(lambda s: len(s) > 1))
@settings(deadline=None)
def test_matrix_products(a, b):
    agrees(lambda: meta(*a) @ meta(*b), "matmul", a, b)


@given(st.data(), shapes.filter(bool))
@settings(deadline=None)
def test_shapes_and_axes(data, shape):
    x, rank = meta(*shape), len(shape)
    axis = data.draw(st.integers(-rank - 1, rank))
    other = data.draw(st.sampled_from([shape, (*shape[:-1], 3), shape[1:]]))
    agrees(lambda: torch.cat([x, meta(*other)], axis), "concat", shape, other, axis=axis)
    perm = data.draw(st.permutations(range(rank)))
    agrees(lambda: x.permute(*perm), "transpose", shape, perm=perm)
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
    for keep in (True, False):
        agrees(lambda keep=keep: x.mean(axes, keep), "mean", shape, axes=axes, keepdims=keep)
    start, step = data.draw(st.integers(-5, 5)), data.draw(st.integers(1, 3))
    stop = data.draw(st.none() | st.integers(-5, 5))
    if -rank <= axis < rank:
        at = (slice(None),) * (axis % rank) + (slice(start, stop, step),)
        agrees(lambda: x[at], "slice", shape, axis=axis, start=start, stop=stop, step=step)
    repeats = data.draw(st.tuples(*[small] * rank))
    agrees(lambda: x.repeat(*repeats), "tile", shape, repeats=repeats)
    agrees(lambda: x.expand(*repeats), "expand", shape, shape=repeats) if all(
        d in (1, r) for d, r in zip(shape, repeats, strict=True)
    ) else None


@given(st.data(), shapes)
@settings(deadline=None)
def test_reshapes(data, shape):
    new = data.draw(st.lists(st.sampled_from([-1, 1, 2, 3, 4, 6, 8, math.prod(shape)]), max_size=3))
    assume(new.count(-1) <= 1)
    agrees(lambda: meta(*shape).reshape(new), "reshape", shape, shape=new)


def test_rows_that_have_one_shape():
    image = (2, 8, 6, 10)
    assert shape_of("flatten", image) == (2, 480)
    assert shape_of("global_avg_pool", image) == (2, 8)
    assert shape_of("upsample", image, scale=(2, 3)) == tuple(F.interpolate(meta(*image), scale_factor=(2, 3)).shape)
    assert shape_of("resize", image, size=(7, 9)) == (2, 8, 7, 9)
    assert shape_of("pad", image, pads=((1, 2), (3, 4))) == tuple(F.pad(meta(*image), (3, 4, 1, 2)).shape)
    assert shape_of("depth_to_space", image, block=2) == tuple(F.pixel_shuffle(meta(*image), 2).shape)
    assert shape_of("space_to_depth", image, block=2) == tuple(F.pixel_unshuffle(meta(*image), 2).shape)
    assert shape_of("embedding", (2, 7), n=100, dim=16) == (2, 7, 16)
    assert shape_of("gather", (5, 6), (2, 3), axis=1) == (5, 2, 3)
    assert shape_of("linear", (2, 7, 16), out_features=5) == (2, 7, 5)
    assert output_shapes(Node.of("n", "split", ["x"], {"sizes": (3, 5)}), [image]) == {
        "n": (2, 3, 6, 10), "n:1": (2, 5, 6, 10)
    }  # fmt: skip


@pytest.mark.parametrize(("op", "cls", "states"), [("lstm", nn.LSTM, 2), ("gru", nn.GRU, 1), ("rnn", nn.RNN, 1)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers(op, cls, states, bidirectional):
    module = cls(5, 7, bidirectional=bidirectional)
    y, last = module(torch.zeros(9, 2, 5))
    node = Node.of("n", op, ["x"], {"hidden": 7, "bidirectional": bidirectional})
    found = output_shapes(node, [(9, 2, 5)])
    last = last if isinstance(last, tuple) else (last,)
    assert list(found.values()) == [tuple(t.shape) for t in (y, *last)]
    assert len(last) == states
    n = sum(math.prod(s) for s in weights(node, [(9, 2, 5)]).values())
    assert n == sum(p.numel() for p in module.parameters())
    # One gate of a direction multiplies the input (5) and the state (7) for each of 7 x 9 x 2 results.
    gates = module.weight_ih_l0.shape[0] // 7
    assert math.prod(loop_nest(node, [(9, 2, 5)], found["n"])) == (1 + bidirectional) * gates * 7 * 12 * 9 * 2


@pytest.mark.parametrize(
    ("module", "op", "attrs"),
    [
        (nn.BatchNorm2d(6), "batch_norm", {}),
        (nn.BatchNorm2d(6, affine=False), "batch_norm", {"affine": False}),
        (nn.LayerNorm((4, 5)), "layer_norm", {"n_axes": 2}),
        (nn.LayerNorm(5, bias=False), "layer_norm", {"bias": False}),
        (nn.RMSNorm(5), "rms_norm", {}),
        (nn.GroupNorm(3, 6), "group_norm", {"groups": 3}),
        (nn.InstanceNorm2d(6), "instance_norm", {}),
        (nn.PReLU(6), "prelu", {"n": 6}),
    ],
)
def test_weights_of_norms(module, op, attrs):
    node, x = Node.of("n", op, ["x"], attrs), (2, 6, 4, 5)
    assert output_shapes(node, [x]) == {"n": x}
    assert weights(node, [x]) == {name: tuple(p.shape) for name, p in module.named_parameters()}
    expected = {name: tuple(b.shape) for name, b in module.named_buffers() if b.ndim}
    assert buffers(node, [x]) == expected


def test_einsum_counts_products_and_groups_batches():
    node = Node.of("n", "einsum", ["a", "b"], {"equation": "bhqd,bhkd->bhqk"})
    a, b = (2, 3, 5, 7), (2, 3, 4, 7)
    assert output_shapes(node, [a, b]) == {"n": (2, 3, 5, 4)}
    assert loop_nest(node, [a, b], (2, 3, 5, 4)) == (1, 6, 4, 7, 5, 1, 1, 1)
    with pytest.raises(CandidateError, match=r"'n'.*does not fit"):
        output_shapes(node, [a, (2, 3, 4, 8)])


def test_loops_of_a_transposed_convolution_are_those_of_a_pointwise_one():
    node = Node.of("n", "conv_transpose", ["x"], {"out_channels": 6, "kernel": (2, 2), "stride": 2, "groups": 2})
    x = (1, 4, 5, 5)
    loops = loop_nest(node, [x], output_shapes(node, [x])["n"])
    assert loops == (1, 2, 3 * 4, 2, 5, 5, 1, 1)
    assert math.prod(loops) == 25 * 4 * 3 * 4  # each of 25 x 4 inputs meets 3 filters of its group with 4 taps


@pytest.mark.parametrize("name", OPS)
def test_rows_are_complete(name):
    op = OPS[name]
    assert op.kind in ("conv", "gemm", "vector", "free")
    assert (op.loops is not None) == (op.kind in ("conv", "gemm"))


@pytest.mark.parametrize("name", UNARY)
def test_element_by_element_rows_keep_the_shape(name):
    assert shape_of(name, (2, 3)) == (2, 3)


def _one(op: str, size: tuple[int, ...] = (1, 3, 8, 8), **attrs) -> Graph:
    g = GraphBuilder()
    return g.finish(g.add(op, g.input("x", size, "NCHW"), name="layer1", **attrs))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_one("convv"), "'layer1': unknown operator 'convv'.*'conv'"),
        (_one("conv", out_channels=4, kernel=(3, 3), strid=2), "'layer1': conv has no attribute 'strid'.*'stride'"),
        (_one("conv", kernel=(3, 3)), "'layer1': conv needs out_channels"),
        (_one("conv", out_channels=4, kernel=(3,)), "'layer1': a kernel of 1 axes does not fit"),
        (_one("conv", out_channels=4, kernel=(9, 9)), "'layer1': a window of 9 does not fit into 8"),
        (_one("conv", out_channels=4, kernel=(3, 3), groups=2), "'layer1': 3 and 4 channels do not divide"),
        (_one("conv", out_channels=4, kernel=(3, 3), stride=(1, 1, 1)), "'layer1': .*each of 2 axes"),
        (_one("add"), "'layer1': add takes 2 inputs, not 1"),
        (_one("max_pool", (1, 3), kernel=(2,)), "'layer1': max_pool needs 3 axes"),
        (_one("reshape", shape=(5, -1)), "'layer1': .* does not reshape"),
        (_one("transpose", perm=(0, 1)), "'layer1': .*not an order"),
        (_one("concat", axis=4), "'layer1': there is no axis 4"),
        (_one("split", sizes=(1, 1)), "'layer1': parts of"),
    ],
)
def test_what_is_wrong_names_the_node(graph, message):
    with pytest.raises(CandidateError, match=message):
        infer_shapes(graph)


def test_values_that_nobody_makes_are_named():
    graph = Graph((Input("x", (1, 3), "NC"),), (Node("a", "relu", ("y",)),), ("a",))
    with pytest.raises(CandidateError, match="'a' reads 'y'"):
        infer_shapes(graph)


def test_bits_and_ties_may_stand_on_any_node():
    node = Node.of("n", "linear", ["x"], {"out_features": 3, "weight_bits": 4, "tied": [["weight", "m.weight"]]})
    assert attributes(node)["weight_bits"] == 4
