"""Williams et al., Roofline (CACM 2009): arithmetic intensity tells which layers an accelerator is slow on.

Compared with SCALE-Sim's systolic model, which knows of arrays and folds and nothing of rates.
"""

import numpy as np

from archip.hardware.models.roofline import Roofline
from archip.hardware.models.systolic import Systolic
from archip.ir.layer_table import LayerTable
from claims._claim import Observed
from claims._convnets import alexnet, convolutions, mobilenet_v1, vgg16

EXPECTED = """With the peak of a 32 x 32 weight-stationary array: no layer of AlexNet, VGG-16 and MobileNetV1 takes
fewer cycles in SCALE-Sim's model than the roofline's compute bound; standard and pointwise convolutions come within
4 x of it in the median; depthwise ones do not come within 10 x, which is what the roofline cannot see."""
SOURCE = "CACM 52(4), 2009, p. 67; SCALE-Sim, ISPASS 2020, eq. 1-4"


def check() -> Observed:
    rows = alexnet() + vgg16() + mobilenet_v1()
    work = convolutions([row._replace(name=f"{i}") for i, row in enumerate(rows)])
    bound = Roofline(ops_per_s={8: 2.0 * 32 * 32}, bytes_per_s=1e12).evaluate(work)["latency_s"]  # at 1 Hz: cycles
    costs = Systolic(dataflow="ws", rows=32, cols=32).evaluate(LayerTable.of_workload(work))
    ratio = costs["total_cycles"] * costs["repeat"] / bound
    is_depthwise = np.array([row.groups == row.inputs for row in rows])
    dense, depthwise = ratio[~is_depthwise], ratio[is_depthwise]
    holds = bool(ratio.min() >= 1 and np.median(dense) <= 4 and depthwise.min() > 10)
    return Observed(
        holds,
        f"SCALE-Sim over roofline: {dense.min():.2f} to {dense.max():.1f}, median {np.median(dense):.2f} on"
        f" {len(dense)} dense convolutions; {depthwise.min():.0f} to {depthwise.max():.0f} on {len(depthwise)}"
        " depthwise ones",
    )
