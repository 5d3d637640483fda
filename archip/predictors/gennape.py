"""GENNAPE: networks of any space by their computation graphs: an encoder without labels, an expert for each cluster.

Choose it to learn from the networks of one space and a few of another; `Gennape.features` turns graphs into what it is
fitted to, and `tuned` goes on with the few. Experimental: from NAS-Bench-101 to 201 it ranks worse than plain `gnn` on
the same rows (claims/gennape.py). Within one space, with many samples, the space's own features say more.
Answers that are NaN are networks without label: only the encoder learns from them.
Source: Mills et al. 2023, arXiv:2211.17226: a graph encoder by contrastive learning, positives weighted by how similar
graphs are (spectrum of the Laplacian, and cost); fuzzy c-means on the embeddings; what is predicted is the mean of one
head a cluster, weighted by membership. Our choices: the encoder is two graph convolutions, not a transformer; cost is
the sums of the nodes' columns, logarithms of multiply-accumulates among them; heads are an ensemble of perceptrons.

Legend: N samples, V nodes, K columns of a node, D parts of an embedding, C clusters, E members, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.core.errors import UserError
from archip.ir.graph import Graph
from archip.predictors._graph_convolution import convolution_weights, convolved, messages
from archip.predictors._graph_rows import graph_rows, n_columns, unpacked
from archip.predictors._network_ensemble import NetworkEnsemble
from archip.predictors._predictor import Predictor, Scaling

__all__ = ["Gennape"]

_QUANTILES = 16  # of a spectrum, so that graphs of different size compare
_TEMPERATURE = 0.1  # of the contrast
_NEAR = 0.3  # distance, in mean distances of a batch, at which a positive's weight has fallen to 1/e
_FUZZINESS = 2.0  # m of fuzzy c-means
_ROUNDS = 50
_AT_ONCE = 256


@dataclass
class Gennape(Predictor):
    """Encoder, clusters, experts.

    Attributes:
        nodes, kinds: of the graphs, as `gnn` reads them; `kinds` is 13 for what `features` makes.
        clusters: experts.
        contrast: steps of the encoder, on `batch` graphs each.
        steps: of the heads.
    """

    nodes: Annotated[int, Field(ge=1)] = 1
    kinds: Annotated[int, Field(ge=0)] = 0
    layers: Annotated[int, Field(ge=1)] = 2  # of the graph network
    hidden: Annotated[int, Field(ge=1)] = 32  # units of a layer
    clusters: Annotated[int, Field(ge=1)] = 3
    contrast: Annotated[int, Field(ge=1)] = 200
    batch: Annotated[int, Field(ge=4)] = 64  # graphs of a contrastive step
    steps: Annotated[int, Field(ge=1)] = 300
    seed: Annotated[int, Field(ge=0)] = 0  # of the initial weights

    @staticmethod
    def features(graphs: Sequence[Graph], nodes: int) -> np.ndarray:
        """[N, F] what this predictor is fitted to with as many `nodes`, and `kinds` of 13."""
        return graph_rows(graphs, nodes)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        if X_NF.shape[1] < (n := n_columns(self.nodes, self.kinds)):
            raise UserError(f"{X_NF.shape[1]} columns are too few for {self.nodes} nodes", "gennape", f"{n} at least")
        rng = np.random.default_rng(self.seed)
        self._scaling = Scaling.of(X_NF[:, n:])
        self._weights = self._contrasted(X_NF, rng)
        embedded_ND = self._embedded(X_NF)
        self._centres_CD = _centres(embedded_ND, self.clusters, rng)
        is_known_N = np.isfinite(y_N)
        self._heads = self._new_heads({}).fit(self._read(X_NF[is_known_N]), y_N[is_known_N])
        return self

    def tuned(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        """The heads go on from what they know, with samples of another space; the scale of the answers is theirs."""
        self._heads = self._new_heads(self._heads.weights).fit(self._read(X_NF), y_N)
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._heads.predict(self._read(X_MF))

    def memberships(self, X_NF: np.ndarray) -> np.ndarray:
        """[N, C] how far each graph belongs to each cluster; rows sum to 1."""
        return _memberships(self._embedded(X_NF), self._centres_CD)

    def _read(self, X_NF: np.ndarray) -> np.ndarray:
        embedded_ND = self._embedded(X_NF)
        return np.concatenate([embedded_ND, _memberships(embedded_ND, self._centres_CD)], axis=1)

    def _new_heads(self, start: Mapping[str, np.ndarray]) -> _Heads:
        return _Heads(steps=self.steps, seed=self.seed, decay=0.1, clusters=self.clusters, start=dict(start))

    def _scaled(self, X_NF: np.ndarray) -> np.ndarray:
        n = n_columns(self.nodes, self.kinds)
        return np.concatenate([X_NF[:, :n], np.clip(self._scaling(X_NF[:, n:]), -4, 4)], axis=1)

    def _embedded(self, X_NF: np.ndarray) -> np.ndarray:
        """[N, D] on the sphere."""
        parts = [X_NF[first : first + _AT_ONCE] for first in range(0, len(X_NF), _AT_ONCE)]
        rows = [self._encoded(messages(self._scaled(p), self.nodes, self.kinds), self._weights, np.tanh) for p in parts]
        return np.concatenate(rows) if rows else np.zeros((0, self.hidden))

    def _encoded(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        """[N, D] of tensors or arrays."""
        h = self.hidden
        pooled_1NH, sums_NK, rest_NR = convolved(Z, weights, self.kinds, self.layers)
        split = weights["read_FD"]
        whole_ND = sums_NK @ split[h : h + self.kinds] / self.nodes + rest_NR @ split[h + self.kinds :]
        out_ND = tanh(pooled_1NH[0] @ split[:h] + whole_ND) @ weights["out_DD"]
        return out_ND / ((out_ND**2).sum(1) + 1e-12)[:, None] ** 0.5

    def _contrasted(self, X_NF: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The encoder: graphs that are similar become neighbours, without labels."""
        import torch

        n_rest = X_NF.shape[1] - n_columns(self.nodes, self.kinds)
        shape = (self.hidden + self.kinds + n_rest, self.hidden)
        start = convolution_weights(1, self.kinds, self.hidden, self.layers, rng)
        start |= {"read_FD": rng.normal(size=shape) / self.hidden**0.5, "out_DD": rng.normal(size=2 * shape[1:]) * 0.2}
        weights = {k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in start.items()}
        optimizer = torch.optim.AdamW(weights.values(), lr=3e-3, weight_decay=1e-3)
        signs_NF = _signs(self._scaled(X_NF), self.nodes, self.kinds)
        for _ in range(self.contrast):
            rows = rng.choice(len(X_NF), min(self.batch, len(X_NF)), replace=False)
            read = torch.as_tensor(messages(self._scaled(X_NF[rows]), self.nodes, self.kinds), dtype=torch.float32)
            z_ND = self._encoded(read, weights, torch.tanh)
            others = ~torch.eye(len(rows), dtype=torch.bool)
            logits = (z_ND @ z_ND.T / _TEMPERATURE)[others].reshape(len(rows), -1)
            wanted = torch.as_tensor(_positives(signs_NF[rows]), dtype=torch.float32)
            loss = -(wanted * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {k: v.detach().numpy().astype(float) for k, v in weights.items()}

    @property
    def state(self) -> dict[str, Any]:
        heads = {f"heads {k}": v for k, v in self._heads.state.items()}
        encoder = {f"encoder {k}": v for k, v in self._weights.items()}
        return self._scaling.state | {"centres_CD": self._centres_CD} | encoder | heads

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scaling, self._centres_CD = Scaling.restored(state), np.array(state["centres_CD"])
        of = lambda name: {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}  # noqa: E731
        self._weights = {k: np.array(v) for k, v in of("encoder ").items()}
        self._heads = self._new_heads({})
        self._heads.restore(of("heads "))


@dataclass
class _Heads(NetworkEnsemble):
    """One perceptron a cluster, added up by membership, which stands in the last columns."""

    clusters: int = 1
    start: dict[str, np.ndarray] = field(default_factory=dict)  # weights to go on from

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return self._weights

    def scaling(self, X_NF: np.ndarray) -> Scaling:
        return Scaling(np.zeros(X_NF.shape[1]), np.ones(X_NF.shape[1]))

    def initial(self, n_features: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n, h, c, d = self.members, self.hidden, self.clusters, max(n_features - self.clusters, 0)
        weights = {
            "first_ECDH": rng.normal(size=(n, c, d, h)),  # parts of a unit vector are small
            "first_EC1H": np.zeros((n, c, 1, h)),
            "last_ECH1": np.zeros((n, c, h, 1)),
            "line_ECD1": np.zeros((n, c, d, 1)),
        }
        return {name: self.start[name].copy() for name in weights} if self.start else weights

    def forward(self, Z: Any, weights: Mapping[str, Any], tanh: Callable[[Any], Any]) -> Any:
        embedded_ND, member_NC = Z[:, : -self.clusters], Z[:, -self.clusters :]
        h_ECNH = tanh(embedded_ND @ weights["first_ECDH"] + weights["first_EC1H"])
        each_ECN = (h_ECNH @ weights["last_ECH1"] + embedded_ND @ weights["line_ECD1"])[..., 0]
        return (each_ECN * member_NC.T).sum(1)


def _signs(rows_NF: np.ndarray, nodes: int, kinds: int) -> np.ndarray:
    """[N, …] by which graphs are compared: quantiles of the spectrum, and what their nodes add up to."""
    adjacency_NVV, kinds_NVK = unpacked(rows_NF, nodes, kinds)
    spectra_NQ = np.array([_spectrum(a_VV, k_VK.any(1)) for a_VV, k_VK in zip(adjacency_NVV, kinds_NVK, strict=True)])
    whole_NF = np.concatenate([kinds_NVK.sum(1), rows_NF[:, n_columns(nodes, kinds) :]], axis=1)
    parts = [spectra_NQ, Scaling.of(whole_NF)(whole_NF)]
    return np.concatenate([part / np.sqrt(max(part.var(0).sum(), 1e-12)) for part in parts], axis=1)


def _spectrum(adjacency_VV: np.ndarray, is_there_V: np.ndarray) -> np.ndarray:
    """[Q] eigenvalues of the normalised Laplacian of the undirected graph, at even places of their order."""
    both_VV = (adjacency_VV + adjacency_VV.T)[np.ix_(is_there_V, is_there_V)]
    if len(both_VV) == 0:
        return np.zeros(_QUANTILES)
    scale_V = 1 / np.sqrt(np.maximum(both_VV.sum(1), 1))
    values_V = np.linalg.eigvalsh(np.eye(len(both_VV)) - scale_V[:, None] * both_VV * scale_V)
    return np.interp(np.linspace(0, 1, _QUANTILES), np.linspace(0, 1, len(values_V)), values_V)


def _positives(signs_NF: np.ndarray) -> np.ndarray:
    """[N, N - 1] of each graph, how far each other one is its positive; rows sum to 1."""
    apart_NN = np.linalg.norm(signs_NF[:, None] - signs_NF, axis=2)
    apart = apart_NN[~np.eye(len(apart_NN), dtype=bool)].reshape(len(apart_NN), -1)
    near = np.exp(-apart / max(_NEAR * apart.mean(), 1e-12))
    return near / np.maximum(near.sum(1, keepdims=True), 1e-300)


def _memberships(embedded_ND: np.ndarray, centres_CD: np.ndarray) -> np.ndarray:
    """[N, C] of fuzzy c-means (Bezdek 1981)."""
    apart_NC = np.maximum(((embedded_ND[:, None] - centres_CD) ** 2).sum(2), 1e-12) ** (-1 / (_FUZZINESS - 1))
    return apart_NC / apart_NC.sum(1, keepdims=True)


def _centres(embedded_ND: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """[C, D] where fuzzy c-means comes to rest."""
    centres_CD = embedded_ND[rng.choice(len(embedded_ND), clusters, replace=len(embedded_ND) < clusters)]
    for _ in range(_ROUNDS):
        weights_NC = _memberships(embedded_ND, centres_CD) ** _FUZZINESS
        centres_CD = (weights_NC / weights_NC.sum(0)).T @ embedded_ND
    return centres_CD
