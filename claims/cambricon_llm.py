"""Cambricon-LLM (MICRO 2024): a 70B model decodes on a device whose flash multiplies, at the speed of its dies."""

import numpy as np

from archip.hardware.language_model import LLAMA2_70B
from archip.hardware.models.cambricon_llm import CambriconLlm
from claims._claim import Observed

EXPECTED = """The published speeds, 36.34 token/s (7B) and 3.44 token/s (70B) at 8 bits, imply one bandwidth within 6 %;
with 250 GB/s the model returns 35.7 and 3.57 token/s. The bandwidth of the largest configuration (its geometry is
recalled) is within 30 % of the implied one. Over streaming all weights through its channels it is more than 5 x
faster; the paper's 22 to 45 x are over off-loading to ordinary flash."""
SOURCE = "arXiv:2409.15654, abstract; card CAMBRICON-LLM"


def check() -> Observed:
    implied = np.array([7e9 * 36.34, 70e9 * 3.44])
    spread = implied.max() / implied.min() - 1
    model = CambriconLlm(channels=25, dies_per_channel=9, planes=1, page_bytes=10**6, read_s=1e-3)  # 225 + 25 GB/s
    speeds = model.decode(np.array([7e9, 70e9]))["tokens_per_s"]
    full = CambriconLlm()
    bandwidth = full.inside_bytes_per_s + full.outside_bytes_per_s
    apart = bandwidth / implied.mean() - 1
    token = full.decode(LLAMA2_70B.params, LLAMA2_70B.cached(1024))
    gain = bandwidth / full.outside_bytes_per_s
    holds = spread <= 0.06 and np.allclose(speeds, [35.7, 3.57], rtol=2e-3) and abs(apart) <= 0.3 and gain > 5
    return Observed(
        bool(holds),
        f"implied {implied[0] / 1e9:.0f} and {implied[1] / 1e9:.0f} GB/s, {spread:.1%} apart; with 250 GB/s"
        f" {speeds[0]:.1f} and {speeds[1]:.2f} token/s; by geometry {bandwidth / 1e9:.0f} GB/s ({apart:+.0%}),"
        f" {float(token['tokens_per_s']):.2f} token/s of Llama 2 70B with its cache, {gain:.1f} x streaming",
    )
