"""Several targets in one problem file: the same tasks, searched for each device, chip or microcontroller in turn.

Written ``targets: {NAME: {target: …, limits: …, objectives: …, schedule: …}}`` in the place of these four keys; limits
beside ``targets`` hold for all of them. Everything else of the file is shared, so that one trained supernet and the
accuracies taken from it serve every target.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archip.core.errors import UserError, nearest
from archip.core.problem import Problem
from archip.core.yaml_file import read_yaml

__all__ = ["load_problems", "problems_of"]

_OWN = ("target", "limits", "objectives", "schedule")  # keys of one target
_ALONE = ("target", "objectives", "schedule")  # of these, what may not stand beside `targets`


def load_problems(path: str | Path) -> dict[str, Problem]:
    """The problems of a file by target; one without a name where the file has no ``targets``.

    Raises:
        UserError: the file cannot be read, is not YAML, or asks for something that archip does not have.
    """
    value = read_yaml(path, missing="archip init writes one")
    try:
        return problems_of(value)
    except UserError as error:
        raise error.in_file(path) from None


def problems_of(value: Any) -> dict[str, Problem]:
    """The problems of nested dicts (the form of the YAML file), by target, each called ``<name>.<target>``.

    Raises:
        UserError: with the key at fault.
    """
    if not isinstance(value, Mapping) or "targets" not in value:
        return {"": Problem.from_dict(value)}
    targets = value["targets"]
    if not isinstance(targets, Mapping) or not targets:
        raise UserError("are no targets by name", "targets", "targets: {phone: {target: …, limits: …}}")
    for key in _ALONE:
        if value.get(key) is not None:
            raise UserError("stands beside targets", key, "move it into each target")
    return {str(name): _problem(value, str(name), own) for name, own in targets.items()}


def _problem(value: Mapping[str, Any], name: str, own: Any) -> Problem:
    where = f"targets.{name}"
    if not name.replace("-", "_").isidentifier():
        raise UserError(f"{name!r} cannot name a target", where, "letters, digits, - and _")
    if not isinstance(own, Mapping):
        raise UserError(f"{own!r} is no target", where, "{target: …, limits: …}")
    for key in own:
        if key not in _OWN:
            raise UserError(f"unknown key {key!r}", f"{where}.{key}", nearest(str(key), _OWN))
    shared = {key: v for key, v in value.items() if key not in ("targets", "limits")}
    limits = {**(value.get("limits") or {}), **(own.get("limits") or {})}
    try:
        return Problem.from_dict({**shared, **own, "limits": limits, "name": f"{value.get('name')}.{name}"})
    except UserError as error:
        raise error.at(where) from None
