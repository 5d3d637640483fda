"""Modules of users made elastic: coupled widths are found, the rest stays and says why."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import fx, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from archip.core import registry  # noqa: E402
from archip.core.errors import UserError  # noqa: E402
from archip.nets.elastic import Elastic, elastic  # noqa: E402


class BasicBlock(nn.Module):
    """As in torchvision's ResNet-18."""

    def __init__(self, n_in: int, n: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n, n, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.downsample = None
        if stride != 1 or n_in != n:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n, 1, stride, bias=False), nn.BatchNorm2d(n))

    def forward(self, x):
        identity = x
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, widths=(8, 12, 16, 20), n_classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        for i, (a, b) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            stage = nn.Sequential(BasicBlock(a, b, 1 if i == 0 else 2), BasicBlock(b, b, 1))
            setattr(self, f"layer{i + 1}", stage)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(widths[-1], n_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Dense(nn.Module):
    """Concatenations, a depthwise convolution, a gate, and a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.norm, self.deep = nn.BatchNorm2d(12), nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.squeeze, self.excite = nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1)
        self.fc = nn.Linear(12 * 16, 5)

    def forward(self, x):
        x = self.norm(torch.cat([self.a(x), self.b(x)], dim=1))
        x = F.relu(self.deep(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = F.adaptive_avg_pool2d(x, 4)
        return self.fc(x.view(x.shape[0], -1)), gate


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)
    )


def with_statistics(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5), nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean), nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.eval()


X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def convnet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(8 * 9, 5))


@pytest.mark.parametrize(
    ("make", "x"), [(ResNet, X), (mlp, X[:, :, :8, :8]), (convnet, X)], ids=["resnet18", "mlp", "flatten"]
)
def test_the_largest_computes_what_was_given_and_others_extract_bit_equal(make, x):
    module = with_statistics(make())
    unsorted, net = elastic(module, x, sort=False), elastic(module, x, depth=False)
    assert torch.equal(unsorted(x), module(x))
    assert torch.allclose(net(x), module(x), atol=1e-5)
    for choice in (net.smallest, *(net.space.sample(np.random.default_rng(i)) for i in range(3))):
        alone = net.extract(choice)
        assert torch.equal(alone(x), net(x))
        assert not [m for m in alone.modules() if isinstance(m, Elastic)]
    assert not [m for m in net.modules() if isinstance(m, fx.GraphModule)]
    assert {k: type(v) for k, v in alone.named_modules()} == {k: type(v) for k, v in module.named_modules()}


def test_the_streams_of_a_resnet_are_coupled_and_its_blocks_free():
    net = elastic(ResNet(), X)
    inner = {f"layer{i}.{j}.conv1" for i in (1, 2, 3, 4) for j in (0, 1)}
    streams = {"conv1", "layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"}
    assert net.space.knobs.keys() == inner | streams | {f"layer{i}.depth" for i in (1, 2, 3, 4)}
    assert net.space.knobs["conv1"].values == (2, 4, 6, 8)
    assert net.fixed == {"fc": "outputs of the network stay"}
    alone = net.extract({"conv1": 4, "layer2.0.conv2": 3, "layer1.1.conv1": 2})
    assert alone.layer1[1].conv1.weight.shape == (2, 4, 3, 3)
    assert alone.layer1[1].conv2.weight.shape == (4, 2, 3, 3)
    assert alone.layer2[0].downsample[0].weight.shape == (3, 4, 1, 1)
    assert alone.layer2[1].bn2.num_features == 3


def test_every_width_may_be_chosen_alone():
    """A width that is not coupled as it must be would not run."""
    net = elastic(with_statistics(ResNet()), X)
    whole = net(X)
    for name, knob in net.space.knobs.items():
        found = net.extract({name: knob.values[0]})(X)
        assert found.shape == whole.shape
        assert not torch.equal(found, whole)


def test_concatenations_depthwise_layers_and_flattened_maps():
    module = with_statistics(Dense())
    net = elastic(module, X)
    for ours, theirs in zip(net(X), module(X), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert net.space.knobs.keys() == {"a", "b", "squeeze"}
    assert net.fixed.keys() == {"excite", "fc"}
    alone = net.extract({"a": 2, "b": 3, "squeeze": 1})
    assert alone.deep.weight.shape == (5, 1, 3, 3)
    assert alone.fc.in_features == 5 * 16
    for ours, theirs in zip(alone(X), net(X), strict=True):
        assert torch.equal(ours, theirs)


class Odd(nn.Module):
    """What couples widths in ways that cannot shrink."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.gain = nn.Parameter(torch.ones(1, 8, 1, 1))
        self.last, self.fc = nn.Conv2d(8, 6, 1), nn.Linear(6, 2)
        if how == "hooks":
            self.one.register_forward_hook(lambda module, given, y: y)
        if how == "shared":
            self.grouped = nn.Conv2d(8, 8, 3, padding=1)
            self.grouped.weight = self.two.weight

    def forward(self, x):
        x = self.one(x)
        if self.how == "grouped" or self.how == "shared":
            x = self.grouped(self.two(x))
        elif self.how == "gain":
            x = x * self.gain
        elif self.how == "shuffle":
            x = x.unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)
        elif self.how == "number":
            x = x.reshape(-1, 8, 4, 256)
        elif self.how == "split":
            a, b = x.split([2, 6], 1)
            x = torch.cat([a, b], 1)
        elif self.how == "weight":
            x = x + self.one.weight.mean()
        return self.fc(self.last(x).mean((2, 3)))


REASONS = {
    "grouped": r"grouped is a grouped convolution",
    "shared": r"shares a weight",
    "gain": r"mul \(mul\)",
    "shuffle": r"flatten",
    "split": r"split",
    "weight": r"is read by the forward pass|add",
    "hooks": r"one has hooks",
}


@pytest.mark.parametrize("how", REASONS)
def test_what_cannot_shrink_stays_and_says_why(how):
    module = Odd(how).eval()
    net = elastic(module, X)
    assert "last" in net.space.knobs
    layer = "two" if how == "grouped" else "one"
    assert layer not in net.space.knobs
    assert re.search(REASONS[how], net.fixed[layer]), net.fixed
    assert torch.allclose(net(X), module(X), atol=1e-5)
    assert torch.equal(net.extract(net.smallest)(X), net(X))


class Pieces(nn.Module):
    """Widths written as numbers, and pieces that are gated by each other and change places."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 1), nn.Linear(12, 2)

    def forward(self, x):
        x = self.one(x).reshape(-1, 8, 4, x.shape[2] * x.shape[3] // 4)
        a, b = self.two(x).chunk(2, 1)
        return self.fc(torch.cat([b * torch.sigmoid(a), a], 1).mean((2, 3)))


def test_numbers_in_reshapes_are_left_open_and_pieces_shrink_alike():
    module = Pieces().eval()
    net = elastic(module, X)
    assert {name: knob.values[-1] for name, knob in net.space.knobs.items()} == {"one": 8, "two.piece": 6}
    assert torch.allclose(net(X), module(X), atol=1e-5)
    other = torch.randn(5, 3, 8, 8)
    for choice in (net.smallest, {"one": 4}, {"two.piece": 3}):
        alone = net.extract(choice)
        assert torch.equal(alone(other), net(other))
    assert alone.two.out_channels == 6


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Sequential(nn.Linear(6, 8), nn.AdaptiveAvgPool1d(8), nn.Linear(8, 4), nn.Linear(4, 2)), torch.randn(3, 6)),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(1), nn.Linear(16, 4), nn.Linear(4, 2)), X[0, :, :4, :4]),
    ],
    ids=["pooled features", "no batch"],
)
def test_axes_that_are_no_channels_are_not_taken_for_such(module, x):
    net = elastic(module.eval(), x)
    assert list(net.space.knobs) == [str(len(module) - 2)]
    assert torch.equal(net.extract(net.smallest)(x), net(x))


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("resnet9", {"stem": [4, 8], "filters": [4, 8]}, (3, 16, 16)),
        ("unet", {"top": [2, 4], "max_height": 2}, (3, 16, 16)),
        ("conv1d", {"widths": [4, 8]}, (3, 32)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_networks_of_spaces_shrink_but_for_their_outputs(name, options, shape):
    space = registry.create("spaces", name, options)
    module = with_statistics(space.build({k: v.values[-1] for k, v in space.knobs.items()}, shape, 4, 0))
    net, x = elastic(module, torch.randn(2, *shape)), torch.randn(2, *shape)
    assert set(net.fixed.values()) == {"outputs of the network stay"}
    assert torch.allclose(net(x), module(x), atol=1e-4)
    for chosen, knob in net.space.knobs.items():  # a width that is not coupled as it must be would not run
        assert torch.equal(net(x, {chosen: knob.values[0]}), net.extract()(x))


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.chain = mlp()

    def forward(self, x, mask=None):
        return self.chain(x) if mask is None else self.chain(x * mask)


def test_arguments_that_may_be_left_out_are():
    x = X[:, :, :8, :8]
    net = elastic(Optional().eval(), x)
    assert net.space.knobs.keys() == {"chain.1", "chain.4"}
    assert torch.equal(net.extract(net.smallest)(x), net(x))


class DataDependent(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_modules_that_cannot_be_traced_or_shrunk_are_refused():
    with pytest.raises(UserError, match="DataDependent cannot be traced"):
        elastic(DataDependent(), X)
    with pytest.raises(UserError, match="no width of Linear can shrink"):
        elastic(nn.Linear(32, 3), X)
    with pytest.raises(UserError, match="shares"):
        elastic(mlp(), X[:, :, :8, :8], shares=(0.5, 0.25))


def test_the_given_module_is_left_alone():
    module = ResNet().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    net = elastic(module, X)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert module.training
    assert all(layer.training for layer in net.modules())
