"""Microcontroller: flash and peak SRAM of networks, each run in the order of operators that needs the least.

Choose it as the target, ``target: {mcu: {flash: 1 MiB, sram: 256 KiB}}``, where memory decides whether a network runs
at all. Flash holds the weights of all networks and the code that runs them; SRAM holds the activations of one network
at a time, and what the runtime needs for itself. Biases, norms that no convolution absorbs, and the like have 32 bits;
a batch normalisation after a convolution or a linear layer is absorbed into its weights and bias.
Time is told where the device's rate is: on microcontrollers, which have no caches to miss, latency is all but linear in
the number of operations for networks of one kind (Banbury et al. 2021, arXiv:2010.11267, section 3.3). Measure the rate
with one of your networks; networks are run one after the other.
Source: the order is that of Liberis and Lane 2019 (arXiv:1910.05110), see ``_order.py``. The sizes of code and runtime
are of the order that David et al. 2021 (arXiv:2010.08678) report for TensorFlow Lite Micro: an interpreter of a few KB
plus the kernels of the operators in use; measure your own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field

from archip.core.errors import UserError
from archip.core.units import parse_quantity
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.devices._order import Order, best_order
from archip.ir.graph import Graph, Node
from archip.ir.ops import OPS, weights
from archip.ir.workload import workload

__all__ = ["Mcu"]

Bits = Annotated[int, Field(ge=1, le=32)]
_PLAIN_BYTES = 4  # of a bias and other numbers that are not multiplied
_ABSORBING = ("conv", "conv_transpose", "linear")


@dataclass(frozen=True)
class Mcu(Device):
    """Memory of a microcontroller; sizes as text with their unit.

    Attributes:
        flash, sram: what there is.
        code: flash that the runtime takes. runtime: SRAM that it takes.
        macs_per_s: multiply-accumulates a second; None: the time is not known.
        weight_bits, activation_bits: where a candidate does not say otherwise.
    """

    flash: str
    sram: str
    code: str = "64 KiB"
    runtime: str = "8 KiB"
    macs_per_s: Annotated[float, Field(gt=0)] | None = None
    weight_bits: Bits = 8
    activation_bits: Bits = 8

    def __post_init__(self) -> None:
        for memory, used in (("flash", "code"), ("sram", "runtime")):
            if self.bytes_of(used) >= self.bytes_of(memory):
                text = f"{getattr(self, used)} for {used} leave nothing of {getattr(self, memory)}"
                raise UserError(text, memory, f"more than {getattr(self, used)}")

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset({"flash_bytes", "sram_bytes"} | ({"latency_s"} if self.macs_per_s else set()))

    @property
    def key(self) -> Any:
        timed = [self.macs_per_s] if self.macs_per_s else []
        return [self.bytes_of("code"), self.bytes_of("runtime"), self.weight_bits, self.activation_bits, *timed]

    def bytes_of(self, option: str) -> int:
        """The size that an option states."""
        try:
            return int(parse_quantity(getattr(self, option), "size").value)
        except UserError as error:
            raise error.at(option) from None

    @property
    def bounds(self) -> dict[str, str]:
        """Limits that the target itself sets."""
        return {"flash": self.flash, "sram": self.sram}

    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        flash = sum(flash_bytes(n.graph, n.bits.get("weight_bits", self.weight_bits)) for n in networks)
        sram = max((self.order(n).peak_bytes for n in networks), default=0)
        seconds = {}
        if self.macs_per_s:
            seconds["latency_s"] = sum(workload(n.graph).macs for n in networks) / self.macs_per_s
        return {
            "flash_bytes": float(self.bytes_of("code") + flash),
            "sram_bytes": float(self.bytes_of("runtime") + sram),
            **seconds,
        }

    def order(self, network: Deployed) -> Order:
        """The order of operators that needs the least SRAM."""
        bits = network.bits.get("activation_bits", self.activation_bits)
        return _order(network.graph, bits if isinstance(bits, int) else tuple(sorted(bits.items())))


@lru_cache(maxsize=4096)
def _order(graph: Graph, bits: int | tuple[tuple[str, int], ...]) -> Order:
    return best_order(graph, bits if isinstance(bits, int) else dict(bits))


def flash_bytes(graph: Graph, weight_bits: int | Mapping[str, int] = 8) -> int:
    """Bytes of everything that was trained, batch normalisations absorbed where they can be."""
    n_readers: dict[str, int] = {}
    for node in graph.nodes:
        for value in node.inputs:
            n_readers[value] = n_readers.get(value, 0) + 1
    return sum(_node_bytes(graph, node, weight_bits, n_readers) for node in graph.nodes)


def _node_bytes(graph: Graph, node: Node, weight_bits: int | Mapping[str, int], n_readers: Mapping[str, int]) -> int:
    width = weight_bits.get(node.name, 8) if isinstance(weight_bits, Mapping) else weight_bits
    tied = {name for name, _ in node.attrs.get("tied", ())}
    tensors = weights(node, [graph.shapes[v] for v in node.inputs])
    own = {name: math.prod(shape) for name, shape in tensors.items() if name not in tied}
    if node.op == "batch_norm":
        before = graph.node.get(node.inputs[0])
        if before is not None and before.op in _ABSORBING and n_readers[node.inputs[0]] == 1:
            has_bias = "bias" in weights(before, [graph.shapes[v] for v in before.inputs])
            return 0 if has_bias else _PLAIN_BYTES * graph.shapes[node.name][1]
        return 2 * _PLAIN_BYTES * graph.shapes[node.name][1]  # scale and shift
    multiplied = sum(n for name, n in own.items() if name.startswith("weight") and OPS[node.op].kind != "vector")
    stored = sum(n for name, n in own.items() if name == "weight" and node.op in ("embedding", "parameter"))
    plain = sum(own.values()) - multiplied - stored
    return math.ceil((multiplied + stored) * width / 8) + _PLAIN_BYTES * plain
