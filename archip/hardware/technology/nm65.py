"""65 nm, 8-bit words: the component estimates of Accelergy's public example "eyeriss_like".

Source: reference output files of the Timeloop/Accelergy exercises, design eyeriss_like (energies per access in pJ,
areas in um²). What the files do not give is derived or recalled, as `sources` says. The other nodes rest on Horowitz's
table, whose 45 nm operators cost more than these (0.25 against 0.208 pJ a MAC): compare designs within a node.
"""

from archip.hardware.technology._technology import Technology

__all__ = ["NM65"]

# 8-bit multiply with 16-bit add: 0.208 pJ, 192 um². The shares of multiplier and adder are those of Horowitz, ISSCC
# 2014, fig. 1.1.9 (0.2 pJ and 0.05 pJ; areas 282 um² and 67 um²); a 32-bit adder is 2 and 137 / 67 times a 16-bit one.
_MULTIPLY_PJ = 0.208 * 0.2 / 0.25
_ADD16_PJ = 0.208 * 0.05 / 0.25
_MAC_UM2 = 192 * (282 + 137) / (282 + 67)
_ACCELERGY = "Accelergy example eyeriss_like, reference output"

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
    sram_points=((131072, 18.18e-12, 14.14e-12),),
    sram_um2_per_byte=217363 / 131072,
    dram_j_per_bit=512e-12 / 64,  # LPDDR4, 64 bit
    wire_pitch_um=0.2,
    wire_j_per_bit_mm=0.24e-12 * 65 / 40,
    operations_j={
        "int8 multiply": _MULTIPLY_PJ * 1e-12,
        "int16 multiply": 4 * _MULTIPLY_PJ * 1e-12,
        "int32 multiply": 3.1e-12 * 0.208 / 0.25,
        "int16 add": _ADD16_PJ * 1e-12,
        "int32 add": 2 * _ADD16_PJ * 1e-12,
        "fp16 multiply": 1.1e-12 * 0.208 / 0.25,
        "fp16 add": 0.4e-12 * 0.208 / 0.25,
        "fp32 multiply": 3.7e-12 * 0.208 / 0.25,
        "fp32 add": 0.9e-12 * 0.208 / 0.25,
    },
    sources={
        "multiply_j": f"derived: share of the 8-bit MAC of {_ACCELERGY}",
        "accumulate_j": f"derived: share of the 8-bit MAC of {_ACCELERGY}",
        "mac_um2": f"derived: 8-bit MAC of {_ACCELERGY}, its adder widened to 32 bits",
        "register_points": f"published: {_ACCELERGY}",
        "register_um2_per_byte": f"published: {_ACCELERGY}",
        "sram_points": f"published: {_ACCELERGY}; the square-root law of Horowitz, ISSCC 2014, is derived",
        "sram_um2_per_byte": f"published: {_ACCELERGY}",
        "dram_j_per_bit": f"published: {_ACCELERGY}, LPDDR4",
        "wire_pitch_um": "recalled: intermediate metal of a 65 nm process, 0.18 to 0.21 um",
        "wire_j_per_bit_mm": "derived: 240 fJ at 40 nm (Keckler et al., IEEE Micro 31(5), 2011, recalled) x 65 / 40",
        "operations_j": f"derived: 45 nm x 0.208 / 0.25, the ratio of 8-bit MACs; integers {_ACCELERGY}",
    },
)
