"""SN40L: three tiers of memory and fused kernels; what switching between experts costs, and what fusion saves.

Choose it for a composition of many models, of which each request needs one: hit rate and time of a stream of requests
(`serve`), and the time of a workload with operators fused into groups that keep their intermediate tensors on chip
(`evaluate`, `fuse`).
Source: Prabhakar et al. 2024, SambaNova SN40L: Scaling the AI Memory Wall with Dataflow and Composition of Experts,
arXiv:2405.07518. Experts live in DDR, the least recently used ones leave HBM; a switch takes expert bytes / bandwidth
from DDR to HBM; request time = router + miss x switch + execution. Intensity of a group is all its operations over its
inputs, outputs and weights. Defaults are a node of eight sockets (recalled: 64 GiB HBM and 520 MiB SRAM a socket; over
1 TB/s from DDR to HBM together).
Choices: HBM may hold experts up to `expert_share` of its capacity. A tensor stays on chip if all its readers are in the
group of its writer. `fuse` joins rows in their order for as long as the weights and the tensors inside fit the SRAM.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models._light import Floats, Positive, Share, Table, tensor_bytes
from archip.hardware.models.roofline import Roofline
from archip.ir.workload import Workload

__all__ = ["Sn40l"]

Ints = NDArray[np.int64]
_GIB = 2.0**30


@dataclass(frozen=True)
class Sn40l:
    """A node: SRAM, HBM and DDR with what moves between them."""

    sram_bytes: Positive = 8 * 520 * 2.0**20
    hbm_bytes: Positive = 8 * 64 * _GIB
    hbm_bytes_per_s: Positive = 8 * 1.638e12
    switch_bytes_per_s: Positive = 1e12  # from DDR to HBM
    ops_per_s: Positive = 8 * 638e12  # bf16
    expert_bytes: Positive = 13.5e9  # 7B weights of two bytes
    expert_share: Share = 0.9
    router_s: Annotated[float, Field(ge=0)] = 0.0

    @property
    def capacity(self) -> int:
        """Experts that HBM holds at a time."""
        return int(self.hbm_bytes * self.expert_share // self.expert_bytes)

    @property
    def switch_s(self) -> float:
        return self.expert_bytes / self.switch_bytes_per_s

    def serve(self, experts: ArrayLike, execution_s: ArrayLike = 0.0) -> Table:
        """Requests [n] one after the other, each for an expert: `hit` and `request_s`.

        Raises:
            UserError: HBM does not hold a single expert.
        """
        if self.capacity < 1:
            raise UserError(f"an expert of {self.expert_bytes:.3g} bytes does not fit", "hbm_bytes", "a larger HBM")
        asked = np.atleast_1d(np.asarray(experts, np.int64))
        hit = np.zeros(len(asked), bool)
        held: OrderedDict[int, None] = OrderedDict()
        for i, expert in enumerate(asked.tolist()):
            hit[i] = expert in held
            held[expert] = None
            held.move_to_end(expert)
            if len(held) > self.capacity:
                held.popitem(last=False)
        return {"hit": hit, "request_s": self.router_s + ~hit * self.switch_s + np.asarray(execution_s, np.float64)}

    def evaluate(self, workload: Workload, group_L: ArrayLike | None = None) -> Table:
        """Fused groups, by default those of `fuse`.

        Args:
            workload: rows in topological order.
            group_L: number of each row's group, from 0 without gaps.

        Returns:
            Column → [groups]: `ops`, `n_bytes` to and from HBM, `intensity`, `latency_s`.
        """
        groups = self.fuse(workload) if group_L is None else np.asarray(group_L, np.int64)
        n_bytes_L = tensor_bytes(workload).sum(1) - kept_bytes(workload, groups)
        n_groups = int(groups.max()) + 1
        ops = np.bincount(groups, 2.0 * workload.macs_L, n_groups)
        n_bytes = np.bincount(groups, n_bytes_L, n_groups)
        device = Roofline(ops_per_s={16: self.ops_per_s}, bytes_per_s=self.hbm_bytes_per_s)
        latency = np.maximum(*device.seconds(ops, n_bytes, 16))
        return {"ops": ops, "n_bytes": n_bytes, "intensity": ops / n_bytes, "latency_s": latency}

    def fuse(self, workload: Workload) -> Ints:
        """[L] group of each row: neighbours, for as long as their weights and outputs fit the SRAM."""
        n_bytes_LO = tensor_bytes(workload)
        group_L, held, group = np.zeros(len(workload), np.int64), 0.0, 0
        for row, need in enumerate((n_bytes_LO[:, 0] + n_bytes_LO[:, 2]).tolist()):
            if row and held + need > self.sram_bytes:
                group, held = group + 1, 0.0
            group_L[row], held = group, held + need
        return group_L


def kept_bytes(workload: Workload, group_L: Ints) -> Floats:
    """[L] bytes that each row need not move because reader and writer share a group.

    A reader saves its input from a row of its own group; a writer saves its output if all its readers are there (a
    result that nobody reads goes out).
    """
    _, inputs, outputs = tensor_bytes(workload).T
    saved, readers = np.zeros(len(workload)), readers_of(workload.predecessors)
    for row, before in enumerate(workload.predecessors):
        inside = sum(float(outputs[p]) for p in before if group_L[p] == group_L[row])
        saved[row] += min(inside, float(inputs[row]))
        if readers[row] and all(group_L[reader] == group_L[row] for reader in readers[row]):
            saved[row] += outputs[row]
    return saved


def readers_of(predecessors: Sequence[Sequence[int]]) -> list[list[int]]:
    """Rows that read each row."""
    readers: list[list[int]] = [[] for _ in predecessors]
    for row, before in enumerate(predecessors):
        for writer in before:
            readers[writer].append(row)
    return readers
