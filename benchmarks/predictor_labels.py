"""How well do the predictors order networks that they have not seen, by number of labels? Does the choice keep up?

    python -m benchmarks.predictor_labels                          every table, seeds 1000-1009; needs ARCHIP_DATA
    python -m benchmarks.predictor_labels --tables nb201_c10 --seeds 0-4 --predictors gnn,gp
    python -m benchmarks.predictor_labels --toy                    2 seeds, 50 labels, the fast predictors, not stored

What is stored already is not measured again, and every seed of a table is stored at once: a run may be stopped.
Labels: accuracy after full training of networks drawn at random; Kendall's tau on 2,000 others. Features: one-hot genes
and, of cells, counts of paths; `+` adds the free statistics of the table (NAS-Bench-201: MACs, parameters, synflow,
logsynflow, NASWOT, linear regions; Macro: MACs, parameters; NAS-Bench-101: parameters). ``gnn`` reads the cells of
NAS-Bench-201 as graphs instead of the genes. ``choice`` is `normal_scores` as it is: an ensemble of ridge, gp and
boosted_trees, selected by cross-validation. The choice was made on seeds 0-199; seeds from 1000 on were never used.
Expected before the first run on these seeds, in the mean over them: the choice at most .02 below the best single
predictor, in every row; with statistics on NAS-Bench-201, CIFAR-10, tau at least .66 / .71 / .77 at 50 / 100 / 200.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.problem import Plug
from archip.predictors._agreement import kendall
from archip.predictors._graph_rows import cell_rows
from archip.spaces.tabular import Tabular
from benchmarks._machine import result_path, write_result

_QUESTION = "predictor_labels"
_EXPECTED = {50: 0.66, 100: 0.71, 200: 0.77}
_EXPECTED_OF = "nb201_c10+"
_CHOICE_LOSES = 0.02
_UNSEEN = 2000
_TABLES = {
    "nb201_c10+": ("nb201", "cifar10_valid_200.accuracy"),
    "nb201_c100+": ("nb201", "cifar100_test_200.accuracy"),
    "nb201_in16+": ("nb201", "in16_test_200.accuracy"),
    "nb101+": ("nb101_sample", "cifar10_valid_108.accuracy"),
    "macro+": ("nas_bench_macro", "cifar10_mean.accuracy"),
    "nats_size": ("nats_size", "cifar10_test.accuracy"),
    "nb201_c10": ("nb201", "cifar10_valid_200.accuracy"),
    "nb201_c100": ("nb201", "cifar100_test_200.accuracy"),
    "nb201_in16": ("nb201", "in16_test_200.accuracy"),
}
_INNER = ("ridge", "gp", "boosted_trees", "mlp")
_PREDICTORS: dict[str, Any] = {
    "choice": "normal_scores",
    **{name: name for name in _INNER},
    **{f"scores_{name}": {"normal_scores": {"predictor": name}} for name in _INNER},
    "gnn": {"normal_scores": {"predictor": {"gnn": {"nodes": 8, "kinds": 7}}}},
}
_USUAL = tuple(name for name in _PREDICTORS if name != "gnn")
_FAST = ("choice", "ridge", "gp", "boosted_trees", "scores_ridge")

Taus = dict[str, dict[str, dict[str, dict[str, float]]]]  # table → labels → predictor → seed → tau


def measure(tables: Sequence[str], seeds: Sequence[int], labels: Sequence[int], names: Sequence[str], taus: Taus,
            stored: bool) -> None:  # fmt: skip
    """Fill in what `taus` lacks."""
    for seed in seeds:
        for table in tables:
            began = time.process_time()
            missing = [
                (n, name)
                for n in labels
                for name in names
                if str(seed) not in taus.setdefault(table, {}).setdefault(str(n), {}).setdefault(name, {})
            ]
            for n, name in missing:
                if name != "gnn" or table.startswith("nb201"):
                    taus[table][str(n)][name][str(seed)] = round(_tau(table, name, n, seed), 4)
            if missing and stored:
                write_result(_QUESTION, f"python -m benchmarks.{_QUESTION}", judged(taus))
                print(f"seed {seed} {table}: {time.process_time() - began:.0f} s of processor time", flush=True)


def judged(taus: Taus) -> dict[str, Any]:
    """Mean tau of each predictor, what the choice loses, and whether the expectations hold."""
    rows = {table: {n: _row(of) for n, of in by_n.items()} for table, by_n in taus.items()}
    losses = [row["choice_loses"] for by_n in rows.values() for row in by_n.values() if "choice_loses" in row]
    of = rows.get(_EXPECTED_OF, {})
    enough = [of[str(n)]["best_tau"] >= _EXPECTED[n] for n in _EXPECTED if "best_tau" in of.get(str(n), {})]
    holds = {"best": bool(enough) and all(enough), "choice": bool(losses) and max(losses) <= _CHOICE_LOSES}
    expected = {"best": {str(n): tau for n, tau in _EXPECTED.items()}, "choice_loses": _CHOICE_LOSES}
    return {"expected": expected, "holds": holds, "worst_loss": max(losses, default=None), "summary": rows, "tau": taus}


def _row(by_name: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Of one table and number of labels; compared are those that have all the seeds of the choice."""
    mean = {name: round(float(np.mean(list(of.values()))), 4) for name, of in by_name.items() if of}
    shared = sorted(by_name.get("choice", {}))
    singles = [name for name in by_name if name in _USUAL[1:] and shared and set(shared) <= set(by_name[name])]
    if not singles:
        return {"mean": mean}
    each = {name: np.array([by_name[name][seed] for seed in shared]) for name in ("choice", *singles)}
    best = max(singles, key=lambda name: each[name].mean())
    loses = each[best] - each["choice"]
    return {
        "seeds": len(shared),
        "mean": mean,
        "best": best,
        "best_tau": round(float(each[best].mean()), 4),
        "choice_tau": round(float(each["choice"].mean()), 4),
        "choice_loses": round(float(loses.mean()), 4),
        "standard_error": round(float(loses.std(ddof=1) / len(shared) ** 0.5), 4) if len(shared) > 1 else None,
        "choice_loses_at_most": round(float(loses.max()), 4),
    }


def _tau(table: str, name: str, n: int, seed: int) -> float:
    X_NF, y_N = _samples(table, name == "gnn")
    order = np.random.default_rng(seed).permutation(len(y_N))
    seen, unseen = order[:n], order[n : n + _UNSEEN]
    plug = Plug.of(_PREDICTORS[name])
    model = registry.create("predictors", plug.name, plug.options).fit(X_NF[seen], y_N[seen])
    return kendall(model.predict(X_NF[unseen])[0], y_N[unseen])


@cache
def _samples(table: str, as_graph: bool) -> tuple[np.ndarray, np.ndarray]:
    """(features, accuracy) of all the different networks."""
    name, metric = _TABLES[table]
    space = Tabular(name, os.environ.get("ARCHIP_DATA"))
    genotypes = list(space.enumerate())
    y_N = space.rows.metric(metric)[[space.row(g) for g in genotypes]]
    parts = [cell_rows(space.codes(genotypes), 5)] if as_graph else [space.encode(genotypes)]
    if table.endswith("+"):
        statistics_NS = space.statistics(genotypes)
        parts = [*parts, statistics_NS] if as_graph else [statistics_NS, *parts]
    return np.hstack(parts), y_N


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--tables", default=",".join(_TABLES), help="of these")
    parser.add_argument("--seeds", default="1000-1009", type=_seeds, help="FIRST-LAST")
    parser.add_argument("--labels", default="50,100,200", help="of these")
    parser.add_argument("--predictors", default=",".join(_USUAL), help=f"of {', '.join(_PREDICTORS)}")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    path = result_path(_QUESTION)
    known: Taus = json.loads(path.read_text(encoding="utf-8"))["tau"] if path.exists() and not arguments.toy else {}
    if arguments.toy:
        measure(["nb201_c10+"], (0, 1), (50,), _FAST, known, stored=False)
    else:
        names, tables = arguments.predictors.split(","), arguments.tables.split(",")
        measure(tables, arguments.seeds, [int(n) for n in arguments.labels.split(",")], names, known, stored=True)
    found = judged(known)
    for table_name, by_labels in found["summary"].items():
        for n_labels, found_row in by_labels.items():
            print(table_name, n_labels, found_row)
    print(found["holds"], "worst loss", found["worst_loss"])
