"""Where and with what a benchmark ran: written into every result."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["machine", "result_path", "write_result"]

_PACKAGES = ("archip", "numpy", "numba", "torch", "onnxruntime", "scikit-learn")


def machine() -> dict[str, Any]:
    """Processor, cores, versions and commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def result_path(question: str) -> Path:
    """``results/<question>_<machine>_<yyyymm>.json``."""
    return Path(__file__).parent / "results" / f"{question}_{os.cpu_count()}core_{datetime.now(UTC):%Y%m}.json"


def write_result(question: str, command: str, result: Mapping[str, Any]) -> Path:
    """The file of `result_path`, with the command that made it."""
    path = result_path(question)
    path.parent.mkdir(exist_ok=True)
    whole = {"command": command, "machine": machine(), **result}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
