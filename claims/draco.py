"""Jha et al., DRACO (2020): a few channels a group fill the array that depthwise convolutions leave empty.

MobileNetV1 on a 64 x 64 array: the network as it is, mapped row-stationary, against groups of constant size on the
weight-stationary array. (The accuracy after training again is not part of this claim.)
"""

import numpy as np

from archip.hardware.models.draco import Draco
from claims._claim import Observed
from claims._convnets import convolutions, mobilenet_v1

EXPECTED = """Within 1.3 x the MACs, the chosen network is faster than the original on either array; against the
row-stationary mapping of the original, latency falls by 42.6 % and mean PE utilisation rises by 41.8 %, both within
half to twice the published figure. On the closed form the cycles fall from g = 1 to 64 and rise after."""
SOURCE = "arXiv:2006.15103, abstract; card DRACO"


def check() -> Observed:
    work = convolutions(mobilenet_v1())
    rows = Draco(array="row_stationary", bytes_per_cycle=1e9).evaluate(work)
    plain = Draco(bytes_per_cycle=1e9).evaluate(work)["cycles"].sum()
    model = Draco(bytes_per_cycle=1e9, param_budget=1.5, uniform=True)
    wide, table = model.choose(work)
    latency = 1 - table["cycles"].sum() / rows["cycles"].sum()
    utilisation = model.evaluate(wide)["utilisation"].mean() / rows["utilisation"].mean() - 1
    closed = [64 / g * np.ceil(9 * g / 64) * np.ceil(g / 64) / 64 for g in (1, 2, 4, 8, 16, 32, 64, 128)]
    falls = closed[:7] == sorted(closed[:7], reverse=True) and closed[7] > closed[6]
    holds = table["cycles"].sum() < min(plain, rows["cycles"].sum()) and falls
    holds = holds and 0.213 <= latency <= 0.852 and 0.209 <= utilisation <= 0.836
    before = {"row-stationary": rows["cycles"].sum(), "weight-stationary": plain}
    return Observed(
        bool(holds),
        f"g = {table['group'].max()}, {wide.macs / work.macs:.2f} x MACs, {table['cycles'].sum():.3g} cycles; original"
        f" {', '.join(f'{name} {cycles:.3g}' for name, cycles in before.items())}; against row-stationary latency"
        f" {-latency:+.0%}, mean utilisation {utilisation:+.0%}. The folding rule fills a row-stationary array with"
        " planes of any channel, depthwise or not; the paper's has to be less able.",
    )
