"""Problem: what the user asks for. Reads problem.yaml, refuses what it does not know, fills in the defaults.

Everything is checked here, at the border; the rest of archip trusts a `Problem`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from archip.core import registry
from archip.core.candidate import digest
from archip.core.compression import Compress
from archip.core.errors import UserError, nearest
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import METRICS, metric
from archip.core.store_url import split_url, without_password
from archip.core.table_goals import TableGoals
from archip.core.units import parse_quantity
from archip.core.workers import workers_plug
from archip.core.yaml_file import read_yaml

__all__ = ["Budget", "Finish", "Plug", "Problem", "TaskSpec", "json_schema", "target_plug"]

# The names that limits and objectives go by, and the metric each of them means for a unit of each dimension.
# Those of params and macs are known without a target.
_COSTS = {
    "latency": {"cycles": "latency_cycles", "time": "latency_s"},
    "energy": {"energy": "energy_j"},
    "area": {"area": "area_mm2"},
    "flash": {"size": "flash_bytes"},
    "sram": {"size": "sram_bytes"},
    "memory": {"size": "memory_bytes"},
    "params": {"share": "params"},
    "macs": {"share": "macs"},
}
_ALWAYS = frozenset({"params", "macs"})
_CHIP = frozenset({"latency_s", "latency_cycles", "energy_j", "area_mm2"})
_TARGETS = {
    "chip": "chip: {cores: …}",
    "accelerator": "accelerator: eyeriss_like",
    "device": "device: this",
    "mcu": "mcu: {flash: 1 MiB, sram: 256 KiB}",
}
_OPTIONS = TypeAdapter(dict[str, Any])
_NOT_AS_DEVICE = ("accelerator", "mcu")  # targets of their own name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Plug:
    """A method by name with its options, written ``name`` or ``{name: {option: value}}``."""

    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Plug:
        if isinstance(value, Plug):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and len(value) == 1:
            ((name, options),) = value.items()
            if isinstance(options, Mapping) or options is None:
                return cls(str(name), dict(options or {}))
        raise ValueError("write a name, or one name with its options: {name: {option: value}}")

    def to_json(self) -> Any:
        return {self.name: dict(self.options)} if self.options else self.name


class TaskSpec(_Strict):
    """One task: its data, the space of its networks, its metric and its weight in the quality."""

    data: Any = Field(
        None, description="data set: a name from `archip list data`, or {name: {option: value}}; none beside a table"
    )
    net: Any = Field(description="network space: a name from `archip list spaces`, or {name: {option: value}}")
    metric: str | None = Field(None, description="accuracy or iou; by default what suits the data")
    weight: float | None = Field(None, gt=0, description="share in the quality; equal shares by default")

    _data = field_validator("data")(lambda value: None if value is None else Plug.of(value))
    _net = field_validator("net")(lambda value: Plug.of(value))


class Budget(_Strict):
    """What the search may spend; whichever comes first ends it."""

    candidates: int = Field(500, ge=1, description="candidates proposed and evaluated")
    minutes: float | None = Field(None, gt=0, description="time of the search, supernet training included")
    batch: int = Field(32, ge=1, description="candidates asked for at once")
    lag: int = Field(0, ge=0, description="asks that may wait for their results while the next one is made")
    candidate_s: float | None = Field(
        None, gt=0, description="seconds of one candidate in one stage; one that takes longer has failed"
    )


class Finish(_Strict):
    """What is done with the candidates chosen from the front."""

    keep: int = Field(3, ge=1, description="candidates trained in full")
    epochs: int | None = Field(
        None,
        ge=0,
        description="epochs of each; by default 40, more on small data: 800 steps; 0: weights of the supernet",
    )
    ranked: int = Field(
        0, ge=0, description="networks drawn at random and trained, too, to tell how well the search's scores rank"
    )
    seeds: int = Field(1, ge=1, description="trainings of the chosen candidate, to state the noise of training")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better validation score")
    lr: float | None = Field(None, gt=0, description="learning rate, if not the training loop's own")
    batch: int | None = Field(None, ge=1, description="batch size, if not the training loop's own")


class _File(_Strict):
    """problem.yaml as written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="names the run's folder")
    tasks: dict[str, TaskSpec] = Field(min_length=1)
    target: dict[str, Any] | None = Field(
        None, description="chip (to be designed), accelerator, device or mcu; none: networks only"
    )
    limits: dict[str, Any] = Field(default_factory=dict, description="metric: bound with unit, e.g. latency: 5 ms")
    objectives: list[str] | None = Field(None, description="metrics to optimise, the most important first")
    compress: Compress | None = Field(
        None, description="bits of each layer, searched with the networks; none: floats, that cost 8 bits"
    )
    strategy: Any = Field(default="nsga2", validate_default=True, description="how candidates are proposed")
    schedule: str | None = Field(
        None, description="policy that puts layers on the cores of a chip; hap, or dynamic_programming (see docs)"
    )
    evaluator: Any = Field(
        default=None, description="how accuracy is judged in the search; supernet, or of a table tabular"
    )
    budget: Budget = Budget()  # pyright: ignore[reportCallIssue]
    finish: Finish = Finish()  # pyright: ignore[reportCallIssue]
    baselines: list[Any] = Field(
        default=["random_search"], validate_default=True, description="strategies compared at equal budget"
    )
    seed: int = Field(0, ge=0)
    store: str | None = Field(
        None, description="where the records are kept, if not in the run's folder: a path or postgresql://user@host/db"
    )

    workers: Any = Field(
        default=1, description="where evaluations run: a number of processes, ray, ray://HOST:PORT, or an executor"
    )

    _strategy = field_validator("strategy")(lambda value: Plug.of(value))
    _evaluator = field_validator("evaluator")(lambda value: None if value is None else Plug.of(value))
    _more_plugs = field_validator("baselines")(lambda values: [Plug.of(v) for v in values])

    @field_validator("tasks")
    @classmethod
    def _names(cls, tasks: dict[str, TaskSpec]) -> dict[str, TaskSpec]:
        for name in tasks:
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot name a task: use letters, digits and _")
        return tasks


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
    workers: Plug = Plug("serial")
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
        file = _validated(value)
        evaluator, table = _judged(file)
        if file.finish.epochs == 0 and evaluator.name != "supernet":
            raise UserError("0 takes the weights of a supernet", "finish.epochs", "evaluator: supernet, or 1 at least")
        if file.finish.epochs == 0 and file.finish.seeds > 1:
            raise UserError("without training there is nothing to repeat", "finish.seeds", "1 beside epochs: 0")
        target, knows, bounds = _target(file.target)
        tasks = {name: _task(name, spec, len(file.tasks), table) for name, spec in file.tasks.items()}
        named = _bounded(file.limits, bounds)
        if table is None:
            limits = tuple(_limit(k, v, tasks, target, knows) for k, v in named.items())
            objectives = _objectives(file.objectives, limits, target, knows)
        else:
            limits = tuple(table.limit(k, v) for k, v in named.items())
            objectives = table.objectives(file.objectives)
            evaluator = Plug(evaluator.name, {**evaluator.options, "costs": table.costs(limits, objectives)})
        return cls(
            name=file.name,
            tasks=tasks,
            target=target,
            goals=Goals(objectives, limits),
            strategy=_resolved("strategies", file.strategy, "strategy"),
            evaluator=evaluator,
            budget=file.budget,
            finish=file.finish,
            baselines=tuple(_resolved("strategies", b, "baselines") for b in file.baselines),
            seed=file.seed,
            limits={k: str(v) for k, v in named.items()},
            schedule=_schedule(file, target),
            store=_store(file.store),
            workers=_resolved("distribute", Plug(*workers_plug(file.workers)), "workers"),
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
        plug = _resolved("distribute", Plug(*workers_plug(workers)), "workers")
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


def _validated(value: Mapping[str, Any]) -> _File:
    try:
        return _File.model_validate(dict(value))
    except ValidationError as error:
        first = error.errors()[0]
        loc = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            raise UserError(f"unknown key {loc[-1]!r}", ".".join(loc), nearest(loc[-1], _keys_at(loc[:-1]))) from None
        if first["type"] == "missing":
            raise UserError("key is missing", ".".join(loc)) from None
        message = first["msg"].removeprefix("Value error, ")
        given = first.get("input")
        shown = "" if isinstance(given, Mapping | list) else f", got {given!r}"
        raise UserError(message[0].lower() + message[1:] + shown, ".".join(loc)) from None


def _keys_at(loc: list[str]) -> list[str]:
    inner = {"tasks": TaskSpec, "budget": Budget, "finish": Finish, "compress": Compress}
    model = inner.get(loc[0], _File) if loc else _File
    return list(model.model_fields)


def _resolved(kind: str, plug: Plug, where: str) -> Plug:
    """The plug with every option at its value or default, as plain JSON."""
    try:
        method = registry.create(kind, plug.name, plug.options)
    except UserError as error:
        raise error.at(where) from None
    options = {f.name: getattr(method, f.name) for f in dataclasses.fields(method) if f.init}
    plain = _OPTIONS.dump_python(options, mode="json")
    for name, value in plain.items():
        if not _is_finite(value):
            raise UserError("is not finite", f"{where}.{plug.name}.{name}", "numbers")
    return Plug(plug.name, plain)


def _is_finite(value: Any) -> bool:
    """Whether JSON can say all numbers of a value."""
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _judged(file: _File) -> tuple[Plug, TableGoals | None]:
    """The evaluator, and the goals of a problem whose networks are looked up in a table."""
    tables = [name for name, spec in file.tasks.items() if spec.net.name == "tabular"]
    evaluator = _resolved("evaluators", file.evaluator or Plug("tabular" if tables else "supernet"), "evaluator")
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
    net = _resolved("spaces", spec.net, f"{where}.net")
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
    data = None if spec.data is None else _resolved("data", spec.data, f"{where}.data")
    return TaskSpec(data=data, net=net, metric=default, weight=spec.weight or 1.0 / n_tasks)


def _schedule(file: _File, target: Plug | None) -> str | None:
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


def target_plug(target: Plug) -> tuple[str, Plug]:
    """(kind, method with its options) that a target stands for.

    Raises:
        UserError: a device that cannot be a target.
    """
    if target.name != "device":
        return ("spaces" if target.name == "chip" else "hardware/devices"), target
    device = Plug.of(target.options)
    if device.name in _NOT_AS_DEVICE:
        raise UserError(f"{device.name!r} is a target of its own", "target.device", f"target: {{{device.name}: …}}")
    return "hardware/devices", device


def _target(value: dict[str, Any] | None) -> tuple[Plug | None, frozenset[str], Mapping[str, str]]:
    """The target with all options, the metrics that it tells, and the limits that it sets itself."""
    if value is None:
        return None, frozenset(), {}
    if len(value) != 1 or next(iter(value)) not in _TARGETS:
        given = ", ".join(map(str, value))
        raise UserError(f"target {given!r} is not known", "target", " | ".join(_TARGETS.values()) + " | no target")
    ((name, options),) = value.items()
    kind, plug = target_plug(Plug(name, _target_options(name, options)))
    method = _resolved(kind, plug, "target")
    made = registry.create(kind, method.name, method.options)
    target = Plug("device", {method.name: dict(method.options)}) if name == "device" else method
    return target, getattr(made, "metrics", _CHIP), getattr(made, "bounds", {})


def _target_options(name: str, value: Any) -> dict[str, Any]:
    """The options of a target, from the short forms that may stand in their place."""
    if name == "accelerator" and isinstance(value, str):
        return {"name": value}
    if name == "device":
        if value == "this":
            return {"onnxruntime": {}}
        is_file = isinstance(value, str) and value.endswith((".yaml", ".yml"))
        try:
            plug = Plug.of({"fitted": {"path": value}} if is_file else value)
        except ValueError as error:
            raise UserError(f"{value!r} is no device: {error}", "target.device", "this, or a device file") from None
        return {plug.name: dict(plug.options)}
    if not isinstance(value or {}, Mapping):
        raise UserError(f"{value!r} are no options", f"target.{name}", _TARGETS[name])
    return dict(value or {})


def _compress(compress: Compress | None, evaluator: Plug, target: Plug | None) -> Compress | None:
    """The key with its quantizer resolved, where evaluator and target can tell one number of bits from another."""
    if compress is None:
        return None
    if not getattr(registry.find("evaluators", evaluator.name), "quantizes", False):
        raise UserError(
            f"{evaluator.name!r} does not tell what bits cost in quality", "compress", "evaluator: supernet"
        )
    if target is None:
        raise UserError("nothing tells what bits save", "compress", f"add target: {{{_TARGETS['mcu']}}}, or another")
    kind, plug = target_plug(target)
    if not getattr(registry.find(kind, plug.name), "reads_bits", True):
        raise UserError(
            f"{plug.name!r} knows float networks only", "compress", "an accelerator, chip, mcu, fpga or lut"
        )
    try:
        quantizer = Plug.of(compress.quantizer)
    except ValueError as error:
        raise UserError(str(error), "compress.quantizer") from None
    resolved = _resolved("compress/quantize", quantizer, "compress.quantizer")
    return compress.model_copy(update={"quantizer": resolved})


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


def _bounded(limits: Mapping[str, Any], bounds: Mapping[str, str]) -> dict[str, Any]:
    """The limits of the file and those that the target sets; the file may be stricter, not laxer."""
    for name, bound in bounds.items():
        if name in limits:
            given, most = (parse_quantity(text, "size").value for text in (limits[name], bound))
            if given > most:
                raise UserError(f"{limits[name]} is more than the target has", f"limits.{name}", f"at most {bound}")
    return {**bounds, **limits}


def _limit(key: str, value: Any, tasks: Mapping[str, TaskSpec], target: Plug | None, knows: frozenset[str]) -> Limit:
    where = f"limits.{key}"
    qualities = ["quality", *(f"{name}.{t.metric}" for name, t in tasks.items())]
    if key not in _COSTS and key not in qualities:
        raise UserError(f"unknown limit {key!r}", where, nearest(key, [*_COSTS, *qualities]))
    by_dimension = {
        d: m for d, m in _COSTS.get(key, {"share": key}).items() if key in qualities or m in knows | _ALWAYS
    }
    if not by_dimension:
        raise _untold("this limit", key, target, knows).at(where)
    try:
        quantity = parse_quantity(value, *by_dimension)
    except UserError as error:
        raise error.at(where) from None
    bound = quantity.value
    if not math.isfinite(bound) or bound <= 0 or (metric(by_dimension[quantity.dimension]).goal > 0 and bound > 1):
        right = "a share between 0 and 1" if key in qualities else "a positive bound"
        raise UserError(f"{value!r} can never be met or never be missed", where, right)
    return Limit(by_dimension[quantity.dimension], bound)


def _untold(what: str, key: str, target: Plug | None, knows: frozenset[str]) -> UserError:
    """A limit or an objective on something that the target does not tell."""
    if target is None:
        needed = {"flash": "mcu", "sram": "mcu", "memory": "device"}.get(key, "chip")
        return UserError(f"{what} needs a target whose {key} is known", right=f"add target: {{{_TARGETS[needed]}}}")
    told = [name for name, metrics in _COSTS.items() if knows & set(metrics.values())]
    return UserError(
        f"{what} needs {key}, which target {target.name} does not tell", right="it tells " + ", ".join(told)
    )


def _objectives(
    names: list[str] | None, limits: tuple[Limit, ...], target: Plug | None, knows: frozenset[str]
) -> tuple[Objective, ...]:
    in_cycles = any(limit.metric == "latency_cycles" for limit in limits)
    aliases = {name: next(iter(metrics.values())) for name, metrics in _COSTS.items()}
    aliases["latency"] = "latency_cycles" if in_cycles else "latency_s"
    if names is None:
        costs = ["latency", "energy", *(["area"] if target and target.name == "chip" else []), "sram", "flash"]
        names = ["quality", *(name for name in costs if aliases[name] in knows)] if target else ["quality", "macs"]
    chosen = [aliases.get(name, name) for name in names]
    known = ["quality", *_ALWAYS, *knows, *aliases]
    for given, name in zip(names, chosen, strict=True):
        if name in METRICS and any(name in metrics.values() for metrics in _COSTS.values()):
            if name not in knows | _ALWAYS:
                raise _untold(f"objective {given!r}", given, target, knows).at("objectives")
        elif name != "quality":
            raise UserError(f"unknown objective {given!r}", "objectives", nearest(given, known))
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError("objectives are empty or repeated", "objectives", "each metric once, e.g. [quality, latency]")
    return tuple(Objective.of(name) for name in chosen)


def json_schema() -> dict[str, Any]:
    """JSON Schema of problem files with the methods that are installed, for editors that complete YAML."""
    schema = _File.model_json_schema()
    shared = schema["$defs"]
    for key, kind in {"strategy": "strategies", "evaluator": "evaluators"}.items():
        schema["properties"][key] |= _plug_schema(shared, kind)
    schema["properties"]["baselines"]["items"] = _plug_schema(shared, "strategies")
    shared["Compress"]["properties"]["quantizer"] |= _plug_schema(shared, "compress/quantize")
    task = shared["TaskSpec"]["properties"]
    task["data"] |= _plug_schema(shared, "data")
    task["net"] |= _plug_schema(shared, "spaces", lambda cls: hasattr(cls, "task") or cls.__name__ == "Tabular")
    schema["properties"]["target"] = {"anyOf": [{"type": "null"}, *_target_schemas(shared)]}
    own = {key: schema["properties"][key] for key in ("target", "limits", "objectives", "schedule")}
    each = {"type": "object", "properties": own, "additionalProperties": False}
    about = "in the place of target: {name: {target, limits, objectives, schedule}}, searched one after the other"
    schema["properties"]["targets"] = {"type": "object", "additionalProperties": each, "description": about}
    return schema


def _target_schemas(shared: dict[str, Any]) -> list[dict[str, Any]]:
    classes = {name: registry.find("hardware/devices", name) for name in registry.names("hardware/devices")}
    accelerator = _one_key(shared, "accelerator", classes["accelerator"])
    accelerator["properties"]["accelerator"] = {"anyOf": [{"type": "string"}, accelerator["properties"]["accelerator"]]}
    devices = [_one_key(shared, name, cls) for name, cls in classes.items() if name not in _NOT_AS_DEVICE]
    device = {"anyOf": [{"type": "string", "description": "this, a device, or the path of a device file"}, *devices]}
    return [
        _one_key(shared, "chip", registry.find("spaces", "chip")),
        accelerator,
        {"type": "object", "properties": {"device": device}, "required": ["device"], "additionalProperties": False},
        _one_key(shared, "mcu", classes["mcu"]),
    ]


def _plug_schema(shared: dict[str, Any], kind: str, wanted: Any = lambda cls: True) -> dict[str, Any]:
    classes = {name: registry.find(kind, name) for name in registry.names(kind)}
    classes = {name: cls for name, cls in classes.items() if wanted(cls)}
    return {"anyOf": [{"enum": sorted(classes)}, *(_one_key(shared, name, cls) for name, cls in classes.items())]}


def _one_key(shared: dict[str, Any], name: str, cls: type) -> dict[str, Any]:
    """Schema of ``{name: options}``; definitions that the options refer to are moved into `shared`."""
    options = TypeAdapter(cls).json_schema()
    shared |= options.pop("$defs", {})
    body = {"type": "object", "properties": {name: options}, "required": [name], "additionalProperties": False}
    return body | {"description": options.get("description", "").partition("\n")[0]}
