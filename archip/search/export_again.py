"""Export again: a candidate of a run as files, from its stored record and the checkpoints in the run's folder.

A finalist was trained in full already and is read back; any other candidate is trained first, as finalists are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archip.core import registry
from archip.core.errors import CandidateError, UserError, nearest
from archip.core.files import make_folder, replacing
from archip.core.protocols import Progress
from archip.core.record import Record
from archip.export.report import Report
from archip.search.deliver import exported
from archip.search.finish import trained
from archip.search.runs import Run
from archip.search.setup import Setup, prepare

__all__ = ["FORMATS", "export_candidate", "export_report", "wanted_record"]

FORMATS = ("onnx", "qdq_onnx", "pytorch_source", "safetensors", "chip_yaml")


def wanted_record(run: Run, candidate: str | None) -> Record:
    """The record of a candidate by id or the beginning of it; by default the run's own choice, or its best so far.

    Raises:
        UserError: there is no such candidate, or none that keeps all limits.
    """
    best, stored = run.front(), run.stored
    if candidate is None:
        chosen = ((run.summary or {}).get("finalists") or [{}])[0].get("id")
        record = run.record(chosen) if chosen else None
        if record is None and not best:
            raise UserError("no candidate keeps all limits", run.name, "choose one with --candidate")
        goals = stored.goals if stored else run.problem.goals
        return record or min(best, key=goals.key)
    record = run.record(candidate) or next((r for r in best if r.candidate.id.startswith(candidate)), None)
    if record is None:
        raise UserError(f"no candidate {candidate!r}", run.name, nearest(candidate, [r.candidate.id for r in best]))
    return record


def export_candidate(
    run: Run, record: Record, formats: Sequence[str], out: Path, progress: Progress | None = None
) -> list[Path]:
    """Write the candidate's networks (and its chip) under `out`; the files.

    Raises:
        UserError: a format that does not exist or does not suit the run; the folder is on another machine.
        CandidateError: the candidate cannot be trained.
    """
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"unknown format {name!r}", "--format", nearest(name, FORMATS))
    problem = run.problem
    if run.folder is None:
        raise UserError("the run's folder is on another machine", run.name, "export there: it has the checkpoints")
    if problem.is_on_table:
        raise UserError("networks of a table are not built", run.name, "its artifacts have the genotype")
    setup = prepare(problem, run.folder)
    files: list[Path] = []
    networks = [name for name in formats if name != "chip_yaml"]
    if networks:
        trainer = setup.trainer(progress)
        for task in setup.run.tasks:
            files += exported(trained(trainer, task, record.candidate), make_folder(out / task.name), networks).values()
    if "chip_yaml" in formats:
        files += _chip(setup, record, make_folder(out))
    return files


def export_report(run: Run, out: Path) -> Path:
    """The run's report written again from its records.

    Raises:
        UserError: the run has not ended.
    """
    summary = run.summary
    if summary is None:
        raise UserError("the run has not ended, so there is no report yet", run.name, "archip front shows its best")
    own, *baselines = run.searches()
    others = {name.removeprefix("baseline "): run.records(name) for name in baselines if name.startswith("baseline ")}
    path = make_folder(out) / "report.html"
    with replacing(path) as temporary:
        Report().write(temporary, run.problem, summary, run.records(own), others)
    return path


def _chip(setup: Setup, record: Record, out: Path) -> list[Path]:
    from archip.evaluators.cost import plan

    if record.candidate.hw is None:
        raise UserError("the run designs no chip", "--format chip_yaml")
    if record.metrics.get("area_mm2") is None:
        raise CandidateError(f"candidate {record.candidate.id} has no chip: {record.reason}")
    written = registry.create("export", "chip_yaml").write(plan(record.candidate, setup.run), out)
    return [path for path in (written.chip_path, written.schedule_path, written.floor_path) if path is not None]
