"""Problem: what the user asks for. Reads problem.yaml, refuses what it does not know, fills in the defaults.

Everything is checked here, at the border; the rest of archip trusts a `Problem`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from archip.core import registry
from archip.core.candidate import digest
from archip.core.compression import Compress
from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.problem_file import Budget, Finish, Plug, ProblemFile, TaskSpec, read_file, resolved
from archip.core.problem_goals import read_limit, read_objectives, with_bounds
from archip.core.store_url import split_url, without_password
from archip.core.table_goals import TableGoals
from archip.core.target import TARGETS, resolved_target, target_plug
from archip.core.workers import workers_plug
from archip.core.yaml_file import read_yaml

__all__ = ["Budget", "Finish", "Plug", "Problem", "TaskSpec"]


@dataclass(frozen=True)
class Problem:
    """A checked problem with all defaults filled in."""

    name: str
    tasks: Mapping[str, TaskSpec]
    target: Plug | None
    goals: Goals
    strategy: Plug
    evaluator: Plug
    budget: Budget
    finish: Finish
    baselines: tuple[Plug, ...]
    seed: int
    limits: Mapping[str, str]
    schedule: str | None = None
    store: str | None = dataclasses.field(default=None, repr=False)  # may have a password
    workers: Plug = Plug("serial")  # noqa: RUF009 - frozen
    compress: Compress | None = None  # with its quantizer as a Plug

    @classmethod
    def load(cls, path: str | Path) -> Problem:
        """Read and check a problem file.

        Raises:
            UserError: the file cannot be read, is not YAML, or asks for something that archip does not have.
        """
        value = read_yaml(path, missing="archip init writes one")
        try:
            return cls.from_dict(value)
        except UserError as error:
            raise error.in_file(path) from None

    @classmethod
    def from_dict(cls, value: Any) -> Problem:
        """Check a problem given as nested dicts (the form of the YAML file).

        Raises:
            UserError: with the key at fault.
        """
        if not isinstance(value, Mapping):
            raise UserError("a problem is a mapping of keys", right="archip init writes an example")
        if "targets" in value:
            raise UserError("are several problems", "targets", "archip.run_targets, or archip run FILE")
        file = read_file(value)
        evaluator, table = _judged(file)
        if file.finish.epochs == 0 and evaluator.name != "supernet":
            raise UserError("0 takes the weights of a supernet", "finish.epochs", "evaluator: supernet, or 1 at least")
        if file.finish.epochs == 0 and file.finish.seeds > 1:
            raise UserError("without training there is nothing to repeat", "finish.seeds", "1 beside epochs: 0")
        target, knows, bounds = resolved_target(file.target)
        tasks = {name: _task(name, spec, len(file.tasks), table) for name, spec in file.tasks.items()}
        named = with_bounds(file.limits, bounds)
        if table is None:
            limits = tuple(read_limit(k, v, tasks, target, knows) for k, v in named.items())
            objectives = read_objectives(file.objectives, limits, target, knows)
        else:
            limits = tuple(table.limit(k, v) for k, v in named.items())
            objectives = table.objectives(file.objectives)
            evaluator = Plug(evaluator.name, {**evaluator.options, "costs": table.costs(limits, objectives)})
        return cls(
            name=file.name,
            tasks=tasks,
            target=target,
            goals=Goals(objectives, limits),
            strategy=resolved("strategies", file.strategy, "strategy"),
            evaluator=evaluator,
            budget=file.budget,
            finish=file.finish,
            baselines=tuple(resolved("strategies", b, "baselines") for b in file.baselines),
            seed=file.seed,
            limits={k: str(v) for k, v in named.items()},
            schedule=_schedule(file, target),
            store=_store(file.store),
            workers=resolved("distribute", Plug(*workers_plug(file.workers)), "workers"),
            compress=_compress(file.compress, evaluator, target),
        )

    def to_json(self) -> dict[str, Any]:
        """The problem as resolved, without passwords; `from_dict` of it gives an equal problem."""
        return {
            "name": self.name,
            "tasks": {
                name: {
                    **({} if t.data is None else {"data": t.data.to_json()}),
                    "net": t.net.to_json(),
                    "metric": t.metric,
                    "weight": t.weight,
                }
                for name, t in self.tasks.items()
            },
            "target": None if self.target is None else {self.target.name: dict(self.target.options)},
            "limits": dict(self.limits),
            "objectives": [o.metric for o in self.goals.objectives],
            **({} if self.compress is None else {"compress": _compress_json(self.compress)}),
            "strategy": self.strategy.to_json(),
            **({} if self.schedule is None else {"schedule": self.schedule}),
            "evaluator": self.evaluator.to_json(),
            "budget": self.budget.model_dump(),
            "finish": self.finish.model_dump(),
            "baselines": [b.to_json() for b in self.baselines],
            "seed": self.seed,
            "workers": self.workers.to_json(),
            **({} if self.store is None else {"store": without_password(self.store)}),
        }

    def kept_in(self, store: str) -> Problem:
        """The same problem with its records in another store.

        Raises:
            UserError: no path and no URL of a store.
        """
        return dataclasses.replace(self, store=_store(store))

    def run_by(self, workers: Any) -> Problem:
        """The same problem evaluated by others: ``4``, ``ray``, ``ray://HOST:PORT`` or ``{processes: {n: 4}}``.

        Raises:
            UserError: no such workers.
        """
        plug = resolved("distribute", Plug(*workers_plug(workers)), "workers")
        return dataclasses.replace(self, workers=plug)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True)

    @property
    def is_on_table(self) -> bool:
        """Whether networks are looked up in a table, so that nothing is trained."""
        return self.evaluator.name == "tabular"

    @cached_property
    def id(self) -> str:
        """Digest of the resolved problem, wherever its records are kept and whoever evaluates."""
        return digest({key: value for key, value in self.to_json().items() if key not in ("store", "workers")})


def _judged(file: ProblemFile) -> tuple[Plug, TableGoals | None]:
    """The evaluator, and the goals of a problem whose networks are looked up in a table."""
    tables = [name for name, spec in file.tasks.items() if spec.net.name == "tabular"]
    evaluator = resolved("evaluators", file.evaluator or Plug("tabular" if tables else "supernet"), "evaluator")
    if (evaluator.name == "tabular") != bool(tables):
        text = (
            "networks of a table are looked up, not built" if tables else "only the networks of a table are looked up"
        )
        raise UserError(text, "evaluator", "evaluator: tabular" if tables else "net: {tabular: {table: nb201}}")
    if not tables:
        return evaluator, None
    if len(file.tasks) > 1:
        raise UserError("a table stands alone, since limits are on the costs of its networks", "tasks", "one task")
    if file.target is not None:
        raise UserError("a table tells the costs of its networks itself", "target", "leave it out")
    looks_up = registry.create("evaluators", evaluator.name, evaluator.options)
    return evaluator, TableGoals.of(tables[0], file.tasks[tables[0]].net.options, looks_up)


def _task(name: str, spec: TaskSpec, n_tasks: int, table: TableGoals | None) -> TaskSpec:
    where = f"tasks.{name}"
    net = resolved("spaces", spec.net, f"{where}.net")
    kind = getattr(registry.find("spaces", net.name), "task", None)
    if kind is None and table is None:
        raise UserError(f"{net.name!r} is not a space of networks", f"{where}.net")
    default = table.metric if table else {"classification": "accuracy", "segmentation": "iou"}[str(kind)]
    if spec.metric not in (None, default):
        about = f"{net.name} is for {kind}, whose" if table is None else f"the table shows {table.shown}, so the"
        raise UserError(f"{about} metric is {default}, not {spec.metric!r}", f"{where}.metric")
    if (spec.data is None) == (table is None):
        text = "key is missing" if table is None else "networks of a table are not trained, so there are no data"
        raise UserError(text, f"{where}.data")
    data = None if spec.data is None else resolved("data", spec.data, f"{where}.data")
    return TaskSpec(data=data, net=net, metric=default, weight=spec.weight or 1.0 / n_tasks)


def _schedule(file: ProblemFile, target: Plug | None) -> str | None:
    """The policy of a chip to be designed; an exact one where a strategy solves chips exactly and networks are few."""
    has_cores = target is not None and target.name in ("chip", "accelerator")
    if file.schedule is not None:
        if not has_cores:
            raise UserError("there is no chip whose cores are scheduled", "schedule", "target: {chip: {cores: …}}")
        try:
            registry.find("hardware/schedule", file.schedule)
        except UserError as error:
            raise error.at("schedule") from None
        return file.schedule
    if target is None or target.name != "chip":
        return None
    strategies = (registry.find("strategies", plug.name) for plug in (file.strategy, *file.baselines))
    is_small = len(file.tasks) <= 2 and target.options["cores"] <= 2
    is_solved = any(getattr(strategy, "solves_chips", False) for strategy in strategies)
    return "dynamic_programming" if is_small and is_solved else "hap"


def _compress(compress: Compress | None, evaluator: Plug, target: Plug | None) -> Compress | None:
    """The key with its quantizer resolved, where evaluator and target can tell one number of bits from another."""
    if compress is None:
        return None
    if not getattr(registry.find("evaluators", evaluator.name), "quantizes", False):
        raise UserError(
            f"{evaluator.name!r} does not tell what bits cost in quality", "compress", "evaluator: supernet"
        )
    if target is None:
        raise UserError("nothing tells what bits save", "compress", f"add target: {{{TARGETS['mcu']}}}, or another")
    kind, plug = target_plug(target)
    if not getattr(registry.find(kind, plug.name), "reads_bits", True):
        raise UserError(
            f"{plug.name!r} knows float networks only", "compress", "an accelerator, chip, mcu, fpga or lut"
        )
    try:
        quantizer = Plug.of(compress.quantizer)
    except ValueError as error:
        raise UserError(str(error), "compress.quantizer") from None
    return compress.model_copy(update={"quantizer": resolved("compress/quantize", quantizer, "compress.quantizer")})


def _compress_json(compress: Compress) -> dict[str, Any]:
    widths = {name: list(getattr(compress, name)) for name in ("weight_bits", "activation_bits")}
    return {**widths, "quantizer": compress.quantizer.to_json()}


def _store(value: str | None) -> str | None:
    """The URL of a store; of a file, its whole path, which is right in every folder."""
    try:
        kind, place = split_url(value) if value is not None else ("", "")
    except UserError as error:
        raise error.at("store") from None
    return str(Path(place).resolve()) if kind == "sqlite" else value
