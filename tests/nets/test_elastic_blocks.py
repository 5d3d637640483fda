"""Repeated blocks made elastic: the first ones run; the extracted network has only these."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from test_elastic_attention import Fused, Separate  # noqa: E402
from test_elastic_convert import ResNet, X, with_statistics  # noqa: E402
from torch import nn  # noqa: E402

from archip.nets.elastic import Elastic, elastic  # noqa: E402

WIDTH = 24


class Block(nn.Module):
    """As in timm's ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH), Fused(), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 40), nn.GELU(), nn.Linear(40, WIDTH))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, n_blocks: int = 4) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, WIDTH, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(n_blocks)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class Layer(nn.Module):
    """As in BERT: norms behind the sums, a mask beside the input, the result in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm1 = Separate(), nn.LayerNorm(WIDTH)
        self.up, self.down, self.norm2 = nn.Linear(WIDTH, 40), nn.Linear(40, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, hidden, mask=None):
        hidden = self.norm1(hidden + self.attention(hidden, mask))
        return (self.norm2(hidden + self.down(nn.functional.gelu(self.up(hidden)))),)


class Bert(nn.Module):
    def __init__(self, n_layers: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, WIDTH)
        self.layer = nn.ModuleList(Layer() for _ in range(n_layers))
        self.fc = nn.Linear(WIDTH, 5)

    def forward(self, ids, mask):
        added = (1.0 - mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
        x = self.embedding(ids)
        for layer in self.layer:
            outputs = layer(x, mask=added)
            x = outputs[0]
        return self.fc(x[:, 0])


def tokens() -> tuple:
    ids = torch.randint(1, 50, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 9)
    mask[1, 4:] = 0
    return ids, mask


CASES = {"vit": (ViT, X, "blocks", "blocks"), "bert": (Bert, tokens(), "layer", "layer")}


def call(module, x):
    return module(*x) if isinstance(x, tuple) else module(x)


@pytest.mark.parametrize("case", CASES)
def test_transformers_lose_blocks_heads_and_neurons(case):
    make, x, stage, _ = CASES[case]
    torch.manual_seed(3)
    module = make().eval()
    net = elastic(module, x)
    assert torch.allclose(net(x), call(module, x), atol=1e-5)
    n = len(module.get_submodule(stage))
    inner = ("attn.qkv.heads", "mlp.0") if case == "vit" else ("attention.key.heads", "up")
    assert net.space.knobs.keys() == {f"{stage}.{i}.{name}" for i in range(n) for name in inner} | {f"{stage}.depth"}
    for choice in (net.smallest, *(net.space.sample(np.random.default_rng(i)) for i in range(4))):
        alone = net.extract(choice)
        assert torch.equal(call(alone, x), net(x))
        assert len(alone.get_submodule(stage)) == choice[f"{stage}.depth"]
        assert not [m for m in alone.modules() if isinstance(m, Elastic) or type(m).__module__.startswith("archip")]


@pytest.mark.parametrize("case", CASES)
def test_a_smaller_depth_is_the_module_with_its_first_blocks(case):
    make, x, stage, _ = CASES[case]
    torch.manual_seed(3)
    module = make().eval()
    net = elastic(module, x, sort=False)
    for n in net.space.knobs[f"{stage}.depth"].values:
        cut = copy.deepcopy(module)
        cut.set_submodule(stage, module.get_submodule(stage)[:n])
        assert torch.allclose(net(x, {f"{stage}.depth": n}), call(cut, x), atol=1e-6)


def test_widths_within_blocks_left_out_are_no_genes():
    net = elastic(Bert().eval(), tokens())
    assert "layer.2.up" not in net.space.canonical({**net.largest, "layer.depth": 1})
    assert "layer.2.up" in net.largest


def test_the_second_blocks_of_a_resnet_may_be_left_out():
    module = with_statistics(ResNet())
    net = elastic(module, X)
    assert {n: k.values for n, k in net.space.knobs.items() if n.endswith("depth")} == {
        f"layer{i}.depth": (1, 2) for i in (1, 2, 3, 4)
    }
    alone = net.extract({"layer1.depth": 1, "layer3.depth": 1})
    assert [len(getattr(alone, f"layer{i}")) for i in (1, 2, 3, 4)] == [1, 2, 1, 2]
    assert torch.equal(alone(X), net(X))
    assert not [name for name in elastic(module, X, depth=False).space.knobs if name.endswith("depth")]


class Named(nn.Module):
    """Blocks by name, called one after another."""

    def __init__(self, is_residual: bool) -> None:
        super().__init__()
        self.first = nn.Linear(8, WIDTH)
        self.one, self.two, self.three = (Plain(is_residual) for _ in range(3))
        self.fc = nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.fc(self.three(self.two(self.one(self.first(x)))))


class Plain(nn.Module):
    def __init__(self, is_residual: bool) -> None:
        super().__init__()
        self.up, self.down, self.is_residual = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH), is_residual

    def forward(self, x):
        y = self.down(torch.relu(self.up(x)))
        return x + y if self.is_residual else y


def test_blocks_held_by_name_become_identities():
    x = torch.randn(4, 8)
    module = Named(True).eval()
    net = elastic(module, x)
    assert net.space.knobs["one.depth"].values == (1, 2, 3)
    alone = net.extract({"one.depth": 2})
    assert type(alone.three) is nn.Identity
    assert torch.equal(alone(x), net(x))
    assert torch.allclose(
        elastic(module, x, sort=False)(x, {"one.depth": 2}), module.fc(module.two(module.one(module.first(x))))
    )


def test_blocks_that_are_not_residual_stay():
    net = elastic(Named(False).eval(), torch.randn(4, 8))
    assert not [name for name in net.space.knobs if name.endswith("depth")]
    assert net.fixed["blocks.depth"] == "the blocks are not residual"
