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
from archip.predictors._graph_rows import n_columns, unpacked
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
        """[M, V, …] side by side: messages forward and backward, the node's share of the mean, its kind, the rest."""
        adjacency_NVV, kinds_NVK = unpacked(Z_MF, self.nodes, self.kinds)
        loops_VV = np.eye(self.nodes)
        ways = [way + loops_VV for way in (adjacency_NVV.swapaxes(1, 2), adjacency_NVV)]
        is_there_NV1 = kinds_NVK.any(2, keepdims=True).astype(float)
        share_NV1 = is_there_NV1 / np.maximum(is_there_NV1.sum(1, keepdims=True), 1)
        rest_NR = Z_MF[:, n_columns(self.nodes, self.kinds) :]
        rest_NVR = np.repeat(rest_NR[:, None], self.nodes, axis=1)
        return np.concatenate([*(way / way.sum(2, keepdims=True) for way in ways), share_NV1, kinds_NVK, rest_NVR], 2)

    def initial(self, n_features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n, h, k = self.members, self.hidden, self.kinds
        n_rest = max(n_features - n_columns(self.nodes, k), 0)
        weights = {}
        for layer in range(self.layers):
            for way in ("forward", "backward"):
                read = h if layer else k
                weights[f"{way}{layer}_EHH"] = rng.normal(size=(n, read, h)) * (2 / max(read, 1)) ** 0.5
        return weights | {
            "first_EFH": rng.normal(size=(n, h + n_rest, h)) / (h + n_rest) ** 0.5,
            "first_E1H": np.zeros((n, 1, h)),
            "last_EH1": np.zeros((n, h, 1)),
            "last_E11": np.zeros((n, 1, 1)),
            "line_EF1": np.zeros((n, k + n_rest, 1)),
        }

    def forward(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        v, k = self.nodes, self.kinds
        onward_NVV, back_NVV, share_NV1 = Z[..., :v], Z[..., v : 2 * v], Z[..., 2 * v : 2 * v + 1]
        kinds_NVK, rest_NR = Z[..., 2 * v + 1 : 2 * v + 1 + k], Z[:, 0, 2 * v + 1 + k :]
        h_ENVH = kinds_NVK
        for layer in range(self.layers):
            one = onward_NVV @ (h_ENVH @ weights[f"forward{layer}_EHH"][:, None])
            other = back_NVV @ (h_ENVH @ weights[f"backward{layer}_EHH"][:, None])
            h_ENVH = 0.5 * (one * (one > 0) + other * (other > 0))
        pooled_ENH = (share_NV1 * h_ENVH).sum(-2)
        first_EFH, line_EF1 = weights["first_EFH"], weights["line_EF1"]
        h = self.hidden
        read_ENH = tanh(pooled_ENH @ first_EFH[:, :h] + rest_NR @ first_EFH[:, h:] + weights["first_E1H"])
        line_EN1 = kinds_NVK.sum(-2) @ line_EF1[:, :k] + rest_NR @ line_EF1[:, k:]
        return (read_ENH @ weights["last_EH1"] + line_EN1 + weights["last_E11"])[..., 0]
