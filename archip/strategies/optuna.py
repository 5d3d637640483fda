"""Optuna: any of its samplers by name, as a strategy.

Choose it to compare with what you know, or for a sampler that archip has not got; archip's own strategies know the
space (mutation, isomorphic networks) and are faster: TPE with two objectives takes up to 0.2 s a candidate.
Each knob is a parameter: an integer, the place of the value, where the values are ordered, else a category. Every
objective is told as it is. A network that breaks a limit is told as the worst within the limits so far, worsened by the
violation (at most 1); one that fails, as a failed trial.
Source: Akiba et al. 2019, arXiv:1907.10902 (ask and tell, parameters by define-by-run).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.candidate import Candidate
from archip.core.errors import MissingExtra, UserError, nearest
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record, Status
from archip.strategies._base import AskTell

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["Optuna"]

_STOPS = "BruteForceSampler"  # ends the study itself, which only `study.optimize` allows


@dataclass
class Optuna(AskTell):
    """A study of Optuna.

    Attributes:
        sampler: name of a class in `optuna.samplers`.
    """

    sampler: str = "TPESampler"

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which become Optuna's parameters", "strategy")
        self._knobs, self._decide = self.space.knobs, self.space.decide
        self._kind = _sampler(self.sampler)
        self._study: Study | None = None
        self._trials: dict[str, Trial] = {}
        self._worst_O: np.ndarray | None = None

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._study is None:  # the sampler has a generator of its own, which the first ask seeds
            self._study = _study(self._kind, int(rng.integers(2**31)), len(self.goals.objectives))
        try:
            trial = self._study.ask()
            _ = trial.relative_params  # the sampler's work, which would be done later
        except (ImportError, ValueError) as error:  # a package or several objectives that a sampler lacks
            raise UserError(f"{self.sampler} cannot be used here: {error}", "sampler", "another sampler") from None
        candidate = self._decide(lambda knob, allowed: self._suggested(trial, knob, allowed))
        if candidate is None or candidate.id in self.asked:
            self._study.tell(trial, state=_failed())
            return self.space.sample(rng) if candidate is None else candidate
        self._trials[candidate.id] = trial
        return candidate

    def observe(self, records: Sequence[Record]) -> None:
        good = [r for r in records if self.goals.feasible(r)]
        if good:
            worst_O = self.goals.losses(good).max(0)
            self._worst_O = worst_O if self._worst_O is None else np.maximum(worst_O, self._worst_O)
        for record in records:
            trial = self._trials.pop(record.candidate.id, None)
            if trial is None or self._study is None:
                continue
            if record.status is Status.FAILED or (losses := self._losses(record)) is None:
                self._study.tell(trial, state=_failed())
            else:
                self._study.tell(trial, losses)

    def _losses(self, record: Record) -> list[float] | None:
        """What Optuna minimises; None for a broken limit before anything kept them all."""
        if self.goals.feasible(record):
            return self.goals.losses([record])[0].tolist()
        if self._worst_O is None:
            return None
        violation = min(float(self.goals.violations([record])[0]), 1.0)
        return (self._worst_O + violation * np.maximum(np.abs(self._worst_O), 1e-12)).tolist()

    def _suggested(self, trial: Trial, knob: str, allowed: Sequence[int]) -> int:
        """The trial's code for a knob; the nearest that is allowed, where a table has no row of it."""
        n = len(self._knobs[knob].values)
        if self._knobs[knob].ordered:
            code = trial.suggest_int(knob, 0, n - 1)
        else:
            code = int(trial.suggest_categorical(knob, range(n)))
        return min(allowed, key=lambda other: abs(other - code))


def _sampler(name: str) -> Any:
    try:
        from optuna import samplers
    except ImportError:
        raise MissingExtra("optuna", "search", "the strategy optuna") from None
    known = {n: getattr(samplers, n) for n in samplers.__all__ if n.endswith("Sampler") and n != _STOPS}
    known = {n: kind for n, kind in known.items() if not inspect.isabstract(kind) and _needs_nothing(kind)}
    if name not in known:
        raise UserError(f"Optuna has no sampler {name!r} that can be made by its name", "sampler", nearest(name, known))
    return known[name]


def _needs_nothing(kind: Any) -> bool:
    """Whether a sampler can be made without options (a grid or fixed parameters would have to be given)."""
    return all(p.default is not p.empty for p in inspect.signature(kind).parameters.values())


def _study(kind: Any, seed: int, n_objectives: int) -> Study:
    """A study in memory; samplers that take no seed are deterministic."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    minimise = optuna.study.StudyDirection.MINIMIZE
    with warnings.catch_warnings():  # whoever names an experimental sampler wants it
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = kind(seed=seed) if "seed" in inspect.signature(kind).parameters else kind()
    return optuna.create_study(sampler=sampler, directions=[minimise] * n_objectives)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
