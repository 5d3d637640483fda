"""What devices have in common: which metrics they know, and what they say of the networks of a candidate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from archip.core.candidate import digest
from archip.ir.graph import Graph

__all__ = ["Deployed", "Device"]


class Deployed(NamedTuple):
    """A network as it runs: its graph, and the bits of its values where they are not the device's own.

    `bits` are options of `ir.workload.workload`: ``weight_bits``, ``activation_bits``, for all rows or by row.
    """

    graph: Graph
    bits: Mapping[str, Any] = {}

    @property
    def id(self) -> str:
        return digest([self.graph.id, dict(self.bits)])


class Device(ABC):
    """Something that exists, on which networks are measured or predicted.

    `costs` may be called with any networks that a space makes; a network that the device cannot take is a
    CandidateError with the reason, never a number.

    Attributes:
        reads_bits: whether costs depend on the bits of a network.
    """

    reads_bits: ClassVar[bool] = True

    @property
    @abstractmethod
    def metrics(self) -> frozenset[str]:
        """Names of the metrics that `costs` gives (`core.record.METRICS`)."""

    @property
    @abstractmethod
    def key(self) -> Any:
        """JSON that holds whatever the costs depend on besides the networks."""

    @abstractmethod
    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        """Metrics of one pass of all networks at batch 1, one network after the other.

        Raises:
            CandidateError: a network that the device cannot take; names the node.
        """

    def about(self) -> dict[str, Any]:
        """What a report says of the device, as JSON."""
        return {"device": type(self).__module__.rpartition(".")[2], "key": self.key}
