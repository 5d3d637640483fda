"""Chen et al., n-BQ-NN (2020): shifters replace multipliers exactly, and take a fraction of their energy.

The accelerator's half of the method. The paper measured a whole array with its memory on an FPGA.
"""

import numpy as np

from archip.hardware.models.nbq_nn import NbqNn
from claims._claim import Observed

EXPECTED = """Shifts equal the float product for all codes of 2 to 6 bits. The energy of shift PEs over that of 16-bit
multiplying PEs is below the published 68.7 %, which counts memory, and grows with the bits of the weights."""
SOURCE = "arXiv:2004.02396, abstract; card NBQNN"


def check() -> Observed:
    x, exact = np.arange(-32768, 32768, 257), True
    for bits in range(2, 7):
        model = NbqNn(bits=bits)
        for sign in (-1, 0, 1):
            for k in range(model.k_max + 1):
                shifted = model.product(x[:, None], [[sign]], [[k]])[:, 0] * 2.0**-model.k_max
                exact = exact and bool((shifted == x * model.decode(sign, k, 1.0)).all())
    models = [NbqNn(bits=bits) for bits in (3, 4, 5, 6)]
    ratios = [model.pe_j / model.multiply_pe_j for model in models]
    memory = (0.687 * models[1].multiply_pe_j - models[1].pe_j) / (1 - 0.687)
    return Observed(
        exact and max(ratios) < 0.687 and ratios == sorted(ratios) and ratios[0] < ratios[-1],
        f"exact: {exact}; energy of shift PEs {', '.join(f'{r:.0%}' for r in ratios)} of multiplying ones at 3, 4, 5, 6"
        f" bits; 68.7 % at 4 bits would be {memory * 1e12:.2f} pJ a MAC for memory and clock beside either array",
    )
