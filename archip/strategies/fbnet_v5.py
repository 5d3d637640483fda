"""FBNetV5: networks for many tasks from one search; every evaluated network teaches the policies of all tasks.

Choose it for problems of several tasks over one space of networks, where a candidate is costly and each task may end
with a network of its own: the number of candidates need not grow with the number of tasks. Each task has a policy of
independent choices. Most candidates have one network for all tasks, drawn from the policy of some task; a task learns
from it in proportion to how likely its own policy was to draw it, compared with how likely it was to be drawn. In the
other candidates every task has a network from its own policy.
Source: Wu et al. 2021, arXiv:2111.10007, section 3 (REINFORCE with importance weights from a shared proposal). Ours,
where the paper leaves it open: the proposal is the even mixture of the tasks' policies, so that no weight is above
their number; baseline and Adam as in `reinforce`. Differs: limits take the place of a cost penalty; what is not part of
a task (hardware) has a policy of its own, rewarded by the first objective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.knobs import Knob
from archip.core.objectives import Goals
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record, metric
from archip.strategies._base import AskTell
from archip.strategies._categoricals import Categoricals
from archip.strategies._controller import Decision, Rewards

__all__ = ["FBNetV5"]

_TRIES = 100  # rows of decisions that break a constraint, before a candidate is drawn instead
_LEAST = 1e-6  # weight of a sample below which nothing is learned from it
_COMMON = ""  # who decides what is part of no task


@dataclass(frozen=True)
class _Drawn:
    """How a candidate came about: each owner's decisions, and the log of how likely they were to be drawn."""

    decisions: Mapping[str, tuple[Decision, ...]]
    log_q: Mapping[str, float]


@dataclass
class FBNetV5(AskTell):
    """REINFORCE for all tasks at once, by importance weights."""

    lr: Annotated[float, Field(gt=0)] = 0.2  # of Adam, on the logits
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of the moving averages that are the baselines
    apart: Annotated[float, Field(ge=0, le=1)] = 0.25  # share of candidates with a network of its own for each task
    batch: Annotated[int, Field(ge=1)] = 10  # records of a step of Adam

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, which a controller decides on", "strategy")
        if any(name.startswith("compress.") for name in self.space.knobs):
            raise UserError("fbnet_v5 shares networks between tasks, not their bits", "strategy", "nsga2 or linas")
        self._knobs = dict(self.space.knobs)
        self._decide, self._codes = self.space.decide, self.space.codes
        owned = _owned(self._knobs)
        self._policies = {owner: Categoricals(knobs, self.lr) for owner, knobs in owned.items()}
        self._tasks = [owner for owner in owned if owner != _COMMON]
        self._rewards = {owner: _TaskRewards(owner, self.goals, self.momentum) for owner in owned}
        self._out: dict[str, _Drawn] = {}
        self._sums = {owner: np.zeros_like(policy.logits_GV) for owner, policy in self._policies.items()}
        self._n_summed = 0

    def propose(self, rng: np.random.Generator) -> Candidate:
        shared = bool(self._tasks) and rng.random() >= self.apart
        guide = self._tasks[int(rng.integers(len(self._tasks)))] if shared else None
        for _ in range(_TRIES):
            made: dict[str, list[Decision]] = {owner: [] for owner in self._policies}

            of_guide: dict[str, int] = {}

            def choose(
                knob: str,
                allowed: Sequence[int],
                made: dict[str, list[Decision]] = made,
                of_guide: dict[str, int] = of_guide,
            ) -> int:
                owner, name = _owner(knob)
                code = of_guide.get(name, -1) if owner != _COMMON else -1
                if code not in allowed:
                    policy = self._policies[guide if guide and owner != _COMMON else owner]
                    code = int(rng.choice(allowed, p=policy.probabilities(name, allowed)))
                made[owner].append(Decision(name, tuple(allowed), code))
                if guide and owner != _COMMON:
                    of_guide[name] = code
                return code

            candidate = self._decide(choose)
            if candidate is None:
                continue
            if candidate.id in self.asked:
                return self._near(candidate, shared, rng)
            decisions = {owner: tuple(row) for owner, row in made.items()}
            self._out[candidate.id] = self._drawn(decisions, shared)
            return candidate
        return self.space.sample(rng)

    def _near(self, candidate: Candidate, shared: bool, rng: np.random.Generator) -> Candidate:
        """A candidate one step from one that is known; if it is `shared`, for all tasks the same step."""
        near = self.space.mutate(candidate, rng)
        changed = next((part for part in near.parts if near.parts[part] != candidate.parts[part]), None)
        if not shared or changed is None or "." not in changed:
            return near
        kind = changed.partition(".")[0]
        return Candidate.from_parts(near.parts | {f"{kind}.{task}": near.parts[changed] for task in self._tasks})

    def likeliest(self) -> Candidate | None:
        """Every task with the network that its policy holds most likely; None if that breaks a constraint."""

        def choose(knob: str, allowed: Sequence[int]) -> int:
            owner, name = _owner(knob)
            return allowed[int(self._policies[owner].probabilities(name, allowed).argmax())]

        return self._decide(choose)

    def observe(self, records: Sequence[Record]) -> None:
        for record in records:
            drawn = self._out.pop(record.candidate.id, None) or self._as_if_drawn(record.candidate)
            for owner, policy in self._policies.items():
                decisions = drawn.decisions[owner]
                weight = float(np.exp(min(0.0, policy.log_p(decisions) - drawn.log_q[owner] - self._most) + self._most))
                advantage = self._rewards[owner].advantage(record, weight)
                if advantage is not None and weight > _LEAST:
                    self._sums[owner] += policy.gradient(decisions, weight * advantage)
            self._n_summed += 1
            if self._n_summed == self.batch:
                self._ascend()

    def _ascend(self) -> None:
        for owner, policy in self._policies.items():
            policy.ascend(self._sums[owner] / self.batch)
            self._sums[owner][:] = 0.0
        self._n_summed = 0

    @property
    def _most(self) -> float:
        """Log of the largest weight that a sample of the present policies can have."""
        return float(np.log(max(1, len(self._tasks))))

    def _drawn(self, decisions: Mapping[str, tuple[Decision, ...]], shared: bool) -> _Drawn:
        """Decisions from each owner's own policy or, if they are `shared`, from the mixture of the tasks' policies."""
        log_q = {o: self._policies[o].log_p(row) for o, row in decisions.items() if o == _COMMON or not shared}
        if shared:
            log_q |= dict.fromkeys(self._tasks, self._log_mixture(decisions[self._tasks[0]]))
        return _Drawn(decisions, log_q)

    def _log_mixture(self, decisions: Sequence[Decision]) -> float:
        """Log of how likely decisions for all tasks are, when one of the tasks' policies is chosen evenly."""
        each = [self._policies[task].log_p(decisions) for task in self._tasks]
        return float(np.logaddexp.reduce(each) - np.log(len(each)))

    def _as_if_drawn(self, candidate: Candidate) -> _Drawn:
        """A candidate that no policy proposed: drawn from the mixture if all tasks have the same network."""
        made: dict[str, list[Decision]] = {owner: [] for owner in self._policies}
        for (knob, spec), code in zip(self._knobs.items(), self._codes([candidate])[0].tolist(), strict=True):
            if code >= 0:
                owner, name = _owner(knob)
                made[owner].append(Decision(name, tuple(range(len(spec.values))), code))
        decisions = {owner: tuple(row) for owner, row in made.items()}
        networks = {tuple((d.knob, d.code) for d in decisions[task]) for task in self._tasks}
        return self._drawn(decisions, shared=len(networks) == 1)


class _TaskRewards:
    """Rewards of one owner less their moving average: a task's own metric, or the first objective."""

    def __init__(self, owner: str, goals: Goals, momentum: float) -> None:
        self._owner, self._goals, self._momentum = owner, goals, momentum
        self._general = Rewards(goals)
        self._least: float | None = None
        self._sum = self._weights = 0.0

    def advantage(self, record: Record, weight: float) -> float | None:
        """The reward less the weighted average of those before; None for the first, which has nothing before it."""
        reward = self._reward(record)
        usual = self._sum / self._weights if self._weights else None
        self._sum = self._momentum * self._sum + (1 - self._momentum) * weight * reward
        self._weights = self._momentum * self._weights + (1 - self._momentum) * weight
        return None if usual is None else reward - usual

    def _reward(self, record: Record) -> float:
        (general,) = self._general.of([record])
        own = [name for name in record.metrics if name.startswith(f"{self._owner}.") and metric(name).goal > 0]
        if self._owner == _COMMON or not own:
            return general
        value = record.metrics[own[0]]
        if self._goals.feasible(record):
            self._least = min(value, value if self._least is None else self._least)
            return value
        least = value if self._least is None else min(value, self._least)
        return least - min(float(self._goals.violations([record])[0]), 1.0)


def _owner(knob: str) -> tuple[str, str]:
    """The task that a knob belongs to, and its name there; `_COMMON` if it belongs to none."""
    part, _, name = knob.rpartition("/")
    kind, _, task = part.partition(".")
    return (task, f"{kind}/{name}") if task else (_COMMON, knob)


def _owned(knobs: Mapping[str, Knob]) -> dict[str, dict[str, Knob]]:
    """Owner → its knobs by their names there.

    Raises:
        UserError: the tasks' networks come from different spaces.
    """
    owned: dict[str, dict[str, Knob]] = {}
    for knob, spec in knobs.items():
        owner, name = _owner(knob)
        owned.setdefault(owner, {})[name] = spec
    tasks = {owner: [(n, list(k.values)) for n, k in own.items()] for owner, own in owned.items() if owner != _COMMON}
    first = next(iter(tasks), None)
    for task, own in tasks.items():
        if first is not None and own != tasks[first]:
            text = f"the networks of {first} and {task} come from different spaces"
            raise UserError(text, "strategy: fbnet_v5", "one space for all tasks, or another strategy")
    return owned
