"""One call of the command line in this process."""

from __future__ import annotations

import pytest

from archip.cli.main import run


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``archip ARGUMENTS...``."""
    with pytest.raises(SystemExit) as end:
        run([*map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err
