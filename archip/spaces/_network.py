"""NetworkSpace: what spaces of networks share. A genotype becomes a graph without torch, and a module with it.

Node names are the same in every network of a space, so that networks of one supernet share weights by name: the
smaller of two layers of one name takes the leading channels and the centre of the kernel of the larger one's weights.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.knobs import KnobSpace
from archip.data._raw import Axes, TaskKind
from archip.ir.graph import Graph, GraphBuilder

if TYPE_CHECKING:
    from archip.nets.build import GraphModule

__all__ = [
    "SMALLEST_HALVED",
    "Axes",
    "Count",
    "Counts",
    "NetworkSpace",
    "TaskKind",
    "conv_norm_relu",
    "increasing",
    "residual_sum",
]

Count = Annotated[int, Field(ge=1)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
SMALLEST_HALVED = 4  # a map of a classifier is halved only while its sides are at least so long: 2 x 2 is left


class NetworkSpace(KnobSpace):
    """A space of networks for one kind of task.

    Attributes:
        axes: layout of the inputs.
        task: what the outputs are: logits of classes, or one logit a pixel.
    """

    axes: ClassVar[Axes]
    task: ClassVar[TaskKind]

    @abstractmethod
    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        """The network of a genotype for inputs of `input_shape` (without the batch axis).

        Raises:
            CandidateError: the input is too small for this network.
        """

    def layers_key(self, genotype: Mapping[str, Any]) -> str:
        """Networks of one key have the same layers with loops, in whatever order; a space that knows more says so."""
        return canonical_json(genotype)

    def corners(self) -> Iterable[Mapping[str, Any]]:
        """Genotypes to look at for the sizes of a supernet's weights, for spaces with layers that are largest neither
        where all genes are last or first, nor where one of these is changed.
        """
        return ()

    def build(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int, seed: int) -> GraphModule:
        """The network as a torch module with weights drawn from `seed`."""
        from archip.nets.build import build_module

        return build_module(self.graph(genotype, input_shape, n_outputs), seed)


def conv_norm_relu(
    g: GraphBuilder, x: str, name: str, channels: int, kernel: Sequence[int], stride: int = 1, dilation: int = 1
) -> str:
    """Convolution without bias, batch-norm, ReLU; kernels are odd, and padded so that only the stride changes the size.

    Windows start at the first element: with stride 2, n elements become ceil(n / 2).
    """
    padding = tuple(dilation * (k // 2) for k in kernel)
    shape = {"kernel": tuple(kernel), "stride": stride, "padding": padding, "dilation": dilation}
    x = g.add("conv", x, name=f"{name}.conv", out_channels=channels, bias=False, **shape)
    x = g.add("batch_norm", x, name=f"{name}.norm")
    return g.add("relu", x, name=f"{name}.relu")


def residual_sum(g: GraphBuilder, x: str, y: str, name: str, widths: tuple[int, int], stride: int) -> str:
    """ReLU of `y` plus the block's input `x`, through a convolution 1x1 if width (before, after) or size change."""
    if stride != 1 or widths[0] != widths[1]:
        x = g.add("conv", x, name=f"{name}.skip.conv", out_channels=widths[1], kernel=(1, 1), stride=stride, bias=False)
        x = g.add("batch_norm", x, name=f"{name}.skip.norm")
    return g.add("relu", g.add("add", x, y, name=f"{name}.add"), name=f"{name}.relu")


def increasing(values: Sequence[float], option: str) -> None:
    """Refuse an option list that is not strictly increasing, so that neighbours in it are neighbours in size.

    Raises:
        UserError: naming the option.
    """
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise UserError(f"{list(values)} is not a list of growing numbers", option, "e.g. [8, 16, 32]")
