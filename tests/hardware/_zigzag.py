"""The accelerators behind the reference rows of ZigZag, and its way to write a mapping."""

from __future__ import annotations

import re

from archip.hardware.accelerator import Accelerator, Memory
from archip.hardware.mapping import Mapping

# array sizes, systolic, energy of a MAC; then memories: name, operands, bits, read, write, ports, widths, serves
_DRAM = ("dram", "IWO", 10**10, 700, 750, "RW", (64, 64), "all")
_2MB = ("sram_2MB", "IO", 16777216, 416.16, 378.4, "R+W", (64, 2048), "all")
_1MB_A = ("sram_1MB_A", "IO", 8388608, 208.08, 189.2, "R+W", (64, 1024), "all")
_1MB_W = ("sram_1MB_W", "W", 8388608, 208.08, 189.2, "R+W", (64, 1024), "all")
_TPU = (
    ("rf_128B", "W", 1024, 0.095, 0.095, "R+W", (8, 8), "-"),
    ("rf_2B", "O", 16, 0.021, 0.021, "4", (16, 16), "-"),
    _2MB,
    _DRAM,
)
_EYERISS = (
    ("rf_64B_A", "I", 512, 1, 1.5, "R+W", (8, 8), "-"),
    ("rf_64B_W", "W", 512, 1, 1.5, "R+W", (8, 8), "-"),
    ("rf_16B", "O", 128, 1.5, 2, "R+W", (24, 24), "-"),
    ("sram_8KB", "O", 65536, 10, 15, "RW", (128, 128), "all"),
    ("sram_64KB", "W", 524288, 20, 25, "R+W", (128, 128), "all"),
    ("sram_1M", "IO", 8388608, 100, 130, "RW", (384, 384), "all"),
    ("dram", "IWO", 10**10, 1000, 1000, "RW", (64, 64), "all"),
)
_RF_1B = ("rf_1B", "W", 8, 0.01, 0.01, "R+W", (8, 8), "D3 D4")
_RF_2B = ("rf_2B", "O", 16, 0.02, 0.02, "4", (16, 16), "D2")
_TABLE = {
    "tpu_like": ((32, 32), True, 0.04, _TPU),
    "tpu_like_autosm": ((32, 32), True, 0.04, _TPU),
    "eyeriss_like": ((14, 12), False, 0.5, _EYERISS),
    "eyeriss_like_rs": ((14, 12), False, 0.5, _EYERISS),
    "edge_tpu_like": (
        (8, 8, 4, 4),
        False,
        0.04,
        (_RF_1B, _RF_2B, ("sram_32KB", "W", 262144, 22.9, 52.01, "R+W", (64, 512), "all"), _2MB, _DRAM),
    ),
    "ascend_like": (
        (16, 16, 2, 2),
        False,
        0.04,
        (
            _RF_1B,
            _RF_2B,
            ("rf_64KB_I", "I", 65536, 26.56, 30.72, "R+W", (64, 512), "all"),
            ("rf_64KB_W", "W", 65536, 50.16, 108, "R+W", (64, 2048), "all"),
            ("sram_256KB_O", "O", 2097152, 123.2, 212.8, "R+W", (64, 2048), "all"),
            ("sram_1MB_A", "IO", 8388608, 465.6, 825.6, "R+W", (64, 4096), "all"),
            ("sram_1MB_W", "W", 8388608, 465.6, 825.6, "R+W", (64, 4096), "all"),
            _DRAM,
        ),
    ),
    "meta_prototype": (
        (32, 2, 4, 4),
        False,
        0.04,
        (
            _RF_1B,
            _RF_2B,
            ("sram_64KB", "W", 524288, 26.56, 30.8, "R+W", (64, 512), "all"),
            ("sram_32KB", "I", 262144, 13.28, 15.4, "R+W", (64, 256), "all"),
            _1MB_A,
            _1MB_W,
            _DRAM,
        ),
    ),
    "tesla_npu_like": (
        (32, 32, 4),
        False,
        0.04,
        (
            ("rf_1B", "W", 8, 0.01, 0.01, "R+W", (8, 8), "D2 D3"),
            ("rf_4B", "O", 32, 0.022, 0.022, "4", (16, 16), "-"),
            ("sram_1KB_I", "I", 8192, 4.78, 5.59, "R+W", (64, 256), "all"),
            ("sram_1KB_W", "W", 8192, 4.78, 5.59, "R+W", (64, 256), "all"),
            _1MB_A,
            _1MB_W,
            _DRAM,
        ),
    ),
}


def accelerator(name: str) -> Accelerator:
    sizes, systolic, mac, rows = _TABLE[name]
    array = {f"D{i + 1}": size for i, size in enumerate(sizes)}
    memories = [
        Memory(n, operands, bits, read, write, widths, ports, _served(serves, array))
        for n, operands, bits, read, write, ports, widths, serves in rows
    ]
    return Accelerator(name, array, tuple(memories), multiply_j=mac, partial_bits=16, systolic=systolic)


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


def _served(serves: str, array: dict[str, int]) -> tuple[str, ...]:
    return tuple(array) if serves == "all" else tuple(serves.replace("-", "").split())


def _loops(text: str, separator: str) -> tuple[tuple[str, int], ...]:
    return tuple((loop, int(n)) for loop, n in re.findall(rf"(\w+){separator} (\d+)", text))
