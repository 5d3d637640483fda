"""Cuts drawn at random on a device: many mappings at once, none that does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archip.hardware.mappers._cut_choices import CutChoices
from archip.hardware.models._kernels import MAX_LEVELS

if TYPE_CHECKING:
    import torch

__all__ = ["Drawer"]

_ROUNDS = 8  # of drawing again where operands do not fit together; then each holds the least


class Drawer:
    """Draws mappings of one layer on one accelerator.

    Attributes:
        short_memory, short_bits: where no mapping fitted, the memory and the bits that the best one lacked.
    """

    def __init__(self, chip: np.void, choices: CutChoices, device: torch.device) -> None:
        import torch

        self._chip, self._device = chip, device
        self._bits, self._most, self._moved = (torch.from_numpy(table).to(device) for table in choices)
        self.short_memory, self.short_bits = 0, 0.0

    def draw(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Order [M] and cuts [M, 3, levels + 1] of at most `n` mappings: those that fit."""
        import torch

        n_orders, n_loops = len(self._most), self._moved.shape[2] - 1
        order_M = torch.randint(n_orders, (n,), device=self._device, generator=random)
        cuts_MOE = torch.zeros((n, 3, MAX_LEVELS + 1), device=self._device, dtype=torch.int8)
        for v in range(int(self._chip["n_memories"]) - 1):
            held = [(o, int(self._chip["level_VO"][v, o])) for o in range(3) if self._chip["level_VO"][v, o] >= 0]
            room = float(self._chip["bits_V"][v])
            fits_M = self._fill(held, room, order_M, cuts_MOE, random)
            if not bool(fits_M.any()):
                self.short_memory = v
                return order_M[:0], cuts_MOE[:0]
            order_M, cuts_MOE = order_M[fits_M], cuts_MOE[fits_M]
        for o in range(3):
            cuts_MOE[:, o, int(self._chip["levels_O"][o]) :] = n_loops
        return order_M, cuts_MOE

    def _fill(
        self,
        held: list[tuple[int, int]],
        room: float,
        order_M: torch.Tensor,
        cuts_MOE: torch.Tensor,
        random: torch.Generator,
    ) -> torch.Tensor:
        """Draws what one memory holds of its (operand, level); returns which mappings have one element of each fit."""
        import torch

        r = order_M
        low = [cuts_MOE[:, o, e].long() for o, e in held]
        most = [self._most[r, o, e, below] for (o, e), below in zip(held, low, strict=True)]
        needs_M = self._together(held, r, low, low)
        if not bool((needs_M <= room).any()):
            self.short_bits = float(needs_M.min()) - room
        chosen = [self._between(below, above, random) for below, above in zip(low, most, strict=True)]
        for _ in range(_ROUNDS):
            over_M = self._together(held, r, low, chosen) > room
            if not bool(over_M.any()):
                break
            most = [torch.where(over_M, stop, above) for stop, above in zip(chosen, most, strict=True)]
            again = [self._between(below, above, random) for below, above in zip(low, most, strict=True)]
            chosen = [torch.where(over_M, new, old) for new, old in zip(again, chosen, strict=True)]
        over_M = self._together(held, r, low, chosen) > room
        for (o, e), below, stop in zip(held, low, chosen, strict=True):
            cuts_MOE[:, o, e + 1] = self._moved[r, o, torch.where(over_M, below, stop)].to(torch.int8)
        return needs_M <= room

    def _together(
        self, held: list[tuple[int, int]], r: torch.Tensor, low: list[torch.Tensor], stops: list[torch.Tensor]
    ) -> torch.Tensor:
        """Bits of all operands in the memory."""
        import torch

        bits = [self._bits[r, o, e, below, s] for (o, e), below, s in zip(held, low, stops, strict=True)]
        return torch.stack(bits).sum(0)

    @staticmethod
    def _between(low: torch.Tensor, most: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Whole numbers from `low` to `most`, both included."""
        import torch

        share = torch.rand(low.shape, device=low.device, generator=random, dtype=torch.float64)
        return torch.minimum(low + (share * (most - low + 1)).long(), most)
