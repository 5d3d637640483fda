"""BERT: the published size, an independent transformer with the same weights, padding."""

from __future__ import annotations

import pytest
from test_vit import copy_layer

from archip.core import registry
from archip.core.errors import CandidateError
from archip.ir.workload import workload
from archip.spaces.bert import Bert

BASE = Bert(
    depths=(12,),
    hiddens=(768,),
    heads=(12,),
    head_features=64,
    ffns=(3072,),
    vocabulary=30522,
    positions=512,
    segments=2,
)


def uniform(depth: int, hidden: int, heads: int, ffn: int) -> dict[str, int]:
    layers = {f"{k}{i}": v for i in range(1, depth + 1) for k, v in (("heads", heads), ("ffn", ffn))}
    return {"depth": depth, "hidden": hidden, **layers}


def test_bert_base_has_its_published_size():
    """109,482,240 weights with embeddings, segments and pooler, and a classifier of two classes; MACs by hand."""
    n, d = 128, 768
    work = workload(BASE.graph(BASE.canonical(uniform(12, 768, 12, 3072)), (n,), 2))
    assert work.params == 109_482_240 + 2 * d + 2
    assert work.macs == 12 * (12 * n * d * d + 2 * n * n * d) + d * d + 2 * d


def test_computes_what_a_transformer_of_torch_computes():
    torch = pytest.importorskip("torch")
    from torch import nn

    space = Bert(vocabulary=50, positions=10, segments=2, heads=(3,), hiddens=(48,), ffns=(64,))
    m = space.build(uniform(2, 48, 3, 64), (7,), 4, seed=0).eval()
    ids = torch.randint(1, 50, (3, 7))
    ids[1, 4:] = 0
    y = m.words.weight[ids] + m.places.weight[0, :7] + m.segments.weight[0, 0]
    y = nn.functional.layer_norm(y, (48,), m.norm.weight, m.norm.bias)
    for i in (1, 2):
        layer = nn.TransformerEncoderLayer(48, 3, 64, 0.0, "gelu", batch_first=True, layer_norm_eps=1e-12)
        copy_layer(layer, m, f"layer{i}")
        y = layer.train()(y, src_key_padding_mask=ids == 0)
    torch.testing.assert_close(m(ids), m.classifier(torch.tanh(m.pooler(y[:, 0]))), rtol=1e-4, atol=1e-5)


def test_what_stands_behind_padding_does_not_matter():
    """More padding is the same text, whatever it is padded to."""
    torch = pytest.importorskip("torch")
    space = Bert(positions=12)
    genes = uniform(2, 32, 2, 64)
    short, long = (space.build(genes, (n,), 3, seed=0).eval() for n in (6, 12))
    ids = torch.randint(2, 4096, (4, 6))
    padded = torch.cat([ids, torch.zeros(4, 6, dtype=torch.int64)], 1)
    torch.testing.assert_close(short(ids), long(padded), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(short(ids), short(ids.flip(0)))


def test_the_genes_and_the_number_of_tokens_name_a_network():
    """As `archip chip bert:…@16` takes them."""
    from archip.search.chip import read_networks

    (work,) = read_networks(["bert:1,32,2,64@16"]).values()
    assert work.params == workload(Bert().graph(uniform(1, 32, 2, 64), (16,), 10)).params


def test_layers_that_are_left_out_have_no_genes():
    genes = uniform(3, 32, 2, 64)
    assert Bert().canonical({**genes, "depth": 1}) == uniform(1, 32, 2, 64)


def test_sequences_longer_than_the_positions_are_a_reason():
    with pytest.raises(CandidateError, match="20 tokens do not fit into 10"):
        Bert(positions=10).graph(uniform(1, 32, 1, 32), (20,), 2)


def test_a_vocabulary_smaller_than_that_of_the_data_is_refused(tmp_path):
    from types import SimpleNamespace

    from archip.core.errors import UserError
    from archip.search.setup import _check_fit

    data = SimpleNamespace(axes="NT", task="classification", n_tokens=500)
    spec = SimpleNamespace(net=SimpleNamespace(name="bert"))
    _check_fit(data, registry.create("spaces", "bert", {"vocabulary": 500}), spec, "tasks.a")
    with pytest.raises(UserError, match=r"500 token numbers.*knows 499"):
        _check_fit(data, registry.create("spaces", "bert", {"vocabulary": 499}), spec, "tasks.a")
