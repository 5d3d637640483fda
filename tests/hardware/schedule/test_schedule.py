"""What makes a schedule valid: each kind of flaw is found, a valid schedule has none."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.hardware.schedule._schedule import Dram, Policy, Schedule, Solution, flaws, policies

# Layers 0 and 1 are a chain, layer 2 a network of its own; core 1 cannot run layer 2.
CYCLES_KL, ENERGY_KL, CHAIN_L = np.array([[3, 4, 5], [2, 2, -1]]), np.array([[1.0, 2, 3], [4, 5, 6]]), [0, 0, 1]
VALID = Schedule(np.array([1, 1, 0]), np.array([0, 2, 0]), np.array([2, 4, 5]), 5, 12.0)


def found(dram=None, predecessors=None, **changes):
    return flaws(replace(VALID, **changes), CYCLES_KL, ENERGY_KL, np.array(CHAIN_L), predecessors, dram)


def test_a_valid_schedule_has_no_flaws():
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"core_L": np.array([1, 1, 1])}, "layer 2 is on core 1, which cannot run it"),
        ({"end_L": np.array([2, 4, 6]), "makespan": 6}, "layer 2 runs from 0 to 6, but takes 5 cycles"),
        ({"start_L": np.array([0, 1, 0]), "end_L": np.array([2, 3, 5])}, "layer 1 begins before layer 0 ends"),
        ({"start_L": np.array([-1, 2, 0]), "end_L": np.array([1, 4, 5])}, "layer 0 runs from -1 to 1"),
        ({"makespan": 4}, "the makespan is not 4"),
        ({"energy_j": 11.0}, r"the energy is not 11.0"),
        (
            {"core_L": np.array([1, 0, 0]), "end_L": np.array([2, 6, 5]), "makespan": 6, "energy_j": 9.0},
            "layers 1 and 2 overlap on core 0",
        ),
    ],
)
def test_each_flaw_is_named(changes, flaw):
    assert any(flaw in text for text in found(**changes))


def test_predecessors_replace_the_chains():
    assert found(predecessors=[(), (), (0,)]) == ["layer 2 begins before layer 0 ends"]


def test_more_than_the_bandwidth_is_found():
    bytes_KL = np.array([[0, 0, 10], [4, 2, 0]])  # layer 2 draws 2 a cycle, layer 0 draws 2, layer 1 draws 1
    assert found(dram=Dram(bytes_KL, 4.0)) == []
    assert found(dram=Dram(bytes_KL, 3.5)) == ["layers [0, 2] together need 4 bytes a cycle at cycle 0"]
    assert "layer 2 runs from 0 to 5, but takes 7 cycles" in found(dram=Dram(bytes_KL, 1.5))


class Plain(Policy):
    takes_graphs: ClassVar[bool] = False
    takes_dram: ClassVar[bool] = False

    def solve(self, jobs, limits):
        return Solution(np.zeros(1, dtype=int), np.zeros(1, dtype=int))


def test_what_a_policy_does_not_take_is_refused():
    one = np.ones((1, 1)), np.ones((1, 1)), np.zeros(1)
    assert Plain().schedule(*one).makespan == 1
    with pytest.raises(UserError, match="Plain schedules chains, not graphs"):
        Plain().schedule(*one, predecessors=((),))
    with pytest.raises(UserError, match="Plain knows no DRAM contention"):
        Plain().schedule(*one, dram=Dram(np.ones((1, 1)), 1.0))


def test_policies_are_those_that_put_layers_on_cores():
    assert {"hap", "list_scheduling"} <= set(policies())
