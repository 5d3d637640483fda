"""Multi-personality partitioning: which operator goes to which device, and in which of its implementations.

Choose it to split a network over several FPGAs (or regions of one) where an operator can be built in several ways, say
from LUTs or from DSP slices: choosing while partitioning cuts fewer connections than choosing before.
Source: "Multi-Personality Partitioning for Heterogeneous Systems", 2013, as on the card: heavy-edge coarsening with
up to eight summed personalities a coarse node, a greedy first split, Fiduccia-Mattheyses passes whose moves change
part, personality or both; gain = cut + `balance` x worst relative deviation of a utilisation from the target. Choices
where the card is open: the target is the mean utilisation over parts and resources; the best of several starts, every
other one a shaken copy of the best so far; every other pass may overdraw a capacity on its way; the best move is found
by looking at all of them (compiled) instead of in buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
from numba import njit
from pydantic import Field

from archip.core.errors import CandidateError

__all__ = ["MultiPersonality"]

_MOST = 8  # personalities of a coarse node
_COARSE = 12  # nodes at which coarsening stops
_ROUNDING = 1e-9


class Netlist(NamedTuple):
    """What is partitioned. V nodes, P personalities, R resources, Q parts.

    Attributes:
        weight_VV: symmetric, of the connection between two nodes; 0 on the diagonal.
        needs_VPR: resources of each personality; NaN rows where a node has fewer.
        capacity_QR: positive.
    """

    weight_VV: np.ndarray
    needs_VPR: np.ndarray
    capacity_QR: np.ndarray


@dataclass(frozen=True, eq=False)
class Partition:
    """Part and personality of each node; weight of the connections cut; worst relative deviation of a utilisation."""

    part_V: np.ndarray
    personality_V: np.ndarray
    cut: float
    deviation: float


@dataclass(frozen=True)
class MultiPersonality:
    """Multilevel partitioning of nodes with several implementations."""

    balance: Annotated[float, Field(ge=0)] = 1.0  # lambda: weight of connections that a deviation of 100 % is worth
    starts: Annotated[int, Field(ge=1)] = 32
    seed: Annotated[int, Field(ge=0)] = 0

    def partition(
        self, netlist: Netlist, fixed: Sequence[int] | None = None, begin: Partition | None = None
    ) -> Partition:
        """The best of all starts.

        Args:
            fixed: the personality of each node where it is chosen beforehand (static mapping).
            begin: a partition to improve, beside those that are found from nothing.

        Raises:
            CandidateError: no start kept all capacities.
        """
        full = netlist
        if fixed is not None:
            netlist = netlist._replace(needs_VPR=netlist.needs_VPR[np.arange(len(fixed)), fixed][:, None])
        rng = np.random.default_rng(self.seed)
        best_V2 = self._multilevel(netlist, rng)
        if begin is not None:
            given_V2 = np.stack((begin.part_V, begin.personality_V), axis=1)
            best_V2 = min((self._refined(netlist, given_V2), best_V2), key=partial(self._score, netlist))
        for start in range(1, self.starts):
            trial_V2 = self._multilevel(netlist, rng) if start % 2 else self._shaken(netlist, best_V2, rng)
            best_V2 = min((best_V2, trial_V2), key=partial(self._score, netlist))
        if fixed is not None:
            best_V2[:, 1] = fixed
        used_QR = _used(full.needs_VPR, full.capacity_QR, best_V2)
        if _overdraft(used_QR, full.capacity_QR) > _ROUNDING:
            part, resource = np.argwhere(used_QR > full.capacity_QR)[0]
            raise CandidateError(f"no split found that fits: part {part} lacks resource {resource}")
        cut, deviation = _cut(full.weight_VV, best_V2), _deviation(used_QR, full.capacity_QR)
        return Partition(best_V2[:, 0], best_V2[:, 1], cut, deviation)

    def _score(self, netlist: Netlist, state_V2: np.ndarray) -> tuple[float, float]:
        """Overdraft of the capacities, then cut and deviation: smaller is better."""
        used_QR = _used(netlist.needs_VPR, netlist.capacity_QR, state_V2)
        over = _overdraft(used_QR, netlist.capacity_QR)
        cost = _cut(netlist.weight_VV, state_V2) + self.balance * _deviation(used_QR, netlist.capacity_QR)
        return (over if over > _ROUNDING else 0.0), cost

    def _refined(self, netlist: Netlist, state_V2: np.ndarray) -> np.ndarray:
        state_V2 = state_V2.astype(np.int64)
        _refine(netlist.weight_VV, netlist.needs_VPR, netlist.capacity_QR, self.balance, state_V2)
        return state_V2

    def _shaken(self, netlist: Netlist, state_V2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Some of the nodes anywhere, in any personality, then refined."""
        state_V2 = state_V2.copy()
        n_nodes = len(state_V2)
        for v in rng.choice(n_nodes, max(2, n_nodes // 5), replace=False) if n_nodes > 2 else range(n_nodes):
            own = np.flatnonzero(~np.isnan(netlist.needs_VPR[v, :, 0]))
            state_V2[v] = rng.integers(len(netlist.capacity_QR)), rng.choice(own)
        return self._refined(netlist, state_V2)

    def _multilevel(self, netlist: Netlist, rng: np.random.Generator) -> np.ndarray:
        """[V, 2] part and personality: coarsened, split and refined, from the coarsest netlist back to this one."""
        pairs = _heavy_pairs(netlist.weight_VV, rng)
        if len(netlist.weight_VV) <= _COARSE or len(pairs) == len(netlist.weight_VV):
            state_V2 = _greedy(netlist.weight_VV, netlist.needs_VPR, netlist.capacity_QR, self.balance,
                               rng.permutation(len(netlist.weight_VV)))  # fmt: skip
        else:
            coarse, parents = _merged(netlist, pairs)
            coarse_V2 = self._multilevel(coarse, rng)
            state_V2 = np.empty((len(netlist.weight_VV), 2), np.int64)
            for nodes, chosen, (part, personality) in zip(pairs, parents, coarse_V2, strict=True):
                for node, own in zip(nodes, chosen[personality], strict=True):
                    state_V2[node] = part, own
        return self._refined(netlist, state_V2)


def _heavy_pairs(weight_VV: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
    """Each node with its heaviest neighbour that is still alone, in random order; the rest alone."""
    alone_V = np.ones(len(weight_VV), dtype=bool)
    pairs = []
    for node in rng.permutation(len(weight_VV)).tolist():
        if alone_V[node]:
            alone_V[node] = False
            heavy_V = np.where(alone_V, weight_VV[node], 0)
            mate = int(heavy_V.argmax())
            pairs.append([node, mate] if heavy_V[mate] > 0 else [node])
            alone_V[mate] &= heavy_V[mate] == 0
    return pairs


def _merged(netlist: Netlist, pairs: list[list[int]]) -> tuple[Netlist, list[list[tuple[int, ...]]]]:
    """The netlist of pairs, and for each personality of a pair those of its nodes."""
    member_PV = np.zeros((len(pairs), len(netlist.weight_VV)))
    parents, needs = [], []
    for i, nodes in enumerate(pairs):
        member_PV[i, nodes] = 1
        own = [np.flatnonzero(~np.isnan(netlist.needs_VPR[node, :, 0])) for node in nodes]
        choices = [tuple(map(int, row)) for row in np.stack(np.meshgrid(*own, indexing="ij"), -1).reshape(-1, len(own))]
        sums = np.array([netlist.needs_VPR[nodes, choice].sum(axis=0) for choice in choices])
        kept = _pareto(sums / netlist.capacity_QR.sum(axis=0))
        parents.append([choices[k] for k in kept])
        needs.append(sums[kept])
    needs_VPR = np.full((len(pairs), max(map(len, needs)), netlist.needs_VPR.shape[2]), np.nan)
    for i, rows in enumerate(needs):
        needs_VPR[i, : len(rows)] = rows
    weight_VV = member_PV @ netlist.weight_VV @ member_PV.T
    np.fill_diagonal(weight_VV, 0)
    return Netlist(weight_VV, needs_VPR, netlist.capacity_QR), parents


def _pareto(needs_PR: np.ndarray) -> np.ndarray:
    """Rows that no other one undercuts, at most `_MOST`, spread over the first resource."""
    worse_PP = (needs_PR[:, None] >= needs_PR).all(axis=2)
    is_strict_PP = (needs_PR[:, None] > needs_PR).any(axis=2)
    is_twin_PP = ~is_strict_PP & ~is_strict_PP.T & (np.arange(len(needs_PR))[:, None] > np.arange(len(needs_PR)))
    kept = np.flatnonzero(~(worse_PP & (is_strict_PP | is_twin_PP)).any(axis=1))
    kept = kept[np.argsort(needs_PR[kept, 0], kind="stable")]
    return kept[np.unique(np.linspace(0, len(kept) - 1, min(_MOST, len(kept))).round().astype(int))]


@njit(cache=True, nogil=True)
def _used(needs_VPR, capacity_QR, state_V2):
    used_QR = np.zeros_like(capacity_QR)
    for v in range(len(state_V2)):
        if state_V2[v, 0] >= 0:
            used_QR[state_V2[v, 0]] += needs_VPR[v, state_V2[v, 1]]
    return used_QR


@njit(cache=True, nogil=True)
def _cut(weight_VV, state_V2):
    cut = 0.0
    for v in range(len(state_V2)):
        for u in range(v):
            if state_V2[v, 0] != state_V2[u, 0]:
                cut += weight_VV[v, u]
    return cut


@njit(cache=True, nogil=True)
def _overdraft(used_QR, capacity_QR):
    over = 0.0
    for q in range(used_QR.shape[0]):
        for r in range(used_QR.shape[1]):
            over += max(0.0, used_QR[q, r] / capacity_QR[q, r] - 1.0)
    return over


@njit(cache=True, nogil=True)
def _deviation(used_QR, capacity_QR):
    low, high, total = np.inf, 0.0, 0.0
    for q in range(used_QR.shape[0]):
        for r in range(used_QR.shape[1]):
            share = used_QR[q, r] / capacity_QR[q, r]
            low, high, total = min(low, share), max(high, share), total + share
    mean = total / used_QR.size
    return max(high - mean, mean - low) / mean if mean > 0 else 0.0


@njit(cache=True, nogil=True)
def _greedy(weight_VV, needs_VPR, capacity_QR, balance, order_V):
    """[V, 2] each node in turn where overdraft, then cut and deviation, grow least."""
    n_parts = len(capacity_QR)
    state_V2 = np.full((len(order_V), 2), -1)
    used_QR = np.zeros_like(capacity_QR)
    for v in order_V:
        joined_Q = np.zeros(n_parts)
        for u in range(len(order_V)):
            if state_V2[u, 0] >= 0:
                joined_Q[state_V2[u, 0]] += weight_VV[v, u]
        best_over, best_cost = np.inf, np.inf
        for q in range(n_parts):
            for p in range(needs_VPR.shape[1]):
                if not np.isnan(needs_VPR[v, p, 0]):
                    used_QR[q] += needs_VPR[v, p]
                    over, cost = _overdraft(used_QR, capacity_QR), balance * _deviation(used_QR, capacity_QR)
                    used_QR[q] -= needs_VPR[v, p]
                    cost -= joined_Q[q]
                    if over < best_over or (over == best_over and cost < best_cost):
                        best_over, best_cost = over, cost
                        state_V2[v] = q, p
        used_QR[state_V2[v, 0]] += needs_VPR[v, state_V2[v, 1]]
    return state_V2


@njit(cache=True, nogil=True)
def _refine(weight_VV, needs_VPR, capacity_QR, balance, state_V2):
    """Passes, in turn without and with overdrafts on the way, until neither brings anything; changes the state."""
    slack = 0.0  # the largest overdraft that one node makes
    for v in range(len(state_V2)):
        for p in range(needs_VPR.shape[1]):
            if not np.isnan(needs_VPR[v, p, 0]):
                slack = max(slack, (needs_VPR[v, p] / capacity_QR[0]).sum())
    n_idle, allowed = 0, 0.0
    while n_idle < 2:
        n_idle = 0 if _pass(weight_VV, needs_VPR, capacity_QR, balance, state_V2, allowed) else n_idle + 1
        allowed = slack - allowed


@njit(cache=True, nogil=True)
def _pass(weight_VV, needs_VPR, capacity_QR, balance, state_V2, allowed):
    """Moves each node once, always by the best move, and goes back to the best state met; whether that is a new one."""
    n_nodes, n_parts = len(state_V2), len(capacity_QR)
    used_QR = _used(needs_VPR, capacity_QR, state_V2)
    joined_VQ = np.zeros((n_nodes, n_parts))  # weight of the connections of a node to each part
    for v in range(n_nodes):
        for u in range(n_nodes):
            joined_VQ[v, state_V2[u, 0]] += weight_VV[v, u]
    cut = _cut(weight_VV, state_V2)
    best_over = _overdraft(used_QR, capacity_QR)
    best_cost = cut + balance * _deviation(used_QR, capacity_QR)
    best_V2, is_better = state_V2.copy(), False
    is_free_V = np.ones(n_nodes, np.bool_)
    for _ in range(n_nodes):
        v, q, p, over, cost = _best_move(
            needs_VPR, capacity_QR, balance, state_V2, used_QR, joined_VQ, cut, is_free_V, allowed
        )
        if v < 0:
            break
        is_free_V[v] = False
        old = state_V2[v, 0]
        cut += joined_VQ[v, old] - joined_VQ[v, q]
        used_QR[old] -= needs_VPR[v, state_V2[v, 1]]
        used_QR[q] += needs_VPR[v, p]
        joined_VQ[:, old] -= weight_VV[v]
        joined_VQ[:, q] += weight_VV[v]
        state_V2[v] = q, p
        if over < best_over - 1e-9 or (over <= best_over + 1e-9 and cost < best_cost - 1e-9):
            best_over, best_cost, is_better = over, cost, True
            best_V2[:] = state_V2
    state_V2[:] = best_V2
    return is_better


@njit(cache=True, nogil=True)
def _best_move(needs_VPR, capacity_QR, balance, state_V2, used_QR, joined_VQ, cut, is_free_V, allowed):
    """Node, part, personality, overdraft and cost of the move that is best, or least bad; node -1 if there is none.

    A move may overdraw by `allowed`, so that nodes can change places on the way, or by as much as is overdrawn before;
    where nothing is allowed the overdraft counts before the cost.
    """
    found = (-1, 0, 0, np.inf, np.inf)
    limit = max(_overdraft(used_QR, capacity_QR), allowed) + 1e-9
    for v in np.flatnonzero(is_free_V):
        old, own = state_V2[v]
        used_QR[old] -= needs_VPR[v, own]
        for q in range(len(capacity_QR)):
            for p in range(needs_VPR.shape[1]):
                if np.isnan(needs_VPR[v, p, 0]) or (q == old and p == own):
                    continue
                used_QR[q] += needs_VPR[v, p]
                over = _overdraft(used_QR, capacity_QR)
                cost = cut + joined_VQ[v, old] - joined_VQ[v, q] + balance * _deviation(used_QR, capacity_QR)
                used_QR[q] -= needs_VPR[v, p]
                is_cheaper = cost < found[4] and (allowed > 0.0 or over <= found[3] + 1e-9)
                if over <= limit and (is_cheaper or (allowed == 0.0 and over < found[3] - 1e-9)):
                    found = (v, q, p, over, cost)
        used_QR[old] += needs_VPR[v, own]
    return found
