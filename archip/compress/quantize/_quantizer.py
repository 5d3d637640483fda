"""What quantisers share: a float network becomes one that computes with rounded weights and activations.

A method says on which grid weights and values are rounded. Watching what the layers read and write, and putting the
rounding into the network, stand here once. The arithmetic stays that of floats (simulated quantisation): sums are
exact, as in the wide accumulators of integer hardware.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from archip.core.errors import CandidateError
from archip.nets.torch_form import attribute_names

__all__ = ["Grid", "Quantizer", "Rounded"]

_NOT_NAMED = 8  # bits of a layer of which nothing is said, as in `ir.workload.workload`
_FLOAT = 24  # bits from which on nothing is rounded: a float32 has no more
_SAMPLED = 2**13  # values of one tensor that are looked at, so that finding percentiles takes less than the network


class Grid(NamedTuple):
    """The numbers scale * (q - zero) for integers q from `low` to `high`."""

    scale: Tensor | float  # of the whole tensor, or one a channel along `axis`
    zero: int
    low: int
    high: int
    axis: int | None = None

    def integers(self, x: Tensor) -> Tensor:
        """The integers of the nearest numbers of the grid."""
        return (x / self._along(x) + self.zero).round().clamp(self.low, self.high)

    def rounded(self, x: Tensor) -> Tensor:
        """The nearest numbers of the grid."""
        return (self.integers(x) - self.zero) * self._along(x)

    def _along(self, x: Tensor) -> Tensor | float:
        if not isinstance(self.scale, Tensor):
            return self.scale
        return self.scale.reshape([-1 if axis == self.axis else 1 for axis in range(x.ndim)])


@torch.library.custom_op("archip::on_grid", mutates_args=())
def on_grid(x: Tensor, scale: float, zero: int, low: int, high: int) -> Tensor:
    """Values on the grid of a whole tensor; an operator of its own, so that exporters know it."""
    return (
        (x / scale).round_().clamp_(low - zero, high - zero).mul_(scale)
    )  # torch's own operator takes three times as long


@torch.library.custom_op("archip::from_integers", mutates_args=())
def from_integers(integers: Tensor, scale: Tensor, axis: int) -> Tensor:
    """Weights from their integers, with a scale for each channel along `axis`."""
    return integers * scale.reshape([-1 if i == axis else 1 for i in range(integers.ndim)])


on_grid.register_fake(lambda x, *grid: torch.empty_like(x))
from_integers.register_fake(lambda integers, scale, axis: torch.empty_like(integers, dtype=scale.dtype))


class Rounded(nn.Module):
    """A layer that reads and writes rounded values; its weights are rounded already.

    Attributes:
        reads, writes, weights: the grids; None where nothing is rounded.
    """

    def __init__(self, layer: nn.Module, reads: Grid | None, writes: Grid | None, weights: Grid | None) -> None:
        super().__init__()
        self.layer = layer
        self.reads, self.writes, self.weights = reads, writes, weights
        if weights is not None:
            weight = layer.get_parameter("weight").detach()
            width = torch.int8 if weights.high < 2**7 else torch.int32
            self.register_buffer("integers", weights.integers(weight).to(width))
            self.register_buffer("scale", torch.as_tensor(weights.scale).detach())
            layer.get_parameter("weight").data.copy_(weights.rounded(weight))

    def forward(self, x: Tensor) -> Tensor:
        return _simulated(self._computed(_simulated(x, self.reads)), self.writes)

    def _computed(self, x: Tensor) -> Tensor:
        if self.weights is None or not torch.compiler.is_exporting():
            return self.layer(x)
        weight = from_integers(self.integers, self.scale, self.weights.axis)  # so that files have the integers
        return torch.func.functional_call(self.layer, {"weight": weight}, (x,))


def _simulated(x: Tensor, grid: Grid | None) -> Tensor:
    return x if grid is None else on_grid(x, grid.scale, grid.zero, grid.low, grid.high)  # pyright: ignore[reportArgumentType]


class Quantizer(ABC):
    """A method by two functions; its dataclass fields are its options."""

    @abstractmethod
    def weight_grid(self, weight: Tensor, axis: int, bits: int) -> Grid:
        """The grid of a layer's weights, whose output channels lie along `axis`."""

    @abstractmethod
    def value_grid(self, seen: Tensor, bits: int) -> Grid:
        """The grid of a tensor of activations, of which the values `seen` were seen on the calibration data."""

    @final
    @torch.no_grad()
    def quantized(self, module: nn.Module, bits: Mapping[str, Any], batches: Sequence[Tensor]) -> nn.Module:
        """A copy of a `nets.build.GraphModule` that computes at these bits, in evaluation mode.

        Args:
            bits: ``weight_bits`` and ``activation_bits``, one number for all layers or layer → number; where nothing
                is said of a layer it has 8. From 24 bits on nothing is rounded.
            batches: calibration data; the network sees them once, in floats.

        Raises:
            CandidateError: bits for a layer that the network does not have.
        """
        module = copy.deepcopy(module).eval()
        names = attribute_names(module.graph)  # pyright: ignore[reportArgumentType]
        layers = {node: attr for node, attr in names.items() if isinstance(_child(module, attr), _ConvNd | nn.Linear)}
        _check(bits, layers)
        reads, writes = _watched(module, layers, batches)
        for node, attr in layers.items():
            layer: Any = _child(module, attr)
            n_weight, n_value = (_bits_of_layer(bits, option, node) for option in ("weight_bits", "activation_bits"))
            weights = None
            if n_weight < _FLOAT:
                weights = self.weight_grid(layer.weight, 1 if isinstance(layer, _ConvTransposeNd) else 0, n_weight)
            read, written = (
                self.value_grid(seen[node], n_value) if n_value < _FLOAT else None for seen in (reads, writes)
            )
            setattr(module, attr, Rounded(layer, read, written, weights))
        return module


def _child(module: nn.Module, name: str) -> nn.Module | None:
    return module._modules.get(name)


def _check(bits: Mapping[str, Any], layers: Mapping[str, str]) -> None:
    for option, value in bits.items():
        unknown = value.keys() - layers.keys() if isinstance(value, Mapping) else ()
        if unknown:
            raise CandidateError(f"{option} for {min(unknown)!r}, which is no layer of the network")


def _bits_of_layer(bits: Mapping[str, Any], option: str, layer: str) -> int:
    value = bits.get(option, _NOT_NAMED)
    return value.get(layer, _NOT_NAMED) if isinstance(value, Mapping) else value


def _watched(
    module: nn.Module, layers: Mapping[str, str], batches: Sequence[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Layer → values that it read, and values that it wrote: a regular sample with the smallest and the largest."""
    reads: dict[str, list[Tensor]] = {node: [] for node in layers}
    writes: dict[str, list[Tensor]] = {node: [] for node in layers}

    def watch(node: str) -> Any:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            reads[node].append(_sample(inputs[0]))
            writes[node].append(_sample(output))

        return hook

    handles = [module.get_submodule(attr).register_forward_hook(watch(node)) for node, attr in layers.items()]
    for batch in batches:
        module(batch)
    for handle in handles:
        handle.remove()
    return ({n: torch.cat(s) for n, s in reads.items()}, {n: torch.cat(s) for n, s in writes.items()})


def _sample(x: Tensor) -> Tensor:
    flat = x.detach().float().flatten()
    return torch.cat([flat[:: max(1, flat.numel() // _SAMPLED)], *(end.reshape(1) for end in torch.aminmax(flat))])
