"""Several architectures a batch: each sub-batch trains a network of its own; all of them make one step.

Choose it in the place of `uniform` for large batches: a step costs what one network costs, and many networks have a
part in it, so that the gradient depends less on which ones were drawn.
Source: Liao et al. 2021, arXiv:2109.00642 (ViT-ResNAS), section 3.3, multi-architectural sampling. Differs: networks
run one after another on their parts of the weights, not as one masked pass; the gradient is the same. In the paper a
sub-batch has 64 samples; here the number of sub-batches is the option.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from archip.train.rule import Step, SupernetRule

__all__ = ["MultiArchitecture"]


@dataclass
class MultiArchitecture(SupernetRule):
    """Networks drawn one for each sub-batch; their losses count by the samples that they saw."""

    n_architectures: Annotated[int, Field(ge=1)] = 4  # a step; fewer where a batch has fewer samples

    def backward(self, step: Step) -> Tensor:
        n = len(step.x)
        bounds = np.linspace(0, n, min(self.n_architectures, n) + 1).round().astype(int).tolist()
        values = []
        for begin, end in itertools.pairwise(bounds):
            share = (end - begin) / n
            genotype = self.shared.space.sample(step.rng)
            values.append(share * step.backward_of(genotype, weight=share, rows=slice(begin, end))[1])
        return torch.stack(values).sum()
