"""NASWOT: how differently the samples of one batch switch the network's ReLUs; the log-determinant of their kernel.

Choose it for networks of ReLUs, without labels; on NAS-Bench-201 as good as FLOPs or better.
K[i, j] = number of ReLUs that samples i and j switch alike; score = log |det K|.
Source: Mellor et al. 2021, arXiv:2006.04647, eq. 2-3.
"""

from __future__ import annotations

from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.evaluators.proxies._activations import switches
from archip.evaluators.proxies._probe import Probe

__all__ = ["NASWOT"]


@dataclass(frozen=True)
class NASWOT:
    """Log-determinant of the kernel of binary codes."""

    def score(self, probe: Probe) -> float:
        kernel_NN = None
        for code_NU in switches(probe):
            alike_NN = code_NU @ code_NU.T + (1 - code_NU) @ (1 - code_NU).T
            kernel_NN = alike_NN if kernel_NN is None else kernel_NN + alike_NN
        if kernel_NN is None:
            raise CandidateError("the network has no ReLU")
        sign, log_determinant = kernel_NN.double().slogdet()
        if float(sign) == 0:
            raise CandidateError("two samples of the batch switch all ReLUs alike")
        return float(log_determinant)
