"""Pruning spaces: how many filters each layer of a given network keeps, within a regime of multiply-accumulates.

Choose it to ask which pruned networks are worth training: all of them cost about the same, and `ratio` narrows them to
a band of multiply-accumulates per weight, relative to the network that is pruned, round which the good ones gather.
Networks are trained as they are, with fresh weights.
Source: He et al. 2023, "Network Pruning Spaces", arXiv:2304.09453 (spaces of keep ratios in a FLOPs regime, mean
computation budget); the network to prune and the choices of ratios are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, conv_norm_relu

__all__ = ["PruningSpaces"]

Share = Annotated[float, Field(gt=0, le=1)]
_KERNEL, _SIDE, _INPUTS, _OUTPUTS = 3, 32, 3, 10  # sizes that shares of work are counted for


@dataclass(frozen=True)
class PruningSpaces(NetworkSpace):
    """Genes ``keep1 keep2 …``: the share of its filters that each convolution keeps.

    Attributes:
        filters: of each stage before pruning; the map is halved between stages.
        layers: convolutions of a stage.
        keeps: choices for the share of filters.
        macs: least and most multiply-accumulates, as a share of those before pruning.
        ratio: least and most multiply-accumulates per weight, relative to those before pruning; none: any.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    filters: Counts = (16, 32, 64)
    layers: Count = 2
    keeps: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
    macs: tuple[Share, Share] = (0.4, 0.6)
    ratio: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None

    def __post_init__(self) -> None:
        if list(self.keeps) != sorted(set(self.keeps)):
            raise UserError(f"{list(self.keeps)} do not increase", "keeps", "each share once, the least first")
        for option in ("macs", "ratio"):
            band = getattr(self, option)
            if band is not None and band[0] >= band[1]:
                raise UserError(f"{list(band)} is no band", option, "the least, then the most")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {f"keep{i}": Choice(self.keeps) for i in range(1, len(self._widths) + 1)}

    def permits(self, genes: Mapping[str, Any]) -> bool:
        macs, ratio = self.shares(genes)
        is_in_band = self.ratio is None or self.ratio[0] <= ratio <= self.ratio[1]
        return self.macs[0] <= macs <= self.macs[1] and is_in_band

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Of shares that leave the same number of filters, the least."""
        for (name, keep), width in zip(genes.items(), self._widths, strict=True):
            genes[name] = next(k for k in self.keeps if _kept(width, k) == _kept(width, keep))
        return genes

    def shares(self, genes: Mapping[str, Any]) -> tuple[float, float]:
        """(multiply-accumulates, multiply-accumulates per weight), both relative to the network before pruning."""
        macs, weights = self._work(self._pruned(genes))
        all_macs, all_weights = self._work(self._widths)
        return macs / all_macs, (macs / weights) / (all_macs / all_weights)

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x, side = g.input("image", (1, *input_shape), self.axes), min(input_shape[1:])
        for i, width in enumerate(self._pruned(genotype)):
            if i and i % self.layers == 0 and side >= SMALLEST_HALVED:
                x, side = g.add("max_pool", x, name=f"pool{i}", kernel=(2, 2)), side // 2
            x = conv_norm_relu(g, x, f"layer{i + 1}", width, (_KERNEL, _KERNEL))
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    @cached_property
    def _widths(self) -> list[int]:
        return [width for width in self.filters for _ in range(self.layers)]

    def _pruned(self, genes: Mapping[str, Any]) -> list[int]:
        return [_kept(width, genes[f"keep{i}"]) for i, width in enumerate(self._widths, 1)]

    def _work(self, widths: Sequence[int]) -> tuple[float, float]:
        """(multiply-accumulates, weights) of a network of these widths."""
        macs, weights, before = 0.0, 0.0, _INPUTS
        for i, width in enumerate(widths):
            own = _KERNEL**2 * before * width
            macs, weights, before = macs + own * (_SIDE / 2 ** (i // self.layers)) ** 2, weights + own, width
        return macs + before * _OUTPUTS, weights + before * _OUTPUTS


def _kept(width: int, keep: float) -> int:
    return max(1, round(width * keep))
