"""Candidate: one proposal, a triple of genotypes (networks, chip, compression).

A genotype is a JSON value (usually a dict of gene → value) in the canonical form of its space, so that two
candidates that mean the same thing have the same id and nothing equal is evaluated twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["Candidate", "Genotype", "bits_of", "canonical_json", "digest"]

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

Genotype = Mapping[str, Any] | list[Any] | str | int


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return _JSON.encode(value)


def digest(value: object) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def bits_of(genotype: Genotype) -> dict[str, Any]:
    """What a genotype of compression says, as options of `ir.workload.workload`.

    ``{"weight_bits": 4}`` are 4-bit weights in every layer, ``{"stem.conv.weight_bits": 4}`` those of ``stem.conv``.
    """
    bits: dict[str, Any] = {}
    for name, value in genotype.items() if isinstance(genotype, Mapping) else ():
        layer, _, option = name.rpartition(".")
        if layer:
            bits.setdefault(option, {})[layer] = value
        else:
            bits[name] = value
    return bits


@dataclass(frozen=True)
class Candidate:
    """Networks by task, the chip (None where none is searched), and compression by task.

    Parts are addressed by name: ``net.<task>``, ``hw``, ``compress.<task>``.
    """

    net: Mapping[str, Genotype] = field(default_factory=dict)
    hw: Genotype | None = None
    compress: Mapping[str, Genotype] = field(default_factory=dict)

    @classmethod
    def from_parts(cls, parts: Mapping[str, Genotype]) -> Candidate:
        """The candidate with these parts (the inverse of `parts`)."""
        pick = lambda kind: {n.removeprefix(kind): g for n, g in parts.items() if n.startswith(kind)}  # noqa: E731
        return cls(pick("net."), parts.get("hw"), pick("compress."))

    @cached_property
    def parts(self) -> dict[str, Genotype]:
        """Part name → genotype, in a fixed order."""
        named = {f"net.{t}": g for t, g in sorted(self.net.items())}
        if self.hw is not None:
            named["hw"] = self.hw
        return named | {f"compress.{t}": g for t, g in sorted(self.compress.items())}

    def only(self, reads: tuple[str, ...]) -> dict[str, Genotype]:
        """The parts that an evaluator reads; parts that the candidate lacks are left out."""
        return {name: self.parts[name] for name in reads if name in self.parts}

    @cached_property
    def id(self) -> str:
        """16 hex digits that identify the candidate."""
        return digest(self.parts)

    def __hash__(self) -> int:
        return int(self.id, 16)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidate) and self.id == other.id

    def to_json(self) -> dict[str, Any]:
        return {"net": dict(self.net), "hw": self.hw, "compress": dict(self.compress)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Candidate:
        return cls(value["net"], value["hw"], value["compress"])
