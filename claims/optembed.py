"""OptEmbed (Lyu et al. 2022): one supernet tells which embeddings are needed, and how long they have to be."""

from __future__ import annotations

import numpy as np

from archip.core.rng import generator
from archip.data._dataset import DataSet
from claims._claim import Observed

EXPECTED = """Ten fields of 20 codes: four in two pairs whose interaction has rank 8, three with an effect of their
own, three that mean nothing. Means of three seeds: more than 90 % of the rows of the meaningless fields
are dropped, the paired fields get greater lengths than the single ones, and the AUC on the test split
is at least that of the full table (0.005 of room)."""
SOURCE = "arXiv:2208.04482, abstract; check of the card"

_FIELDS, _CODES, _DIM = 10, 20, 8


def check() -> Observed:
    dropped, paired, single, gain, share = np.mean([_seed(seed) for seed in range(3)], axis=0)
    text = (
        f"rows dropped in meaningless fields {dropped:.3f}; mean length of paired fields {paired:.2f}, of single ones "
        f"{single:.2f}; AUC less that of the full table {gain:+.4f}; share of the table that is left {share:.3f}"
    )
    return Observed(bool(dropped > 0.9 and paired > single and gain >= -0.005), text)


def _seed(seed: int) -> tuple[float, float, float, float, float]:
    import torch

    from archip.nets.fields import FieldNet
    from archip.train.loop import Recipe, fit
    from archip.train.optembed import area_under_curve, optimal_embedding

    data, sizes = _data(seed), (_CODES,) * _FIELDS
    recipe = Recipe(epochs=12, batch=256, lr=1e-2, keep="last", label_smoothing=0.0)
    found = optimal_embedding(data, sizes, _DIM, recipe, seed=seed)
    full = FieldNet(sizes, _DIM, (64, 32), 2, seed).frozen([_DIM] * _FIELDS, seed)
    fit(full, data, recipe, seed)
    x, y = data.splits["test"]
    with torch.inference_mode():
        logits = full(torch.from_numpy(x))
    of_full = area_under_curve((logits[:, 1] - logits[:, 0]).numpy(), y)
    dropped = 1 - float(np.mean(np.concatenate(found.rows[7:])))
    whole = _FIELDS * _CODES * _DIM
    return dropped, np.mean(found.dims[:4]), np.mean(found.dims[4:7]), found.auc - of_full, found.weights / whole  # pyright: ignore


def _data(seed: int) -> DataSet:
    rng = generator(seed, "planted")
    pairs = [rng.normal(size=(_CODES, 8)) @ rng.normal(size=(8, _CODES)) / np.sqrt(8) for _ in range(2)]
    effects = rng.normal(size=(3, _CODES))
    splits = {}
    for name, n in (("train", 20_000), ("val", 5_000), ("test", 5_000)):
        x = rng.integers(_CODES, size=(n, _FIELDS))
        logit = 1.5 * (pairs[0][x[:, 0], x[:, 1]] + pairs[1][x[:, 2], x[:, 3]])
        logit += sum(effects[i][x[:, 4 + i]] for i in range(3))
        splits[name] = (x, (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64))
    return DataSet("planted", "classification", "NT", 2, splits, digest=f"planted-{seed}", n_tokens=_CODES)
