"""Costs of mappings from tables of cuts, in torch: for a GPU, where millions of mappings are costed at once.

The same rules in the same order as ``_kernels.py`` (`_windows`, `_port`, `_covered`, `_hide`, `weigh`), over columns of
M mappings instead of one after the other; the structure of the accelerator (levels, ports) is unrolled by Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archip.hardware.models._cut_tables import CutTables
from archip.hardware.models._kernels import (
    BACK,
    IN_REAL,
    IN_WORDS,
    MOVED_BITS,
    OUT_REAL,
    OUT_WORDS,
    PERIOD,
    PERIODS,
    I,
    O,
    W,
)

if TYPE_CHECKING:
    import torch

__all__ = ["PIECE", "CutCosts"]

PIECE = {"cuda": 1 << 22, "cpu": 1 << 16}  # mappings costed at once, about 1 KB each; bounds the memory


class CutCosts:
    """Costs any number of mappings of one layer on one accelerator whose orders are in the tables.

    Args:
        chip: record of one element (`pack_chips`).
        tables: of the layer's loop orders.
        zigzag: that tool's conventions, as for `Loopnest`.
        device: torch's name of the device; ``cpu`` works, but the compiled kernels are faster there.
    """

    def __init__(self, chip: np.ndarray, tables: CutTables, zigzag: bool = False, device: str = "cuda") -> None:
        import torch

        self._chip, self._zigzag, self._device = chip[0], zigzag, torch.device(device)
        self._levels = [int(n) for n in self._chip["levels_O"]]
        self._entry, self._own, self._single, self._total, self._mac, self._skew = (
            torch.from_numpy(table).to(self._device) for table in tables
        )

    def __call__(self, order_M: torch.Tensor, cuts_MOE: torch.Tensor) -> torch.Tensor:
        """Cycles of the array, stall, on-load, off-load, drain, and energy in J: [M, 6].

        Args:
            order_M: index of each mapping's loop order in the tables.
            cuts_MOE: [M, 3, levels + 1] its cuts, from 0 (inside the innermost memory) upwards, as in `Mapping`.
        """
        import torch

        piece = PIECE[self._device.type]
        parts = zip(order_M.split(piece), cuts_MOE.split(piece), strict=True)
        return torch.cat([self._costs(r.to(self._device), c.to(self._device).long()) for r, c in parts])

    def _costs(self, r: torch.Tensor, cuts: torch.Tensor) -> torch.Tensor:
        import torch

        s = _State(self, r, cuts)
        stall = torch.zeros_like(s.total)
        busiest = torch.zeros_like(s.total)
        ports = [_Port(s, p) for p in range(int(self._chip["n_ports"]))]
        for port in ports:
            stall = torch.maximum(stall, port.late)
            busiest = torch.maximum(busiest, port.busy)
        for port in ports:
            port.hide(s.total + stall)
        onload, offload = torch.maximum(s.first_and_last(W), s.first_and_last(I)), s.first_and_last(O)
        cycles = s.total + stall + onload + offload
        if not self._zigzag:
            onload = onload + torch.clamp(busiest - cycles, min=0.0)
        drain = self._skew[r] * float(self._chip["systolic"])
        return torch.stack([s.total, stall, onload, offload, drain, s.energy()], 1)


class _State:
    """What is looked up for M mappings: entries of their links, windows, ends."""

    def __init__(self, costs: CutCosts, r: torch.Tensor, cuts: torch.Tensor) -> None:
        self.chip, self.levels = costs._chip, costs._levels
        self.total, self.mac = costs._total[r], costs._mac[r]
        self.rows: dict[tuple[int, int], torch.Tensor] = {}
        own: dict[tuple[int, int], torch.Tensor] = {}
        single: dict[tuple[int, int], torch.Tensor] = {}
        for o in range(3):
            self.rows[o, 0] = costs._entry[r, o, 0, cuts[:, o, 1]]
            for j in range(1, self.levels[o]):
                low, high = cuts[:, o, j - 1], cuts[:, o, j]
                self.rows[o, j] = costs._entry[r, o, j, high]
                own[o, j - 1] = costs._own[r, o, j - 1, low, high]
                single[o, j] = costs._single[r, o, j, low, high]
        self.window = self._windows(own, single)
        self.ends: dict[tuple[int, int, int], torch.Tensor] = {}

    def memory(self, o: int, e: int) -> int:
        return int(self.chip["memory_OE"][o, e])

    def _windows(self, own: dict[Any, torch.Tensor], single: dict[Any, torch.Tensor]) -> dict[Any, torch.Tensor]:
        import torch

        occupied: dict[int, torch.Tensor] = {}
        for o in range(3):
            for e in range(self.levels[o] - 1):
                v = self.memory(o, e)
                occupied[v] = occupied.get(v, torch.zeros_like(self.total)) + own[o, e]
        window: dict[tuple[int, int], torch.Tensor] = {}
        for o in (O, W, I):
            window[o, 0] = self.rows[o, 0][:, PERIOD]
            for e in range(self.levels[o] - 1):
                v, period = self.memory(o, e), self.rows[o, e + 1][:, PERIOD]
                full = occupied[v] > 0.5
                fits = full & (own[o, e] <= 1 - occupied[v])
                occupied[v] = torch.where(fits, occupied[v] + own[o, e], occupied[v])
                window[o, e + 1] = torch.where(full & ~fits, single[o, e + 1], period)
        return window

    def first_and_last(self, o: int) -> torch.Tensor:
        import torch

        cycles = torch.zeros_like(self.total)
        for j in range(1, self.levels[o]):
            cycles = cycles + torch.maximum(self.ends[o, j, 0], self.ends[o, j, 1])
        return cycles

    def energy(self) -> torch.Tensor:
        energy = self.total * 0.0
        for o in (W, I, O):
            for e in range(self.levels[o]):
                v, lower = self.memory(o, e), self.rows[o, e]
                read, write = float(self.chip["read_V"][v]), float(self.chip["write_V"][v])
                words = lower[:, OUT_WORDS]
                higher = self.rows[o, e + 1] if e + 1 < self.levels[o] else None
                more = words * 0.0 if higher is None else higher[:, IN_WORDS]
                if o == O:
                    again = words * 0.0 if higher is None else more * higher[:, BACK]
                    energy = energy + (more + words * lower[:, BACK]) * read
                    energy = energy + (again + words) * write
                else:
                    energy = energy + words * read
                    energy = energy + more * write
        return energy + self.mac


class _Port:
    """One port: its stall, its cycles in use, and the loads that it does only once."""

    def __init__(self, s: _State, p: int) -> None:
        import torch

        self.s, chip = s, s.chip
        places = range(int(chip["port_begin_P"][p]), int(chip["port_begin_P"][p + 1]))
        names = ("operand_X", "link_X", "inner_X", "comes_back_X", "loads_X")
        self.passing = [tuple(int(chip[name][x]) for name in names) for x in places]
        self.wide = float(chip["wide_V"][int(chip["port_memory_P"][p])])
        zero = torch.zeros_like(s.total)
        late, early, open_, self.busy, self.rate = zero, zero, zero, zero, zero
        n, always = torch.zeros_like(s.total, dtype=torch.long), torch.zeros_like(s.total, dtype=torch.bool)
        active = []
        for o, j, inner, comes_back, loads in self.passing:
            row, window = s.rows[o, j], s.window[o, j]
            used = row[:, BACK] != 0 if comes_back else torch.ones_like(always)
            column = IN_REAL if inner else OUT_REAL
            real, again = row[:, column], row[:, PERIODS] - 1
            stall = (real - window) * again
            late = late + torch.where(used, torch.clamp(stall, min=0.0), zero)
            early = early + torch.where(used, torch.clamp(stall, max=0.0), zero)
            open_ = open_ + torch.where(used, window * again, zero)
            self.busy = self.busy + torch.where(used, row[:, column + 2], zero)
            always = always | (used & (window >= row[:, PERIOD]))
            n = n + used
            active.append(used)
            if loads:
                s.ends[o, j, inner] = real
                self.rate = self.rate + torch.where(again > 0, row[:, column + 1], zero)
        crowded = (n > 1) & (early + open_ > 0)
        if len(self.passing) > 1 and bool(crowded.any()):
            covered = torch.where(always, s.total, self._covered(active, n))
            late = late + torch.where(crowded, torch.clamp(early + open_ - covered, min=0.0), zero)
        self.late = late

    def _covered(self, active: list[torch.Tensor], n: torch.Tensor) -> torch.Tensor:
        """Cycles in which at least one window is open; what does not pass is put last, with an endless period."""
        import torch

        pairs = [(self.s.window[o, j], self.s.rows[o, j][:, PERIOD]) for o, j, *_ in self.passing]
        endless = torch.full_like(self.s.total, torch.inf)
        period_MX = torch.stack([torch.where(a, p, endless) for a, (_, p) in zip(active, pairs, strict=True)], 1)
        window_MX = torch.stack([w for w, _ in pairs], 1)
        period_MX, order_MX = period_MX.sort(dim=1, stable=True)
        window_MX = window_MX.gather(1, order_MX)
        free: list[torch.Tensor] = []  # in a whole period, and in the window itself
        inside: list[torch.Tensor] = []
        for i in range(period_MX.shape[1]):
            inside.append(self._uncovered(i - 1, window_MX[:, i], period_MX, window_MX, free, inside))
            free.append(self._uncovered(i - 1, period_MX[:, i], period_MX, window_MX, free, inside) - inside[i])
        last = (n - 1).clamp(min=0)[:, None]
        longest, left = period_MX.gather(1, last)[:, 0], torch.stack(free, 1).gather(1, last)[:, 0]
        return (longest - left) * (self.s.total / longest)

    @staticmethod
    def _uncovered(
        k: int,
        x: torch.Tensor,
        period_MX: torch.Tensor,
        window_MX: torch.Tensor,
        free: list[torch.Tensor],
        inside: list[torch.Tensor],
    ) -> torch.Tensor:
        """Cycles of [0, x) outside the windows of the k + 1 shortest periods (`_kernels._uncovered`)."""
        import torch

        total, done = torch.zeros_like(x), torch.zeros_like(x, dtype=torch.bool)
        for i in range(k, -1, -1):
            period, window = period_MX[:, i], window_MX[:, i]
            total = torch.where(done, total, total + torch.floor(x / period) * free[i])
            x = torch.where(done, x, x % period)
            hit = ~done & (x <= window)
            total = torch.where(done | hit, total, total - inside[i])
            done = done | hit
        return torch.where(done, total, total + x)

    def hide(self, cycles: torch.Tensor) -> None:
        """Shortens loads that the port does only once by what it has free while the array works: the largest first."""
        import torch

        s = self.s
        loads = [(o, j, inner) for o, j, inner, _, is_load in self.passing if is_load]
        free = torch.clamp((self.wide - self.rate) / self.wide * cycles, min=0.0)
        waiting = [s.rows[o, j][:, PERIODS] == 1 for o, j, _ in loads]
        real = [s.ends[key] for key in loads]
        for _ in loads:
            largest, best = torch.full_like(cycles, -1.0), torch.full_like(cycles, -1, dtype=torch.long)
            least = torch.zeros_like(cycles)
            for k, (o, _, _) in enumerate(loads):
                better = waiting[k] & (real[k] > largest)
                largest = torch.where(better, real[k], largest)
                best = torch.where(better, torch.full_like(best, k), best)
                least = torch.where(better, torch.ceil(s.rows[o, 1][:, MOVED_BITS] / self.wide), least)
            hidden = torch.minimum(torch.clamp(largest - least, min=0.0), free)
            hidden = torch.where(best >= 0, hidden, torch.zeros_like(hidden))
            free = free - hidden
            for k, key in enumerate(loads):
                chosen = best == k
                s.ends[key] = torch.where(chosen, real[k] - hidden, s.ends[key])
                waiting[k] = waiting[k] & ~chosen
