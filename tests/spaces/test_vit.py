"""ViT: published sizes, an independent transformer with the same weights, and what is refused."""

from __future__ import annotations

import pytest

from archip.core import registry
from archip.core.errors import CandidateError, UserError
from archip.ir.workload import workload
from archip.spaces.vit import Vit

IMAGE = (3, 224, 224)


def uniform(patch: int, depth: int, dim: int, heads: int, ratio: float) -> dict[str, float]:
    """A network whose layers are all alike."""
    layers = {f"{k}{i}": v for i in range(1, depth + 1) for k, v in (("heads", heads), ("mlp", ratio))}
    return {"patch": patch, "depth": depth, "dim": dim, **layers}


@pytest.mark.parametrize(
    ("dim", "heads", "params"), [(192, 3, 5_717_416), (384, 6, 22_050_664), (768, 12, 86_567_656)], ids="TSB"
)
def test_published_networks_have_their_published_sizes(dim, heads, params):
    """DeiT-Ti, -S, -B without the distillation token: parameters as of the released models; MACs by hand."""
    space = Vit(patches=(16,), depths=(12,), dims=(dim,), heads=(heads,), head_features=64, ratios=(4.0,))
    work = workload(space.graph(space.canonical(uniform(16, 12, dim, heads, 4)), IMAGE, 1000))
    assert work.params == params
    n = 197
    layer = n * dim * 12 * dim + 2 * n * n * dim  # linear layers; scores and context
    assert work.macs == 12 * layer + 196 * dim * 3 * 16**2 + dim * 1000
    if dim == 192:
        assert work.macs == 1_253_683_200  # as read from an ONNX file of ViT-tiny, tests/ir


def test_layers_that_are_left_out_have_no_genes():
    space = Vit()
    genes = uniform(4, 4, 32, 2, 1.0)
    assert space.canonical({**genes, "depth": 2}) == uniform(4, 2, 32, 2, 1.0)
    with pytest.raises(UserError, match="mlp3"):
        space.canonical({k: v for k, v in genes.items() if k != "mlp3"})


@pytest.mark.parametrize("end", ["class", "mean"])
def test_computes_what_a_transformer_of_torch_computes(end):
    torch = pytest.importorskip("torch")
    from torch import nn

    space = Vit(end=end, heads=(3,), dims=(48,), ratios=(2.0,))
    m = space.build(uniform(4, 2, 48, 3, 2.0), (3, 8, 12), 5, seed=1).eval()
    x = torch.randn(2, 3, 8, 12)
    y = torch.stack([x[:, :, i : i + 4, j : j + 4].flatten(1) for i in (0, 4) for j in (0, 4, 8)], 1)
    y = y @ m.patch4.weight.flatten(1).T + m.patch4.bias
    if end == "class":
        y = torch.cat([m.n_class.weight.expand(2, -1, -1), y], 1)
    y = y + m.patch4_places.weight
    for i in (1, 2):
        layer = nn.TransformerEncoderLayer(48, 3, 96, 0.0, "gelu", batch_first=True, norm_first=True).eval()
        copy_layer(layer, m, f"layer{i}")
        y = layer(y)
    y = nn.functional.layer_norm(y, (48,), m.norm.weight, m.norm.bias)
    y = y[:, 0] if end == "class" else y.mean(1)
    torch.testing.assert_close(m(x), m.classifier(y), rtol=1e-4, atol=1e-5)


def copy_layer(layer, module, name: str) -> None:
    """The weights of a layer of ours in torch's own."""
    import torch

    part = lambda path: getattr(module, f"{name}_{path}").state_dict()  # noqa: E731
    q, k, v = (part(f"attention_{p}") for p in "qkv")
    attention = {f"in_proj_{t}": torch.cat([q[t], k[t], v[t]]) for t in ("weight", "bias")}
    layer.self_attn.load_state_dict(attention | {f"out_proj.{t}": w for t, w in part("attention_out").items()})
    for theirs, ours in {"linear1": "mlp_up", "linear2": "mlp_down", "norm1": "norm1", "norm2": "norm2"}.items():
        getattr(layer, theirs).load_state_dict(part(ours))


@pytest.mark.parametrize("shape", [(1, 9, 8), (1, 2, 2), (3, 8, 10)])
def test_patches_that_do_not_tile_the_image_are_a_reason(shape):
    with pytest.raises(CandidateError, match="do not tile an image of"):
        Vit().graph(uniform(4, 2, 32, 1, 1.0), shape, 10)


@pytest.mark.parametrize(("option", "value"), [("dims", [64, 32]), ("ratios", [0]), ("heads", []), ("end", "max")])
def test_options_that_make_no_space_are_refused(option, value):
    with pytest.raises(UserError, match=option):
        registry.create("spaces", "vit", {option: value})
