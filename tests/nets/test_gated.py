"""Gated networks: what is switched off counts for nothing, and is cut out without a change."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from archip.core import registry  # noqa: E402
from archip.core.errors import UserError  # noqa: E402
from archip.ir.graph import GraphBuilder  # noqa: E402
from archip.ir.workload import workload  # noqa: E402
from archip.nets.build import build_module  # noqa: E402
from archip.nets.gated import Gated  # noqa: E402

SPACES = {
    "resnet9": ({"stem": [8], "filters": [8, 12], "skips": [1, 2], "blocks": 2}, (1, 8, 8)),
    "ofa_mobilenet": ({"layers": [2], "kernels": [3], "expansions": [3]}, (3, 32, 32)),
    "nats_size": ({"widths": [8, 16]}, (3, 16, 16)),
    "conv1d": ({"depths": [2], "widths": [8]}, (2, 16)),
    "hytra": ({"layers": 3}, (3, 8, 8)),
}


def _gated(name: str, modules: int = 4) -> tuple[Gated, torch.Tensor]:
    """With statistics and scales that are not those of the start."""
    options, shape = SPACES[name]
    space = registry.create("spaces", name, options)
    genotype = space.canonical({gene: knob.values[-1] for gene, knob in space.knobs.items()})
    module = build_module(space.graph(genotype, shape, 5), 0)
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(8, *shape, generator=draws)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
        for _ in range(20):
            module(x)
    return Gated(module.eval(), modules), x


def _random_gates(gated: Gated, seed: int) -> torch.Tensor:
    gates = (torch.rand(len(gated.spans), generator=torch.Generator().manual_seed(seed)) > 0.5).float()
    for group in gated.members:
        gates[group[seed % len(group)]] = 1
    return gates


@pytest.mark.parametrize("name", SPACES)
def test_what_is_cut_out_computes_what_the_gates_left(name):
    gated, x = _gated(name)
    assert len(gated.members) > 1
    for seed in range(3):
        gates = _random_gates(gated, seed)
        with torch.no_grad():
            expected, small = gated(x, gates), gated.cut(gates).eval()
            torch.testing.assert_close(small(x), expected, rtol=1e-4, atol=1e-4)
            assert not torch.allclose(expected, gated(x), atol=1e-3)
        assert workload(small.graph).macs < workload(gated.backbone.graph).macs
        assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in gated.backbone.parameters())


def test_open_gates_change_nothing_and_gates_have_gradients():
    gated, x = _gated("resnet9")
    gates = torch.ones(len(gated.spans), requires_grad=True)
    outputs = gated(x, gates)
    torch.testing.assert_close(outputs, gated(x))
    outputs.square().sum().backward()
    assert gates.grad is not None
    step = 1e-2
    for i in (0, 5, len(gates) - 1):
        moved = torch.ones(len(gates))
        values = []
        for change in (step, -step):
            moved[i] = 1 + change
            with torch.no_grad():
                values.append(float(gated(x, moved).double().square().sum()))
        assert float(gates.grad[i]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.05, abs=0.05)


def test_modules_are_neighbouring_channels_of_one_width():
    gated, _ = _gated("resnet9", modules=3)
    sizes = {}
    for group, first, last in gated.spans:
        sizes.setdefault(group, []).append(last - first)
    assert sorted(sizes.values()) == sorted([[3, 3, 2], *[[4, 4, 4]] * 4])
    assert len(_gated("resnet9", modules=100)[0].spans) == 8 + 4 * 12


def test_outputs_may_be_chosen():
    gated, x = _gated("resnet9")
    gates = _random_gates(gated, 1)
    small = gated.cut(gates, [3, 0]).eval()
    with torch.no_grad():
        torch.testing.assert_close(small(x), gated(x, gates)[:, [3, 0]], rtol=1e-4, atol=1e-4)


def test_a_network_without_channels_to_switch_is_refused():
    g = GraphBuilder()
    x = g.add("flatten", g.input("image", (1, 1, 4, 4), "NCHW"), name="flat")
    module = build_module(g.finish(g.add("linear", x, name="classifier", out_features=3)), 0)
    with pytest.raises(UserError, match="no channels"):
        Gated(module, 4)
