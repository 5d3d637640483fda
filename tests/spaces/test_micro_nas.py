"""MicroNAS: cells by hand, what is a gene when, sensors and steps that cannot be halved any more."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.micro_nas import MicroNas

ONE = {"kernels": (3, 5), "time_filters": (4,), "filters": (8, 16), "time_cells": 1, "cells": 1}
FIRST = {"kernel1": 3, "filters1": 4, "use3_1.1": 1, "use5_1.1": 1, "residual_1.1": 1, "inner_1.1": 8,
         "filters_1.1": 16}  # fmt: skip


def test_choices_are_as_published():
    """Kernels 3, 5, 7; 4 to 16 filters in steps of 4 along time, then 8 to 64 in steps of 8; cells may be left out."""
    knobs = MicroNas().knobs
    assert [list(knobs[name].values) for name in ("kernel1", "filters1", "filters_1.2")] == [
        [3, 5, 7],
        [4, 8, 12, 16],
        list(range(8, 65, 8)),
    ]
    assert [name for name in knobs if name.startswith("on")] == ["on_1.2", "on_1.3"]


def test_macs_by_hand():
    """4 sensors of 20 steps: time 1 -> 4 on 4 x 10; rows 4 -> 2: inner 4 -> 8, kernels 3 and 5 to 16, residual."""
    work = workload(MicroNas(**ONE).graph({**FIRST, "on_1.2": 0}, (4, 20), 3))
    assert work.macs == 3 * 4 * 40 + 4 * 4 * 8 * 20 + (3 + 5) * 8 * 16 * 20 + 4 * 16 * 20 + 48


def test_what_a_cell_lacks_has_no_genes():
    space = MicroNas(**ONE)
    second = {"use3_1.2": 0, "use5_1.2": 0, "residual_1.2": 0, "inner_1.2": 8, "filters_1.2": 8}
    assert space.canonical({**FIRST, "on_1.2": 0, **second}) == {**FIRST, "on_1.2": 0}
    residual = space.canonical({**FIRST, "on_1.2": 1, **second})
    assert residual == {**FIRST, "on_1.2": 1, "use3_1.2": 0, "use5_1.2": 0, "filters_1.2": 8}
    names = [n.name for n in space.graph(residual, (4, 20), 3).nodes if n.op == "conv"]
    assert [n for n in names if n.startswith("mix1.2")] == ["mix1.2.residual.conv"]


def test_number_of_networks_by_hand():
    """The first cell: residual only, 2; or 3 sets of kernels, residual or not, 2 x 2 filters. The second may lack."""
    cell = 2 + 3 * 2 * 4
    assert len(list(MicroNas(**ONE).enumerate())) == 2 * cell * (cell + 1)


@pytest.mark.parametrize(
    ("shape", "last"), [((6, 64), (2, 16)), ((1, 64), (1, 16)), ((5, 3), (2, 3)), ((9, 1), (3, 1))]
)
def test_rows_and_steps_are_halved_while_there_are_some(shape, last):
    space = MicroNas(groups=2, cells=0)
    genotype = space.canonical({name: knob.values[-1] for name, knob in space.knobs.items()})
    assert space.graph(genotype, shape, 3).shapes["mix2.1.add3"][2:] == last


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    m = MicroNas(**ONE).build({**FIRST, "on_1.2": 0}, (4, 20), 3, seed=2).eval()
    x = torch.randn(2, 4, 20)

    def conv(x, name, **options):
        n = getattr(m, f"{name}_norm")
        y = F.conv2d(x, getattr(m, f"{name}_conv").weight, **options)
        return F.relu(F.batch_norm(y, n.running_mean, n.running_var, n.weight, n.bias))

    y = conv(x[:, None], "time1", stride=(1, 2), padding=(0, 1))
    z = conv(F.pad(y, (0, 0, 1, 2)), "mix1_1_inner", stride=(2, 1))
    z = conv(z, "mix1_1_time3", padding=(0, 1)) + conv(z, "mix1_1_time5", padding=(0, 2))
    y = (z + conv(y, "mix1_1_residual", stride=(2, 1))).mean((2, 3))
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


def test_options_that_cannot_be_meant_are_refused():
    with pytest.raises(UserError, match="even kernel"):
        MicroNas(kernels=(2,))
