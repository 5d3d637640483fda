"""GNN: networks that read a graph, messages running along its edges and against them.

Choose it from some hundred samples on, for cells and graphs whose wiring matters; `cell_rows` and `vertex_rows` make
what it reads, columns that follow are of the graph as a whole (free statistics, say). `rank` adds the ranking loss.
Source: Wen et al. 2020, arXiv:1912.00848 (Neural Predictor), equation 3 (a graph convolution in either direction, half
of each), mean of the nodes, then a fully connected layer. Differs: rows of the adjacency, with the node itself, sum to
1; nodes that are no part of the graph do not count; an ensemble; a linear path from the numbers of nodes of each kind.

Legend: E members, N samples, V nodes, K kinds, R columns of the graph as a whole, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core.errors import UserError
from archip.predictors._graph_convolution import convolution_weights, convolved, messages
from archip.predictors._graph_rows import n_columns
from archip.predictors._network_ensemble import NetworkEnsemble
from archip.predictors._predictor import Scaling

__all__ = ["GNN"]


@dataclass
class GNN(NetworkEnsemble):
    """Mean of graph networks.

    Attributes:
        nodes, kinds: of the graphs; a row has `nodes` (`nodes` - 1) / 2 + `nodes` `kinds` columns, and those of the
            graph as a whole.
        layers: of graph convolutions.
    """

    nodes: Annotated[int, Field(ge=1)] = 1
    kinds: Annotated[int, Field(ge=0)] = 0
    layers: Annotated[int, Field(ge=1)] = 3

    def scaling(self, X_NF: np.ndarray) -> Scaling:
        n = n_columns(self.nodes, self.kinds)
        if X_NF.shape[1] < n:
            told = f"{X_NF.shape[1]} columns are no graphs of {self.nodes} nodes of {self.kinds} kinds"
            raise UserError(told, "gnn", f"{n} columns at least, or other nodes and kinds")
        most_F, rest = np.abs(X_NF[:, :n]).max(0, initial=0), Scaling.of(X_NF[:, n:])
        return Scaling(np.r_[np.zeros(n), rest.mean_F], np.r_[1 / np.maximum(most_F, 1), rest.scale_F])

    def inputs(self, Z_MF: np.ndarray) -> np.ndarray:
        return messages(Z_MF, self.nodes, self.kinds)

    def initial(self, n_features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n, h, k = self.members, self.hidden, self.kinds
        n_rest = max(n_features - n_columns(self.nodes, k), 0)
        return convolution_weights(n, k, h, self.layers, rng) | {
            "first_EFH": rng.normal(size=(n, h + n_rest, h)) / (h + n_rest) ** 0.5,
            "first_E1H": np.zeros((n, 1, h)),
            "last_EH1": np.zeros((n, h, 1)),
            "last_E11": np.zeros((n, 1, 1)),
            "line_EF1": np.zeros((n, k + n_rest, 1)),
        }

    def forward(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        h, k = self.hidden, self.kinds
        pooled_ENH, sums_NK, rest_NR = convolved(Z, weights, k, self.layers)
        first_EFH, line_EF1 = weights["first_EFH"], weights["line_EF1"]
        read_ENH = tanh(pooled_ENH @ first_EFH[:, :h] + rest_NR @ first_EFH[:, h:] + weights["first_E1H"])
        line_EN1 = sums_NK @ line_EF1[:, :k] + rest_NR @ line_EF1[:, k:]
        return (read_ENH @ weights["last_EH1"] + line_EN1 + weights["last_E11"])[..., 0]
