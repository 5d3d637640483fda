"""45 nm, 0.9 V: the energies of Horowitz's table, with areas scaled where it has none.

Source: M. Horowitz, Computing's energy problem, ISSCC 2014, fig. 1.1.9 (energies); areas of the operators from the
same talk. Register files follow the table's SRAM rows down the square-root law, an extrapolation; areas of memories are
those of 65 nm times (45 / 65)².
"""

from archip.hardware.technology._technology import Technology
from archip.hardware.technology.nm65 import NM65

__all__ = ["NM45"]

_SCALE = (45 / 65) ** 2


def _register_j(n_bytes: float) -> float:
    return 10e-12 * (n_bytes / 8192) ** 0.5 / 4  # 8 KB, 64 bit: 10 pJ


NM45 = Technology(
    name="nm45",
    multiply_j=0.2e-12,  # int8
    accumulate_j=0.1e-12,  # int32
    mac_um2=282 + 137,
    register_points=((32, _register_j(32), _register_j(32)), (384, _register_j(384), _register_j(384))),
    register_um2_per_byte=NM65.register_um2_per_byte * _SCALE,
    sram_point=(8192, 10e-12, 10e-12),
    sram_um2_per_byte=NM65.sram_um2_per_byte * _SCALE,
    dram_j_per_bit=1300e-12 / 64,  # the lower end of 1300 to 2600 pJ for 64 bit
    wire_pitch_um=0.14,  # recalled: intermediate metal of a 45 nm process
)
