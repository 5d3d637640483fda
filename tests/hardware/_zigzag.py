"""The accelerators behind the reference rows of ZigZag, and its way to write a mapping."""

from __future__ import annotations

import re
from dataclasses import replace

from archip.hardware.accelerator import Accelerator
from archip.hardware.instances import load_accelerator
from archip.hardware.mapping import Mapping

_SAME = {"tpu_like_autosm": "tpu_like", "eyeriss_like_rs": "eyeriss_like"}
NAMES = ("tpu_like", "edge_tpu_like", "eyeriss_like", "ascend_like", "meta_prototype", "tesla_npu_like", *_SAME)


def accelerator(name: str) -> Accelerator:
    """The accelerator of that name in the tables, its energies in pJ."""
    ours = load_accelerator(_SAME.get(name, name))
    memories = tuple(replace(m, read_j=m.read_j * 1e12, write_j=m.write_j * 1e12) for m in ours.memories)
    return replace(ours, name=name, memories=memories, multiply_j=ours.multiply_j * 1e12)


def mapping(spatial: str, temporal: str, n_dimensions: int) -> Mapping:
    """A mapping from the columns `spatial_mapping` and `temporal_mapping`."""
    unrolled = {d: _loops(inner, ":") for d, inner in re.findall(r"(D\d): \{([^}]*)\}", spatial)}
    brackets = {
        operand: [_loops(bracket, ",") for bracket in re.findall(r"\[([^\[\]]*)\]", inner)]
        for operand, inner in re.findall(r"([WIO]): \[(.*?)\](?=, [WIO]: |\})", temporal)
    }
    sequence = [loop for bracket in brackets["O"] for loop in bracket]
    for cut in brackets.values():
        assert [loop for bracket in cut for loop in bracket] == sequence
    cuts = {o: tuple(sum(map(len, cut[: i + 1])) for i in range(len(cut))) for o, cut in brackets.items()}
    return Mapping(tuple(unrolled.get(f"D{i + 1}", ()) for i in range(n_dimensions)), tuple(sequence), cuts)


def _loops(text: str, separator: str) -> tuple[tuple[str, int], ...]:
    return tuple((loop, int(n)) for loop, n in re.findall(rf"(\w+){separator} (\d+)", text))
