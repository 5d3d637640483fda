"""InTAR: which tasks of a chain run one after another on the whole array, and which as a pipeline around large tensors.

Choose it for one reconfigurable array (an FPGA design) and a chain whose tensors differ much in size: a pipeline needs
only tiles of the tensors inside it, but splits the array and holds the weights of all its tasks.
Source: Li et al. 2025, arXiv:2502.08807, as on the card: the array is split in proportion to the work, a segment costs
its slowest part, a change of segment costs a reconfiguration. Choices where the card is open: a tensor between segments
is spilled or kept, whichever is better in all; a tensor that is not kept whole takes one of its `tiles` on chip; in a
pipeline each stage begins when it has its first tile; weights of sequential tasks stream and take no room; the chain's
input comes from DRAM and its result goes there; a graph has to be given as a chain in topological order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from archip.core.errors import CandidateError

__all__ = ["InTAR"]

Mode = Literal["sequential", "pipelined"]


class Task(NamedTuple):
    """One task of the chain."""

    macs: float
    output_bytes: float
    weight_bytes: float = 0.0


class Segment(NamedTuple):
    """Tasks `first` to `last` in one configuration, and the MACs per cycle that each of them has."""

    first: int
    last: int
    mode: Mode
    macs_per_cycle: tuple[float, ...]
    cycles: float
    keeps_output: bool  # on chip for the next segment; otherwise it goes to DRAM


@dataclass(frozen=True)
class Plan:
    """The configurations in order; cycles of all with the reconfigurations between them."""

    segments: tuple[Segment, ...]
    cycles: float


class _State(NamedTuple):
    """Before the task `first`: whether its input is on chip, and the mode of the segment before it."""

    first: int
    keeps_input: bool
    mode: Mode | None


@dataclass(frozen=True)
class InTAR:
    """The partition into segments of least time, by dynamic programming.

    `mode` sequential or pipelined forbids the other one (pipelined: the whole chain at once), as a baseline.
    """

    macs_per_cycle: Annotated[float, Field(gt=0)]
    onchip_bytes: Annotated[float, Field(gt=0)]
    bytes_per_cycle: Annotated[float, Field(gt=0)]  # to and from DRAM
    switch_cycles: Annotated[float, Field(ge=0)] = 5.0  # 10 to 20 ns at 300 MHz
    tiles: Annotated[int, Field(ge=1)] = 16
    mode: Literal["both", "sequential", "pipelined"] = "both"

    def plan(self, tasks: Sequence[Task], input_bytes: float) -> Plan:
        """The fastest plan.

        Raises:
            CandidateError: no plan fits on the chip.
        """
        best: dict[_State, Plan] = {_State(0, keeps_input=False, mode=None): Plan((), 0.0)}
        for first in range(len(tasks)):
            for state, plan in [(s, p) for s, p in best.items() if s.first == first]:
                for segment in self._segments(tasks, input_bytes, state):
                    is_switch = state.mode is not None and "pipelined" in (state.mode, segment.mode)
                    cycles = plan.cycles + segment.cycles + is_switch * self.switch_cycles
                    after = _State(segment.last + 1, segment.keeps_output, segment.mode)
                    if after not in best or cycles < best[after].cycles:
                        best[after] = Plan((*plan.segments, segment), cycles)
        ends = [plan for state, plan in best.items() if state.first == len(tasks)]
        if not ends:
            raise CandidateError(f"no plan of these {len(tasks)} tasks fits into {self.onchip_bytes:g} bytes")
        return min(ends, key=lambda plan: plan.cycles)

    def _segments(self, tasks: Sequence[Task], input_bytes: float, state: _State) -> Iterator[Segment]:
        """All that can come next and fit. Sequential tasks are segments of one, without a switch between them."""
        first, n = state.first, len(tasks)
        before = tasks[first - 1].output_bytes if first else input_bytes
        ends = {"both": range(first + 1, n + 1), "sequential": [first + 1], "pipelined": [n]}[self.mode]
        for end in ends:
            for keeps_output in (False, True) if end < n else (False,):
                segment = self._segment(tasks[first:end], state, before, keeps_output)
                if segment is not None:
                    yield segment

    def _segment(self, tasks: Sequence[Task], state: _State, input_bytes: float, keeps_output: bool) -> Segment | None:
        """Tasks in one configuration; None where they do not fit."""
        output_bytes = tasks[-1].output_bytes
        live = input_bytes if state.keeps_input else input_bytes / self.tiles
        live += output_bytes if keeps_output else output_bytes / self.tiles
        if len(tasks) > 1:
            live += sum(t.output_bytes for t in tasks[:-1]) / self.tiles + sum(t.weight_bytes for t in tasks)
        if live > self.onchip_bytes:
            return None
        macs = math.fsum(t.macs for t in tasks)
        traffic = math.fsum(t.weight_bytes for t in tasks)
        traffic += (not state.keeps_input) * input_bytes + (not keeps_output) * output_bytes
        compute = macs / self.macs_per_cycle
        fill = (len(tasks) - 1) * compute / self.tiles
        return Segment(
            first=state.first,
            last=state.first + len(tasks) - 1,
            mode="pipelined" if len(tasks) > 1 else "sequential",
            macs_per_cycle=tuple(self.macs_per_cycle * t.macs / macs for t in tasks),
            cycles=max(compute, traffic / self.bytes_per_cycle) + fill,
            keeps_output=keeps_output,
        )
