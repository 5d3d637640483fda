"""OptEmbed: masks of rows and dimensions by hand, the long-tailed gradient, the search, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.core.rng import generator  # noqa: E402
from archip.data._dataset import DataSet  # noqa: E402
from archip.nets.fields import FieldNet, _LongTail  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.optembed import OptEmbed, _evolved, area_under_curve, optimal_embedding  # noqa: E402

SIZES = (4, 3)


def codes(n, seed):
    rng = generator(seed, "codes")
    x = np.stack([rng.integers(size, size=n) for size in SIZES], 1)
    return x, ((x[:, 0] > 1) ^ (rng.random(n) < 0.1)).astype(np.int64)  # the second field means nothing


@pytest.fixture
def data():
    splits = {s: codes(n, i) for i, (s, n) in enumerate((("train", 600), ("val", 200), ("test", 200)))}
    return DataSet("codes", "classification", "NT", 2, splits, digest="codes", n_tokens=4)


def test_rows_below_their_threshold_and_dimensions_beyond_the_length_are_zero():
    net = FieldNet(SIZES, 4, (5,), 2)
    with torch.no_grad():
        net.table[:] = torch.arange(28.0).reshape(7, 4) / 10
        net.thresholds[:] = torch.tensor([2.3, 0.0])
    seen = []
    net.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.tensor([[0, 0], [1, 2]])
    net(x)
    net(x, torch.tensor([2, 3]))
    row = {i: (torch.arange(4.0) + 4 * i) / 10 for i in range(7)}
    zero, cut = torch.zeros(4), torch.tensor([1.0, 1.0, 1.0, 0.0])
    # sums of rows 0 and 1: 0.6 and 2.2; with two dimensions, scaled to four: 0.2 and 1.8; all below 2.3
    assert torch.allclose(seen[0], torch.stack([torch.cat([zero, row[4]]), torch.cat([zero, row[6]])]))
    assert torch.allclose(seen[1], torch.stack([torch.cat([zero, row[4] * cut]), torch.cat([zero, row[6] * cut])]))
    assert net.rows_used(torch.tensor([4, 4])).tolist() == [False, False, True, True, True, True, True]


def test_the_gradient_of_the_step_has_a_long_tail():
    x = torch.tensor([-2.0, -0.7, -0.1, 0.0, 0.3, 1.0, 1.1], requires_grad=True)
    y = _LongTail.apply(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([0, 0.4, 1.6, 2.0, 0.8, 0.4, 0])


def test_the_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, y = rng.integers(5, size=60) / 4, rng.integers(2, size=60)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[y == 1] for b in scores[y == 0]]
    assert area_under_curve(scores, y) == pytest.approx(np.mean(pairs))


def test_evolution_finds_the_lengths_of_greatest_worth():
    wanted = (3, 8, 1, 5, 2, 7)
    found = _evolved(lambda dims: -sum(abs(a - b) for a, b in zip(dims, wanted, strict=True)), 6, 8, 40, generator(0))
    assert found == wanted


def test_a_frozen_network_uses_only_what_was_kept(data):
    recipe = Recipe(epochs=6, batch=50, lr=1e-2, keep="last")
    found = optimal_embedding(data, SIZES, 4, recipe, OptEmbed(alpha=0.02), hidden=(8,), generations=3)
    assert found.auc > 0.8
    assert len(found.rows[0]) == 4
    assert found.rows[0].any()
    assert found.weights == sum(int(r.sum()) * d for r, d in zip(found.rows, found.dims, strict=True))
    lost = np.flatnonzero(~np.concatenate(found.rows))
    x, y = (torch.from_numpy(a) for a in data.splits["train"])
    nn.functional.cross_entropy(found.module.train()(x), y).backward()
    grad = found.module.table.grad
    assert grad is not None
    assert not grad[lost].any()
    assert not grad[:4, found.dims[0] :].any()


def test_wrong_inputs_are_refused(data):
    recipe = Recipe(epochs=1, keep="last")
    with pytest.raises(UserError, match="3 sizes"):
        optimal_embedding(data, (4, 3, 2), 4, recipe)
    with pytest.raises(UserError, match="above its codes"):
        optimal_embedding(data, (3, 3), 4, recipe)
    with pytest.raises(UserError, match="FieldNet"):
        fit(nn.Linear(2, 2), data, recipe, 0, rule=OptEmbed())
