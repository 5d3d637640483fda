"""45 nm, 0.9 V: the energies of Horowitz's table, with areas scaled where it has none.

Source: M. Horowitz, Computing's energy problem, ISSCC 2014, fig. 1.1.9 (energies); areas of the operators from the
same talk. Register files follow the table's SRAM rows down the square-root law, an extrapolation; areas of memories are
those of 65 nm times (45 / 65)².
"""

from archip.hardware.technology._technology import Technology
from archip.hardware.technology.nm65 import NM65

__all__ = ["NM45"]

_SCALE = (45 / 65) ** 2
_HOROWITZ = "Horowitz, ISSCC 2014, fig. 1.1.9"


def _register_j(n_bytes: float) -> float:
    return 10e-12 * (n_bytes / 8192) ** 0.5 / 4  # 8 KB, 64 bit: 10 pJ


NM45 = Technology(
    name="nm45",
    multiply_j=0.2e-12,  # int8
    accumulate_j=0.1e-12,  # int32
    mac_um2=282 + 137,
    register_points=((32, _register_j(32), _register_j(32)), (384, _register_j(384), _register_j(384))),
    register_um2_per_byte=NM65.register_um2_per_byte * _SCALE,
    sram_points=((8192, 10e-12, 10e-12),),
    sram_um2_per_byte=NM65.sram_um2_per_byte * _SCALE,
    dram_j_per_bit=1300e-12 / 64,  # the lower end of 1300 to 2600 pJ for 64 bit
    wire_pitch_um=0.14,
    wire_j_per_bit_mm=0.24e-12 * 45 / 40,
    operations_j={
        "int8 multiply": 0.2e-12,
        "int16 multiply": 4 * 0.2e-12,
        "int32 multiply": 3.1e-12,
        "int16 add": 0.05e-12,
        "int32 add": 0.1e-12,
        "fp16 multiply": 1.1e-12,
        "fp16 add": 0.4e-12,
        "fp32 multiply": 3.7e-12,
        "fp32 add": 0.9e-12,
    },
    sources={
        "multiply_j": f"published: {_HOROWITZ}, int8",
        "accumulate_j": f"published: {_HOROWITZ}, int32",
        "mac_um2": f"recalled: {_HOROWITZ}, int8 multiplier and int32 adder",
        "register_points": f"derived: SRAM of 8 KB of {_HOROWITZ}, down the square-root law to 16 bits",
        "register_um2_per_byte": "derived: 65 nm x (45 / 65)²",
        "sram_points": f"published: {_HOROWITZ}, 8 KB; the square-root law meets 32 KB, and 1 MB within 14 %",
        "sram_um2_per_byte": "derived: 65 nm x (45 / 65)²",
        "dram_j_per_bit": f"published: {_HOROWITZ}",
        "wire_pitch_um": "recalled: intermediate metal of a 45 nm process",
        "wire_j_per_bit_mm": "derived: 240 fJ at 40 nm (Keckler et al., IEEE Micro 31(5), 2011, recalled) x 45 / 40",
        "operations_j": f"published: {_HOROWITZ}; int16 add recalled; int16 multiply derived, 4 times int8",
    },
)
