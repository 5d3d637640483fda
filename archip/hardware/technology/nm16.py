"""16 nm: no table of its own; energies between those of 45 and 7 nm, areas by the bit cell of 0.07 um².

Source: ``_interpolated.py`` says the rule; cell and pitch (0.064 um) are recalled from foundry papers.
"""

from archip.hardware.technology._interpolated import interpolated

__all__ = ["NM16"]

NM16 = interpolated(16, cell_um2=0.07, wire_pitch_um=0.064)
