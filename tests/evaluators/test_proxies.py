"""Zero-cost scores: by hand on small networks, properties on all, published values on NAS-Bench-201."""

import csv
import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from archip.core import registry
from archip.core.errors import CandidateError
from archip.evaluators.proxies._correlation import correlation_score
from archip.evaluators.proxies._kernel import tangent_kernel
from archip.evaluators.proxies._probe import Probe
from archip.evaluators.proxies.lga import alignment
from archip.ir.graph import GraphBuilder
from archip.spaces.nb201 import NB201, parse
from archip.spaces.resnet9 import ResNet9


def _two_layers():
    """4 → 3 → ReLU → 2, without biases."""
    g = GraphBuilder()
    x = g.add("linear", g.input("x", (1, 4), "NC"), name="a", out_features=3, bias=False)
    return g.finish(g.add("linear", g.add("relu", x, name="r"), name="b", out_features=2, bias=False))


@pytest.fixture
def small():
    rng = np.random.default_rng(0)
    return Probe(_two_layers(), rng.normal(size=(6, 4)).astype(np.float32), np.arange(6) % 2, "classification", 3)


@pytest.fixture
def convolutional():
    rng = np.random.default_rng(1)
    space = ResNet9(stem=(4, 8), filters=(8, 16), blocks=2)
    graph = space.graph(space.sample(rng), (1, 8, 8), 3)
    return Probe(graph, rng.normal(size=(12, 1, 8, 8)).astype(np.float32), np.arange(12) % 3, "classification", 3)


def _score(name: str, probe: Probe, **options) -> float:
    return registry.create("proxies", name, options).score(probe)


NEED_OTHER_LAYERS = {"hidden_covariance", "head_confidence"}


@pytest.mark.parametrize("name", sorted(set(registry.names("proxies")) - NEED_OTHER_LAYERS))
def test_equal_probes_have_equal_finite_scores(name, convolutional):
    first = _score(name, convolutional)
    again = Probe(convolutional.graph, convolutional.x, convolutional.y, "classification", 3)
    assert math.isfinite(first)
    assert _score(name, again) == first


def test_gradient_scores_by_hand(small):
    module = small.module()
    x, y = small.tensors()
    small.loss(module(x), y).backward()
    a, b = (p.detach() for p in module.parameters())
    g, h = (p.grad for p in module.parameters())
    assert _score("grad_norm", small) == pytest.approx(float(g.norm() + h.norm()), rel=1e-5)
    assert _score("snip", small) == pytest.approx(float((a * g).abs().sum() + (b * h).abs().sum()), rel=1e-5)
    assert _score("l2_norm", small) == pytest.approx(float(a.norm() + b.norm()), rel=1e-6)


def test_grasp_is_the_derivative_of_the_gradient_flow(small):
    """-w · H g is minus half the change of |g|² when all weights grow by the same share."""
    x, y = small.tensors()

    def flow(share: float) -> float:
        module = small.module().double()
        with torch.no_grad():
            for p in module.parameters():
                p.mul_(1 + share)
        found = torch.autograd.grad(small.loss(module(x.double()), y), list(module.parameters()))
        return float(sum((g**2).sum() for g in found))

    slope = (flow(1e-4) - flow(-1e-4)) / 2e-4
    assert _score("grasp", small) == pytest.approx(-slope / 2, rel=1e-3)


def test_synflow_is_the_sum_over_paths(small):
    a, b = (p.detach().double().abs() for p in small.module().parameters())
    assert _score("synflow", small) == pytest.approx(math.log(2 * float((b @ a).sum())), rel=1e-6)  # two layers


def test_fisher_by_hand(small):
    module = small.module()
    x, y = small.tensors()
    z = module.a(x)
    out = module.b(torch.relu(z))
    g_z, g_out = torch.autograd.grad(small.loss(out, y), (z, out))
    expected = sum(float((v.detach() * g).pow(2).mean(0).sum()) / 2 for v, g in ((z, g_z), (out, g_out)))
    assert _score("fisher", small) == pytest.approx(expected, rel=1e-5)


def test_naswot_and_regions_count_switches(small):
    module = small.module()
    codes = (module.a(small.tensors()[0]) > 0).numpy().astype(int)
    kernel = np.array([[int((p == q).sum()) for q in codes] for p in codes])
    expected = np.linalg.slogdet(kernel.astype(float))
    distinct = len({tuple(code) for code in codes})
    assert _score("linear_regions", small) == distinct
    if expected[0] != 0 and distinct == len(codes):
        assert _score("naswot", small) == pytest.approx(expected[1], rel=1e-5)
    else:
        with pytest.raises(CandidateError, match="alike"):
            _score("naswot", small)


def test_correlation_score_by_hand():
    """Uncorrelated rows have eigenvalues of 1; the more alike, the lower the score."""
    rows = np.array([[1.0, -1, 1, -1], [1, 1, -1, -1]])
    assert correlation_score(rows) == pytest.approx(-2 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)))
    assert correlation_score([[1.0, -1, 1, -1], [1, -1, 1, -0.5]]) < correlation_score(rows)
    with pytest.raises(CandidateError, match="no trace"):
        correlation_score(np.ones((2, 4)))


def test_tangent_kernel_of_a_linear_layer_is_the_gram_matrix():
    net = torch.nn.Linear(4, 3)
    x = torch.randn(5, 4)
    assert torch.allclose(tangent_kernel(net, x), (3 * (x @ x.T + 1)).double(), atol=1e-5)


def test_alignment_is_one_for_the_labels_themselves():
    y = torch.tensor([0, 0, 1, 1, 2])
    labels = (y[:, None] == y[None]).double() * 2 - 1
    assert alignment(3 * labels, y) == pytest.approx(1)
    assert alignment(-labels, y) == pytest.approx(-1)
    assert -1 <= alignment(torch.randn(5, 5), y) <= 1


@pytest.mark.slow
@pytest.mark.golden
def test_ranks_are_those_of_the_published_scores():
    """Expected: Spearman 0.9 at least with the scores that others computed, on 20 cells."""
    folder = os.environ.get("ARCHIP_DATA")
    if folder is None:
        pytest.skip("ARCHIP_DATA names no folder with zc_nb201.csv.gz")
    tables = {}
    for name in ("nb201", "zc_nb201"):
        with gzip.open(Path(folder) / f"{name}.csv.gz", "rt") as file:
            tables[name] = list(csv.DictReader(file))
    text = {row["arch_index"]: row["arch_str"] for row in tables["nb201"]}
    rows = [row for row in tables["zc_nb201"] if row["dataset"] == "cifar10"][:20]
    data = np.load(Path(folder) / "cifar10_12k.npz")
    x = data["x_train"][:32].transpose(0, 3, 1, 2).astype(np.float32) / 255
    x = np.ascontiguousarray((x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True))
    y = data["y_train"][:32].astype(np.int64)
    columns = {"synflow": "synflow", "naswot": "nwot", "l2_norm": "l2_norm", "snip": "snip", "grad_norm": "grad_norm",
               "flops": "flops_naslib_M", "parameters": "params_M"}  # fmt: skip
    found = {name: [] for name in columns}
    for row in rows:
        graph = NB201().graph(parse(text[row["arch_index"]]), (3, 32, 32), 10)
        for name in columns:
            found[name].append(_score(name, Probe(graph, x, y, "classification", 0)))
    for name, column in columns.items():
        published = [float(row[column]) for row in rows]
        assert spearmanr(found[name], published).statistic >= 0.9, name


def _sequence_classifier(op: str, layers: int = 1):
    """[N, T, F] → recurrent layers → classifier of the last step."""
    g = GraphBuilder()
    x = g.add("transpose", g.input("x", (1, 5, 3), "NLC"), name="steps_first", perm=(1, 0, 2))
    for i in range(layers):
        x = g.add(op, x, name=f"layer{i + 1}", hidden=4)
    x = g.add("mean", g.add("transpose", x, name="batch_first", perm=(1, 0, 2)), name="pool", axes=(1,))
    return g.finish(g.add("linear", x, name="classifier", out_features=2))


def _attention(heads: int):
    """[N, T, 8] → one attention layer of so many heads → classifier."""
    g = GraphBuilder()
    x = g.input("x", (1, 5, 8), "NLC")
    parts = {}
    for name, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
        flat = g.add("linear", x, name=name, out_features=8)
        split = g.add("reshape", flat, name=f"{name}.heads", shape=(1, 5, heads, 8 // heads))
        parts[name] = g.add("transpose", split, name=f"{name}.turned", perm=perm)
    weights = g.add("softmax", g.add("matmul", parts["q"], parts["k"], name="qk"), name="attention", axis=-1)
    mixed = g.add("transpose", g.add("matmul", weights, parts["v"], name="mixed"), name="back", perm=(0, 2, 1, 3))
    x = g.add("mean", g.add("reshape", mixed, name="joined", shape=(1, 5, 8)), name="pool", axes=(1,))
    return g.finish(g.add("linear", x, name="classifier", out_features=2))


def _of(graph) -> Probe:
    x = np.random.default_rng(2).normal(size=(6, *graph.inputs[0].shape[1:])).astype(np.float32)
    return Probe(graph, x, np.arange(6) % 2, "classification", 3)


@pytest.mark.parametrize(("op", "cls"), [("rnn", torch.nn.RNN), ("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)])
def test_hidden_covariance_reads_the_states_that_torch_computes(op, cls):
    probe = _of(_sequence_classifier(op, 2))
    module = probe.module()
    first, second = cls(3, 4), cls(4, 4)
    first.load_state_dict(module.layer1.state_dict())
    second.load_state_dict(module.layer2.state_dict())
    with torch.no_grad():
        one = first(probe.tensors()[0].transpose(0, 1))[0]
        two = second(one)[0]
    for layer, states in ((1, one), (2, two)):
        rows = np.array([states[:, n].numpy().ravel() for n in range(6)], dtype=np.float64)
        eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows))
        expected = -(np.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5)).sum()
        assert _score("hidden_covariance", probe, layer=layer) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(CandidateError, match="2 recurrent layers"):
        _score("hidden_covariance", probe, layer=3)


def test_head_confidence_by_hand():
    probe = _of(_attention(2))
    module = probe.module()
    x, _ = probe.tensors()
    with torch.no_grad():
        q, k = (layer(x).reshape(6, 5, 2, 4) for layer in (module.q, module.k))
    heads = []
    for head in range(2):
        largest = [max(torch.softmax(k[n, :, head] @ q[n, at, head], 0).tolist()) for n in range(6) for at in range(5)]
        heads.append(sum(largest) / len(largest))
    assert _score("head_confidence", probe) == pytest.approx(sum(heads), rel=1e-5)
    assert _score("head_confidence", probe, mean=True) == pytest.approx(sum(heads) / 2, rel=1e-5)


def test_scores_of_layers_that_a_network_lacks_are_refused(small):
    for name, words in (("hidden_covariance", "recurrent"), ("head_confidence", "attention")):
        with pytest.raises(CandidateError, match=words):
            _score(name, small)


def test_grasp_says_which_second_derivative_torch_lacks():
    g = GraphBuilder()
    x = g.add("linear", g.input("x", (1, 4), "NC"), name="a", out_features=3)
    graph = g.finish(g.add("linear", g.add("hardsigmoid", x, name="gate"), name="b", out_features=2))
    probe = Probe(graph, np.ones((4, 4), np.float32), np.arange(4) % 2, "classification", 3)
    with pytest.raises(CandidateError, match="hardsigmoid"):
        _score("grasp", probe)
