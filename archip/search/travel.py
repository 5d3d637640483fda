"""Travel: stages and trainings in the form that goes to a worker: the problem, and where the run's folder is.

A worker makes data, spaces and stages from the problem itself, once, and reads what `prepare` wrote in the driver
(a trained supernet) from the run's folder; on a machine that does not see that folder the files come along.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from archip.core.candidate import Candidate, Genotype
from archip.core.errors import CandidateError
from archip.core.problem import Problem
from archip.core.protocols import Stage
from archip.core.record import Outcome
from archip.search.setup import Setup, prepare

__all__ = ["FinishCall", "StageCall", "stage_call"]


@dataclass(frozen=True)
class StageCall:
    """One stage of a problem.

    Attributes:
        problem: as JSON.
        folder: of the run.
        files: what `prepare` wrote, by path below the folder; empty where workers see the folder.
    """

    problem: str
    folder: str
    stage: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def prepare(self) -> None:
        self._made()

    def __call__(self, candidates: Sequence[Candidate]) -> tuple[list[Outcome], float]:
        stage = self._made()
        began = time.perf_counter()
        return stage.evaluate(candidates), time.perf_counter() - began

    def _made(self) -> Stage:
        made = self.__dict__.get("made")
        if made is None:
            setup = _setup(self.problem, _here(self.folder, self.files))
            made = next(stage for stage in setup.stages if stage.name == self.stage)
            made.prepare(None)
            self.__dict__["made"] = made
        return made


def stage_call(problem: Problem, folder: Path, sees_folder: bool, stage: Stage) -> StageCall | None:
    """The travelling form of a prepared stage; None where it measures this machine."""
    if getattr(stage, "stays", False):
        return None
    files = {} if sees_folder else _files(folder, getattr(stage, "folder", None))
    return StageCall(json.dumps(problem.to_json()), str(folder.resolve()), stage.name, files)


@dataclass(frozen=True)
class FinishCall:
    """Full trainings of a problem; an item is (task, genotype, repeat). The checkpoint is what stays, or is sent."""

    problem: str
    folder: str
    sends: bool

    def prepare(self) -> None:
        _setup(self.problem, self.folder)

    def __call__(self, item: tuple[str, Genotype, int]) -> tuple[str, bytes | str]:
        """(path of the checkpoint below the folder, its bytes), or ("", why it could not be trained)."""
        name, genotype, repeat = item
        folder = _here(self.folder, {}) if self.sends else self.folder
        setup = _setup(self.problem, folder)
        task = next(task for task in setup.run.tasks if task.name == name)
        trainer = setup.trainer(None)
        try:
            trainer.train(task, genotype, repeat)
        except CandidateError as error:
            return "", str(error)
        path = trainer.checkpoint(task, genotype, repeat)
        return str(path.relative_to(folder)), path.read_bytes() if self.sends else b""


@lru_cache(maxsize=2)
def _setup(problem: str, folder: str) -> Setup:
    return prepare(Problem.from_dict(json.loads(problem)), Path(folder))


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="archip-worker-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _here(folder: str, files: Mapping[str, bytes]) -> str:
    """The run's folder where this machine sees it, else one of the worker's own, with the files that came along."""
    if Path(folder).is_dir():
        return folder
    own = _own_folder()
    for name, content in files.items():
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(own)


def _files(folder: Path, below: Path | None) -> dict[str, bytes]:
    found: list[Any] = sorted(below.rglob("*.safetensors")) if below is not None and below.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
