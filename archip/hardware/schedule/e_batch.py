"""E-BATCH: recurrent requests share slots without padding, and layers change only every k time steps.

Choose it to serve recurrent networks whose sequences differ in length: when a sequence ends, the next one in the queue
begins in the same slot, and each layer runs k steps of all slots per fetch of its weights. It says which k to take
next: the one of least energy x delay for what waits, within a bound on latency.
Source: Silfa et al. 2022, arXiv:2009.10656, as on the card. Choices where the card is open: a block runs k steps
through all layers, of idle slots too; a layer takes the longer of its multiplications and its traffic; what does not
fit into the buffer of a layer's inputs and outputs goes to DRAM and back; a sequence is answered at the end of its last
block.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

__all__ = ["EBatch"]


class Layer(NamedTuple):
    """A recurrent layer: MACs, and bytes of input and output, of one step of one sequence; bytes of its weights."""

    macs: float
    weight_bytes: float
    step_bytes: float


class Engine(NamedTuple):
    """What runs the layers; `buffer_bytes` holds the inputs and outputs of one layer."""

    macs_per_cycle: float
    dram_bytes_per_cycle: float
    buffer_bytes: float
    mac_j: float
    dram_j_per_byte: float


@dataclass(frozen=True, eq=False)
class Served:
    """What became of the requests. N sequences, T blocks.

    Attributes:
        latency_N: cycles from arrival to answer.
        k_T: steps of each block.
        useful_share: of all steps of all slots, those that belong to a sequence.
        cycles: from the first arrival's block to the last answer, waiting for arrivals included.
    """

    latency_N: np.ndarray
    k_T: np.ndarray
    useful_share: float
    cycles: float
    energy_j: float


@dataclass(frozen=True)
class EBatch:
    """Slot batching with a choice of k; a single choice is a fixed k."""

    slots: Annotated[int, Field(ge=1)] = 16
    ks: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 4, 8, 16, 32, 64)
    latency_cycles: Annotated[float, Field(gt=0)] | None = None

    def block(self, layers: Sequence[Layer], engine: Engine, k: int) -> tuple[float, float]:
        """Cycles and energy (J) of k steps of all slots through all layers."""
        cycles = energy_j = 0.0
        for layer in layers:
            macs = layer.macs * k * self.slots
            excess = max(0.0, layer.step_bytes * k * self.slots - engine.buffer_bytes)
            traffic = layer.weight_bytes + 2 * excess
            cycles += max(macs / engine.macs_per_cycle, traffic / engine.dram_bytes_per_cycle)
            energy_j += macs * engine.mac_j + traffic * engine.dram_j_per_byte
        return cycles, energy_j

    def choose(self, blocks: dict[int, tuple[float, float]], depth: int, waited: float = 0.0) -> int:
        """The k for the next block.

        Args:
            blocks: cycles and energy of a block of each k.
            depth: steps until all sequences that wait or are on their way have ended.
            waited: cycles for which the oldest of them has been waiting already.
        """
        rounds = {k: math.ceil(depth / k) for k in blocks}
        delay = {k: waited + rounds[k] * cycles for k, (cycles, _) in blocks.items()}
        in_time = [k for k in blocks if self.latency_cycles is None or delay[k] <= self.latency_cycles]
        if not in_time:
            return min(blocks, key=lambda k: delay[k])
        return min(in_time, key=lambda k: rounds[k] * blocks[k][1] * delay[k])

    def serve(
        self,
        layers: Sequence[Layer],
        engine: Engine,
        lengths: Sequence[int],
        arrivals: Sequence[float] | None = None,
    ) -> Served:
        """Runs all requests, first come first served.

        Args:
            lengths: steps of each sequence.
            arrivals: cycle of each, ascending; None where all are there from the start.
        """
        arrival_N = np.zeros(len(lengths)) if arrivals is None else np.asarray(arrivals, dtype=float)
        blocks = {k: self.block(layers, engine, k) for k in self.ks}
        coming, left = deque(range(len(lengths))), list(lengths)
        slots: list[int | None] = [None] * self.slots
        queue: deque[int] = deque()
        end_N, ks = np.zeros(len(lengths)), []
        now = energy_j = 0.0
        while coming or queue or any(n is not None for n in slots):
            if not queue and all(n is None for n in slots):
                now = max(now, arrival_N[coming[0]])
            while coming and arrival_N[coming[0]] <= now:
                queue.append(coming.popleft())
            here = [*queue, *(n for n in slots if n is not None)]
            depth = max(math.ceil(sum(left[n] for n in here) / self.slots), max(left[n] for n in here))
            k = self.choose(blocks, depth, now - arrival_N[here].min())
            now += blocks[k][0]
            energy_j += blocks[k][1]
            ks.append(k)
            for n in _advance(slots, queue, left, k):
                end_N[n] = now
        return Served(
            latency_N=end_N - arrival_N,
            k_T=np.array(ks),
            useful_share=sum(lengths) / (sum(ks) * self.slots),
            cycles=now,
            energy_j=energy_j,
        )


def _advance(slots: list[int | None], queue: deque[int], left: list[int], k: int) -> list[int]:
    """Runs k steps of every slot, which takes the next of the queue whenever its sequence ends; those that ended."""
    ended = []
    steps = [k] * len(slots)
    while any(steps):
        s = max(range(len(slots)), key=lambda s: steps[s])  # the slot that is furthest behind goes on
        if slots[s] is None:
            if not queue:
                steps[s] = 0
                continue
            slots[s] = queue.popleft()
        n = slots[s]
        assert n is not None
        done = min(steps[s], left[n])
        steps[s] -= done
        left[n] -= done
        if left[n] == 0:
            ended.append(n)
            slots[s] = None
    return ended
