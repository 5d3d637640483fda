"""Siamese supernets: an online network that learns and a target that follows it, both cut into blocks.

N inputs, D features. Behind every block stand, in both networks, a linear layer of its own for each width that the
block may have, and a projection; behind the online one also a prediction. Norms use the statistics of the batch.
Source: Li et al. 2021, arXiv:2103.12424 (BossNAS) and the authors' code. Differs: maps are averaged before the layer
that brings their width to one size, not behind it, and that layer of the target follows the online one as well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from archip.core.errors import CandidateError
from archip.core.rng import integer_seed
from archip.nets.block_paths import BlockPaths
from archip.nets.blocks import Blocks, channel_axis
from archip.nets.supernet import SuperNet

__all__ = ["Siamese"]

Genotype = Mapping[str, Any]


class Siamese(nn.Module):
    """Two supernets of one space, block by block.

    Attributes:
        space: as given.
        about: what the weights are of, as JSON.
        blocks, paths: where networks are cut, and the paths through each block.
    """

    codes: Tensor  # places among the values of the settled blocks' genes; -1 for those that lack or are open

    def __init__(
        self, space: Any, input_shape: Sequence[int], n_outputs: int, blocks: int, seed: int,
        hidden: int = 256, features: int = 64,
    ) -> None:  # fmt: skip
        """Weights are drawn from `seed`.

        Args:
            hidden: width inside the projections and predictions.
            features: D, what they end with.

        Raises:
            UserError: the networks cannot be cut into so many `blocks`.
        """
        super().__init__()
        self.space = space
        self.blocks = Blocks(space, lambda genotype: space.graph(genotype, input_shape, n_outputs), blocks)
        self.paths = BlockPaths(space, self.blocks.genes)
        online = SuperNet(space, input_shape, n_outputs, seed)
        self.about = {**online.about, "blocks": blocks, "by": type(self).__name__}
        self._axes: str = space.axes
        with torch.random.fork_rng([]):
            torch.manual_seed(integer_seed(seed, "projections"))
            necks = nn.ModuleList(_Neck(widths, hidden, features) for widths in self.blocks.widths)
            self.predictions = nn.ModuleList(_mlp(features, hidden, features) for _ in self.blocks.widths)
        self.online = nn.ModuleDict({"net": online, "necks": necks})
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.register_buffer("codes", torch.full((len(space.knobs),), -1))

    def forward(self, x: Tensor, genotype: Genotype, block: int, is_online: bool) -> Tensor:
        """[N, D] what the online network predicts, or the target's projection, for inputs of a block."""
        half = self.online if is_online else self.target
        y = cast("SuperNet", half["net"]).through(x, genotype, partial(self.blocks.piece, block=block))
        axis = channel_axis(y.ndim, self._axes)
        pooled = y.mean([a for a in range(1, y.ndim) if a != axis]) if y.ndim > 2 else y
        projected = cast("nn.ModuleList", half["necks"])[block](pooled)
        return self.predictions[block](projected) if is_online else projected

    @torch.no_grad()
    def entered(self, x: Tensor, genotype: Genotype, block: int, is_online: bool) -> Tensor:
        """What comes to a block of a network: the outputs of the blocks before it."""
        net = cast("SuperNet", (self.online if is_online else self.target)["net"])
        for before in range(block):
            x = net.through(x, genotype, partial(self.blocks.piece, block=before))
        return x

    @property
    def settled(self) -> Genotype:
        """The genes of the best path through the blocks that are settled."""
        knobs = self.space.knobs.items()
        pairs = zip(knobs, self.codes.tolist(), strict=True)
        return {name: knob.values[code] for (name, knob), code in pairs if code >= 0}

    def settle(self, genotype: Genotype, block: int) -> None:
        """Let the path of a network through `block` be the one behind which later blocks are trained."""
        genes = {**self.settled, **{name: genotype[name] for name in self.blocks.genes[block] if name in genotype}}
        knobs = self.space.knobs.items()
        codes = [list(knob.values).index(genes[name]) if name in genes else -1 for name, knob in knobs]
        self.codes.copy_(torch.tensor(codes))

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the target's weights towards the online ones; `momentum` is the share that is kept."""
        for old, new in zip(self.target.parameters(), self.online.parameters(), strict=True):
            old.lerp_(new, 1 - momentum)


class _Neck(nn.Module):
    """Projection [N, D] of features of one of several widths."""

    def __init__(self, widths: Sequence[int], hidden: int, features: int) -> None:
        super().__init__()
        layers = {str(w): nn.Sequential(nn.Linear(w, hidden, bias=False), _norm(hidden)) for w in widths}
        self.by_width = nn.ModuleDict(layers)
        self.projection = _mlp(hidden, hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        width = str(x.shape[1])
        if width not in self.by_width:
            raise CandidateError(f"a block of {width} channels, which no network has that was looked at")
        return self.projection(self.by_width[width](x))


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), _norm(hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _norm(features: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(features, track_running_stats=False)
