"""Jha and Mittal, DI (2020): weighing activations more than weights makes intensity follow energy efficiency.

The paper measured 25 networks on two GPUs. Here 27 are costed with the best mapping of every layer on an NVDLA-like
core; alpha is fitted on 14 of them and judged on the 13 others, where nothing makes it better than plain intensity.
On this core, unlike on those GPUs, weights are the dearer ones: they come from DRAM for every layer, whatever the
batch, while activations find a buffer of 64 KiB.
"""

import numpy as np

from archip.hardware.cost import layer_costs
from archip.hardware.models.di import Di
from archip.hardware.templates.nvdla import NVDLA
from claims._claim import Observed
from claims._convnets import alexnet, convolutions, mobilenet_v1, scaled, vgg16

EXPECTED = """On networks that alpha was not fitted on, DI with the fitted alpha correlates better (Pearson) with MAC/J
than arithmetic intensity does, and so does DI with the paper's 0.8."""
SOURCE = "arXiv:2008.02565; card DI, check 3, made stricter by held-out networks"


def check() -> Observed:
    single, of_16 = _correlations(1), _correlations(16)
    holds = min(single["fitted"], single["paper"]) > single["ai"]
    text = "; ".join(
        f"batch {batch}: AI {found['ai']:.3f}, DI({found['alpha']:.2f}) as fitted {found['fitted']:.3f}, DI(0.80)"
        f" {found['paper']:.3f}"
        for batch, found in ((1, single), (16, of_16))
    )
    return Observed(bool(holds), f"held-out correlation with MAC/J: {text}")


def _correlations(batch: int) -> dict[str, float]:
    families = [
        scaled(rows, width, size)
        for rows in (alexnet(), vgg16(), mobilenet_v1())
        for width in (0.25, 0.5, 1.0)
        for size in (0.5, 0.75, 1.0)
    ]
    works, run = [convolutions(rows) for rows in families], [convolutions(rows, batch) for rows in families]
    chip = NVDLA(pes=256, bandwidth=16e9).accelerator()
    efficiency = np.array([w.macs / layer_costs(w, [chip]).energy_AL.sum() for w in run])
    fitted = Di.fit(works[::2], efficiency[::2])
    paper = Di(alpha=0.8).networks(works)
    columns = {"ai": paper["ai"], "fitted": fitted.networks(works)["di"], "paper": paper["di"]}
    found = {name: float(np.corrcoef(column[1::2], efficiency[1::2])[0, 1]) for name, column in columns.items()}
    return found | {"alpha": fitted.alpha}
