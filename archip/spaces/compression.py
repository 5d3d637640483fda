"""Compression: how many bits the weights and the activations of every layer of a network have.

It is made from the key ``compress`` of a problem, beside the space of networks; it is not chosen as ``net``. A layer is
a convolution or a linear layer, and has a gene for each kind of bits that there is a choice of; of what there is no
choice, one gene speaks for all layers. A network has genes of its own layers only.
Source: the encoding of SimQ-NAS, arXiv:2312.13301: genes of the architecture, and one gene a linear layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core.candidate import canonical_json
from archip.core.errors import CandidateError
from archip.core.knobs import Choice, Knob, KnobSpace, extremes
from archip.ir.graph import Graph
from archip.spaces._network import increasing

__all__ = ["Compression"]

Widths = Annotated[tuple[Annotated[int, Field(ge=2, le=32)], ...], Field(min_length=1)]
Layers = tuple[str, ...]

_LAYERS = ("conv", "conv_transpose", "linear")
_REMEMBERED = 65536  # networks whose layers are known


@dataclass(frozen=True)
class Compression(KnobSpace):
    """Genes ``<layer>.weight_bits`` and ``<layer>.activation_bits``, or without a layer where there is no choice.

    Attributes:
        layers: names of all layers that may have bits of their own.
        weight_bits, activation_bits: choices. A layer reads and writes values of its activation bits.
        layers_of: gives the layers of a network; where the space does not depend on one, there is none.
    """

    layers: Layers
    weight_bits: Widths = (8,)
    activation_bits: Widths = (8,)
    layers_of: Callable[[Any], Layers] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for option in ("weight_bits", "activation_bits"):
            increasing(getattr(self, option), option)

    @classmethod
    def of(cls, space: Any, graph: Callable[[Any], Graph], weight_bits: Widths, activation_bits: Widths) -> Compression:
        """The space for all networks of a space, of which `graph` makes graphs."""

        @lru_cache(maxsize=_REMEMBERED)
        def layers(text: str) -> Layers:
            try:
                return tuple(node.name for node in graph(json.loads(text)).nodes if node.op in _LAYERS)
            except CandidateError:  # this network cannot be built for the data, which its evaluation will say
                return ()

        every = dict.fromkeys(name for genotype in extremes(space) for name in layers(canonical_json(genotype)))
        return cls(tuple(every), weight_bits, activation_bits, lambda genotype: layers(canonical_json(genotype)))

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {}
        for option in ("weight_bits", "activation_bits"):
            widths = getattr(self, option)
            places = [f"{layer}.{option}" for layer in self.layers] if len(widths) > 1 else [option]
            knobs |= dict.fromkeys(places, Choice(widths))
        return knobs

    def given(self, network: Any) -> Compression:
        """The space of the layers of one network."""
        if self.layers_of is None:
            return self
        layers = self.layers_of(network)
        if layers not in self._given:
            self._given[layers] = replace(self, layers=layers, layers_of=None)
        return self._given[layers]

    def fitted(self, genotype: Mapping[str, Any], rng: np.random.Generator | None) -> dict[str, Any]:
        """A genotype of other layers for these: what is missing is drawn; without `rng` it has the most bits."""
        genes: dict[str, Any] = {}
        for name, knob in self.knobs.items():
            if name in genotype:
                genes[name] = genotype[name]
            else:
                genes[name] = knob.values[int(rng.integers(len(knob.values))) if rng else -1]
        return genes

    @cached_property
    def _given(self) -> dict[Layers, Compression]:
        return {}
