"""Ensembles: shared layers counted once, budgets kept, the mean of probabilities, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.core.rng import generator  # noqa: E402
from archip.data._dataset import DataSet  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.search.ensemble import best_ensemble, shared_macs  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=2)


@pytest.fixture
def data():
    def noise(n, seed):
        rng = generator(seed, "noise")
        return rng.normal(size=(n, 1, 8, 8)).astype(np.float32), rng.integers(3, size=n)

    splits = {s: noise(n, i) for i, (s, n) in enumerate((("train", 64), ("val", 48), ("test", 16)))}
    return DataSet("noise", "classification", "NCHW", 3, splits, digest="noise")


def graphs(*fns):
    return [SPACE.graph(dict(zip(SPACE.knobs, genes, strict=True)), (1, 8, 8), 3) for genes in fns]


def test_what_members_have_in_common_counts_once():
    same = graphs((4, 4, 0, 4, 0))
    alone = shared_macs(same)
    assert alone == SuperNet(SPACE, (1, 8, 8), 3, 0).cost({"fn0": 4, "fn1": 4, "sk1": 0, "fn2": 4, "sk2": 0})
    assert shared_macs(same * 2) == alone
    late = graphs((4, 4, 0, 4, 0), (4, 4, 0, 8, 0))  # stem and first block in common
    stem, first, second, head = 9 * 4 * 64, 9 * 4 * 4 * 64, 9 * 4 * 8 * 16, 8 * 3
    assert shared_macs(late) == alone + second + head
    early = graphs((4, 4, 0, 4, 0), (8, 4, 0, 4, 0))  # nothing, since the second layer has other inputs
    assert shared_macs(early) == alone + shared_macs(early[1:])
    assert alone == stem + first + 9 * 4 * 4 * 16 + 4 * 3


def test_the_best_of_all_pairs_is_found(data):
    net = SuperNet(SPACE, data.input_shape, 3, 0)
    budget = 1.5 * net.cost(net.largest)
    found = best_ensemble(net, data, budget, steps=400, population=20)
    x, y = (torch.from_numpy(a) for a in data.splits["val"])
    with torch.no_grad():
        probabilities = found.module(x)
    assert torch.allclose(probabilities.sum(1), torch.ones(len(x)), atol=1e-5)
    assert float((probabilities.argmax(1) == y).double().mean()) == pytest.approx(found.accuracy)
    assert found.macs <= budget
    random = [best_ensemble(net, data, budget, steps=20, population=20, seed=s).accuracy for s in range(3)]
    assert found.accuracy >= np.mean(random)


def test_values_that_are_not_allowed_are_left_out(data):
    net = SuperNet(SPACE, data.input_shape, 3, 0)
    found = best_ensemble(net, data, 1e9, size=3, allowed={"fn1": [8], "sk2": [0]}, steps=30, population=10)
    assert all(g["fn1"] == 8 and g["sk2"] == 0 for g in found.genotypes)


def test_a_budget_that_nothing_keeps_is_refused(data):
    with pytest.raises(UserError, match="no ensemble of 2 keeps 10 multiply"):
        best_ensemble(SuperNet(SPACE, data.input_shape, 3, 0), data, 10, population=1)
