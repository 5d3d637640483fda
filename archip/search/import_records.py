"""Import: candidates that were evaluated elsewhere become records of a run, with their source.

They form a search of their own, ``import …``: they are on its front, in comparisons and exports, and never mix with
what the strategy was told. Limits and ``quality`` are judged as the run judges them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from archip.core import registry
from archip.core.candidate import Candidate, digest
from archip.core.errors import MissingExtra, UserError, nearest
from archip.core.problem import Problem
from archip.core.protocols import Space
from archip.core.record import METRICS, Outcome, Record, Status
from archip.core.store_url import without_password
from archip.search.records_out import FIXED
from archip.search.runs import Run
from archip.search.setup import make_target
from archip.spaces.product import ProductSpace

__all__ = ["add_records", "read_csv", "read_optuna"]


def add_records(run: Run, name: str, records: Sequence[Record], source: str) -> int:
    """Keep `records` as the search ``import <name>`` of a run, and their outcomes; how many are new."""
    items = [
        (digest(["import", source, r.candidate.parts]), "import", r.candidate.parts,
         Outcome(r.metrics, r.status, r.reason, r.seconds, {"source": source, "number": r.number}))
        for r in records
    ]  # fmt: skip
    run.store.put(items)
    return run.store.append(run.key, f"import {name}", records, source)


def read_csv(problem: Problem, path: Path) -> list[Record]:
    """The records of a CSV file: genotypes, metrics in SI units, maybe status, reason and seconds.

    Genotypes are a column ``genotypes`` (JSON, as ``archip export --records`` writes it) or a column for each gene,
    named ``net.<task>/<gene>`` and ``hw/<gene>``.

    Raises:
        UserError: with file and line: a column that means nothing, a candidate outside the space, a value that is none.
    """
    space, records = _space(problem), []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            genes = [name for name in columns if name in space.knobs]
            metrics = _metrics(columns, genes, problem)
            for number, row in enumerate(reader):
                try:
                    candidate = _from_row(space, row, genes)
                    values = {m: float(row[m]) for m in metrics if row[m]}
                    records.append(_record(problem, candidate, values, row, number))
                except UserError as error:
                    raise error.at(f"line {reader.line_num}") from None
                except (ValueError, TypeError, AttributeError, KeyError) as error:
                    raise UserError(f"cannot be read: {error}", f"line {reader.line_num}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", str(path)) from None
    except UserError as error:
        raise error.in_file(path) from None
    return records


def read_optuna(problem: Problem, url: str, study: str | None, metrics: Sequence[str]) -> tuple[str, list[Record]]:
    """(name of the study, a record of each finished trial).

    Parameters are named as genes, ``net.<task>/<gene>``, or by the gene alone where that is clear, and hold its values.

    Args:
        url: of Optuna's storage.
        study: its name, where the storage has several.
        metrics: what the trials' values are; the objectives of the problem where none are given.

    Raises:
        UserError: no such study, other directions than the metrics', or parameters that are no genes.
        MissingExtra: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "search", "a study of Optuna") from None
    found = _study(optuna, url, study)
    names = list(metrics) or [o.metric for o in problem.goals.objectives]
    _check_directions(found, names)
    space, records = _space(problem), []
    for trial in found.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            continue
        try:
            candidate = _decided(space, trial.params)
        except UserError as error:
            raise error.at(f"trial {trial.number}") from None
        values = dict(zip(names, trial.values or (), strict=False)) if trial.state.name == "COMPLETE" else {}
        fate = {} if values else {"status": "failed", "reason": f"trial {trial.state.name.lower()}"}
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        records.append(_record(problem, candidate, values, fate | {"seconds": str(seconds)}, trial.number))
    return found.study_name, records


def _space(problem: Problem) -> ProductSpace:
    """The candidates of a problem; reads no data sets."""
    tasks = problem.tasks.items()
    parts = {f"net.{name}": registry.create("spaces", spec.net.name, spec.net.options) for name, spec in tasks}
    target = make_target(problem)
    return ProductSpace(parts | ({"hw": target} if isinstance(target, Space) else {}))


def _metrics(columns: Sequence[str], genes: Sequence[str], problem: Problem) -> list[str]:
    """The columns that are metrics; any other must be known."""
    wanted = {o.metric for o in problem.goals.objectives} | {limit.metric for limit in problem.goals.limits}
    found = [c for c in columns if c in wanted or (c.rsplit(".", 1)[-1] in METRICS and c not in genes)]
    for column in columns:
        if column not in found and column not in genes and column not in FIXED:
            raise UserError(f"unknown column {column!r}", right=nearest(column, [*wanted, *FIXED, *genes]))
    return found


def _from_row(space: ProductSpace, row: Mapping[str, str], genes: Sequence[str]) -> Candidate:
    if "genotypes" in row:
        return space.canonical(Candidate.from_json(json.loads(row["genotypes"])))
    text = {name: row[name] for name in genes if row[name] != ""}
    values = {name: {str(v): v for v in space.knobs[name].values} for name in text}
    return _decided(space, {name: values[name].get(given, given) for name, given in text.items()})


def _decided(space: ProductSpace, params: Mapping[str, Any]) -> Candidate:
    """The candidate with these genes; names may be short where only one knob ends so."""
    short: dict[str, list[str]] = {}
    for name in space.knobs:
        short.setdefault(name.rpartition("/")[2], []).append(name)
    values: dict[str, Any] = {}
    for name, value in params.items():
        full = [name] if name in space.knobs else short.get(name, [])
        if len(full) != 1:
            raise UserError(f"parameter {name!r} is no gene", right=nearest(name, space.knobs))
        values[full[0]] = value

    def choose(name: str, allowed: Sequence[int]) -> int:
        known = list(space.knobs[name].values)
        if name not in values:
            raise UserError("gene is missing", name, f"one of {known[:12]}")
        if values[name] not in known or known.index(values[name]) not in allowed:
            raise UserError(f"{values[name]!r} is not allowed", name, f"one of {[known[i] for i in allowed][:12]}")
        return known.index(values[name])

    candidate = space.decide(choose)
    if candidate is None:
        raise UserError("breaks a constraint of the space")
    return candidate


def _record(
    problem: Problem, candidate: Candidate, metrics: Mapping[str, float], row: Mapping[str, str], number: int
) -> Record:
    """A record as the run itself would have made it of these metrics."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise UserError(f"{bad[0]} is not a finite number")
    parts = [(spec.weight or 0.0, metrics.get(f"{name}.{spec.metric}")) for name, spec in problem.tasks.items()]
    if "quality" not in metrics and all(value is not None for _, value in parts):
        metrics = {**metrics, "quality": sum(weight * value for weight, value in parts if value is not None)}
    status, reason = Status(row.get("status") or "ok"), row.get("reason") or ""
    broken = [str(x) for x in problem.goals.limits if x.metric in metrics and x.violation(metrics[x.metric])]
    if status is Status.OK and broken:
        status, reason = Status.INFEASIBLE, "breaks " + ", ".join(broken)
    return Record(candidate, dict(metrics), status, reason, float(row.get("seconds") or 0.0), number)


def _study(optuna: Any, url: str, name: str | None) -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    shown = without_password(url)
    path = url.removeprefix("sqlite:///").partition("?")[0] if url.startswith("sqlite:///") else None
    if path is not None and not Path(path).is_file():
        raise UserError("no such file", path)  # which Optuna would make
    try:
        known = optuna.study.get_all_study_names(url)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ValueError, RuntimeError, ImportError, OSError) as error:
        raise UserError(f"is no storage of Optuna: {type(error).__name__}", shown) from None
    if name is None and len(known) == 1:
        (name,) = known
    if name not in known:
        raise UserError(f"no study {name!r}" if name else "which study?", shown, nearest(name or "", known))
    return optuna.load_study(study_name=name, storage=url)


def _check_directions(study: Any, names: Sequence[str]) -> None:
    if len(study.directions) != len(names):
        raise UserError(f"the study has {len(study.directions)} values, not {len(names)}", "--metrics", "name each one")
    for name, direction in zip(names, study.directions, strict=True):
        if name.rsplit(".", 1)[-1] not in METRICS:
            raise UserError(f"unknown metric {name!r}", "--metrics", nearest(name, METRICS))
        goal = METRICS[name.rsplit(".", 1)[-1]].goal
        if (direction.name == "MAXIMIZE") != (goal > 0):
            raise UserError(
                f"the study has to {direction.name.lower()} {name}", "--metrics", "values as they were measured"
            )
