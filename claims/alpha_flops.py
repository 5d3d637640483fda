"""Asperti et al., Dissecting FLOPs (2021): on a parallel device more positions cost less than more channels.

The curve is fitted to timed 3 x 3 convolutions of equal FLOPs on this machine's processor, and on its GPU if there is
one. They start at 14 x 14 positions: a first run that started at 2 x 2 failed, for there the processor does nothing but
read weights (302 MB; alpha at 4096 times the positions was 0.05), which is no parallelism of positions.
"""

import time

import numpy as np

from archip.hardware.models.alpha_flops import AlphaFlops, Curve
from claims._claim import Missing, Observed

EXPECTED = """From 40 synthetic times with 5 % noise, beta 0.02 and gamma 0.9 come back within 10 % in at least 16 of 25
draws. On a processor core the correction stays small: alpha at 256 times the reference is above 0.4, where the
parallel example has 0.04. On a GPU, if there is one, it is below half of the processor's."""
SOURCE = "arXiv:2107.11949, sections 3 and 4; card ALPHA-FLOPS"

_SIZES = np.array([14, 18, 23, 28, 36, 45, 56, 72, 90, 112, 144, 180, 224])  # rows and columns of the output
_FLOPS = 2**26 * 9


def check() -> Observed:
    found = _recovered()
    processor = _alpha_far("cpu")
    text = f"beta and gamma within 10 % in {found} of 25 draws; alpha at 256 x: processor {processor:.2f}"
    holds = found >= 16 and processor > 0.4
    if _has_gpu():
        graphics = _alpha_far("cuda")
        holds, text = holds and graphics < processor / 2, f"{text}, GPU {graphics:.2f}"
    return Observed(holds, text + f" (example curve {Curve().alpha(256):.2f})")


def _recovered() -> int:
    positions, truth, near = np.geomspace(1, 2**16, 40).round(), Curve(0.02, 0.9), 0
    for seed in range(25):
        seconds = truth.alpha(positions) * np.exp(np.random.default_rng(seed).normal(0, 0.05, 40))
        curve = AlphaFlops.fit(np.full(40, 3), positions, np.ones(40), seconds).curves[3]
        near += abs(curve.beta / 0.02 - 1) < 0.1 and abs(curve.gamma / 0.9 - 1) < 0.1
    return near


def _alpha_far(device: str) -> float:
    flops, seconds = np.array([_timed(int(size), device) for size in _SIZES]).T
    curve = AlphaFlops.fit(np.full(len(_SIZES), 3), _SIZES**2, flops, seconds).curves[3]
    return float(curve.alpha(curve.reference * 256))


def _timed(size: int, device: str) -> tuple[float, float]:
    """(FLOPs, seconds) of a convolution with as many channels as the FLOPs allow at this size; fastest of nine."""
    import torch

    channels = round((_FLOPS / 2 / 9 / size**2) ** 0.5)
    conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device)
    image = torch.randn(1, channels, size, size, device=device)
    fastest = np.inf
    with torch.inference_mode():
        for _ in range(9):
            start = time.perf_counter()
            conv(image)
            if device == "cuda":
                torch.cuda.synchronize()
            fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * 9 * channels**2 * size**2, fastest


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        raise Missing("torch, which the convolutions are timed with, is not installed") from None
    return torch.cuda.is_available()
