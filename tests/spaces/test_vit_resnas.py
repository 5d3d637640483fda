"""ViT-ResNAS: the published network's size, the reduction by hand, and what is refused."""

from __future__ import annotations

import pytest

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.ir.workload import workload
from archip.spaces.vit_resnas import VitResnas

TINY = VitResnas(
    patch=14,
    stem=24,
    dims=(160, 176, 192, 224, 256),
    depths=(3, 4, 5, 6),
    heads=((3, 4, 5, 6), (6, 8, 10, 12), (6, 8, 10, 12)),
    head_features=(32, 48, 64),
    hiddens=(384, 448, 512, 576, 640, 704, 768),
)
# heads and hidden features of every layer of ViT-ResNAS-Tiny, as its authors train it
LAYERS = [
    [(3, 704), (3, 576), (3, 640), (4, 576), (4, 704)],
    [(10, 1408), (8, 1408), (8, 1280), (8, 1408), (10, 1280), (10, 1024)],
    [(10, 2560), (10, 1792), (10, 2816), (8, 2816), (8, 2560)],
]


def found() -> dict[str, int]:
    genes = {"dim": 176}
    for s, layers in enumerate(LAYERS, 1):
        genes[f"depth{s}"] = len(layers)
        for i, (heads, hidden) in enumerate(layers, 1):
            genes |= {f"heads{s}_{i}": heads, f"hidden{s}_{i}": hidden // 2 ** (s - 1)}
    return genes


def test_the_published_network_has_its_published_size():
    """1.8 G MACs and 41 M parameters (table 3 of the paper); the MACs exactly as the authors count them."""
    work = workload(TINY.graph(TINY.canonical(found()), (3, 224, 224), 1000))
    macs = 3 * 24 * 9 * 112**2 + 2 * 24 * 24 * 9 * 112**2 + 176 * 24 * 49 * 256  # stem, patches
    for layers, dim, each, side in zip(LAYERS, (176, 352, 704), (32, 48, 64), (16, 8, 4), strict=True):
        n = side**2 + 1
        for heads, hidden in layers:
            inner = heads * each
            macs += 4 * n * dim * inner + 2 * n * n * inner + 2 * n * dim * hidden
        if side > 4:
            macs += (side // 2) ** 2 * 2 * dim * 9 * dim + dim * 2 * dim  # reduction: convolution, token
    assert work.macs == macs + 704 * 1000
    assert work.macs == pytest.approx(1.8e9, rel=0.03)
    assert work.params == pytest.approx(41e6, rel=0.03)


def test_the_reduction_by_hand():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    space = VitResnas(heads=((2,), (2,)), head_features=(8, 8))
    genes = space.canonical({name: knob.values[0] for name, knob in space.knobs.items()})
    m = space.build(genes, (3, 8, 8), 3, seed=0).eval()
    values = m.values(torch.randn(2, 3, 8, 8))
    x, y = values["layer1_1.add2"], values["reduce2.add"]
    assert x.shape == (2, 17, 16)
    normed = F.layer_norm(x, (16,), m.reduce2_norm.weight, m.reduce2_norm.bias)
    maps = [v[:, 1:].mT.reshape(2, 16, 4, 4) for v in (normed, x)]
    conv = F.conv2d(maps[0], m.reduce2_conv.weight, m.reduce2_conv.bias, stride=2, padding=1).flatten(2).mT
    mean = F.avg_pool2d(maps[1], 2).flatten(2).mT
    torch.testing.assert_close(y[:, 1:], conv + m.reduce2_places.weight + F.pad(mean, (0, 16)))
    torch.testing.assert_close(y[:, 0], m.reduce2_token(normed[:, 0]) + F.pad(x[:, 0], (0, 16)))


def test_layers_that_are_left_out_have_no_genes():
    genes = {**found(), "depth2": 4}
    canonical = TINY.canonical(genes)
    assert {k for k in found() if k not in canonical} == {"heads2_5", "hidden2_5", "heads2_6", "hidden2_6"}


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 9, 9), (1, 4, 12)])
def test_maps_that_cannot_be_halved_are_a_reason(shape):
    space = VitResnas()
    genes = space.canonical({name: knob.values[0] for name, knob in space.knobs.items()})
    with pytest.raises(CandidateError, match=r"cannot be halved|do not tile"):
        space.graph(genes, shape, 10)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"patch": 3}, "patch"), ({"heads": [[2, 1]]}, "heads"), ({"head_features": [8, 8]}, "head_features")],
)
def test_options_that_make_no_space_are_refused(options, match):
    with pytest.raises(UserError, match=match):
        registry.create("spaces", "vit_resnas", options)
