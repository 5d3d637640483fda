"""Nadalini et al., ODL16 (2023): half-precision training on a cluster, and why depthwise networks profit less.

Steps on one image, or one second of sound, of the two networks of MLPerf Tiny.
"""

from archip.hardware.models.odl16 import Odl16
from claims._claim import Observed
from claims._convnets import ds_cnn, resnet8

EXPECTED = """Multiply-accumulates a cycle: ResNet-8 3.11, DS-CNN 0.81. Of the model: the same order, their ratio within
half to twice 3.84, both within half to twice the published number; the transform takes a larger share of DS-CNN's
step; FP16 is 1.5 to 2 times as fast as FP32 (published up to 1.72)."""
SOURCE = "arXiv:2305.19167, abstract and end-to-end results; card ODL16"

_PUBLISHED = (3.11, 0.81)


def check() -> Observed:
    rates, shares, gains = [], [], []
    for network in (resnet8(), ds_cnn()):
        half, single = Odl16(lanes=2).evaluate(network), Odl16(lanes=1).evaluate(network)
        cycles = half["cycles"].sum()
        rates.append(half["macs"].sum() / cycles)
        shares.append(half["transform"].sum() / cycles)
        gains.append(single["cycles"].sum() / cycles)
    near = [0.5 <= rate / published <= 2 for rate, published in zip(rates, _PUBLISHED, strict=True)]
    holds = [rates[0] > rates[1], 1.92 <= rates[0] / rates[1] <= 7.68, shares[1] > shares[0], *near]
    holds += [1.5 <= gain <= 2 for gain in gains]
    return Observed(
        all(holds),
        f"MAC a cycle {rates[0]:.2f} and {rates[1]:.2f}, ratio {rates[0] / rates[1]:.2f}; transform {shares[0]:.0%} and"
        f" {shares[1]:.0%} of the cycles; FP16 {gains[0]:.2f} and {gains[1]:.2f} x as fast. The order and the gain come"
        " out; the published rates are lower, most of all with depthwise layers, whose kernels the paper does not give."
        " They fit no common clock with these networks either: 3.11 x 17.1 ms and 0.81 x 6.4 ms are 10 : 1, their"
        " operations 4.7 : 1.",
    )
