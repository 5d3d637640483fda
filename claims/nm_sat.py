"""Fang et al., SAT (2023): an array that skips N:M zeros in two of three products trains nearly twice as fast.

The accelerator's half of BDWP: cycles of a training step against the dense array of the same size.
"""

from archip.hardware.models.nm_sat import NmSat
from claims._claim import Observed
from claims._convnets import Conv, chain, resnet8, vgg16

EXPECTED = """Operations of a step relative to dense 0.667 (2:4), 0.500 (2:8), 0.417 (1:8). On a 32 x 32 array the
speed-up of 2:8 on convolutional networks has a mean within 15 % of the published 1.75 and stays below 2, the ratio of
its operations; 1:8 is faster than 2:8, and 2:8 faster than 2:4."""
SOURCE = "arXiv:2309.13015, abstract; card BDWP"


def check() -> Observed:
    ratios = [round(NmSat(n=n, m=m).op_ratio, 3) for n, m in ((2, 4), (2, 8), (1, 8))]
    small = [row._replace(size=max(2, row.size // 7)) for row in vgg16()]  # VGG on images of 32 x 32
    networks = {"ResNet-8": resnet8(16), "VGG-16 on 32 x 32": chain(small, 16), "ResNet-18": chain(_resnet18(), 4)}
    gains = {
        (n, m): {name: _gain(NmSat(n=n, m=m), work) for name, work in networks.items()}
        for n, m in ((2, 4), (2, 8), (1, 8))
    }
    mean = {key: sum(found.values()) / len(found) for key, found in gains.items()}
    holds = ratios == [0.667, 0.5, 0.417] and abs(mean[2, 8] / 1.75 - 1) <= 0.15
    holds = holds and max(gains[2, 8].values()) < 2 and mean[2, 4] < mean[2, 8] < mean[1, 8]
    each = ", ".join(f"{name} {gain:.2f}" for name, gain in gains[2, 8].items())
    return Observed(
        holds,
        f"operations {ratios}; speed-up of 2:8 {mean[2, 8]:.2f} in the mean ({each}), 2:4 {mean[2, 4]:.2f}, 1:8"
        f" {mean[1, 8]:.2f}",
    )


def _gain(model: NmSat, work) -> float:
    costs = model.evaluate(work)
    return float(costs["dense_cycles"].sum() / costs["cycles"].sum())


def _resnet18() -> list[Conv]:
    rows, channels = [Conv("stem", 3, 64, 224, 7, stride=2)], 64
    for stage, (width, size) in enumerate(((64, 56), (128, 28), (256, 14), (512, 7)), 1):
        stride = 1 if stage == 1 else 2
        rows += [Conv(f"{stage}.1", channels, width, size * stride, 3, stride=stride)]
        rows += [Conv(f"{stage}.{i}", width, width, size, 3) for i in (2, 3, 4)]
        channels = width
    return rows
