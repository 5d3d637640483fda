"""Random mappings by the million, drawn and costed in torch, on a GPU or on the CPU.

Choose it where the dataflow is not known, a GPU is idle, and many mappings are to be looked at: unrollings and some
orders of the prime factors are drawn as in ``random_mapper``, and every mapping draws, inside out, what each memory
holds. On a CPU the compiled mappers find more in the same time. Costs come from tables of cuts
(``models/_torch_cuts.py``), equal to the compiled model's to the last digit; those of the answer are the compiled
model's own.
Source: the random-sampling search of Timeloop (Parashar et al., ISPASS 2019, section V.E). Differs: a number of orders
is shared by all mappings, and nothing is drawn that does not fit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import Field

from archip.core.errors import MissingExtra, UserError
from archip.hardware.mappers import _search
from archip.hardware.mappers._cut_choices import Orders, choices, draw_orders
from archip.hardware.mappers._mapper import Work
from archip.hardware.mappers._sampler import Sampler
from archip.hardware.mappers._torch_draw import Drawer
from archip.hardware.models import _kernels as kernels
from archip.hardware.models._cut_tables import tabulate
from archip.hardware.models._torch_cuts import PIECE, CutCosts

if TYPE_CHECKING:
    import torch

__all__ = ["TorchRandom"]


class _Front(NamedTuple):
    """Mappings of which none has both fewer cycles and less energy, by rising cycles."""

    latency_X: torch.Tensor
    energy_X: torch.Tensor
    order_X: torch.Tensor
    cuts_XOE: torch.Tensor


@dataclass(frozen=True)
class TorchRandom(Sampler):
    """The best of random mappings.

    Attributes:
        n_orders: loop orders that they share.
        device: torch's name of the device, e.g. ``cuda`` or ``cuda:1``.
    """

    n_mappings: Annotated[int, Field(ge=1)] = 10_000
    n_orders: Annotated[int, Field(ge=1, le=4096)] = 64
    device: str = "cpu"

    def run(self, work: Work) -> None:
        device = _found(self.device)
        for p in range(len(work.which_P2)):
            self._search(work, p, device, work.found_P[p])

    def _search(self, work: Work, p: int, device: torch.device, found: np.void) -> None:
        import torch

        a, layer = work.which_P2[p]
        chip, layers = work.chips_A[a : a + 1], work.layers_L[layer : layer + 1]
        orders = draw_orders(work, p, self.n_orders)
        tables = tabulate(chip, layers, *orders[:3], self.zigzag)
        costs = CutCosts(chip, tables, self.zigzag, str(device))
        drawer = Drawer(chip[0], choices(work, p, orders, self.zigzag), device)
        told = f"{self.seed} {layers['dims_F'].tolist()} {chip['bits_V'].tolist()}"
        random = torch.Generator(device).manual_seed(int(hashlib.sha256(told.encode()).hexdigest()[:15], 16))
        front, piece = None, PIECE[device.type]
        least = [np.inf, np.inf]  # cycles and energy met, whatever the limits
        for begin in range(0, self.n_mappings, piece):
            order_M, cuts_MOE = drawer.draw(min(piece, self.n_mappings - begin), random)
            costs_M6 = costs(order_M, cuts_MOE)
            latency_M, energy_M = torch.round(costs_M6[:, 0] + costs_M6[:, 1] + costs_M6[:, 2] + costs_M6[:, 3]
                                              + costs_M6[:, 4]), costs_M6[:, 5]  # fmt: skip
            found["n_tried"] += len(order_M)
            if len(order_M):
                least = [min(least[0], latency_M.min().item()), min(least[1], energy_M.min().item())]
            front = self._front(front, _Front(latency_M, energy_M, order_M, cuts_MOE))
        found["n_covered"] = found["n_tried"]
        if front is not None and len(front.latency_X):
            self._answer(work, p, orders, front, found)
        else:
            self._nothing(drawer, least, found)

    def _front(self, before: _Front | None, fresh: _Front) -> _Front:
        """The front of both; those that exceed the limits left out."""
        import torch

        within = torch.ones_like(fresh.latency_X, dtype=torch.bool)
        if self.limit_cycles is not None:
            within &= fresh.latency_X <= self.limit_cycles
        if self.limit_energy_j is not None:
            within &= fresh.energy_X <= self.limit_energy_j
        fresh = _Front(*(column[within] for column in fresh))
        every = fresh if before is None else _Front(*map(torch.cat, zip(before, fresh, strict=True)))
        by_energy = torch.argsort(every.energy_X, stable=True)
        order = by_energy[torch.argsort(every.latency_X[by_energy], stable=True)]
        energy = every.energy_X[order]
        least_before = torch.cat([energy.new_full((1,), torch.inf), torch.cummin(energy, 0).values[:-1]])
        kept = order[energy < least_before[: len(energy)]]
        return _Front(*(column[kept] for column in every))

    def _answer(self, work: Work, p: int, orders: Orders, front: _Front, found: np.void) -> None:
        latency, energy = front.latency_X.cpu().numpy(), front.energy_X.cpu().numpy()
        if self.objective == "cycles":
            x = int(np.flatnonzero(latency <= latency[0] * (1 + self.slack))[-1])
        else:
            x = int(np.argmin(energy if self.objective == "energy" else energy * latency))
        r, cuts_OE = int(front.order_X[x]), front.cuts_XOE[x].cpu().numpy()
        n = int(orders.n_loops_R[r])
        loops_T, sizes_T = (np.zeros(kernels.MAX_LOOPS, np.int64) for _ in range(2))
        loops_T[:n], sizes_T[:n] = orders.loops_RT[r, :n], orders.sizes_RT[r, :n]
        found["asked_DF"], found["n_loops"], found["cuts_OE"] = orders.asked_RDF[r], n, np.minimum(cuts_OE, n)
        found["loop_T"], found["size_T"] = loops_T, sizes_T
        mapping = (found["asked_DF"], found["loop_T"], found["size_T"], n, found["cuts_OE"])
        results, words = np.zeros((1, kernels.N_RESULTS)), np.zeros((1, 3, kernels.MAX_LEVELS, 4))
        asked_MDF, loops_MT, sizes_MT, n_loops_M, cuts_MOE = (np.array([part], np.int64) for part in mapping)
        which_M2, given = work.which_P2[p : p + 1], (self.zigzag, work.memory, results, words)
        mappings = (asked_MDF, loops_MT, sizes_MT, n_loops_M, cuts_MOE)
        kernels.evaluate_batch(work.chips_A, work.layers_L, which_M2, *mappings, *given)
        found["result"] = results[0]

    def _nothing(self, drawer: Drawer, least: list[float], found: np.void) -> None:
        result = found["result"]
        if not np.isfinite(least[0]):
            result[kernels.TOTAL], result[kernels.STALL] = _search.NOTHING_FITS, drawer.short_bits
            result[kernels.WORST] = drawer.short_memory
        elif self.limit_cycles is not None and least[0] > self.limit_cycles:
            result[kernels.TOTAL], result[kernels.STALL] = _search.OVER_CYCLES, least[0]
        else:
            result[kernels.TOTAL], result[kernels.STALL] = _search.OVER_ENERGY, least[1]


def _found(name: str) -> torch.device:
    """The device of this name.

    Raises:
        UserError: torch knows no such device, or this machine has none.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "torch", "costing mappings on a device") from None
    kind, _, number = name.partition(":")
    if kind not in PIECE or (number and not (kind == "cuda" and number.isdecimal())):
        raise UserError(f"{name!r} is not a device for mappings", "device", "cpu, cuda or cuda:0")
    if kind == "cuda" and not (torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()):
        what = (
            f"there is no device {name} here: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices"
        )
        raise UserError(what, "device", "cpu; or a machine with an NVIDIA GPU and a torch built for CUDA")
    return torch.device(name)
