"""FPGA: the division of the engines that `schedule/hao.py` finds, as a target."""

import pytest

from archip.core.errors import CandidateError, UserError
from archip.core.problem import Problem
from archip.hardware.devices._device import Deployed
from archip.hardware.devices.fpga import Fpga
from archip.hardware.schedule.hao import HAO
from archip.ir.workload import workload
from archip.spaces.resnet9 import ResNet9

SPACE = ResNet9()


def _network(i, shape=(3, 16, 16)):
    genes = {name: knob.values[i % len(knob.values)] for name, knob in SPACE.knobs.items()}
    return Deployed(SPACE.graph(genes, shape, 10))


def test_one_network_takes_what_its_own_division_takes():
    network = _network(1)
    device = Fpga(dsps=120, clock="100 MHz", bandwidth="0.8 GB/s")
    cycles = HAO(dsps=120, bytes_per_cycle=8.0).plan(workload(network.graph)).cycles
    assert device.costs([network]) == {"latency_cycles": cycles, "latency_s": cycles / 1e8}


def test_two_networks_share_the_engines():
    """One division for both: no faster than two divisions, each made for one of them."""
    networks = [_network(0), _network(1)]
    device = Fpga(dsps=90)
    alone = sum(device.costs([network])["latency_cycles"] for network in networks)
    assert device.costs(networks)["latency_cycles"] >= alone
    assert device.costs([networks[0]] * 2)["latency_cycles"] == 2 * device.costs([networks[0]])["latency_cycles"]


def test_fewer_slices_never_make_it_faster():
    cycles = [Fpga(dsps=n).costs([_network(2)])["latency_cycles"] for n in (45, 90, 180, 360)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


def test_engines_that_do_not_fit_are_the_candidates_fault():
    with pytest.raises(CandidateError, match="do not fit"):
        Fpga(luts=100).costs([_network(0)])


def test_a_problem_file_takes_it_and_options_are_checked():
    problem = {"name": "x", "tasks": {"a": {"data": "digits", "net": "resnet9"}}, "strategy": "hao"}
    read = Problem.from_dict({**problem, "target": {"device": {"fpga": {"dsps": 100}}}, "limits": {"latency": "1 ms"}})
    assert [o.metric for o in read.goals.objectives] == ["quality", "latency_s"]
    with pytest.raises(UserError, match="not positive"):
        Problem.from_dict({**problem, "target": {"device": {"fpga": {"clock": "0 MHz"}}}})
