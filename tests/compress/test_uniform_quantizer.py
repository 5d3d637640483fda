"""Uniform quantisation: grids against numbers by hand and torch's own, and networks that compute on them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from archip.compress.quantize._quantizer import Rounded  # noqa: E402
from archip.compress.quantize.uniform import Uniform  # noqa: E402
from archip.core.errors import CandidateError  # noqa: E402
from archip.spaces.bert import Bert  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402


@pytest.fixture
def net():
    space = ResNet9(stem=(4,), filters=(8,), skips=(1,), blocks=1)
    return space.build({"fn0": 4, "fn1": 8, "sk1": 1}, (1, 8, 8), 3, seed=0).eval()


@pytest.fixture
def batch():
    return torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_weights_of_each_channel_have_their_own_scale():
    weight = torch.tensor([[0.3, -0.7, 0.1], [7.0, 3.4, 0.0]])
    grid = Uniform().weight_grid(weight, 0, 4)
    assert torch.allclose(grid.scale, torch.tensor([0.1, 1.0]))
    assert grid.integers(weight).tolist() == [[3, -7, 1], [7, 3, 0]]
    assert torch.allclose(grid.rounded(weight), torch.tensor([[0.3, -0.7, 0.1], [7.0, 3.0, 0.0]]))


def test_two_bits_are_three_numbers_and_a_channel_of_zeros_stays():
    weight = torch.stack([torch.linspace(-1, 1, 9), torch.zeros(9)])
    assert Uniform().weight_grid(weight, 0, 2).rounded(weight).unique().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_values_are_rounded_as_torch_does(bits):
    seen = torch.randn(1000, generator=torch.Generator().manual_seed(1)) + 1
    grid = Uniform(percentile=100).value_grid(seen, bits)
    low, high = seen.min().item(), seen.max().item()
    theirs = torch.fake_quantize_per_tensor_affine(seen, (high - low) / (2**bits - 1), grid.zero, 0, 2**bits - 1)
    assert torch.allclose(grid.rounded(seen), theirs, atol=1e-6)
    assert grid.rounded(torch.zeros(1)).item() == 0
    assert (grid.rounded(seen) - seen).abs().max() <= 0.51 * float(grid.scale)


def test_a_percentile_leaves_outliers_out():
    seen = torch.cat([torch.rand(100_000), torch.tensor([1000.0])])
    assert float(Uniform().value_grid(seen, 8).scale) < 1.1 / 255
    assert float(Uniform(percentile=100).value_grid(seen, 8).scale) == pytest.approx(1000 / 255)


def test_more_bits_are_nearer_and_many_bits_are_the_network_itself(net, batch):
    with torch.no_grad():
        whole = net(batch)
        errors = [
            (Uniform().quantized(net, {"weight_bits": b, "activation_bits": b}, [batch])(batch) - whole).abs().mean()
            for b in (2, 4, 8, 32)
        ]
    assert errors[0] > errors[1] > errors[2] > errors[3] == 0


def test_the_network_itself_stays_as_it_was(net, batch):
    before = {name: p.clone() for name, p in net.named_parameters()}
    Uniform().quantized(net, {"weight_bits": 2}, [batch])
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert not any(isinstance(m, Rounded) for m in net.modules())


def test_bits_of_one_layer_change_that_layer_only(net, batch):
    made = Uniform().quantized(net, {"weight_bits": {"block1.conv": 2}, "activation_bits": 32}, [batch])
    layers = {name: m for name, m in made.named_children() if isinstance(m, Rounded)}
    distinct = {name: len(m.layer.get_parameter("weight")[0].unique()) for name, m in layers.items()}
    assert distinct["block1_conv"] <= 3
    assert distinct["stem_conv"] > 3
    assert layers["stem_conv"].reads is None
    assert layers["stem_conv"].weights is not None
    assert layers["stem_conv"].weights.high == 127


def test_bits_of_a_layer_that_is_not_there_are_refused(net, batch):
    with pytest.raises(CandidateError, match="weight_bits for 'block9'"):
        Uniform().quantized(net, {"weight_bits": {"block9": 4}}, [batch])


def test_the_scale_of_a_batch_norm_does_not_change_the_integers(net):
    """So the norm need not be absorbed before rounding."""
    weight, gamma = net.stem_conv.weight.detach(), torch.tensor([0.1, 2.0, 5.0, 0.7]).reshape(-1, 1, 1, 1)
    plain, scaled = (Uniform().weight_grid(w, 0, 4).integers(w) for w in (weight, weight * gamma))
    assert torch.equal(plain, scaled)


def test_transposed_convolutions_and_transformers_are_rounded_too():
    weight = torch.randn(3, 5, 2, 2)
    assert len(torch.as_tensor(Uniform().weight_grid(weight, 1, 8).scale)) == 5
    space = Bert(depths=(1,), hiddens=(32,), heads=(2,), ffns=(32,), vocabulary=50)
    module = space.build({"depth": 1, "hidden": 32, "heads1": 2, "ffn1": 32}, (12,), 3, seed=0).eval()
    tokens = torch.randint(0, 50, (4, 12))
    made = Uniform().quantized(module, {"weight_bits": 8, "activation_bits": 8}, [tokens])
    assert sum(isinstance(m, Rounded) for m in made.children()) == 8  # q, k, v, out, up, down, pooler, classifier
    with torch.no_grad():
        assert torch.allclose(made(tokens), module(tokens), atol=0.1)
