"""What all models of layers keep that take a workload and say something of each row."""

import numpy as np
import pytest

from archip.core import registry
from claims._convnets import convolutions, ds_cnn, mobilenet_v1

LIGHT = [
    "alpha_flops", "deformable_engine", "di", "draco", "eyeriss_folding", "lut_ternary", "nbq_nn", "nm_sat", "odl16",
    "roofline",
]  # fmt: skip
IN_ITS_NETWORK = {"nm_sat", "odl16"}  # where a row stands matters to them: first, last


@pytest.mark.parametrize("name", LIGHT)
def test_one_number_a_row_and_none_is_missing(name):
    work = ds_cnn()
    table = registry.create("hardware/models", name).evaluate(work)
    for column, values in table.items():
        assert values.shape == (len(work),), column
        if values.dtype.kind in "fi":
            assert np.isfinite(values).all(), column
            assert (values >= 0).all(), column


@pytest.mark.parametrize("name", sorted(set(LIGHT) - IN_ITS_NETWORK))
def test_a_batch_equals_its_rows(name):
    work, model = convolutions(mobilenet_v1()), registry.create("hardware/models", name)
    together = model.evaluate(work)
    for row in range(0, len(work), 5):
        alone = model.evaluate(work.select([row]))
        assert all(alone[column][0] == values[row] for column, values in together.items())
