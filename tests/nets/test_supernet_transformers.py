"""Supernets of transformers: whole heads are shared, tables and norms shrink with the features, layers drop out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.core import registry  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.vit import Vit  # noqa: E402

SPACES = [
    ("vit", {"depths": [1, 2, 3], "dims": [8, 12], "heads": [1, 2, 3], "head_features": 4}, (1, 8, 8)),
    ("vit", {"patches": [4], "dims": [8, 12], "end": "mean"}, (3, 8, 12)),
    ("bert", {"vocabulary": 40, "hiddens": [8, 12], "ffns": [8, 16], "positions": 9, "segments": 2}, (7,)),
    ("vit_resnas", {"dims": [8, 12], "stem": 4, "depths": [1, 2], "hiddens": [8, 16]}, (1, 8, 8)),
    ("hytra", {"width": 4, "head_features": 4, "scales": 3, "attention_from": 0}, (3, 8, 8)),
]


@pytest.fixture(params=SPACES, ids=[s[0] for s in SPACES], scope="module")
def case(request):
    name, options, shape = request.param
    space = registry.create("spaces", name, options)
    x = torch.randint(0, 40, (4, *shape)) if name == "bert" else torch.randn(4, *shape)
    return space, SuperNet(space, shape, 3, seed=0), x


def samples(space, n: int):
    return [space.sample(np.random.default_rng(seed)) for seed in range(n)]


def test_a_network_computes_the_same_in_the_store_and_on_its_own(case):
    space, net, x = case
    for genotype in samples(space, 8):
        alone = net.extract(genotype).train()
        torch.testing.assert_close(net(x, genotype), alone(x), rtol=1e-5, atol=1e-6)


def test_gradients_reach_the_used_slices_and_nothing_else(case):
    space, net, x = case
    for genotype in samples(space, 4):
        net.zero_grad()
        net(x, genotype).square().sum().backward()
        alone = net.extract(genotype).train()
        alone(x).square().sum().backward()
        gradients = {name: p.grad for name, p in alone.named_parameters()}
        for name, parameter in net.named_parameters():
            if name not in gradients:
                assert parameter.grad is None
                continue
            inside = parameter.grad[tuple(slice(0, n) for n in gradients[name].shape)]
            torch.testing.assert_close(inside, gradients[name], rtol=1e-3, atol=1e-5)
            assert inside.count_nonzero() == parameter.grad.count_nonzero()


def test_the_store_holds_every_network(case):
    space, net, x = case
    for genotype in samples(space, 60):
        wanted = space.build(genotype, tuple(x.shape[1:]), 3, 0)
        found = dict(net.extract(genotype).named_parameters())
        assert {name: p.shape for name, p in found.items()} == {n: p.shape for n, p in wanted.named_parameters()}


def test_sorting_channels_changes_nothing_in_the_largest_network(case):
    space, net, x = case
    twin = SuperNet(space, tuple(x.shape[1:]), 3, seed=0)
    twin.sort()
    torch.testing.assert_close(twin(x), net(x), rtol=1e-4, atol=1e-5)


def test_heads_are_kept_whole():
    """The second head of a layer with three has the same weights in a layer with two."""
    space = Vit(patches=(4,), depths=(1,), dims=(12,), heads=(2, 3), head_features=4, ratios=(1.0,))
    net = SuperNet(space, (1, 8, 8), 3, seed=0)
    genes = {"patch": 4, "depth": 1, "dim": 12, "heads1": 2, "mlp1": 1.0}
    small, large = net.extract(genes), net.extract({**genes, "heads1": 3})
    x = torch.randn(2, 1, 8, 8)
    a, b = (m.eval().values(x)["layer1.attention.context"] for m in (small, large))
    assert a.shape == (2, 2, 5, 4)
    torch.testing.assert_close(a, b[:, :2])


def test_training_the_shared_weights_lowers_the_loss_of_all_networks(case):
    space, net, x = case
    torch.manual_seed(0)
    net = SuperNet(space, tuple(x.shape[1:]), 3, seed=1)
    y = torch.tensor([0, 1, 2, 0])
    networks = samples(space, 6)
    loss = lambda genotype: torch.nn.functional.cross_entropy(net(x, genotype), y)  # noqa: E731
    with torch.no_grad():
        before = sum(float(loss(g)) for g in networks)
    optimiser, rng = torch.optim.AdamW(net.parameters(), 3e-3), np.random.default_rng(9)
    for _ in range(100):
        optimiser.zero_grad()
        loss(space.sample(rng)).backward()
        optimiser.step()
    with torch.no_grad():
        assert sum(float(loss(g)) for g in networks) < 0.75 * before
