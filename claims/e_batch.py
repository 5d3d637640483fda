"""Silfa et al., E-BATCH (2022): sequences in slots leave few steps unused, and k steps a fetch save weight energy.

The card's queue: 400 sequences of length U(5, 100), 16 slots, ten draws; a step's energy over k on an LSTM layer of 320
cells with 8-bit weights.
"""

import numpy as np

from archip.hardware.schedule.e_batch import EBatch, Engine, Layer
from claims._claim import Observed

EXPECTED = """Useful share of all steps, mean of ten draws, each within 0.03: padded batches 0.522, by length 0.966,
slots 0.956. Steps per answer fall by 1.8 within 10 % against padded batches (paper: throughput 1.8 x on E-PUR). The
weight energy of a step is 1/k of that at k = 1 up to the k at which activations spill, and above 1/k beyond."""
SOURCE = "arXiv:2009.10656, abstract; card EBATCH (measured)"

_LSTM = Layer(macs=8 * 320 * 320, weight_bytes=8 * 320 * 320, step_bytes=2 * 320)
_ENGINE = Engine(
    macs_per_cycle=1024, dram_bytes_per_cycle=16, buffer_bytes=16 * 640 * 32, mac_j=1e-12, dram_j_per_byte=1e-10
)


def check() -> Observed:
    shares_N3 = np.array([_shares(np.random.default_rng(seed).integers(5, 101, 400)) for seed in range(10)])
    padded, by_length, slots = shares_N3.mean(axis=0)
    is_near = max(abs(padded - 0.522), abs(by_length - 0.966), abs(slots - 0.956)) <= 0.03
    gain = float((shares_N3[:, 2] / shares_N3[:, 0]).mean())
    weights = {k: EBatch().block([_LSTM], _ENGINE, k)[1] / k - 16 * _LSTM.macs * _ENGINE.mac_j for k in (1, 32, 33, 64)}
    falls = abs(weights[32] * 32 / weights[1] - 1) < 1e-6 and all(weights[k] * k > weights[1] * 1.01 for k in (33, 64))
    return Observed(
        bool(is_near and 1.62 <= gain <= 1.98 and falls),
        f"padded {padded:.3f} ({shares_N3[:, 0].min():.3f} to {shares_N3[:, 0].max():.3f}; by arithmetic 52.5 over the"
        f" mean longest of 16 is 0.556), sorted {by_length:.3f}, slots {slots:.3f}; {gain:.2f} x fewer steps; weight"
        f" energy at k = 32, 33, 64 times k: {', '.join(f'{weights[k] * k / weights[1]:.2f}' for k in (32, 33, 64))} of"
        " that at 1 (the buffer holds 32 steps)",
    )


def _shares(lengths_N: np.ndarray) -> tuple[float, float, float]:
    """Useful share with padded batches in order of arrival, sorted by length, and in slots."""
    served = EBatch(ks=(1,)).serve([_LSTM], _ENGINE, lengths_N.tolist())
    return _padded(lengths_N), _padded(np.sort(lengths_N)), served.useful_share


def _padded(lengths_N: np.ndarray) -> float:
    return float(lengths_N.sum() / (16 * lengths_N.reshape(-1, 16).max(axis=1)).sum())
