"""GBDT-NAS (Luo et al. 2020): boosted trees on one-hot genes rank a space, and pruning by SHAP keeps its optimum."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from archip.core.objectives import Goals, Objective
from archip.strategies.gbdt_nas import GbdtNas
from claims._claim import Observed
from claims._size_space import size_space

EXPECTED = """On the size space of NATS-Bench, mean of 5 seeds: Spearman with the accuracy of 4,000 unseen networks at
least 0.74 / 0.80 / 0.87 / 0.92 for 50 / 100 / 200 / 500 labels (the card's trees less 0.04); the best of the 50
networks ranked first of all after 500 labels has at least 93.5 %; what four rounds of pruning remove holds width 8
more often than any other width, and in no seed a width of the best network."""
SOURCE = "arXiv:2007.04785, section 3; correlations recomputed by the card's author"


def check() -> Observed:
    _, space, record = size_space()
    everything = list(space.enumerate())
    accuracy = np.array([record(c).metrics["quality"] for c in everything])
    best = everything[int(np.argmax(accuracy))].net["size"]
    rhos, tops, removed, kept = [], [], [], True
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(everything))
        strategy = GbdtNas(prune=1)
        strategy.start(space, Goals((Objective.of("quality"),)))
        row = []
        for n in (50, 100, 200, 500):
            genes = strategy._genes([everything[i] for i in order[:n]])
            model = strategy._fitted(genes, accuracy[order[:n]], seed)
            strategy._prune(genes, model)
            unseen = order[-4000:]
            row.append(spearmanr(model.predict(strategy._genes([everything[i] for i in unseen])), accuracy[unseen])[0])
        rhos.append(row)
        ranked = np.argsort(-model.predict(strategy._genes(everything)))  # pyright: ignore[reportPossiblyUnboundVariable]
        tops.append(100 * accuracy[ranked[:50]].max())
        pruned = {name.rpartition("/")[2]: values for name, values in strategy.pruned().items()}
        removed += [width for values in pruned.values() for width in values]
        kept = kept and not any(best[name] in values for name, values in pruned.items())  # pyright: ignore
    means = np.mean(rhos, axis=0)
    widths, counts = np.unique(removed, return_counts=True)
    ranks = (means >= [0.74, 0.80, 0.87, 0.92]).all() and np.mean(tops) >= 93.5
    holds = ranks and widths[np.argmax(counts)] == 8 and kept
    text = f"Spearman {', '.join(f'{m:.3f}' for m in means)}; best of the top 50 {np.mean(tops):.2f} %; pruned widths "
    text += ", ".join(f"{w}: {n}" for w, n in zip(widths, counts, strict=True))
    return Observed(bool(holds), f"{text}; the optimum {'stays' if kept else 'was removed'}")
