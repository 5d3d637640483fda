"""Graph convolutions: messages along the edges and against them; of tensors or of arrays.

Source: Wen et al. 2020, arXiv:1912.00848 (Neural Predictor), equation 3, with rows of the adjacency that sum to 1.

Legend: E members, N graphs, V nodes, K kinds (columns of a node), H hidden units, R columns of the graph as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archip.predictors._graph_rows import n_columns, unpacked

__all__ = ["convolution_weights", "convolved", "messages"]


def messages(rows_NF: np.ndarray, nodes: int, kinds: int) -> np.ndarray:
    """[N, V, …] side by side: messages forward and backward, the node's share of the mean, its kind, the rest."""
    adjacency_NVV, kinds_NVK = unpacked(rows_NF, nodes, kinds)
    ways = [way + np.eye(nodes) for way in (adjacency_NVV.swapaxes(1, 2), adjacency_NVV)]
    is_there_NV1 = kinds_NVK.any(2, keepdims=True).astype(float)
    share_NV1 = is_there_NV1 / np.maximum(is_there_NV1.sum(1, keepdims=True), 1)
    rest_NVR = np.repeat(rows_NF[:, None, n_columns(nodes, kinds) :], nodes, axis=1)
    return np.concatenate([*(way / way.sum(2, keepdims=True) for way in ways), share_NV1, kinds_NVK, rest_NVR], 2)


def convolution_weights(
    members: int, kinds: int, hidden: int, layers: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Before training."""
    weights = {}
    for layer in range(layers):
        for way in ("forward", "backward"):
            read = hidden if layer else max(kinds, 1)  # graphs without columns read zeros
            weights[f"{way}{layer}_EHH"] = rng.normal(size=(members, read, hidden)) * (2 / read) ** 0.5
    return weights


def convolved(Z: Any, weights: Mapping[str, Any], kinds: int, layers: int) -> tuple[Any, Any, Any]:
    """(mean over the nodes [E, N, H], sums of the nodes' columns [N, K], the rest [N, R]) of `messages`."""
    v = Z.shape[1]
    onward_NVV, back_NVV, share_NV1 = Z[..., :v], Z[..., v : 2 * v], Z[..., 2 * v : 2 * v + 1]
    kinds_NVK, rest_NR = Z[..., 2 * v + 1 : 2 * v + 1 + kinds], Z[:, 0, 2 * v + 1 + kinds :]
    h_ENVH = kinds_NVK if kinds else 0 * share_NV1
    for layer in range(layers):
        one = onward_NVV @ (h_ENVH @ weights[f"forward{layer}_EHH"][:, None])
        other = back_NVV @ (h_ENVH @ weights[f"backward{layer}_EHH"][:, None])
        h_ENVH = 0.5 * (one * (one > 0) + other * (other > 0))
    return (share_NV1 * h_ENVH).sum(-2), kinds_NVK.sum(-2), rest_NR
