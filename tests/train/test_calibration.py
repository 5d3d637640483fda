"""Batch-norm statistics measured anew."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.rng import generator  # noqa: E402
from archip.train.calibration import batches, recalibrate  # noqa: E402


def test_statistics_are_the_plain_average_over_the_batches():
    norm = nn.BatchNorm2d(3)
    parts = [torch.randn(8, 3, 4, 4) * (i + 1) + i for i in range(3)]
    norm(torch.randn(8, 3, 4, 4) + 100)  # what was there before does not count
    recalibrate(norm, parts)
    mean = torch.stack([p.mean((0, 2, 3)) for p in parts]).mean(0)
    variance = torch.stack([p.var((0, 2, 3), unbiased=True) for p in parts]).mean(0)
    assert torch.allclose(norm.running_mean, mean, atol=1e-5)
    assert torch.allclose(norm.running_var, variance, rtol=1e-5)
    assert (norm.momentum, norm.training) == (0.1, False)


def test_other_layers_stay_in_evaluation_mode():
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))
    x = torch.ones(64, 2)
    recalibrate(module, [x])
    assert torch.equal(module[1].running_mean, torch.ones(2))


def test_batches_are_drawn_without_replacement():
    x = torch.arange(10.0).view(10, 1)
    drawn = batches(x, 4, 5, generator(0, "test"))
    assert [len(b) for b in drawn] == [4, 4, 2]
    assert sorted(torch.cat(drawn).flatten().tolist()) == list(range(10))
    assert len(batches(x, 4, 1, generator(0, "test"))) == 1
