"""The command ``archip``: its verbs, and what becomes of errors.

A user's mistake is one message on stderr and exit code 2; an interrupted run says how to go on and exits with 130.
"""

from __future__ import annotations

import errno
import logging
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from archip.cli import (
    bench,
    catalogue,
    check,
    chip,
    compare,
    cost,
    data,
    device,
    export,
    front,
    import_verb,
    init,
    joint,
    resume,
    run_verb,
    serve,
    status,
)
from archip.core.errors import ArchipError, UserError

__all__ = ["app", "run"]

app = typer.Typer(
    name="archip",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_RUNS = (run_verb, resume, status, front, compare, export, import_verb, serve)
for module in (*_RUNS, cost, chip, joint, bench, check, init, catalogue, data, device):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archip {version('archip')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Find neural networks and the chips they run on, together.

    [bold]Examples[/bold]

      archip init problem.yaml          write a commented problem file
      archip check problem.yaml         check it, show all defaults
      archip run problem.yaml           search, train, export, report
    """
    if not isinstance(getattr(logging, log_level.upper(), None), int):
        raise UserError(f"unknown log level {log_level!r}", "--log-level", "debug, info, warning or error")
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the command; always ends in SystemExit."""
    try:
        app(arguments, standalone_mode=True)
    except ArchipError as error:
        _fail(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            _fail(f"{error.filename or 'output'}: {error.strerror} (free some space or choose another --out; "
                  "the same command continues the run)")  # fmt: skip
        raise
    except KeyboardInterrupt:
        print("archip: interrupted; the same command continues the run", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"archip: {message}", file=sys.stderr)
    sys.exit(2)
