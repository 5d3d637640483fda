"""A run with a task for images and one for series, small enough to train in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.objectives import Goals
from archip.core.protocols import RunContext, Task


@pytest.fixture
def tasks() -> tuple[Task, ...]:
    waves = {"n_samples": 60, "n_classes": 2, "noise": 0.1}
    image = registry.create("data", "synthetic", {**waves, "size": 8}).load()
    series = registry.create("data", "synthetic", {**waves, "size": 16, "axes": "NCL"}).load()
    resnet9 = registry.create("spaces", "resnet9", {"stem": [2, 4], "filters": [4, 8], "skips": [0, 1]})
    conv1d = registry.create("spaces", "conv1d", {"depths": [1, 2], "widths": [4, 8]})
    return (
        Task("image", resnet9, lambda: image, "accuracy", 0.5),
        Task("series", conv1d, lambda: series, "accuracy", 0.5),
    )


@pytest.fixture
def run(tasks, tmp_path: Path) -> RunContext:
    return RunContext(tasks, None, Goals((), ()), 0, tmp_path)


@pytest.fixture
def draw(tasks):
    """Makes candidates: their networks are drawn with one seed each."""
    import numpy as np

    return lambda n: [
        Candidate({t.name: t.space.sample(np.random.default_rng(seed)) for t in tasks}) for seed in range(n)
    ]
