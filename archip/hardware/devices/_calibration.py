"""Calibration: measurements in, a device file out, with the error that its predictions will have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.devices._table import Encoding, Table, column, floats
from archip.hardware.devices.fitted import table_features
from archip.predictors._agreement import agreement
from archip.predictors._predictor import from_json

__all__ = ["LEAST", "PREDICTORS", "calibrate_table", "fitted_contents"]

LEAST = 10  # measurements; below, folds would say nothing of the error
# Few and small trees: with some 50 measurements more of them only take longer.
PREDICTORS = ("ridge", "additive", "gp", {"boosted_trees": {"members": 2, "trees": 60}})


def fitted_contents(
    device: str,
    made: Mapping[str, Any],
    about_features: Mapping[str, Any],
    X_NF: np.ndarray,
    latency_N: np.ndarray,
    prefixes: Sequence[int],
    seed: int,
    predictors: Sequence[Any] = PREDICTORS,
) -> dict[str, Any]:
    """The contents of a device file: the predictor chosen by cross-validation, and its error.

    Args:
        device: its name. made: how the measurements were made, as JSON.
        latency_N: s. prefixes: numbers of features to try.

    Raises:
        UserError: too few measurements.
    """
    if len(latency_N) < LEAST:
        raise UserError(f"{len(latency_N)} measurements are too few to fit and to tell the error", right=f"{LEAST}")
    options = {"candidates": tuple(predictors), "prefixes": tuple(prefixes), "seed": seed}
    fitted = registry.create("predictors", "cross_validated", options).fit(X_NF, latency_N)
    error = _short(fitted.error.to_json())
    chosen = {"predictor": fitted.to_json()["state"]["chosen"]["predictor"], "features": fitted.state["width"]}
    return {
        "device": device,
        "metric": "latency_s",
        "made": dict(made),
        "error": {
            "measurements": len(latency_N),
            "chosen": chosen,
            **{k: error[k] for k in ("expected", "low", "high")},
        },
        "tried": error["candidates"],
        "features": dict(about_features),
        "predictor": fitted.to_json(),
    }


def calibrate_table(
    device: str,
    table: Table,
    latency: str,
    unit_s: float,
    features: Sequence[str],
    budget: int,
    seed: int,
    predictors: Sequence[Any] = PREDICTORS,
) -> dict[str, Any]:
    """A device file from `budget` rows of a table; the other rows that have a latency say how well it does.

    Args:
        latency: the column that was measured. unit_s: its unit in seconds. features: columns that describe a network.

    Raises:
        UserError: a column that is missing or cannot be used, or too few rows.
    """
    measured = [i for i, text in enumerate(column(table, latency, "latency")) if text != ""]
    rows = {name: [values[i] for i in measured] for name, values in table.items()}
    latency_N = unit_s * floats(rows[latency], latency)
    if (latency_N <= 0).any():
        raise UserError(f"row {int(np.argmin(latency_N)) + 1} is not positive", latency, "latencies above zero")
    if budget > len(latency_N):
        raise UserError(f"{budget} measurements are wanted, the table has {len(latency_N)}", "budget")
    encoding = Encoding.of(rows, features)
    X_NF = encoding(rows)
    order = np.random.default_rng(seed).permutation(len(latency_N))
    used, rest = order[:budget], order[budget:]
    made = {"from": "table", "latency": latency, "rows": len(latency_N), "seed": seed}
    about = table_features(encoding)
    contents = fitted_contents(device, made, about, X_NF[used], latency_N[used], encoding.prefixes, seed, predictors)
    if len(rest) >= LEAST:
        predicted_M, _ = from_json(contents["predictor"]).predict(X_NF[rest])
        contents["error"]["other_rows"] = _short({"n": len(rest), **asdict(agreement(predicted_M, latency_N[rest]))})
    return contents


def _short(value: Any) -> Any:
    """Numbers to six digits: more would only seem to say more."""
    if isinstance(value, Mapping):
        return {k: _short(v) for k, v in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
