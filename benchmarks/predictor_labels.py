"""How well do the predictors order networks that they have not seen, by number of labels?

    python -m benchmarks.predictor_labels           NAS-Bench-201, 50 / 100 / 200 labels, 10 seeds; needs ARCHIP_DATA
    python -m benchmarks.predictor_labels --toy     2 seeds, 50 labels, the fast predictors

Labels: CIFAR-10 validation accuracy after full training, of networks drawn from the 6,466 different ones; Kendall's tau
on 2,000 others. Features: one-hot genes and counts of paths, without and with the six free statistics of the table
(MACs, parameters, synflow, logsynflow, NASWOT, linear regions); ``gnn`` reads the cell as a graph instead of the genes.
``cross_validated`` chooses one of all the others but gnn; ``selection`` is `ensemble_selection` of ridge, gp and
boosted_trees inside `normal_scores`.
Expected before the first run, with statistics: the best tau at least .66 / .71 / .77; the choice at most .02 below the
best single predictor, in the mean over the seeds: cross_validated misses that at 50 labels, selection is judged now.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.problem import Plug
from archip.predictors._agreement import kendall
from archip.predictors._graph_rows import cell_rows
from archip.spaces.tabular import Tabular
from benchmarks._machine import write_result

_EXPECTED = {50: 0.66, 100: 0.71, 200: 0.77}
_CHOICE_LOSES = 0.02
_FAST = ("ridge", "gp", "boosted_trees", {"normal_scores": {"predictor": "gp"}})
_SLOW = ("mlp", {"normal_scores": {"predictor": "ridge"}}, {"normal_scores": {"predictor": "boosted_trees"}},
         {"normal_scores": {"predictor": "mlp"}})  # fmt: skip
_GNN = {"normal_scores": {"predictor": {"gnn": {"nodes": 8, "kinds": 7}}}}
_SELECTION = {"normal_scores": {"predictor": {"ensemble_selection": {"candidates": ["ridge", "gp", "boosted_trees"]}}}}
_CHOICES = ("cross_validated", "selection")
_UNSEEN = 2000


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    load = round(os.getloadavg()[0], 2)
    seeds, labels = (2, (50,)) if toy else (10, (50, 100, 200))
    singles = _FAST if toy else (*_FAST, *_SLOW)
    choice = {"cross_validated": {"candidates": list(singles), "folds": 5}}
    space = Tabular("nb201", os.environ.get("ARCHIP_DATA"))
    genotypes = list(space.enumerate())
    y_N = space.rows.metric("cifar10_valid_200.accuracy")[[space.row(g) for g in genotypes]]
    genes_NF = space.encode(genotypes)
    cells_NF, statistics_NS = cell_rows(space.codes(genotypes), 5), space.statistics(genotypes)
    features = {"genes": genes_NF, "genes_and_statistics": np.hstack([statistics_NS, genes_NF])}
    graphs = {"genes": cells_NF, "genes_and_statistics": np.hstack([cells_NF, statistics_NS])}
    found: dict[str, Any] = {}
    for set_name, X_NF in features.items():
        plugs = [
            Plug.of(p) for p in ((*singles, choice, _SELECTION) if set_name != "genes" else (*singles, _SELECTION))
        ]
        found[set_name] = {str(n): _taus(plugs, X_NF, y_N, n, seeds) for n in labels}
        for n in labels if not toy else ():
            found[set_name][str(n)] |= _taus([Plug.of(_GNN)], graphs[set_name], y_N, n, seeds)
    holds, summary = _judge(found["genes_and_statistics"], labels)
    expected = {"best": {str(n): _EXPECTED[n] for n in labels}, "choice_loses": _CHOICE_LOSES}
    return {"expected": expected, "seeds": seeds, "load_before": load, **summary, "tau": found, "holds": holds}


def _taus(plugs: Sequence[Plug], X_NF: np.ndarray, y_N: np.ndarray, n: int, seeds: int) -> dict[str, Any]:
    """Predictor → mean and standard deviation of tau over the seeds, and seconds of processor time a fit."""
    rows: dict[str, Any] = {}
    for plug in plugs:
        taus, began = [], time.process_time()
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(y_N))
            seen, unseen = order[:n], order[n : n + _UNSEEN]
            model = registry.create("predictors", plug.name, plug.options).fit(X_NF[seen], y_N[seen])
            taus.append(kendall(model.predict(X_NF[unseen])[0], y_N[unseen]))
        name = _name(plug)
        rows[name] = {
            "mean": round(float(np.mean(taus)), 4),
            "std": round(float(np.std(taus, ddof=1)), 4),
            "each": np.round(taus, 4).tolist(),
            "cpu_s": round((time.process_time() - began) / seeds, 3),
        }
        print(f"{X_NF.shape[1]:>4} features {n:>4} labels  {name:<28} {np.mean(taus):.3f}", flush=True)
    return rows


def _name(plug: Plug) -> str:
    if plug.name != "normal_scores":
        return plug.name
    inner = Plug.of(plug.options["predictor"]).name
    return "selection" if inner == "ensemble_selection" else f"normal_scores {inner}"


def _judge(tau: dict[str, Any], labels: Sequence[int]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Whether each expectation holds, and for each number of labels the best, the choice and what it loses."""
    summary = {}
    for n in labels:
        rows = dict(tau[str(n)])
        choices = {name: rows.pop(name) for name in _CHOICES}
        best = max(rows, key=lambda name: rows[name]["mean"])
        loses = {name: np.array(rows[best]["each"]) - np.array(row["each"]) for name, row in choices.items()}
        summary[str(n)] = {
            "best": best,
            "best_tau": rows[best]["mean"],
            "choice_tau": {name: row["mean"] for name, row in choices.items()},
            "choice_loses": {name: round(float(row.mean()), 4) for name, row in loses.items()},
            "choice_loses_at_most": {name: round(float(row.max()), 4) for name, row in loses.items()},
        }
        print(n, summary[str(n)])
    holds = {
        "best": all(summary[str(n)]["best_tau"] >= _EXPECTED[n] for n in labels),
        "choice": all(summary[str(n)]["choice_loses"]["selection"] <= _CHOICE_LOSES for n in labels),
    }
    return holds, {"summary": summary}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    arguments = parser.parse_args()
    result = main(arguments.toy)
    if not arguments.toy:
        print(write_result("predictor_labels", "python -m benchmarks.predictor_labels", result))
