"""Modules built from graphs: every operator against torch written by hand, and what an ordinary module can do."""

from __future__ import annotations

import copy
import math
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archip.core import registry
from archip.core.errors import CandidateError
from archip.ir.graph import GraphBuilder
from archip.ir.ops import OPS, buffers, weights
from archip.nets.build import GraphModule, build_module
from archip.nets.torch_form import _FORMS

IMAGE, SERIES, TOKENS = (4, 6, 8), (4, 9), (5, 12)


def by_steps(step, p, x):
    """Outputs of a recurrent layer of five units over (steps, batch, features), step by step from zeros."""
    h, c, found = torch.zeros(x.shape[1], 5), torch.zeros(x.shape[1], 5), []
    for x_t in x:
        h, c = step(p, x_t, h, c)
        found.append(h)
    return torch.stack(found)


def rnn_step(p, x, h, c):
    return torch.tanh(x @ p.weight_ih_l0.T + h @ p.weight_hh_l0.T), c


def gru_step(p, x, h, c):
    (r, z, n), (s_r, s_z, s_n) = (
        (v @ w.T + b).chunk(3, 1) for v, w, b in ((x, p.weight_ih_l0, p.bias_ih_l0), (h, p.weight_hh_l0, p.bias_hh_l0))
    )
    z = torch.sigmoid(z + s_z)
    return (1 - z) * torch.tanh(n + torch.sigmoid(r + s_r) * s_n) + z * h, c


def lstm_step(p, x, h, c):
    gates = x @ p.weight_ih_l0.T + p.bias_ih_l0 + h @ p.weight_hh_l0.T + p.bias_hh_l0
    i, f, g, o = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


# operator, attributes, shapes of the inputs without the batch axis, the same by hand (p: the layer's tensors by name)
CASES = [
    ("conv", {"out_channels": 6, "kernel": (3, 5), "stride": (2, 1), "padding": (1, 2)}, [IMAGE],
     lambda p, x: F.conv2d(x, p.weight, p.bias, (2, 1), (1, 2))),
    ("conv", {"out_channels": 6, "kernel": (3,), "dilation": 2, "groups": 2, "bias": False}, [SERIES],
     lambda p, x: F.conv1d(x, p.weight, dilation=2, groups=2)),
    ("conv", {"out_channels": 2, "kernel": (2, 2, 2)}, [(1, 3, 4, 5)], lambda p, x: F.conv3d(x, p.weight, p.bias)),
    ("conv_transpose", {"out_channels": 6, "kernel": (3, 2), "stride": 2, "padding": (1, 0), "output_padding": (1, 0)},
     [IMAGE], lambda p, x: F.conv_transpose2d(x, p.weight, p.bias, 2, (1, 0), (1, 0))),
    ("linear", {"out_features": 3}, [TOKENS], lambda p, x: x @ p.weight.T + p.bias),
    ("linear", {"out_features": 3, "bias": False}, [(7,)], lambda p, x: x @ p.weight.T),
    ("matmul", {}, [(2, 3, 4), (2, 4, 5)], lambda p, x, y: torch.einsum("nhij,nhjk->nhik", x, y)),
    ("batch_norm", {}, [IMAGE], lambda p, x: (x - x.mean((0, 2, 3), True))
     / (x.var((0, 2, 3), False, True) + 1e-5).sqrt() * p.weight[:, None, None] + p.bias[:, None, None]),
    ("batch_norm", {"eps": 0.1}, [(7,)], lambda p, x: (x - x.mean(0)) / (x.var(0, unbiased=False) + 0.1).sqrt()),
    ("batch_norm", {}, [(2, 3, 4, 5)], lambda p, x: F.batch_norm(x, None, None, p.weight, p.bias, training=True)),
    ("batch_norm", {"affine": False, "eps": 1}, [(7,)], lambda p, x: (x - x.mean(0)) / (x.var(0, False) + 1).sqrt()),
    ("layer_norm", {"affine": False}, [SERIES],
     lambda p, x: (x - x.mean(2, True)) / (x.var(2, False, True) + 1e-5).sqrt()),
    ("layer_norm", {"bias": False}, [TOKENS], lambda p, x: F.layer_norm(x, (12,))),
    ("layer_norm", {"n_axes": 2, "eps": 1e-3}, [IMAGE], lambda p, x: (x - x.mean((2, 3), True))
     / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-3).sqrt()),
    ("relu", {}, [SERIES], lambda p, x: x.clamp(min=0)),
    ("relu6", {}, [SERIES], lambda p, x: x.clamp(0, 6)),
    ("gelu", {}, [SERIES], lambda p, x: x * (1 + torch.erf(x / math.sqrt(2))) / 2),
    ("silu", {}, [SERIES], lambda p, x: x / (1 + torch.exp(-x))),
    ("hardswish", {}, [SERIES], lambda p, x: x * (x + 3).clamp(0, 6) / 6),
    ("hardsigmoid", {}, [SERIES], lambda p, x: (x + 3).clamp(0, 6) / 6),
    ("sigmoid", {}, [SERIES], lambda p, x: 1 / (1 + torch.exp(-x))),
    ("tanh", {}, [SERIES], lambda p, x: 1 - 2 / (torch.exp(2 * x) + 1)),
    ("softmax", {"axis": 1}, [SERIES], lambda p, x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True)),
    ("add", {}, [IMAGE, (4, 1, 1)], lambda p, x, y: y + x),
    ("sub", {}, [IMAGE, IMAGE], lambda p, x, y: -(y - x)),
    ("mul", {}, [IMAGE, (4, 1, 1)], lambda p, x, y: y * x),
    ("div", {}, [IMAGE, IMAGE], lambda p, x, y: x * y.reciprocal()),
    ("concat", {}, [(2, 5), (3, 5), (1, 5)], lambda p, *x: torch.hstack(x)),
    ("concat", {"axis": -1}, [(3, 2), (3, 4)], lambda p, x, y: torch.cat((x, y), 2)),
    ("max_pool", {"kernel": (2, 3)}, [IMAGE], lambda p, x: x.unfold(2, 2, 2).unfold(3, 3, 3).amax((-1, -2))),
    ("max_pool", {"kernel": (3,), "stride": 1, "padding": 1}, [SERIES],
     lambda p, x: F.pad(x, (1, 1), value=-math.inf).unfold(2, 3, 1).amax(-1)),
    ("max_pool", {"kernel": (2,), "ceil": True, "stride": 4}, [SERIES],
     lambda p, x: x[..., [1, 5, 8]].maximum(x[..., [0, 4, 8]])),
    ("max_pool", {"kernel": (3,), "dilation": 4}, [SERIES], lambda p, x: x[..., [0, 4, 8]].amax(2, True)),
    ("avg_pool", {"kernel": (3,), "stride": 2, "padding": 1}, [SERIES],
     lambda p, x: F.pad(x, (1, 1)).unfold(2, 3, 2).mean(-1)),
    ("avg_pool", {"kernel": (2, 2)}, [IMAGE], lambda p, x: x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))),
    ("global_avg_pool", {}, [IMAGE], lambda p, x: x.sum((2, 3)) / 48),
    ("global_avg_pool", {}, [SERIES], lambda p, x: x.sum(2) / 9),
    ("mean", {"axes": (1, -1), "keepdims": True}, [IMAGE], lambda p, x: x.sum((1, 3), keepdim=True) / 32),
    ("mean", {"axes": (2,)}, [IMAGE], lambda p, x: x.sum(2) / 6),
    ("sum", {"axes": (2,)}, [SERIES], lambda p, x: torch.einsum("nct->nc", x)),
    ("clip", {"least": -0.5}, [SERIES], lambda p, x: torch.where(x < -0.5, torch.tensor(-0.5), x)),
    ("clip", {"least": -1, "most": 1.5}, [SERIES], lambda p, x: x.maximum(-torch.ones(1)).minimum(1.5 * torch.ones(1))),
    ("square", {}, [SERIES], lambda p, x: x * x),
    ("resize", {"size": (12, 4), "mode": "nearest"}, [IMAGE], lambda p, x: x.repeat_interleave(2, 2)[..., ::2]),
    ("resize", {"size": (3, 4), "mode": "bilinear"}, [IMAGE], lambda p, x: F.avg_pool2d(x, 2)),
    ("resize", {"size": (18,), "mode": "bilinear"}, [SERIES], lambda p, x: F.interpolate(x, size=18, mode="linear")),
    ("upsample", {"scale": (2, 3)}, [IMAGE], lambda p, x: x.repeat_interleave(2, 2).repeat_interleave(3, 3)),
    ("upsample", {"scale": (2, 2), "mode": "bilinear"}, [IMAGE],
     lambda p, x: F.interpolate(x, size=(12, 16), mode="bilinear", align_corners=False)),
    ("upsample", {"scale": (2,), "mode": "bilinear"}, [SERIES], lambda p, x: F.interpolate(x, size=18, mode="linear")),
    ("pad", {"pads": ((1, 0), (0, 2))}, [IMAGE],
     lambda p, x: torch.cat([torch.zeros(3, 4, 1, 10), torch.cat([x, torch.zeros(3, 4, 6, 2)], 3)], 2)),
    ("pad", {"pads": ((1, 1),), "mode": "edge"}, [SERIES], lambda p, x: x[..., [0, *range(9), 8]]),
    ("pad", {"pads": ((0, 0), (2, 0)), "mode": "reflect"}, [IMAGE], lambda p, x: x[..., [2, 1, *range(8)]]),
    ("pad", {"pads": ((0, 1),), "value": 3.0}, [SERIES], lambda p, x: torch.cat([x, torch.full((3, 4, 1), 3.0)], 2)),
    ("flatten", {}, [IMAGE], lambda p, x: x.reshape(len(x), -1)),
    ("reshape", {"shape": (1, -1, 6)}, [IMAGE], lambda p, x: x.reshape(len(x), 32, 6)),
    ("reshape", {"shape": (4, 6, 8)}, [IMAGE], lambda p, x: x.reshape(4 * len(x), 6, 8)),
    ("transpose", {"perm": (0, 2, 3, 1)}, [IMAGE], lambda p, x: torch.einsum("nchw->nhwc", x)),
    ("slice", {"axis": 2, "start": 1, "stop": -1, "step": 2}, [IMAGE], lambda p, x: x[:, :, [1, 3]]),
    ("slice", {"axis": -1, "stop": 3}, [IMAGE], lambda p, x: x.split((3, 5), 3)[0]),
    ("rnn", {"hidden": 5, "bias": False}, [SERIES], lambda p, x: by_steps(rnn_step, p, x)),
    ("gru", {"hidden": 5}, [SERIES], lambda p, x: by_steps(gru_step, p, x)),
    ("lstm", {"hidden": 5}, [SERIES], lambda p, x: by_steps(lstm_step, p, x)),
    ("identity", {}, [IMAGE], lambda p, x: x),
    ("dropout", {"p": 0.0}, [IMAGE], lambda p, x: x),
]  # fmt: skip


def one_node(op, attributes, shapes):
    g = GraphBuilder()
    inputs = [g.input(f"x{i}", (1, *shape), "N" + "?" * len(shape)) for i, shape in enumerate(shapes)]
    return g.finish(g.add(op, *inputs, name="a.node", **attributes))


@pytest.mark.parametrize(("op", "attributes", "shapes", "by_hand"), CASES, ids=[c[0] for c in CASES])
def test_operators_compute_what_they_say(op, attributes, shapes, by_hand):
    graph = one_node(op, attributes, shapes)
    module = build_module(graph, seed=0)
    torch.manual_seed(0)
    layer = module._modules.get("a_node")
    if op == "batch_norm" and "eps" not in attributes:
        nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    inputs = [torch.randn(3, *shape) for shape in shapes]
    out = module(*inputs)
    torch.testing.assert_close(out, by_hand(layer, *inputs))
    batched = graph.shapes["a.node"]
    assert tuple(out.shape) == (3 * batched[0], *batched[1:])


@pytest.mark.parametrize(("op", "attributes", "shapes", "by_hand"), CASES, ids=[c[0] for c in CASES])
def test_tensors_are_those_of_the_operator_table(op, attributes, shapes, by_hand):
    graph = one_node(op, attributes, shapes)
    module, given = build_module(graph), [(1, *s) for s in shapes]
    found = {name: tuple(p.shape) for name, p in module.named_parameters()}
    if op in ("rnn", "gru", "lstm"):  # torch counts layers in the name, and directions one by one
        found = {name.removesuffix("_l0"): (1, *shape) for name, shape in found.items()}
    assert found == {f"a_node.{k}": s for k, s in weights(graph.nodes[0], given).items()}
    kept = {name: tuple(b.shape) for name, b in module.named_buffers() if b.is_floating_point()}
    assert kept == {f"a_node.{k}": s for k, s in buffers(graph.nodes[0], given).items()}


def test_embeddings_look_up_their_rows():
    module = build_module(one_node("embedding", {"n": 10, "dim": 4}, [(6,)]))
    index = torch.randint(10, (3, 6))
    assert torch.equal(module(index), module.a_node.weight[index])


def test_weights_and_numbers_are_values():
    """A table that is added to every sample, and a comparison with a number."""
    g = GraphBuilder()
    x = g.input("x", (1, 2, 3), "N??")
    table = g.add("parameter", name="table", shape=(1, 2, 3))
    half = g.add("constant", name="half", shape=(), value=0.5)
    y = g.add("add", g.add("mul", x, half, name="scaled"), table, name="sum")
    module = build_module(g.finish(y, g.add("equal", x, half, name="is half")))
    given = torch.tensor([[[0.5, 1, 2], [0, 0.5, 0]], [[1, 1, 1], [3, 3, 0.5]]])
    total, is_half = module(given)
    torch.testing.assert_close(total, given / 2 + module.table.weight)
    assert torch.equal(is_half, given == 0.5)
    assert 0 < float(module.table.weight.detach().std()) < 0.1


def test_a_constant_without_a_value_is_refused():
    with pytest.raises(CandidateError, match=r"'a\.node'.*not known"):
        build_module(one_node("constant", {"shape": (2,)}, []))


def test_every_operator_that_can_be_built_is_compared():
    assert {c[0] for c in CASES} | {"embedding", "parameter", "constant", "equal", "sqrt"} == set(_FORMS)
    assert set(_FORMS) <= set(OPS)


def test_roots():
    squares = torch.tensor([[0.0, 1, 4], [2.25, 9, 16]])
    assert torch.equal(build_module(one_node("sqrt", {}, [(3,)]))(squares), torch.tensor([[0, 1, 2], [1.5, 3, 4]]))


def test_dropout_and_norms_follow_the_mode():
    g = GraphBuilder()
    x = g.add("dropout", g.input("x", (1, 100), "NC"), name="drop", p=0.5)
    module = build_module(g.finish(g.add("batch_norm", x, name="norm")))
    x = torch.ones(64, 100)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_several_inputs_and_outputs():
    g = GraphBuilder()
    a, b = g.input("a", (1, 3), "NC"), g.input("b", (1, 3), "NC")
    total = g.add("add", a, b, name="total")
    unused = g.add("mul", a, a, name="nobody reads this")
    module = build_module(g.finish(g.add("sub", total, b, name="back"), total, b))
    assert unused == "nobody reads this"
    x, y = torch.tensor([[1.0, 2, 3]]), torch.tensor([[10.0, 20, 30]])
    assert [out.tolist() for out in module(x, y)] == [[[1, 2, 3]], [[11, 22, 33]], [[10, 20, 30]]]


@pytest.mark.parametrize("seed", range(20))
def test_no_value_is_lost_while_it_is_needed(seed):
    """Random graphs of sums: registers against a dictionary of all values."""
    rng = np.random.default_rng(seed)
    g = GraphBuilder()
    names = [g.input("x", (1, 2), "NC")]
    for i in range(30):
        a, b = (names[max(0, len(names) - 1 - int(rng.geometric(0.3)))] for _ in range(2))
        names.append(g.add(str(rng.choice(["add", "sub"])), a, b, name=f"n{i}"))
    graph = g.finish(*(str(n) for n in rng.choice(names, 3, replace=False)))
    x = torch.randn(4, 2, dtype=torch.float64)
    values = {"x": x}
    for node in graph.nodes:
        a, b = (values[i] for i in node.inputs)
        values[node.name] = a + b if node.op == "add" else a - b
    for found, name in zip(build_module(graph)(x), graph.outputs, strict=True):
        assert torch.equal(found, values[name])


def test_a_chain_takes_one_register_and_a_residual_two():
    """So that memory is freed as early as in a hand-written network."""
    genes = {"fn0": 8, "fn1": 32, "sk1": 0, "fn2": 32, "sk2": 0, "fn3": 32, "sk3": 0}
    space = registry.create("spaces", "resnet9")
    assert space.build(genes, (3, 8, 8), 2, 0)._n_registers == 1
    assert space.build({**genes, "sk2": 2}, (3, 8, 8), 2, 0)._n_registers == 2


def test_names_that_python_does_not_allow_become_others():
    g = GraphBuilder()
    x = g.input("x", (1, 3), "NC")
    for name in ("/block/0.fc", "_block_0_fc", "0", "forward", "class", "graph", "training", "ünder"):
        x = g.add("linear", x, name=name, out_features=3)
    module = build_module(g.finish(x))
    assert module(torch.ones(2, 3)).shape == (2, 3)
    assert len(list(module.children())) == 8
    assert all(name.isidentifier() for name, _ in module.named_children())


# Weights


def genes_and_space(name="resnet9"):
    space = registry.create("spaces", name)
    return space.sample(np.random.default_rng(0)), space


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    genes, space = genes_and_space()
    a, b, c = (space.build(genes, (3, 8, 8), 4, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["stem_conv.weight"], c["stem_conv.weight"])


def test_a_layer_starts_with_the_same_weights_whatever_the_others_are():
    genes, space = genes_and_space()
    one = space.build({**genes, "sk1": 0}, (3, 8, 8), 4, 0).state_dict()
    two = space.build({**genes, "sk1": 2}, (3, 8, 8), 4, 0).state_dict()
    assert set(one) < set(two)
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_the_global_generator_is_not_touched():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    genes, space = genes_and_space()
    space.build(genes, (3, 8, 8), 4, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("op", "attributes", "shape", "variance"),
    [
        ("conv", {"out_channels": 64, "kernel": (3, 3)}, (32, 8, 8), 2 / (32 * 9)),
        ("conv", {"out_channels": 512, "kernel": (5,), "groups": 512}, (512, 8), 2 / 5),
        ("conv_transpose", {"out_channels": 64, "kernel": (4, 4), "stride": 2}, (32, 8, 8), 2 / (32 * 4)),
        ("linear", {"out_features": 64}, (128,), 1 / 128),
    ],
)
def test_weights_are_drawn_with_the_variance_of_he(op, attributes, shape, variance):
    layer = build_module(one_node(op, attributes, [shape])).a_node
    assert float(layer.weight.detach().var() / variance) == pytest.approx(1, abs=0.1)
    assert layer.bias.abs().max() == 0


def test_activations_neither_vanish_nor_explode():
    genes, space = genes_and_space()
    module = space.build(genes, (3, 16, 16), 10, seed=0)
    assert 0.05 < float(module(torch.randn(32, 3, 16, 16)).detach().std()) < 5


# An ordinary module


def test_it_runs_with_other_tensors_in_place_of_its_own():
    """Views of larger tensors, as a supernet hands them over; gradients arrive there."""
    genes, space = genes_and_space("conv1d")
    module = space.build(genes, (6, 50), 4, 0)
    store = {k: torch.cat([p, torch.zeros_like(p)]).detach().requires_grad_() for k, p in module.named_parameters()}
    views = {k: store[k][: len(p)] for k, p in module.named_parameters()}
    x = torch.randn(5, 6, 50)
    out = torch.func.functional_call(module, views, (x,))
    assert torch.equal(out, module(x))
    out.square().sum().backward()
    assert all(p.grad is None for p in module.parameters())
    assert store["block1_conv.weight"].grad[: len(views["block1_conv.weight"])].abs().sum() > 0


@pytest.mark.parametrize(("name", "shape"), [("resnet9", (3, 16, 16)), ("conv1d", (6, 50)), ("unet", (3, 18, 20))])
def test_it_exports_with_a_free_batch_axis(name, shape):
    genes, space = genes_and_space(name)
    module = space.build(genes, shape, 4, 0).eval()
    free = (({0: torch.export.Dim("batch")},),)
    program = torch.export.export(module, (torch.randn(2, *shape),), dynamic_shapes=free)
    x = torch.randn(7, *shape)
    assert torch.equal(program.module()(x), module(x))


def test_copies_are_independent_and_layers_can_be_replaced():
    genes, space = genes_and_space()
    module = space.build(genes, (3, 16, 16), 4, 0).eval()
    twin, x = copy.deepcopy(module), torch.randn(2, 3, 16, 16)
    before = module(x)
    nn.init.zeros_(twin.classifier.weight)
    assert twin(x).abs().max() == 0
    assert torch.equal(module(x), before)
    module.classifier = nn.Linear(module.classifier.in_features, 9)
    assert module(x).shape == (2, 9)


def test_it_is_made_of_torch_layers_so_that_other_tools_know_them():
    genes, space = genes_and_space()
    kinds = {type(layer) for layer in space.build(genes, (3, 16, 16), 4, 0).children()}
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.Linear}


def test_what_torch_cannot_do_names_its_node():
    for op, attributes in {
        "slice": {"axis": 1, "step": -1},
        "cumsum": {"axis": 1},
        "fft": {},
        "linear": {"out_features": 3, "tied": (("weight", "other.weight"),)},
        "upsample": {"scale": (2,), "mode": "cubic"},
    }.items():
        with pytest.raises(CandidateError, match=r"a\.node"):
            build_module(one_node(op, attributes, [(4, 4)]))


# Speed


def test_the_largest_resnet9_is_built_in_a_blink():
    space = registry.create("spaces", "resnet9")
    genes = {name: knob.values[-1] for name, knob in space.knobs.items()}
    space.build(genes, (3, 32, 32), 10, 0)
    began = time.perf_counter()
    space.build(genes, (3, 32, 32), 10, 0)
    assert time.perf_counter() - began < 0.5  # 0.03 s on one core of 2026


class ByHand(nn.Module):
    """ResNet-9 <16, 32, 2, 32, 0, 64, 2> as a person writes it."""

    def __init__(self):
        super().__init__()
        cbr = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())  # noqa: E731
        self.stem, self.one, self.two, self.three = cbr(3, 16), cbr(16, 32), cbr(32, 32), cbr(32, 64)
        self.skip1, self.skip3 = nn.Sequential(cbr(32, 32), cbr(32, 32)), nn.Sequential(cbr(64, 64), cbr(64, 64))
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(self.one(self.stem(x)), 2)
        x = x + self.skip1(x)
        x = F.max_pool2d(self.three(F.max_pool2d(self.two(x), 2)), 2)
        return self.classifier((x + self.skip3(x)).mean((2, 3)))


def seconds_per_pass(module, x, train):
    began = time.perf_counter()
    if train:
        module(x).sum().backward()
    else:
        with torch.no_grad():
            module(x)
    return time.perf_counter() - began


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "train"), [(1, False), (32, False), (32, True)])
def test_it_is_as_fast_as_written_by_hand(batch, train):
    """The fastest of many passes of each, taken in turn; 1.0 measured, up to 1.05 asked, the rest is noise."""
    genes = {"fn0": 16, "fn1": 32, "sk1": 2, "fn2": 32, "sk2": 0, "fn3": 64, "sk3": 2}
    ours = registry.create("spaces", "resnet9").build(genes, (3, 16, 16), 10, 0).train(train)
    hand, x = ByHand().train(train), torch.randn(batch, 3, 16, 16)
    ours_s, hand_s = np.transpose([[seconds_per_pass(m, x, train) for m in (ours, hand)] for _ in range(300)])
    assert np.quantile(ours_s, 0.1) < 1.1 * np.quantile(hand_s, 0.1)


def test_the_constructor_alone_gives_a_module_to_be_filled():
    genes, space = genes_and_space()
    source = space.build(genes, (3, 8, 8), 4, 0)
    empty = GraphModule(source.graph)
    empty.load_state_dict(source.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(empty(x), source(x))
