"""NTK condition number: how evenly gradient descent would learn the samples of one batch; less is better.

Choose it as one of several scores; on its own it says little of modern networks (see `lga`).
Score = -log(λ_max / λ_min) of the empirical neural tangent kernel, which batch statistics are measured for beforehand.
Source: Chen et al. 2021 (TE-NAS), arXiv:2102.11535, section 3.1.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from archip.core.errors import CandidateError
from archip.evaluators.proxies._kernel import tangent_kernel
from archip.evaluators.proxies._probe import Probe

__all__ = ["NTKCondition"]


@dataclass(frozen=True)
class NTKCondition:
    """Minus the log of the condition number."""

    samples: Annotated[int, Field(ge=2)] = 16  # of the kernel

    def score(self, probe: Probe) -> float:
        import torch

        from archip.train.calibration import recalibrate

        module = probe.module()
        x, _ = probe.tensors()
        recalibrate(module, [x])
        eigenvalues = torch.linalg.eigvalsh(tangent_kernel(module, x[: self.samples]))
        if float(eigenvalues[0]) <= 0:
            raise CandidateError("the tangent kernel of the batch is singular")
        return -math.log(float(eigenvalues[-1] / eigenvalues[0]))
