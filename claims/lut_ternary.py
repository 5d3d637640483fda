"""Lookup Table-Based Accelerators for 1.58-bit LLM Inference (2026): tables of sums save area where sums are dear.

Relative areas are those against one activation a table, which is a selection a weight.
"""

import numpy as np

from archip.hardware.models.lut_ternary import LutTernary
from claims._claim import Observed

EXPECTED = """The core's product equals integer arithmetic for groups of 1 to 5. With FP16-like adders (45 multiplexer
inputs) the best group is 3 from 32 columns on, relative area 0.52 at 32 and 0.44 at 128, and 2 at 8 columns; with
INT8-like ones (4) it is 2 at about 0.76, never below 0.7. The saving at 128 columns is the
paper's largest, 2.2 x, within 15 %."""
SOURCE = "the paper's abstract (2.2 x); card LUT-TERNARY"


def check() -> Observed:
    rng, exact = np.random.default_rng(0), True
    for mu in range(1, 6):
        x, w = rng.integers(-128, 128, (16, 256)), rng.integers(-1, 2, (256, 64))
        exact = exact and bool((LutTernary(mu=mu).matmul(x, w) == x @ w).all())
    wide = LutTernary(add_area=45).explore([8, 32, 64, 128])
    narrow = LutTernary(add_area=4).explore([32, 64, 128, 4096])
    saving = 1 / wide["relative"][3]
    holds = [
        exact,
        wide["mu"].tolist() == [2, 3, 3, 3],
        np.allclose(wide["relative"][[1, 3]], [0.52, 0.44], atol=0.005),
        set(narrow["mu"].tolist()) == {2},
        np.allclose(narrow["relative"][:3], 0.76, atol=0.015) and narrow["relative"].min() > 0.7,
        abs(saving / 2.2 - 1) <= 0.15,
    ]
    return Observed(
        all(holds),
        f"exact: {exact}; FP16-like best groups {wide['mu'].tolist()} for 8, 32, 64, 128 columns, relative area"
        f" {wide['relative'][1]:.2f} at 32 and {wide['relative'][3]:.2f} at 128 ({saving:.2f} x smaller); INT8-like"
        f" {narrow['relative'][0]:.2f}, at least {narrow['relative'].min():.2f}",
    )
