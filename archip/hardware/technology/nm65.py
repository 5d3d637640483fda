"""65 nm, 8-bit words: the component estimates of Accelergy's public example "eyeriss_like".

Source: reference output files of the Timeloop/Accelergy exercises, design eyeriss_like (energies per access in pJ,
areas in um²). What the files do not give is derived, as the comments say.
"""

from archip.hardware.technology._technology import Technology

__all__ = ["NM65"]

# 8-bit multiply with 16-bit add: 0.208 pJ, 192 um². The shares of multiplier and adder are those of Horowitz, ISSCC
# 2014, fig. 1.1.9 (0.2 pJ and 0.05 pJ; areas 282 um² and 67 um²); a 32-bit adder is 2 and 137 / 67 times a 16-bit one.
_MULTIPLY_PJ = 0.208 * 0.2 / 0.25
_ADD16_PJ = 0.208 * 0.05 / 0.25
_MAC_UM2 = 192 * (282 + 137) / (282 + 67)

NM65 = Technology(
    name="nm65",
    multiply_j=_MULTIPLY_PJ * 1e-12,
    accumulate_j=2 * _ADD16_PJ * 1e-12,
    mac_um2=_MAC_UM2,
    # Partial-sum scratchpad 16 x 16 bit and weight scratchpad 192 x 16 bit; the input scratchpad 12 x 16 bit (0.202,
    # 0.177) lies 5 % off their line. The tiny scratchpads' areas come from another library and are not used.
    register_points=((32, 0.251e-12, 0.219e-12), (384, 1.977e-12, 1.882e-12)),
    register_um2_per_byte=5816 / 384,  # weight scratchpad
    # Shared buffer of 16384 x 64 bit; the square-root law is that of the three SRAM rows of Horowitz, ISSCC 2014.
    sram_point=(131072, 18.18e-12, 14.14e-12),
    sram_um2_per_byte=217363 / 131072,
    dram_j_per_bit=512e-12 / 64,  # LPDDR4, 64 bit
    wire_pitch_um=0.2,  # recalled: intermediate metal of a 65 nm process, 0.18 to 0.21 um
)
