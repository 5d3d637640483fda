"""Elastic depth: the first blocks of a stage; the last ones are left out.

Source: Cai et al. 2020, arXiv:1908.09791, section 3.2, elastic depth.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from archip.core.errors import UserError
from archip.nets.elastic.layer import Elastic
from archip.nets.elastic.size import Size

__all__ = ["ElasticBlock", "ElasticDepth", "LeftOut"]


class ElasticDepth(Elastic):
    """A chain of blocks, of which the first ones run; none at depth 0.

    A block that changes the width has to come before the shallowest depth.
    """

    def __init__(self, blocks: Sequence[nn.Module], depth: Size) -> None:
        super().__init__()
        if depth.largest != len(blocks):
            raise UserError(f"{len(blocks)} blocks", depth.name, f"{depth.largest}, the greatest depth")
        self.blocks = nn.ModuleList(blocks)
        self.depth = depth

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (self.depth,)

    @property
    def running(self) -> Sequence[nn.Module]:
        """The blocks that run under the choice."""
        return list(self.blocks)[: self.depth.of(self.choice)]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.running:
            x = block(x)
        return x

    def extract(self, memo: dict[int, Any]) -> nn.Module:
        return nn.Sequential(*(copy.deepcopy(block, memo) for block in self.running)).train(self.training)


class LeftOut(nn.Identity):
    """In the place of a block that does not run; `ElasticNet.extract` leaves none of them."""


class ElasticBlock(Elastic):
    """One block among others, wherever it is called: at smaller depths it hands on what it is given first.

    Args:
        place: of the block in its chain, from 0; it runs if the depth is greater.
        first: name of its first argument.
        in_tuple: it gives its result as a tuple of one.
    """

    def __init__(self, block: nn.Module, depth: Size, place: int, first: str = "", in_tuple: bool = False) -> None:
        super().__init__()
        self.block, self.depth, self.place = block, depth, place
        self.first, self.in_tuple = first, in_tuple

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (self.depth,)

    @property
    def runs(self) -> bool:
        return self.depth.of(self.choice) > self.place

    def forward(self, *inputs: Any, **named: Any) -> Any:
        if self.runs:
            return self.block(*inputs, **named)
        x = inputs[0] if inputs else named[self.first]
        return (x,) if self.in_tuple else x

    def extract(self, memo: dict[int, Any]) -> nn.Module:
        return copy.deepcopy(self.block, memo) if self.runs else LeftOut()
