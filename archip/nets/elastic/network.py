"""ElasticNet: a module with elastic ones inside, as one network that is set to any of its sub-networks.

Train it with a rule of `train` that samples from its `space`; every sub-network is a genotype {name of size: value}.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from torch import Tensor, nn

from archip.core.errors import UserError, nearest
from archip.core.knobs import Choice, Knob, KnobSpace
from archip.nets.elastic.conv import ElasticConv
from archip.nets.elastic.depth import ElasticBlock, ElasticDepth, LeftOut
from archip.nets.elastic.inputs import ElasticLength, ElasticResolution
from archip.nets.elastic.layer import Elastic, ElasticLayer
from archip.nets.elastic.size import Choices, Size
from archip.nets.elastic.sort import sort_channels

__all__ = ["ElasticNet", "ElasticSpace"]

Kind = Literal["depth", "kernel", "resolution", "width"]
_Within = tuple[tuple[Size, int], ...]


class ElasticNet(nn.Module):
    """All sub-networks of `module`; begins as the largest.

    Attributes:
        space: the sub-networks; sizes that only blocks left out would read are no genes.
        fixed: layers whose width stays, and why, if the network was made by `elastic`.

    Raises:
        UserError: two sizes have the same name and different values.
    """

    def __init__(self, module: nn.Module, fixed: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.module = module
        self.fixed = dict(fixed or {})
        self.space = ElasticSpace(module)
        self.choose({})

    @property
    def largest(self) -> dict[str, int]:
        return self.space.canonical({name: knob.values[-1] for name, knob in self.space.knobs.items()})

    @property
    def smallest(self) -> dict[str, int]:
        return self.space.canonical({name: knob.values[0] for name, knob in self.space.knobs.items()})

    def choose(self, choice: Choices) -> ElasticNet:
        """Become a sub-network; what `choice` does not name is the largest.

        Raises:
            UserError: an unknown name, or a value that is none of its choices.
        """
        checked = self.space.complete(choice)
        for layer in self.module.modules():
            if isinstance(layer, Elastic):
                layer.choice = checked
        return self

    def forward(self, x: Any, choice: Choices | None = None) -> Any:
        """Outputs of the sub-network `choice`, which it then is; of the present one if there is none.

        A tuple stands for several inputs.
        """
        if choice is not None:
            self.choose(choice)
        return self.module(*x) if isinstance(x, tuple) else self.module(x)

    def cost(self, choice: Choices) -> float:
        """Weights that a sub-network computes with: there is no graph to count its multiply-accumulates by."""
        self.choose(choice)
        return float(sum(_weights(self.module)))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Gene → what it changes."""
        kinds: dict[str, Kind] = dict.fromkeys(self.space.knobs, "width")
        for layer in self.module.modules():
            if isinstance(layer, ElasticDepth | ElasticBlock):
                kinds[layer.depth.name] = "depth"
            elif isinstance(layer, ElasticConv) and layer.kernel:
                kinds[layer.kernel.name] = "kernel"
            elif isinstance(layer, ElasticResolution | ElasticLength):
                kinds |= {size.name: "resolution" for size in layer.sizes}
        return {name: kinds[name] for name in self.space.knobs}

    def sort(self, orders: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Sort the channels by importance, or into given orders (`sort_channels`); gives the orders."""
        return sort_channels(self.module, orders)

    def extract(self, choice: Choices | None = None) -> nn.Module:
        """The sub-network `choice` (the present one) as an ordinary module with weights of its own.

        Its outputs are those of the elastic network, bit by bit. Weights that layers share are shared no more.
        """
        if choice is not None:
            self.choose(choice)
        memo: dict[int, Any] = {}
        for layer in reversed(list(self.module.modules())):  # what is inside comes first
            if isinstance(layer, Elastic):
                memo[id(layer)] = layer.extract(memo)
        return _without_blocks(copy.deepcopy(self.module, memo))


def _weights(module: nn.Module) -> Iterator[int]:
    """Numbers of weights of what runs under the choice, layer by layer."""
    if isinstance(module, ElasticLayer):
        yield from (tensor.numel() for name, tensor in module.tensors().items() if name in module.full._parameters)
        return
    if isinstance(module, ElasticBlock) and not module.runs:
        return
    yield from (p.numel() for p in module._parameters.values() if p is not None)
    for child in module.running if isinstance(module, ElasticDepth) else module.children():
        yield from _weights(child)


class ElasticSpace(KnobSpace):
    """The sub-networks of an elastic network, as a space to search; outer depths are decided before what they hold."""

    def __init__(self, module: nn.Module) -> None:
        self._sizes: dict[str, Size] = {}
        self._uses: dict[str, list[_Within]] = {}
        for size, within in _uses(module, ()):
            if self._sizes.setdefault(size.name, size) != size:
                other = self._sizes[size.name].values
                raise UserError(f"values {other} and {size.values}", size.name, "one name, one size")
            self._uses.setdefault(size.name, []).append(within)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {name: Choice(size.values) for name, size in self._sizes.items()}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        return any(all(depth.of(genes) > i for depth, i in within) for within in self._uses[name])

    def complete(self, choice: Choices) -> dict[str, int]:
        """`choice` with the largest value of every size that it does not name.

        Raises:
            UserError: an unknown name or value.
        """
        for name, value in choice.items():
            if name not in self._sizes:
                raise UserError(f"unknown size {name!r}", right=nearest(name, self._sizes))
            if value not in self._sizes[name].values:
                raise UserError(f"{value!r} is not allowed", name, f"one of {list(self._sizes[name].values)}")
        return {name: size.of(choice) for name, size in self._sizes.items()}


def _uses(module: nn.Module, within: _Within) -> Iterator[tuple[Size, _Within]]:
    """The sizes that modules read, outer modules first, with the depths and numbers of the blocks that they are in."""
    if isinstance(module, Elastic):
        yield from ((size, within) for size in module.sizes if len(size.values) > 1)
    if isinstance(module, ElasticBlock):
        yield from _uses(module.block, (*within, (module.depth, module.place)))
    elif isinstance(module, ElasticDepth):
        for i, block in enumerate(module.blocks):
            yield from _uses(block, (*within, (module.depth, i)))
    else:
        for child in module.children():
            yield from _uses(child, within)


def _without_blocks(module: nn.Module) -> nn.Module:
    """Take what is left out from lists; elsewhere an identity stays in its place."""
    for parent in module.modules():
        children = {name: child for name, child in parent._modules.items() if not isinstance(child, LeftOut)}
        left_out = parent._modules.keys() - children.keys()
        if left_out and isinstance(parent, nn.ModuleList):
            children = dict(zip(map(str, range(len(children))), children.values(), strict=True))
        elif not isinstance(parent, nn.Sequential):
            children |= {name: nn.Identity() for name in left_out}
        if left_out:
            parent._modules.clear()  # pyright: ignore[reportAttributeAccessIssue]
            parent._modules.update(children)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return module
