"""Compile: runs every compiled kernel once, so that the search itself need not wait for the compiler.

numba keeps what it compiled on the disk; on a machine that has it already this takes well under a second.
`python -m archip.hardware.compile` does it ahead of time, with `--all` also for the mappers that are not the default.
"""

from __future__ import annotations

import sys

import numpy as np

from archip.core import registry
from archip.hardware.chip.explore import explore
from archip.hardware.chip.space import ChipSpec
from archip.hardware.chip.totals import PEs
from archip.hardware.cost import layer_costs
from archip.hardware.mappers.divisor_lattice import DivisorLattice
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.mappers.random_mapper import RandomMapper
from archip.hardware.schedule.hap import Hap
from archip.hardware.schedule.list_scheduling import ListScheduling
from archip.ir.graph import GraphBuilder
from archip.ir.workload import workload

__all__ = ["compile_kernels"]


def compile_kernels() -> None:
    """Price two layers on every template, and schedule them."""
    g = GraphBuilder()
    x = g.input("x", (1, 4, 8, 8), "NCHW")
    x = g.add("conv", x, name="conv", out_channels=4, kernel=(3, 3))
    work = workload(g.finish(g.add("global_avg_pool", x, name="pool")))
    templates = [registry.find("hardware/templates", name) for name in registry.names("hardware/templates")]
    costs = layer_costs(work, [template(pes=64, bandwidth=8e9).accelerator() for template in templates])
    for policy in (Hap(), ListScheduling()):
        policy.schedule(costs.cycles_AL, costs.energy_AL, np.zeros(len(work), np.int64), int(costs.cycles_AL.sum()))


def _compile_mappers() -> None:
    g = GraphBuilder()
    x = g.input("x", (1, 4, 8, 8), "NCHW")
    work = workload(g.finish(g.add("conv", x, name="conv", out_channels=4, kernel=(3, 3))))
    accelerator = registry.find("hardware/templates", "nvdla")(pes=64, bandwidth=8e9).accelerator()
    for mapper in (Exhaustive(space="orders"), DivisorLattice(), RandomMapper()):
        layer_costs(work, [accelerator], mapper)


def _compile_chips() -> None:
    g = GraphBuilder()
    x = g.input("x", (1, 4, 8, 8), "NCHW")
    work = workload(g.finish(g.add("conv", x, name="conv", out_channels=4, kernel=(3, 3))))
    spec = ChipSpec(pes=PEs(total=256, step=64))
    for minimise in ("energy", "latency", "area", None):
        explore({"a": work, "b": work}, spec, minimise=minimise)
    for spec in (ChipSpec(cores=3, pes=PEs(total=192, step=64)), ChipSpec(pes=PEs(total=128, step=64), dram="8 GB/s")):
        explore({"a": work, "b": work}, spec)


if __name__ == "__main__":
    compile_kernels()
    if "--all" in sys.argv:
        _compile_mappers()
        _compile_chips()
