"""Linear regions: into how many patterns of switched ReLUs one batch falls.

Choose it for small networks of few ReLUs; in larger ones every sample has a pattern of its own and the score says
nothing, so `naswot`, which also counts how different they are, is the finer score.
Source: Xiong et al. 2020, arXiv:2001.06892; as a score: Chen et al. 2021 (TE-NAS), arXiv:2102.11535, section 3.1.2. As
there, random inputs stand for the data: few of them are needed where few channels are left. Differs: patterns of layers
are counted one by one and added up, so that the number of samples is not its bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.evaluators.proxies._activations import switches
from archip.evaluators.proxies._probe import Probe

__all__ = ["LinearRegions"]


@dataclass(frozen=True)
class LinearRegions:
    """Patterns of switched ReLUs among the samples and positions of a batch, over all layers."""

    def score(self, probe: Probe) -> float:
        counts = [len(code_NU.unique(dim=0)) for code_NU in switches(probe, each_position=True)]
        if not counts:
            raise CandidateError("the network has no ReLU")
        return float(sum(counts))
