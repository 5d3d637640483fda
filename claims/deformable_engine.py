"""Huang et al., deformable convolution co-design (2020): bounded, integer offsets make it map like a plain one."""

import numpy as np
from scipy.signal import correlate

from archip.hardware.models.deformable_engine import DeformableEngine
from claims._claim import Observed
from claims._convnets import convolutions, mobilenet_v1

EXPECTED = """Zero offsets equal the plain convolution to the last bit. With B = 3 and K = 3 no output row reads beyond
nine rows, whatever the offsets; without the bound it does. Integer offsets read a quarter: on
MobileNetV1's depthwise layers, where every read serves one product, they are 3.5 to 4 x as fast as interpolation and at
most 10 % slower than plain ones."""
SOURCE = "Algorithm-hardware Co-design for Deformable Convolution, 2020; card DEFORM"


def check() -> Observed:
    rng = np.random.default_rng(0)
    image, weights = rng.integers(-128, 128, (8, 32, 32)), rng.integers(-8, 8, (4, 8, 3, 3))
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    plain = np.stack([correlate(padded, w, "valid", "direct")[0] for w in weights])
    bounded, anywhere = DeformableEngine(integer=True), DeformableEngine(bound=None)
    exact = all((e.convolve(image, weights, np.zeros((2, 9, 32, 32)), padding=1) == plain).all()
                for e in (bounded, anywhere))  # fmt: skip
    offsets = rng.normal(0, 6, (2, 9, 32, 32))
    rows = {name: _rows(engine, offsets) for name, engine in (("bounded", bounded), ("unbounded", anywhere))}
    reads = [engine.addresses(offsets, 3)[0].size for engine in (anywhere, bounded)]
    work = convolutions([row for row in mobilenet_v1() if row.groups == row.inputs])
    costs, free = bounded.evaluate(work), anywhere.evaluate(work)
    share = (costs["buffer_bytes"] / free["buffer_bytes"]).mean()
    slower = costs["cycles"].sum() / np.ceil(work.macs_L / bounded.macs_per_cycle).sum()
    faster = free["cycles"].sum() / costs["cycles"].sum()
    holds = exact and rows["bounded"] <= 9 < rows["unbounded"] and reads[0] == 4 * reads[1]
    return Observed(
        bool(holds and 3.5 <= faster <= 4 and slower <= 1.1),
        f"exact: {exact}; rows read {rows['bounded']} bounded, {rows['unbounded']} unbounded; reads"
        f" {reads[0] / reads[1]:.0f} to 1; on depthwise layers {faster:.2f} x as fast, {slower:.2f} x the cycles of"
        f" plain ones, {share:.0%} of the buffer in the mean",
    )


def _rows(engine: DeformableEngine, offsets: np.ndarray) -> int:
    (rows, _), _ = engine.addresses(offsets, 3)
    return int(max(np.ptp(rows[:, :, row]) + 1 for row in range(rows.shape[2])))
