"""Hidden covariance: how different the hidden states of the samples of one batch are, in a recurrent layer.

Choose it for recurrent networks, where it beats the scores that were made for convolutions.
One row a sample: the hidden states of one layer, flattened over time; λ = eigenvalues of the rows' correlation matrix;
score = -Σ (log(λ + k) + 1 / (λ + k)), k = 1e-5.
Source: Serianni and Kalita 2023, arXiv:2306.00288, section 3.1: on NAS-Bench-NLP the first layer ranks best (0.524).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from archip.core.errors import CandidateError
from archip.evaluators.proxies._correlation import correlation_score
from archip.evaluators.proxies._probe import Probe

__all__ = ["HiddenCovariance"]

_RECURRENT = ("rnn", "gru", "lstm")


@dataclass(frozen=True)
class HiddenCovariance:
    """Score of the correlations between the samples' hidden states in the `layer`-th recurrent layer, from 1."""

    layer: Annotated[int, Field(ge=1)] = 1  # which recurrent layer, from 1

    def score(self, probe: Probe) -> float:
        import torch

        names = [node.name for node in probe.graph.nodes if node.op in _RECURRENT]
        if len(names) < self.layer:
            raise CandidateError(f"the network has {len(names)} recurrent layers, so none with number {self.layer}")
        with torch.no_grad():
            states_TNH = probe.module().values(probe.tensors()[0])[names[self.layer - 1]]
        return correlation_score(states_TNH.transpose(0, 1).flatten(1).numpy())
