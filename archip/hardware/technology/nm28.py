"""28 nm: no table of its own; energies between those of 45 and 7 nm, areas by the bit cell of 0.127 um².

Source: ``_interpolated.py`` says the rule; cell and pitch (0.09 um) are recalled from foundry papers.
"""

from archip.hardware.technology._interpolated import interpolated

__all__ = ["NM28"]

NM28 = interpolated(28, cell_um2=0.127, wire_pitch_um=0.09)
