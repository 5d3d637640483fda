"""Attention of users' own modules made elastic: whole heads, in the forms in which people write them."""

from __future__ import annotations

import copy
import math
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import fx, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.nets.elastic import Elastic, elastic  # noqa: E402

WIDTH, HEADS, EACH = 24, 4, 6


class Fused(nn.Module):
    """One layer for queries, keys and values, as in timm's ViT."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.num_heads, self.scale = HEADS, EACH**-0.5
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH, bias), nn.Linear(WIDTH, WIDTH)
        self.attn_drop = nn.Dropout(0.1)

    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = self.attn_drop(((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1))
        return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))


class Unbound(Fused):
    """As newer timm: unbind, and the fused product."""

    def forward(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.num_heads, EACH).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(B, N, C))


class Causal(nn.Module):
    """As in nanoGPT."""

    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.proj, self.n_head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), HEADS
        self.register_buffer("bias", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        att = F.dropout(att, 0.1, self.training)
        return self.proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))


class Separate(nn.Module):
    """As in BERT of transformers: sizes computed from the tensor, permuted, divided, masked by a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size, self.all_head_size = HEADS, EACH, WIDTH
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.proj = nn.Linear(WIDTH, WIDTH)

    def transpose_for_scores(self, x):
        x = x.view(x.size()[:-1] + (self.num_attention_heads, self.attention_head_size))  # noqa: RUF005
        return x.permute(0, 2, 1, 3)

    def forward(self, x, mask=None):
        k, v, q = (self.transpose_for_scores(layer(x)) for layer in (self.key, self.value, self.query))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.attention_head_size)
        if mask is not None:
            scores = scores + mask
        context = torch.matmul(nn.functional.softmax(scores, dim=-1), v).permute(0, 2, 1, 3).contiguous()
        return self.proj(context.view(context.size()[:-2] + (self.all_head_size,)))  # noqa: RUF005


class Starred(Separate):
    """As newer transformers: sizes unpacked, heads left open."""

    def forward(self, x):
        given = x.shape[:-1]
        hidden = (*given, -1, self.attention_head_size)
        q, k, v = (layer(x).view(hidden).transpose(1, 2) for layer in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous()
        return self.proj(y.reshape(*given, -1).contiguous())


class Sums(Separate):
    """By Einstein sums, with a norm of each head."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(EACH)

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (HEADS, EACH)) for layer in (self.query, self.key, self.value))
        weights = torch.einsum("bqhd,bkhd->bhqk", self.norm(q), self.norm(k)).softmax(-1)
        return self.proj(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))


class Ready(nn.Module):
    """torch's own layer."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, **options)

    def forward(self, x):
        y, _ = self.attn(x, x, x)
        return y


class Head(nn.Module):
    """Something before and behind, so that widths are neither inputs nor outputs."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention, self.fc = attention, nn.Linear(WIDTH, 3)

    def forward(self, x):
        return self.fc((x + self.attention(x)).mean(1))


X = torch.randn(3, 7, WIDTH, generator=torch.Generator().manual_seed(0))
FORMS = {
    "fused": Fused,
    "no bias": lambda: Fused(False),
    "unbind": Unbound,
    "causal": Causal,
    "bert": Separate,
    "starred": Starred,
    "einsum": Sums,
    "torch": lambda: Ready(batch_first=True),
    "torch, steps first": lambda: Ready(bias=False),
}


def made(form: str) -> Head:
    torch.manual_seed(1)
    return Head(FORMS[form]()).eval()


def last_layer(module: Head) -> nn.Module:
    inner = module.attention
    return inner.attn.out_proj if isinstance(inner, Ready) else inner.proj


@pytest.mark.parametrize("form", FORMS)
def test_fewer_heads_are_the_whole_without_what_the_others_say(form):
    module = made(form)
    net = elastic(module, X, sort=False)
    (name,) = (name for name in net.space.knobs if name.endswith(".heads"))
    assert net.space.knobs[name].values == (1, 2, 3, 4)
    assert torch.allclose(net(X), module(X), atol=1e-6)
    for heads in (1, 2, 3):
        silenced = copy.deepcopy(module)
        with torch.no_grad():
            last_layer(silenced).weight[:, heads * EACH :] = 0
        assert torch.allclose(net(X, {name: heads}), silenced(X), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_taken_out_they_are_ordinary_and_equal_bit_by_bit(form):
    net = elastic(made(form), X)
    (name,) = (name for name in net.space.knobs if name.endswith(".heads"))
    alone = net.extract({name: 2})
    other = torch.randn(5, 4, WIDTH)
    for x in (X, other):
        assert torch.equal(alone(x), net(x))
    assert not [m for m in alone.modules() if isinstance(m, Elastic)]
    last = alone.attention.proj if hasattr(alone.attention, "proj") else alone.attention.attn.out
    assert last.in_features == 2 * EACH
    assert type(alone) is Head


def test_the_most_important_heads_come_first():
    module = made("bert")
    with torch.no_grad():
        module.attention.proj.weight[:, 2 * EACH : 3 * EACH] *= 10
    net = elastic(module, X)
    (name,) = net.space.knobs
    silenced = copy.deepcopy(module)
    with torch.no_grad():
        silenced.attention.proj.weight[:, : 2 * EACH] = 0
        silenced.attention.proj.weight[:, 3 * EACH :] = 0
    assert torch.allclose(net(X, {name: 1}), silenced(X), atol=1e-5)


def test_dropout_that_is_a_function_stays_dropout():
    net = elastic(made("causal"), X)
    alone = net.extract({name: knob.values[0] for name, knob in net.space.knobs.items()})
    assert torch.equal(alone(X), alone(X))
    alone.train()
    assert not torch.equal(alone(X), alone(X))


def test_only_what_writes_numbers_is_written_again():
    net = elastic(made("fused"), X)
    assert isinstance(net.module.attention, fx.GraphModule)
    assert type(net.module.attention).__name__ == "Fused"
    assert type(elastic(made("starred"), X).module.attention) is Starred


class Biased(Separate):
    """A table of positions for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, HEADS, 7, 7))

    def forward(self, x):
        return super().forward(x, self.table)


class Merged(Separate):
    """Heads and samples in one axis."""

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            layer(x).view(B, T, HEADS, EACH).transpose(1, 2).reshape(B * HEADS, T, EACH)
            for layer in (self.query, self.key, self.value)
        )
        y = torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v)
        return self.proj(y.view(B, HEADS, T, EACH).transpose(1, 2).reshape(B, T, C))


class Counting(Separate):
    """A size becomes a number, which the trace loses."""

    def forward(self, x):
        return super().forward(x, torch.zeros(int(x.shape[1])))


class Twice(nn.Module):
    """The same layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Separate()

    def forward(self, x):
        return self.inner(self.inner(x))


@pytest.mark.parametrize(
    ("make", "reason"),
    [(Biased, "add"), (Merged, "reshape"), (Counting, "numbers of sizes"), (Twice, "2 times|different inputs")],
)
def test_heads_that_cannot_be_told_apart_stay_with_the_reason(make, reason):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH), Head(make())).eval()
    net = elastic(module, X)
    assert list(net.space.knobs) == ["0"]
    assert torch.allclose(net(X), module(X), atol=1e-5)
    why = {reason for name, reason in net.fixed.items() if "query" in name}
    assert len(why) == 1
    assert re.search(reason, why.pop()), net.fixed


class Peeking(nn.Module):
    def forward(self, x):
        return x[:, : int(x.sum())]


def test_sizes_that_depend_on_values_are_refused():
    with pytest.raises(UserError, match=r"Peeking cannot be traced: .*becomes a number"):
        elastic(Peeking(), X)


class Encoder(nn.Module):
    """torch's layers, with a padding mask made of the tokens."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, WIDTH, padding_idx=0)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 40, batch_first=True, norm_first=norm_first, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.fc = nn.Linear(WIDTH, 3)

    def forward(self, ids):
        return self.fc(self.encoder(self.embedding(ids), src_key_padding_mask=ids == 0)[:, 0])


@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_of_torch_has_elastic_heads_neurons_and_depth(norm_first):
    torch.manual_seed(2)
    module = Encoder(norm_first).eval()
    ids = torch.randint(1, 50, (3, 9), generator=torch.Generator().manual_seed(0))
    ids[1, 5:] = ids[2, 2:] = 0
    net = elastic(module, ids)
    with torch.no_grad():
        assert torch.allclose(net(ids), module(ids), atol=1e-5)
    layers = {f"encoder.layers.{i}.{what}" for i in range(4) for what in ("self_attn.q.heads", "linear1")}
    assert net.space.knobs.keys() == layers | {"encoder.layers.depth"}
    for seed in range(3):
        alone = net.extract(net.space.sample(np.random.default_rng(seed)))
        assert torch.equal(alone(ids), net(ids))
    assert len(net.extract(net.smallest).encoder.layers) == 1
