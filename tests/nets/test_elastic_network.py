"""Networks of elastic layers: choosing, extracting, sorting."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.nets.elastic import (  # noqa: E402
    Attention,
    Elastic,
    ElasticBatchNorm,
    ElasticConv,
    ElasticDepth,
    ElasticEmbedding,
    ElasticLayerNorm,
    ElasticLinear,
    ElasticNet,
    ElasticPatches,
    ElasticResolution,
    Positions,
    Size,
    elastic_attention,
    sort_channels,
)
from archip.train.calibration import recalibrate  # noqa: E402
from archip.train.rule import Step  # noqa: E402
from archip.train.rules.uniform import Uniform  # noqa: E402

WIDTH, KERNEL, DEPTH = Size("width", (4, 8, 12)), Size("kernel", (3, 5)), Size("depth", (0, 1, 3))


class Residual(nn.Module):
    """x + an inverted bottleneck of x."""

    def __init__(self, inner: Size, kernel: Size) -> None:
        super().__init__()
        n, k = inner.largest, kernel.largest
        self.chain = nn.Sequential(
            ElasticConv(nn.Conv2d(12, n, 1, bias=False), WIDTH, inner),
            ElasticBatchNorm(nn.BatchNorm2d(n), inner),
            nn.ReLU(),
            ElasticConv(nn.Conv2d(n, n, k, padding=k // 2, groups=n), inner, inner, kernel, transforms=True),
            nn.ReLU(),
            ElasticConv(nn.Conv2d(n, 12, 1), inner, WIDTH),
        )

    def forward(self, x):
        return x + self.chain(x)


def convnet() -> ElasticNet:
    torch.manual_seed(0)
    blocks = [Residual(Size(f"inner{i}", (6, 12, 20)), Size(f"kernel{i}", (3, 5))) for i in range(3)]
    net = nn.Sequential(
        ElasticResolution(Size("side", (6, 8))),
        ElasticConv(nn.Conv2d(3, 12, 5, padding=2, bias=False), outputs=WIDTH, kernel=KERNEL),
        ElasticBatchNorm(nn.BatchNorm2d(12), WIDTH),
        ElasticDepth(blocks, DEPTH),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        ElasticLinear(nn.Linear(12, 4), WIDTH),
    )
    for layer in net.modules():  # all channels differ
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean), nn.init.uniform_(layer.running_var, 0.5, 2)
    return ElasticNet(net)


class Layer(nn.Module):
    def __init__(self, i: int) -> None:
        super().__init__()
        hidden = Size(f"hidden{i}", (8, 16))
        self.norms = nn.ModuleList(ElasticLayerNorm(nn.LayerNorm(12), WIDTH) for _ in range(2))
        self.attention = elastic_attention(Attention(12, 3, 4), WIDTH, Size(f"heads{i}", (1, 2, 3)))
        self.up = ElasticLinear(nn.Linear(12, 16), WIDTH, hidden)
        self.down = ElasticLinear(nn.Linear(16, 12), hidden, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.down(nn.functional.gelu(self.up(self.norms[1](x))))


def transformer(embedding: nn.Module) -> ElasticNet:
    return ElasticNet(
        nn.Sequential(
            embedding,
            Positions(ElasticEmbedding(nn.Embedding(20, 12), WIDTH)),
            ElasticDepth([Layer(i) for i in range(2)], Size("layers", (1, 2))),
            ElasticLayerNorm(nn.LayerNorm(12), WIDTH),
            ElasticLinear(nn.Linear(12, 5), WIDTH),
        )
    )


def bert() -> ElasticNet:
    torch.manual_seed(0)
    return transformer(ElasticEmbedding(nn.Embedding(30, 12), WIDTH))


def vit() -> ElasticNet:
    torch.manual_seed(0)
    patches = ElasticPatches(nn.Conv2d(3, 12, 4, 4), Size("patch", (2, 4)), outputs=WIDTH)
    return transformer(nn.Sequential(patches, nn.Flatten(2), _Steps()))


class _Steps(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


INPUTS = {
    "convnet": (convnet, lambda: torch.randn(3, 3, 8, 8)),
    "bert": (bert, lambda: torch.randint(30, (3, 7))),
    "vit": (vit, lambda: torch.randn(3, 3, 8, 8)),
}


@pytest.fixture(params=INPUTS)
def case(request):
    make, x = INPUTS[request.param]
    return make(), x()


def samples(net: ElasticNet, n: int = 8):
    return [net.largest, net.smallest, *(net.space.sample(np.random.default_rng(i)) for i in range(n))]


def test_an_extracted_network_is_ordinary_and_bit_equal(case):
    net, x = case
    for choice in samples(net):
        net.eval().choose(choice)
        alone = net.extract()
        assert not [layer for layer in alone.modules() if isinstance(layer, Elastic)]
        assert torch.equal(alone(x), net(x))
        assert torch.equal(alone.train()(x), net.train()(x))  # norms of batches as well: both use the batch
        before = net.eval()(x)
        with torch.no_grad():
            for parameter in alone.parameters():
                parameter.zero_()
        assert torch.equal(net(x), before)


def test_extracted_networks_have_the_sizes_that_were_chosen():
    net = convnet()
    choice = {"side": 6, "width": 8, "kernel": 3, "depth": 1, "inner0": 6, "kernel0": 3}
    alone = net.extract(choice)
    shapes = {name: tuple(p.shape) for name, p in alone.named_parameters()}
    assert shapes["1.weight"] == (8, 3, 3, 3)
    assert shapes["3.0.chain.3.weight"] == (6, 1, 3, 3)
    assert shapes["6.weight"] == (4, 8)
    assert not any(name.startswith("3.1") or "transforms" in name for name in shapes)
    assert len(net.extract(choice | {"depth": 0})[3]) == 0


def test_the_largest_network_is_what_was_wrapped(case):
    net, _ = case
    names = {name.replace(".full", "").replace("module.", "") for name in net.state_dict() if "transforms" not in name}
    assert {name.replace("3.blocks", "3").replace("2.blocks", "2") for name in names} == set(
        net.extract(net.largest).state_dict()
    )


def test_gradients_reach_the_used_part_and_no_other(case):
    net, x = case
    net.train()
    for choice in samples(net, 4):
        net.zero_grad()
        net(x, choice).square().sum().backward()
        alone = net.extract(choice)
        alone(x).square().sum().backward()
        for (name, own), (_, shared) in _pairs(alone, net):
            if own.grad is None or shared.grad is None:
                assert own.grad is None, name
                continue
            index = tuple(slice(n) for n in own.shape)
            if own.shape[2:] == shared.shape[2:]:
                assert torch.allclose(shared.grad[index], own.grad, atol=1e-4, rtol=1e-4), name
                assert torch.isclose(shared.grad.abs().sum(), own.grad.abs().sum(), rtol=1e-4), name
    assert any(p.grad is None or not p.grad.all() for p in net.parameters())


def _pairs(alone, net):
    """Parameters of the extracted network beside the shared ones they came from."""
    shared = {
        name.removeprefix("module.").replace(".full", "").replace(".blocks", ""): p
        for name, p in net.named_parameters()
        if "transforms" not in name
    }
    return [((name, p), (name, shared[name])) for name, p in alone.named_parameters()]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.data())
def test_any_choice_equals_its_extraction(data):
    net = convnet().eval()
    drawn = {name: data.draw(st.sampled_from(list(knob.values))) for name, knob in net.space.knobs.items()}
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net(x, drawn), net.extract(drawn)(x))
    assert torch.equal(net(x, net.space.canonical(drawn)), net(x, drawn))  # genes of blocks left out mean nothing


def test_blocks_that_are_left_out_have_no_genes():
    space = convnet().space
    genes = {name: knob.values[0] for name, knob in space.knobs.items()}
    assert set(space.canonical(genes)) == {"side", "width", "kernel", "depth"}
    assert set(space.canonical(genes | {"depth": 1})) == {"side", "width", "kernel", "depth", "inner0", "kernel0"}


def test_sorting_leaves_the_function_as_it_is(case):
    net, x = case
    net.eval()
    before = net(x)
    orders = sort_channels(net)
    assert any(not torch.equal(order, torch.arange(len(order))) for order in orders.values())
    assert torch.allclose(net(x), before, atol=1e-5)


def test_the_most_read_channels_come_first():
    hidden = Size("hidden", (1, 3))
    net = ElasticNet(
        nn.Sequential(ElasticLinear(nn.Linear(2, 3), outputs=hidden), ElasticLinear(nn.Linear(3, 2), hidden))
    )
    first, last = (net.module[i].full for i in (0, 1))
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[1.0, -3, 0], [1, 2, -4]]))  # 2, 5, 4
    before = first.weight.clone()
    assert sort_channels(net)["hidden"].tolist() == [1, 2, 0]
    assert torch.equal(first.weight, before[[1, 2, 0]])
    assert torch.equal(last.weight, torch.tensor([[-3.0, 0, 1], [2, -4, 1]]))


def test_pretrained_weights_stay_where_they_are():
    full = nn.Linear(12, 4)
    net = ElasticNet(nn.Sequential(ElasticLinear(full, WIDTH)))
    assert next(net.parameters()) is full.weight


def test_the_training_rule_of_supernets_trains_it():
    net, rule = convnet(), Uniform()
    rule.shared = net
    x, y, rng = torch.randn(8, 3, 8, 8), torch.arange(8) % 4, np.random.default_rng(0)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(float(rule.backward(Step(net, x, y, nn.functional.cross_entropy, rng))))
        optimizer.step()
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])


def test_statistics_are_measured_for_one_network_in_place_or_extracted():
    net, batches = convnet(), [torch.randn(16, 3, 8, 8) for _ in range(3)]
    net.choose(net.smallest)
    alone = net.extract()
    for module in (net, alone):
        recalibrate(module, batches)
    assert torch.equal(net(batches[0]), alone(batches[0]))


def test_weights_are_saved_and_read():
    net, other = convnet(), convnet()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.1)
    other.load_state_dict(net.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net.eval()(x, net.smallest), other.eval()(x, other.smallest))


def test_a_copy_chooses_for_itself():
    net, x = convnet().eval(), torch.randn(2, 3, 8, 8)
    twin = copy.deepcopy(net)
    before = net(x)
    twin.choose(twin.smallest)
    assert torch.equal(net(x), before)


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"weidth": 4}, "unknown size 'weidth' .did you mean 'width'"), ({"width": 5}, "width: 5 is not allowed")],
)
def test_unknown_choices_are_refused(choice, message):
    with pytest.raises(UserError, match=message):
        convnet().choose(choice)


def test_one_name_is_one_size():
    layers = [ElasticLinear(nn.Linear(2, n), outputs=Size("w", (1, n))) for n in (4, 8)]
    with pytest.raises(UserError, match="one name, one size"):
        ElasticNet(nn.ModuleList(layers))
