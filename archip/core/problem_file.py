"""What a problem file may say: its keys, their types and defaults, and methods by name with their options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from archip.core import registry
from archip.core.compression import Compress
from archip.core.errors import UserError, nearest

__all__ = ["Budget", "Finish", "Plug", "ProblemFile", "TaskSpec", "read_file", "resolved"]

_OPTIONS = TypeAdapter(dict[str, Any])


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


class ProblemFile(_Strict):
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


def read_file(value: Mapping[str, Any]) -> ProblemFile:
    """The keys of a problem with their types checked.

    Raises:
        UserError: a key that is unknown or missing, or a value of another kind.
    """
    try:
        return ProblemFile.model_validate(dict(value))
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
    model = inner.get(loc[0], ProblemFile) if loc else ProblemFile
    return list(model.model_fields)


def resolved(kind: str, plug: Plug, where: str) -> Plug:
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
