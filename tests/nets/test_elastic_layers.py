"""Elastic layers against torch functions called with weights that were sliced by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.nets.elastic import (  # noqa: E402
    Attention,
    ElasticBatchNorm,
    ElasticConv,
    ElasticEmbedding,
    ElasticGroupNorm,
    ElasticLayerNorm,
    ElasticLength,
    ElasticLinear,
    ElasticPatches,
    ElasticResolution,
    Positions,
    Size,
    Span,
    elastic_attention,
)

A, B, K = Size("a", (2, 4, 6)), Size("b", (3, 5, 8)), Size("k", (3, 5, 7))
widths = st.fixed_dictionaries({"a": st.sampled_from(A.values), "b": st.sampled_from(B.values)})
kernels = st.sampled_from(K.values)
few = settings(max_examples=12, deadline=None, derandomize=True)


def equal(x, y):
    return x.shape == y.shape and torch.equal(x, y)


def shared(layer, name):
    """Whether what the layer computes with lies in the memory of the largest."""
    storage = layer.full.get_parameter(name).untyped_storage().data_ptr()
    return layer.tensors()[name].untyped_storage().data_ptr() == storage


def extracted_equals(layer, x):
    """Bit-equal, in both modes, and with weights of its own."""
    alone = layer.extract({})
    assert type(alone) is type(layer.full)
    for training in (True, False):
        assert equal(layer.train(training)(x), alone.train(training)(x))
    before = layer(x)
    with torch.no_grad():
        for parameter in alone.parameters():
            parameter.zero_()
    assert equal(layer(x), before)


@few
@given(widths)
def test_linear(choice):
    layer, a, b = ElasticLinear(nn.Linear(6, 8), A, B), choice["a"], choice["b"]
    layer.choice = choice
    x = torch.randn(5, a)
    assert equal(layer(x), F.linear(x, layer.full.weight[:b, :a], layer.full.bias[:b]))
    assert shared(layer, "weight")
    assert shared(layer, "bias")
    extracted_equals(layer, x)


@few
@given(widths)
def test_inputs_that_were_concatenated_keep_their_places(choice):
    layer, a, b = ElasticLinear(nn.Linear(17, 4, bias=False), [A, 3, B]), choice["a"], choice["b"]
    layer.choice = choice
    x, w = torch.randn(5, a + 3 + b), layer.full.weight
    assert equal(layer(x), F.linear(x, torch.cat([w[:, :a], w[:, 6:9], w[:, 9 : 9 + b]], 1)))
    extracted_equals(layer, x)


@few
@given(widths)
def test_a_flattened_map_takes_all_its_pixels_along(choice):
    layer = ElasticLinear(nn.Linear(6 * 4, 3), Span(A, 4))
    layer.choice = choice
    x = torch.randn(5, choice["a"], 2, 2).flatten(1)
    assert equal(layer(x), F.linear(x, layer.full.weight[:, : choice["a"] * 4], layer.full.bias))


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@few
@given(choice=widths, kernel=kernels, dilation=st.sampled_from((1, 2)), stride=st.sampled_from((1, 2)))
def test_conv_of_channels_and_kernel(n_axes, choice, kernel, dilation, stride):
    a, b, sides = choice["a"], choice["b"], (9, 8, 7)[:n_axes] if n_axes == 3 else (13, 12)[:n_axes]
    kind, function = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_axes - 1], (F.conv1d, F.conv2d, F.conv3d)[n_axes - 1]
    full = kind(6, 8, 7, stride, padding=3 * dilation, dilation=dilation)
    layer = ElasticConv(full, A, B, K)
    layer.choice = choice | {"k": kernel}
    x, lost = torch.randn(2, a, *sides), (7 - kernel) // 2
    weight = full.weight[:b, :a][(..., *[slice(lost, 7 - lost)] * n_axes)]
    expected = function(x, weight, full.bias[:b], stride, dilation * (kernel // 2), dilation)
    assert equal(layer(x), expected)
    assert expected.shape[2:] == tuple(-(-s // stride) for s in sides)  # whatever the kernel
    assert shared(layer, "weight")
    extracted_equals(layer, x)


@few
@given(widths, kernels)
def test_depthwise(choice, kernel):
    full, a = nn.Conv2d(6, 6, 7, padding=3, groups=6), choice["a"]
    layer = ElasticConv(full, A, A, K)
    layer.choice = choice | {"k": kernel}
    x, lost = torch.randn(2, a, 8, 8), (7 - kernel) // 2
    weight = full.weight[:a, :, lost : 7 - lost, lost : 7 - lost]
    assert equal(layer(x), F.conv2d(x, weight, full.bias[:a], padding=kernel // 2, groups=a))
    assert shared(layer, "weight")
    extracted_equals(layer, x)


@few
@given(widths)
def test_grouped_conv_loses_whole_groups(choice):
    full, n = nn.Conv2d(12, 18, 3, groups=6), choice["a"]
    layer = ElasticConv(full, Span(A, 2), Span(A, 3))
    layer.choice = choice
    x = torch.randn(2, 2 * n, 5, 5)
    assert equal(layer(x), F.conv2d(x, full.weight[: 3 * n], full.bias[: 3 * n], groups=n))
    extracted_equals(layer, x)


def test_depthwise_of_concatenated_channels():
    full = nn.Conv1d(14, 14, 3, groups=14)
    layer = ElasticConv(full, [A, B], [A, B])
    layer.choice = {"a": 2, "b": 3}
    x, rows = torch.randn(2, 5, 6), [0, 1, 6, 7, 8]
    assert equal(layer(x), F.conv1d(x, full.weight[rows], full.bias[rows], groups=5))
    extracted_equals(layer, x)


@pytest.mark.parametrize("n_axes", [1, 2])
def test_kernels_are_mixed_step_by_step(n_axes):
    """By hand: centre of 7 through its matrix gives 5, the centre of that through the next gives 3."""
    kind = (nn.Conv1d, nn.Conv2d)[n_axes - 1]
    full = kind(4, 3, 7, padding=3, bias=False)
    layer = ElasticConv(full, kernel=K, transforms=True)
    x = torch.randn(2, 4, *[9] * n_axes)
    plain = ElasticConv(full, kernel=K)
    for kernel in K.values:
        plain.choice = layer.choice = {"k": kernel}
        assert equal(layer(x), plain(x))  # identities
    with torch.no_grad():
        for matrix in layer.transforms.values():
            matrix.normal_()
    inner = (..., *[slice(1, -1)] * n_axes)
    five = torch.einsum("oic,dc->oid", full.weight[inner].flatten(2), layer.transforms["7to5"])
    five = five.reshape(3, 4, *[5] * n_axes)
    three = torch.einsum("oic,dc->oid", five[inner].flatten(2), layer.transforms["5to3"]).reshape(3, 4, *[3] * n_axes)
    for kernel, weight in {7: full.weight, 5: five, 3: three}.items():
        layer.choice = {"k": kernel}
        assert torch.allclose(layer.tensors()["weight"], weight, atol=1e-5)
        extracted_equals(layer, x)


def test_gradients_reach_the_matrices_that_were_used():
    layer = ElasticConv(nn.Conv1d(2, 2, 7, padding=3), kernel=K, transforms=True)
    layer.choice = {"k": 5}
    layer(torch.randn(1, 2, 9)).square().sum().backward()
    assert layer.transforms["7to5"].grad.any()
    assert layer.transforms["5to3"].grad is None


@few
@given(widths)
def test_gradients_reach_the_used_weights_and_nothing_else(choice):
    a, b = choice["a"], choice["b"]
    layer = ElasticConv(nn.Conv2d(6, 8, 7, padding=3), A, B, K)
    layer.choice = choice | {"k": 3}
    layer(torch.randn(2, a, 9, 9)).square().sum().backward()
    used = torch.zeros(8, 6, 7, 7, dtype=torch.bool)
    used[:b, :a, 2:5, 2:5] = True
    assert torch.equal(layer.full.weight.grad != 0, used)
    assert torch.equal(layer.full.bias.grad != 0, torch.arange(8) < b)


@pytest.mark.parametrize("momentum", [0.1, None])
@few
@given(choice=widths)
def test_batch_norm_trains_the_statistics_of_its_channels(momentum, choice):
    full, a = nn.BatchNorm2d(6, momentum=momentum), choice["a"]
    nn.init.normal_(full.weight)
    layer = ElasticBatchNorm(full, A)
    layer.choice = choice
    alone = layer.extract({})
    for _ in range(3):
        x = 3 + torch.randn(4, a, 5, 5)
        assert equal(layer(x), alone(x))
    assert equal(full.running_mean[:a], alone.running_mean)
    assert equal(full.running_var[:a], alone.running_var)
    assert not full.running_mean[a:].any()
    extracted_equals(layer, x)
    expected = F.batch_norm(x, full.running_mean[:a], full.running_var[:a], full.weight[:a], full.bias[:a])
    assert equal(layer.eval()(x), expected)


def test_batch_norm_of_concatenated_channels_writes_its_statistics_back():
    full = nn.BatchNorm1d(14)
    layer, x = ElasticBatchNorm(full, [A, B]), 5 + torch.randn(16, 5)
    layer.choice = {"a": 2, "b": 3}
    layer(x)
    rows = [0, 1, 6, 7, 8]
    assert torch.allclose(full.running_mean[rows], 0.1 * x.mean(0))
    assert full.running_mean.count_nonzero() == 5
    extracted_equals(layer, x)


@few
@given(widths)
def test_layer_norm(choice):
    full, b = nn.LayerNorm(8), choice["b"]
    nn.init.normal_(full.weight)
    layer = ElasticLayerNorm(full, B)
    layer.choice = choice
    x = torch.randn(2, 4, b)
    assert equal(layer(x), F.layer_norm(x, (b,), full.weight[:b], full.bias[:b], full.eps))
    extracted_equals(layer, x)


@pytest.mark.parametrize("n_groups", [1, 6, 12])
@few
@given(choice=widths)
def test_group_norm_keeps_the_size_of_its_groups(n_groups, choice):
    full, n = nn.GroupNorm(n_groups, 12), 2 * choice["a"]
    nn.init.normal_(full.weight)
    layer = ElasticGroupNorm(full, Span(A, 2))
    layer.choice = choice
    x, groups = torch.randn(2, n, 3, 3), 1 if n_groups == 1 else n * n_groups // 12
    assert equal(layer(x), F.group_norm(x, groups, full.weight[:n], full.bias[:n], full.eps))
    extracted_equals(layer, x)


def test_embedding():
    full = nn.Embedding(10, 8, padding_idx=0)
    layer, x = ElasticEmbedding(full, B), torch.randint(10, (3, 4))
    layer.choice = {"b": 3}
    assert equal(layer(x), full.weight[:, :3][x])
    assert shared(layer, "weight")
    extracted_equals(layer, x)
    tokens = torch.randn(3, 4, 3)
    assert equal(Positions(layer)(tokens), tokens + full.weight[:4, :3])


@few
@given(widths)
def test_attention_of_heads_and_features(choice):
    heads, n = choice["a"], choice["b"]
    full = elastic_attention(Attention(8, 6, 4), B, A)
    for layer in full.children():
        layer.choice = choice
    x = torch.randn(2, 5, n)
    by_hand = lambda layer, rows, columns: (layer.full.weight[:rows, :columns], layer.full.bias[:rows])  # noqa: E731
    q, k, v = (F.linear(x, *by_hand(layer, 4 * heads, n)) for layer in (full.q, full.k, full.v))
    outs = []
    for h in range(heads):
        one = slice(4 * h, 4 * h + 4)
        outs.append(torch.softmax(q[..., one] @ k[..., one].mT / 2, -1) @ v[..., one])
    expected = F.linear(torch.cat(outs, -1), *by_hand(full.out, n, 4 * heads))
    assert torch.allclose(full(x), expected, atol=1e-5)


def test_a_mask_hides_steps():
    attention, x = Attention(8, 2, 4), torch.randn(1, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    y = attention(x, mask)
    assert torch.allclose(attention(x[:, :3], mask[:3, :3]), y[:, :3], atol=1e-6)


def test_resolution_and_length():
    side, x = ElasticResolution(Size("side", (4, 8))), torch.randn(2, 3, 8, 8)
    assert equal(side(x), x)
    side.choice = {"side": 4}
    assert torch.allclose(side(x), F.avg_pool2d(x, 2), atol=1e-6)  # bilinear to half the side
    assert equal(side.extract({})(x), side(x))
    length = ElasticLength(Size("steps", (3, 6)), axis=2)
    length.choice = {"steps": 3}
    assert equal(length(torch.arange(10.0).reshape(1, 2, 5)), torch.tensor([[[0.0, 1, 2], [5, 6, 7]]]))
    assert length.extract({})(torch.ones(1, 2, 2)).shape == (1, 2, 2)


def test_patches_of_several_sizes():
    """The small kernel is the least-squares one: no other is nearer to the large one on random patches."""
    full = nn.Conv2d(3, 5, 8, 8)
    layer, x = ElasticPatches(full, Size("p", (4, 8)), outputs=Size("w", (2, 5))), torch.randn(2, 3, 16, 16)
    assert equal(layer(x), full(x))
    layer.choice = {"p": 4, "w": 2}
    assert layer(x).shape == (2, 2, 4, 4)
    extracted_equals(layer, x)
    shrink = nn.Upsample((4, 4), mode="bilinear")(torch.eye(64).reshape(64, 1, 8, 8)).flatten(1)  # row: one pixel
    kernels = full.weight[:2].detach().double().reshape(6, 64)
    expected = torch.linalg.lstsq(shrink.double(), kernels.T).solution.T
    assert torch.allclose(layer.tensors()["weight"].double().reshape(6, 16), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticLinear(nn.Linear(6, 8), B), "at most 8 channels .the layer has 6"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 3, groups=2), A, A), "tear its groups"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 3, groups=6), A, 6), "tear its groups"),
        (lambda: ElasticGroupNorm(nn.GroupNorm(3, 6), A), "tear its groups"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 7), kernel=K), "too little padding"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 5, padding=2), kernel=K), r"a kernel of \(5, 5\)"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 7, padding=3), kernel=Size("k", (4, 7))), "no common centre"),
        (lambda: ElasticConv(nn.ConvTranspose2d(6, 6, 3), A), "cannot be elastic"),
        (lambda: ElasticConv(nn.Conv2d(6, 6, 3, padding="same"), A), "cannot be elastic"),
        (lambda: ElasticEmbedding(nn.Embedding(4, 6, max_norm=1.0), A), "cannot be elastic"),
        (lambda: ElasticLayerNorm(nn.LayerNorm((2, 6)), A), "over the last axis"),
        (lambda: ElasticPatches(nn.Conv2d(3, 6, 4, 2), Size("p", (2, 4))), "cuts no patches"),
        (lambda: ElasticLinear(nn.Linear(6, 8), Size("a", (0, 6))), "a width of 0"),
        (lambda: Size("a", (4, 2)), "not growing"),
    ],
)
def test_layers_that_cannot_be_elastic_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
