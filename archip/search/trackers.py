"""A run handed to experiment trackers: scalars for TensorBoard, a run with its figures and files for MLflow.

The step is the number of the candidate. ``best/…`` is the best feasible value of each objective so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archip.core.errors import MissingExtra, UserError
from archip.core.files import make_folder
from archip.core.objectives import Goals
from archip.core.store_url import without_password
from archip.search.records_out import parts
from archip.search.runs import Run

__all__ = ["to_mlflow", "to_tensorboard"]

_METRICS, _PARAMS = 1000, 100  # that MLflow takes at once


def to_tensorboard(run: Run, folder: Path) -> int:
    """Write event files, one folder a search; how many scalars there are.

    Raises:
        MissingExtra: tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise MissingExtra("tensorboard", "tensorboard", "an event file") from None
    n_scalars, created_s = 0, run.stored.created_s if run.stored else 0.0
    for search in run.searches():
        writer = EventFileWriter(str(make_folder(folder / search.replace(" ", "_"))))
        for step, seconds, scalars in _scalars(run, search):
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
            writer.add_event(Event(wall_time=created_s + seconds, step=step, summary=Summary(value=values)))
            n_scalars += len(values)
        writer.close()
    return n_scalars


def to_mlflow(run: Run, uri: str, experiment: str = "archip") -> str:
    """Log the strategy's own search as one run of MLflow, with the problem, the result and its files; its id there.

    Raises:
        MissingExtra: mlflow is not installed.
        UserError: MLflow does not take runs at `uri`; with its reason.
    """
    try:
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("mlflow-skinny", "mlflow", "a run of MLflow") from None
    try:
        return _logged(MlflowClient(tracking_uri=uri), run, experiment)
    except MlflowException as error:
        reason = str(error).partition(". ")[0]
        raise UserError(
            f"MLflow refuses: {reason}", without_password(uri), "sqlite:///mlflow.db, or a server"
        ) from None


def _logged(client: Any, run: Run, experiment: str) -> str:
    from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]

    found = client.get_experiment_by_name(experiment)
    home = found.experiment_id if found is not None else client.create_experiment(experiment)
    there = client.create_run(home, run_name=run.name, tags={"archip.problem": run.problem.id}).info.run_id
    params = [Param(name, value[:500]) for name, value in _flat(run.problem.to_json()).items()]
    metrics: list[Any] = []
    created_s = run.stored.created_s if run.stored else 0.0
    for step, seconds, scalars in _scalars(run, run.searches()[0]):
        metrics += [Metric(tag, value, int(1000 * (created_s + seconds)), step) for tag, value in scalars.items()]
    for i in range(0, len(params), _PARAMS):
        client.log_batch(there, params=params[i : i + _PARAMS])
    for i in range(0, len(metrics), _METRICS):
        client.log_batch(there, metrics=metrics[i : i + _METRICS])
    for name in ("problem.yaml", "summary.json", "report.html"):
        if run.folder is not None and (run.folder / name).is_file():
            client.log_artifact(there, str(run.folder / name))
    client.set_terminated(there, "FINISHED" if run.state == "done" else "KILLED")
    return there


def _scalars(run: Run, search: str) -> Iterator[tuple[int, float, Mapping[str, float]]]:
    """(number, seconds of evaluation so far, scalars) of each record that has any."""
    goals = run.stored.goals if run.stored else run.problem.goals
    best: dict[str, float] = {}
    seconds = 0.0
    for _, records in parts(run, [search]):
        for record in records:
            seconds += record.seconds
            scalars = {f"candidate/{name}": float(value) for name, value in record.metrics.items()}
            if goals.feasible(record):
                scalars |= _best(best, record.metrics, goals)
            if scalars:
                yield record.number, seconds, scalars


def _best(best: dict[str, float], metrics: Mapping[str, float], goals: Goals) -> dict[str, float]:
    """The best values so far, of which `best` keeps note."""
    for objective in goals.objectives:
        value = metrics.get(objective.metric)
        if value is not None:
            old = best.get(objective.metric, value)
            best[objective.metric] = max(old, value) if objective.goal > 0 else min(old, value)
    return {f"best/{name}": value for name, value in best.items()}


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as ``a.b.c`` → text, in characters that MLflow allows in names."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: str(value)}
    found: dict[str, str] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found
