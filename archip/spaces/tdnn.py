"""TDNN: time-delay networks for speech, of the ECAPA kind; depth, kernels and widths of all layers.

Choose it to tell speakers or words from spectra, on series of mel bands. The defaults are the published sizes;
`{channels: 64, aggregate: 96, embedding: 32}` suits a few speakers.

A network with `depth` blocks is, from input to output::

    stem        conv (kernel0, width0) - ReLU - batch-norm
    block i     conv 1x1 (width_i) - Res2 - conv 1x1 (width0) - squeeze-and-excitation, plus the sum of the outputs of
                the stem and of all blocks before
    Res2        the channels in `scale` parts: each but the last goes through a convolution (kernel_i, dilation i + 1)
                after the result of the part before was added; the last stays as it is
    end         the blocks' outputs side by side - conv 1x1 (cat) - ReLU - mean and standard deviation over time,
                weighted by attention - batch-norm - linear (embedding) - batch-norm - linear classifier

Every convolution is followed by ReLU, then batch-norm. Widths are shares of `channels` and `aggregate`, rounded to 8.
Source: Wang et al. 2022, arXiv:2103.13581 (EfficientTDNN) and the authors' code; Desplanques et al. 2020,
arXiv:2005.07143 (ECAPA-TDNN). Differs: a linear classifier in the place of AAM-softmax.
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
from archip.spaces._blocks import divisible, odd, same_padding, squeeze_excite
from archip.spaces._network import Count, Counts, NetworkSpace, increasing

__all__ = ["Tdnn"]

Shares = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
_LEAST_VARIANCE = 1e-9


@dataclass(frozen=True)
class Tdnn(NetworkSpace):
    """Genes ``depth cat``, then ``width0 kernel0`` of the stem and ``width1 kernel1 …`` of the blocks.

    Attributes:
        depths: choices for the number of blocks.
        kernels: choices for the kernel of the stem and of each block; odd.
        widths: choices for shares of `channels`, and of `aggregate` for the convolution behind the blocks.
        channels, aggregate: largest widths.
        scale: parts of a Res2 layer. squeeze: factor by which squeeze-and-excitation narrows.
        attention: channels of the attention. embedding: features before the classifier.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCL"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    depths: Counts = (2, 3, 4)
    kernels: Counts = (1, 3, 5)
    widths: Shares = (0.25, 0.35, 0.5, 0.75, 1.0)
    channels: Annotated[int, Field(ge=8)] = 512
    aggregate: Count = 1536
    scale: Annotated[int, Field(ge=2, le=8)] = 8
    squeeze: Count = 4
    attention: Count = 128
    embedding: Count = 192

    def __post_init__(self) -> None:
        for option in ("depths", "kernels", "widths"):
            increasing(getattr(self, option), option)
        odd(self.kernels, "kernels")
        if 8 % self.scale:
            raise UserError(f"widths are multiples of 8, which {self.scale} does not divide", "scale", "2, 4 or 8")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"depth": Choice(self.depths), "cat": Choice(self.widths)}
        for i in range(self.depths[-1] + 1):
            knobs |= {f"width{i}": Choice(self.widths), f"kernel{i}": Choice(self.kernels)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        return name in ("depth", "cat") or int(name.removeprefix("width").removeprefix("kernel")) <= genes["depth"]

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Of shares that are rounded to the same width, the first."""
        for gene in genes:
            if gene == "cat" or gene.startswith("width"):
                made = self._filters(gene, genes[gene])
                genes[gene] = next(w for w in self.widths if self._filters(gene, w) == made)
        return genes

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        widths = {gene: self._filters(gene, genotype[gene]) for gene in genotype if gene[0] in "cw"}
        g = GraphBuilder()
        x = g.input("series", (1, *input_shape), self.axes)
        x = total = _conv_relu_norm(g, x, "stem", widths["width0"], genotype["kernel0"])
        outputs = []
        for i in range(1, genotype["depth"] + 1):
            if i > 1:
                total = g.add("add", total, x, name=f"block{i}.total")
            y = self._block(g, x, i, widths, genotype[f"kernel{i}"])
            outputs.append(x := g.add("add", y, total, name=f"block{i}.add"))
        x = g.add("concat", *outputs, name="cat.concat", axis=1)
        x = g.add("conv", x, name="cat.conv", out_channels=widths["cat"], kernel=(1,), bias=False)
        x = self._statistics(g, g.add("relu", x, name="cat.relu"), widths["cat"])
        x = g.add("linear", g.add("batch_norm", x, name="pool.norm"), name="embedding", out_features=self.embedding)
        x = g.add("batch_norm", x, name="embedding.norm")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    def _filters(self, gene: str, share: float) -> int:
        return divisible(share * (self.aggregate if gene == "cat" else self.channels))

    def _block(self, g: GraphBuilder, x: str, i: int, widths: Mapping[str, int], kernel: int) -> str:
        name, inner, outside = f"block{i}", widths[f"width{i}"], widths["width0"]
        part = inner // self.scale
        x = _conv_relu_norm(g, x, f"{name}.in", inner, 1)
        parts = [
            g.add("slice", x, name=f"{name}.part{p}", axis=1, start=p * part, stop=(p + 1) * part)
            for p in range(self.scale)
        ]
        for p in range(self.scale - 1):
            y = g.add("add", parts[p], parts[p - 1], name=f"{name}.res{p}.add") if p else parts[0]
            parts[p] = _conv_relu_norm(g, y, f"{name}.res{p}", part, kernel, dilation=i + 1)
        x = g.add("concat", *parts, name=f"{name}.concat", axis=1)
        x = _conv_relu_norm(g, x, f"{name}.out", outside, 1)
        return squeeze_excite(g, x, f"{name}.se", outside, max(1, outside // self.squeeze), n_axes=1, gate="sigmoid")

    def _statistics(self, g: GraphBuilder, x: str, width: int) -> str:
        """Mean and standard deviation of every channel, the steps weighted by attention."""
        a = g.add("conv", x, name="pool.hidden", out_channels=self.attention, kernel=(1,), bias=False)
        a = g.add("tanh", a, name="pool.tanh")
        a = g.add("conv", a, name="pool.attention", out_channels=width, kernel=(1,), bias=False)
        a = g.add("softmax", a, name="pool.softmax", axis=2)
        weighted = g.add("mul", a, x, name="pool.weighted")
        mean = g.add("sum", weighted, name="pool.mean", axes=(2,))
        second = g.add("sum", g.add("mul", weighted, x, name="pool.square"), name="pool.second", axes=(2,))
        variance = g.add("sub", second, g.add("square", mean, name="pool.mean2"), name="pool.variance")
        std = g.add("sqrt", g.add("clip", variance, name="pool.clip", least=_LEAST_VARIANCE), name="pool.std")
        return g.add("concat", mean, std, name="pool.concat", axis=1)


def _conv_relu_norm(g: GraphBuilder, x: str, name: str, channels: int, kernel: int, dilation: int = 1) -> str:
    shape = {"kernel": (kernel,), "padding": same_padding((kernel,), dilation), "dilation": dilation}
    x = g.add("conv", x, name=f"{name}.conv", out_channels=channels, bias=False, **shape)
    return g.add("batch_norm", g.add("relu", x, name=f"{name}.relu"), name=f"{name}.norm")
