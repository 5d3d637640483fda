"""Off-chip memories by kind: J per bit read or written, interface and array together, whatever the chip's node."""

from collections.abc import Mapping

__all__ = ["DRAM_J_PER_BIT", "DRAM_SOURCES"]

DRAM_J_PER_BIT: Mapping[str, float] = {
    "lpddr4": 512e-12 / 64,
    "ddr3": 1300e-12 / 64,
    "ddr4": 1300e-12 / 64,
    "hbm2": 250e-12 / 64,  # of 250 to 450 pJ for 64 bits; the interface alone is put at 3.9 pJ/bit elsewhere
    "gddr6": 350e-12 / 64,  # of 350 to 480 pJ
    "gddr5": 14e-12,
}

DRAM_SOURCES: Mapping[str, str] = {
    "lpddr4": "published: Accelergy example eyeriss_like, reference output, 64 bits",
    "ddr3": "published: Horowitz, ISSCC 2014, fig. 1.1.9, lower end",
    "ddr4": "recalled: Jouppi et al., ISCA 2021, table 2",
    "hbm2": "recalled: Jouppi et al., ISCA 2021, table 2, lower end",
    "gddr6": "recalled: Jouppi et al., ISCA 2021, table 2, lower end",
    "gddr5": "recalled: O'Connor et al., MICRO 2017",
}
