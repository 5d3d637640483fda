"""SpaceEvo (Zhang et al. 2023): evolution over spaces of blocks beats spaces of one block, by the published tables."""

from __future__ import annotations

from archip.search.space_evolution import StageSpace, evolve_space
from claims._claim import Observed, data_file

EXPECTED = """On the published phone table, with 1.5, 2.0 and 2.6 ms for the fixed stages and t = 0.08, the Q-T scores
at 15 and 20 ms are those of the card to 0.01: all MBv2 (first windows) 0.331 and 0.337, all MBv3 0.322 and 0.348, all
MBv1-dual 0.289 and 0.289, all ResNet 0.303 and 0.305, all fused 0.295 and 0.318, the mixed space 312120-155501 0.370
and 0.387. An ageing evolution of 300 spaces, population 40, reaches a summed score of at least 0.72 (the card's run:
0.736), above 0.658 of all MBv2 and 0.662 of all MBv3."""
SOURCE = "arXiv:2303.08308, score of the authors' code; values recomputed by the card's author"

# blocks and windows of the six stages → score at 15 ms, at 20 ms
_SCORES = {
    "111111-000000": (0.331, 0.337),
    "222222-000000": (0.322, 0.348),
    "000000-000000": (0.289, 0.289),
    "333333-000000": (0.303, 0.305),
    "444444-000000": (0.295, 0.318),
    "312120-155501": (0.370, 0.387),
}


def check() -> Observed:
    space = StageSpace.read(data_file("spaceevo_mobilew.csv.gz"))
    worst, words = 0.0, []
    for name, published in _SCORES.items():
        blocks, windows = name.split("-")
        genes = [int(digit) for pair in zip(blocks, windows, strict=True) for digit in pair]
        genotype = dict(zip(space.knobs, genes, strict=True))
        scores = [space.score(genotype, [limit]) for limit in (15.0, 20.0)]
        worst = max(worst, *(abs(a - b) for a, b in zip(scores, published, strict=True)))
        words.append(f"{name} {scores[0]:.3f} and {scores[1]:.3f}")
    best = evolve_space(space, (15.0, 20.0), cycles=300, population=40)[0]
    found = best.metrics["quality"]
    text = f"{', '.join(words)}; largest difference {worst:.4f}; evolution {found:.3f}: {best.candidate.net['space']}"
    return Observed(worst <= 0.01 and found >= 0.72, text)
