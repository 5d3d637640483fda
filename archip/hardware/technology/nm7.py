"""7 nm: the energies of Jouppi's table; areas follow the SRAM bit cell.

Source: N. Jouppi et al., Ten lessons from three generations shaped Google's TPUv4i, ISCA 2021, table 2 (energies,
recalled). Areas are those of 45 nm times the ratio of the foundries' 6T bit cells, 0.027 / 0.346 um² (recalled), for
logic, registers and SRAM alike: below 28 nm the node's name is no length, and (7 / 45)² would be three times less.
"""

from archip.hardware.technology._technology import Technology
from archip.hardware.technology.nm45 import NM45

__all__ = ["NM7"]

_CELL = 0.027 / 0.346
_LOGIC = 0.03 / 0.1  # int32 add: 7 nm over 45 nm
_JOUPPI = "Jouppi et al., ISCA 2021, table 2"
_BY_CELL = "derived: 45 nm x 0.027 / 0.346, the ratio of 6T bit cells"
_REGISTERS = NM45.register_points

NM7 = Technology(
    name="nm7",
    multiply_j=0.07e-12,  # int8
    accumulate_j=0.03e-12,  # int32
    mac_um2=NM45.mac_um2 * _CELL,
    register_points=(
        (_REGISTERS[0][0], _REGISTERS[0][1] * _LOGIC, _REGISTERS[0][2] * _LOGIC),
        (_REGISTERS[1][0], _REGISTERS[1][1] * _LOGIC, _REGISTERS[1][2] * _LOGIC),
    ),
    register_um2_per_byte=NM45.register_um2_per_byte * _CELL,
    sram_points=((8192, 7.5e-12, 7.5e-12), (32768, 8.5e-12, 8.5e-12), (1048576, 14e-12, 14e-12)),
    sram_um2_per_byte=NM45.sram_um2_per_byte * _CELL,
    dram_j_per_bit=1300e-12 / 64,  # DDR4
    wire_pitch_um=0.04,
    wire_j_per_bit_mm=0.15e-12,
    operations_j={
        "int8 multiply": 0.07e-12,
        "int16 multiply": 4 * 0.07e-12,
        "int32 multiply": 1.48e-12,
        "int16 add": 0.015e-12,
        "int32 add": 0.03e-12,
        "fp16 multiply": 0.34e-12,
        "fp16 add": 0.16e-12,
        "fp32 multiply": 1.31e-12,
        "fp32 add": 0.38e-12,
    },
    sources={
        "multiply_j": f"recalled: {_JOUPPI}, int8",
        "accumulate_j": f"recalled: {_JOUPPI}, int32",
        "mac_um2": _BY_CELL,
        "register_points": "derived: 45 nm x 0.3, the ratio of int32 additions",
        "register_um2_per_byte": _BY_CELL,
        "sram_points": f"recalled: {_JOUPPI}, read and write alike",
        "sram_um2_per_byte": _BY_CELL,
        "dram_j_per_bit": f"recalled: {_JOUPPI}, DDR4",
        "wire_pitch_um": "recalled: lower metal of a 7 nm process",
        "wire_j_per_bit_mm": "recalled: Keckler et al., IEEE Micro 31(5), 2011, its forecast for 10 nm",
        "operations_j": f"recalled: {_JOUPPI}; int16 derived, add half of int32, multiply 4 times int8",
    },
)
