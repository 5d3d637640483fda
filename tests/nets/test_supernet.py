"""The supernet: every network of a space computes with its slices of one store, and trains only those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.core import registry  # noqa: E402
from archip.core.errors import CandidateError  # noqa: E402
from archip.core.knobs import Choice, KnobSpace  # noqa: E402
from archip.ir.graph import Graph, GraphBuilder  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402

SPACES = [
    ("resnet9", {"stem": [2, 4], "filters": [3, 5, 8]}, (1, 8, 8), 3),
    ("conv1d", {"widths": [3, 4, 8]}, (2, 32), 4),
    ("unet", {"top": [2, 4], "max_height": 3}, (3, 16, 16), 1),
]


@pytest.fixture(params=SPACES, ids=[s[0] for s in SPACES])
def case(request):
    name, options, shape, n_outputs = request.param
    space = registry.create("spaces", name, options)
    return space, SuperNet(space, shape, n_outputs, seed=0), torch.randn(4, *shape)


def samples(space, n: int = 6) -> list[Any]:
    return [space.sample(np.random.default_rng(seed)) for seed in range(n)]


def test_a_network_computes_the_same_in_the_store_and_on_its_own(case):
    """Bit-equal, in training mode, where the statistics of the batch are used."""
    space, net, x = case
    for genotype in samples(space):
        alone = net.extract(genotype).train()
        assert torch.equal(net(x, genotype), alone(x))


def test_an_extracted_network_is_an_ordinary_one_with_copied_slices(case):
    space, net, x = case
    for genotype in samples(space):
        module = net.extract(genotype)
        plain = space.build(genotype, tuple(x.shape[1:]), net(x).shape[1], seed=0)
        assert {k: v.shape for k, v in module.state_dict().items()} == {
            k: v.shape for k, v in plain.state_dict().items()
        }
        before = net(x, genotype)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        assert torch.equal(net(x, genotype), before)


def test_slices_written_out_by_hand():
    """Two networks of conv1d: leading filters, leading inputs, centre of the kernel."""
    space = registry.create("spaces", "conv1d", {"widths": [2, 5], "kernels": [3, 7], "depths": [1, 2]})
    net = SuperNet(space, (3, 16), 4, seed=0)
    weights = {name: p.detach() for name, p in net.named_parameters()}
    assert weights["block2_conv.weight"].shape == (5, 5, 7)
    genes = {"depth": 2, "width1": 2, "kernel1": 7, "width2": 5, "kernel2": 3}
    genotype = space.canonical({name: knob.values[0] for name, knob in space.knobs.items()} | genes)
    alone = net.extract(genotype)
    assert torch.equal(alone.block1_conv.weight, weights["block1_conv.weight"][:2])
    assert torch.equal(alone.block2_conv.weight, weights["block2_conv.weight"][:5, :2, 2:5])
    assert torch.equal(alone.block1_norm.weight, weights["block1_norm.weight"][:2])
    assert torch.equal(alone.classifier.weight, weights["classifier.weight"])


def test_the_skip_connection_of_a_unet_keeps_its_weights(case):
    space, net, _ = case
    if "height" not in space.knobs:
        pytest.skip("only for unet")
    genotype = {"height": 2, "f1": 2, "f2": 4}
    alone = net.extract(genotype).get_parameter("up1_1_conv.weight")
    store = net.get_parameter("up1_1_conv.weight").detach()
    assert store.shape[1] == 4 + 8  # room for the largest skip connection and the largest level below
    assert torch.equal(alone, torch.cat([store[:2, :2], store[:2, 4:8]], 1))


def test_gradients_reach_the_used_slices_and_nothing_else(case):
    space, net, x = case
    for genotype in samples(space):
        net.zero_grad()
        net(x, genotype).square().sum().backward()
        alone = net.extract(genotype).train()
        alone(x).square().sum().backward()
        gradients = dict(alone.named_parameters())
        for name, parameter in net.named_parameters():
            if name not in gradients:
                assert parameter.grad is None
                continue
            found, expected = parameter.grad, gradients[name].grad
            assert torch.allclose(found.abs().sum(), expected.abs().sum(), rtol=1e-5)
            assert found.count_nonzero() == expected.count_nonzero()


def test_the_store_holds_every_network_and_no_more(case):
    space, net, _ = case
    for genotype in samples(space, 40):
        net.extract(genotype)
    largest = sum(p.numel() for p in net.extract(net.largest).parameters())
    assert largest <= sum(p.numel() for p in net.parameters()) <= 1.2 * largest


def test_the_largest_network_is_the_default(case):
    _, net, x = case
    assert torch.equal(net(x), net(x, net.largest))


def test_running_a_network_leaves_no_statistics_behind(case):
    space, net, x = case
    genotype = samples(space, 1)[0]
    before = net(x, genotype)
    net(100 * x, genotype)
    assert torch.equal(net(x, genotype), before)
    assert not list(net.buffers())


def test_weights_depend_on_the_seed_only(case):
    space, net, x = case
    shape, n_outputs = tuple(x.shape[1:]), net(x).shape[1]
    twin, other = (SuperNet(space, shape, n_outputs, seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(t, twin[k]) for k, t in net.state_dict().items())
    assert any(not torch.equal(t, other[k]) for k, t in net.state_dict().items())


def test_a_copy_has_weights_of_its_own(case):
    import copy

    _, net, x = case
    twin = copy.deepcopy(net)
    before = net(x)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(net(x), before)
    assert not twin(x).any()


def test_a_space_without_a_network_for_the_input_is_refused():
    space = registry.create("spaces", "unet", {"top": [2], "max_height": 1})
    with pytest.raises(CandidateError, match="takes inputs of shape"):
        SuperNet(_Picky(), (1, 8, 8), 2, seed=0)
    SuperNet(space, (1, 7, 7), 1, seed=0)


class _Picky(KnobSpace):
    """Its width is the product of two genes, unless they are both large: more than the corners tell."""

    @property
    def knobs(self):
        return {"a": Choice((1, 2, 4)), "b": Choice((4, 2, 1))}

    def graph(self, genotype: Mapping[str, int], input_shape: tuple[int, ...], n_outputs: int) -> Graph:
        if input_shape[0] == 1:
            raise CandidateError("never")
        width = genotype["a"] * genotype["b"] if genotype["a"] == genotype["b"] == 2 else 1
        g = GraphBuilder()
        x = g.add("conv", g.input("x", (1, *input_shape), "NCL"), name="c", out_channels=width, kernel=(1,))
        return g.finish(x)


def test_a_network_that_does_not_fit_is_a_failure_with_its_layer():
    net = SuperNet(_Picky(), (3, 8), 2, seed=0)
    with pytest.raises(CandidateError, match=r"no room for c\.weight of shape \(4, 3, 1\)"):
        net(torch.randn(1, 3, 8), {"a": 2, "b": 2})
