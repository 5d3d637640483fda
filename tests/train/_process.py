"""A training of some seconds in a process of its own; writes the final weights to <path>.weights."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from archip.data._dataset import DataSet
from archip.train import loop


def main(path: Path) -> None:
    rng = np.random.default_rng(0)
    splits = {
        s: (rng.normal(size=(n, 1, 8, 8)).astype(np.float32), rng.integers(2, size=n))
        for s, n in (("train", 48), ("val", 16), ("test", 16))
    }
    data = DataSet("noise", "classification", "NCHW", 2, splits, digest="noise")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    loop._CHECKPOINT_S = 0.0
    epoch = loop._Training.epoch

    def slow(self):
        time.sleep(0.15)
        return epoch(self)

    loop._Training.epoch = slow
    loop.fit(module, data, loop.Recipe(epochs=20, batch=8), 0, checkpoint=path.with_suffix(".checkpoint"))
    save_file(module.state_dict(), path.with_suffix(".weights"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
