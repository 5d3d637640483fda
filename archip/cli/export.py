"""``archip export``: candidates of a run as files, and its records for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from archip.cli._runs import JsonFlag, RunName, StoreUrl, opened
from archip.cli.progress import RichProgress
from archip.core.errors import UserError
from archip.search.runs import Run

__all__ = ["register"]

_FORMATS = ("onnx", "qdq_onnx", "pytorch_source", "safetensors", "chip_yaml", "report")


def _complete_format(incomplete: str) -> list[str]:
    return [name for name in _FORMATS if name.startswith(incomplete)]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""

    @app.command()
    def export(
        run: RunName,
        candidate: Annotated[str | None, typer.Option(help="Its id. [default: the run's choice, or its best]")] = None,
        formats: Annotated[
            list[str] | None,
            typer.Option("--format", "-f", help=", ".join(_FORMATS) + ".", autocompletion=_complete_format),
        ] = None,
        out: Annotated[
            Path | None, typer.Option("--out", "-o", help="Folder of the files. [default: exports in the run's]")
        ] = None,
        records: Annotated[
            list[Path] | None, typer.Option(help="Write all records there: FILE.csv or FILE.parquet.")
        ] = None,
        tensorboard: Annotated[Path | None, typer.Option(help="Write event files for TensorBoard there.")] = None,
        mlflow: Annotated[str | None, typer.Option(help="Log to MLflow at this URI.")] = None,
        store: StoreUrl = None,
        as_json: JsonFlag = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    ) -> None:
        """Write a candidate as ONNX, PyTorch source, safetensors or chip files, or the records as a table.

        A finalist of the run is read back; any other candidate is trained in full first.

        Examples:

          archip export runs/two_tasks --format onnx --format chip_yaml

          archip export runs/two_tasks --candidate 3f2a91b07c55d8e4 --out chosen/

          archip export runs/two_tasks --records records.parquet

          archip export runs/two_tasks --tensorboard logs/ --mlflow sqlite:///mlflow.db
        """
        is_table = bool(records or tensorboard or mlflow)
        if is_table and not formats and (candidate is not None or out is not None):
            raise UserError("--candidate and --out go with --format", right="add --format onnx")
        found = opened(run, store)
        written: dict[str, object] = {}
        try:
            for path in records or []:
                written[str(path)] = _records(found, path)
            if tensorboard is not None:
                from archip.search.trackers import to_tensorboard

                written[str(tensorboard)] = f"{to_tensorboard(found, tensorboard):,} scalars"
            if mlflow is not None:
                from archip.search.trackers import to_mlflow

                written["mlflow"] = f"run {to_mlflow(found, mlflow)}"
            if formats or not is_table:
                written |= _candidate(found, candidate, formats or ["onnx"], out, quiet)
        finally:
            found.close()
        if as_json:
            typer.echo(json.dumps(written, indent=2))
        else:
            for name, what in written.items():
                typer.echo(f"{name}: {what}")


def _records(run: Run, path: Path) -> str:
    from archip.search.records_out import write_records

    return f"{write_records(run, path):,} records"


def _candidate(run: Run, candidate: str | None, formats: list[str], out: Path | None, quiet: bool) -> dict[str, str]:
    """File → what it is."""
    from archip.search.export_again import export_candidate, export_report, wanted_record

    if out is None and run.folder is None:
        raise UserError("the run's folder is on another machine", run.name, "name one with --out")
    files: dict[str, str] = {}
    if "report" in formats:
        files[str(export_report(run, out or run.folder / "exports"))] = "report"  # pyright: ignore[reportOptionalOperand]
    rest = [name for name in formats if name != "report"]
    if rest:
        record = wanted_record(run, candidate)
        folder = (out or run.folder / "exports") / record.candidate.id  # pyright: ignore[reportOptionalOperand]
        with RichProgress(Console(stderr=True), quiet) as progress:
            for path in export_candidate(run, record, rest, folder, progress):
                files[str(path)] = f"candidate {record.candidate.id}"
    return files
