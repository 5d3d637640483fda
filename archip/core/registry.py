"""Registry: a kind and a name → the one class in ``archip/<kind>/<name>.py``, or an entry point ``archip.<kind>``.

There is no list to extend: a file in a folder of methods is a method, its stem is its name in problem files, on the
command line and in the docs. Files that start with ``_`` are family bases. A method's dataclass fields are its options.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import typing
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from archip.core.errors import ArchipError, UserError, nearest

__all__ = ["KINDS", "create", "describe", "find", "names", "option_table", "validate"]

KINDS = {
    "data": "data sets",
    "spaces": "search spaces",
    "strategies": "search strategies",
    "evaluators": "evaluators of candidates",
    "evaluators/proxies": "zero-cost scores",
    "predictors": "predictors",
    "train/rules": "training rules of supernets",
    "compress/quantize": "quantisers",
    "hardware/models": "hardware cost models",
    "hardware/templates": "accelerator templates",
    "hardware/mappers": "mappers",
    "hardware/schedule": "scheduling policies",
    "hardware/devices": "devices",
    "export": "exporters",
    "store": "record stores",
    "distribute": "executors",
}
_ROOT = Path(__file__).resolve().parent.parent


def _kind(kind: str) -> str:
    """The full name of a kind; its last part is enough (``mappers`` for ``hardware/mappers``)."""
    full = {k.rsplit("/", 1)[-1]: k for k in KINDS} | {k: k for k in KINDS}
    if kind not in full:
        raise UserError(f"unknown kind {kind!r}", right=nearest(kind, full))
    return full[kind]


def _files(kind: str) -> dict[str, Path]:
    return {p.stem: p for p in sorted((_ROOT / kind).glob("*.py")) if not p.stem.startswith("_")}


@lru_cache
def _plugins(kind: str) -> dict[str, EntryPoint]:
    found = {e.name: e for e in entry_points(group="archip." + kind.replace("/", "."))}
    for name in found.keys() & _files(kind).keys():
        raise ArchipError(f"the plug-in {found[name].value} takes the name of the built-in {kind}/{name}")
    return found


def names(kind: str) -> list[str]:
    """All names of a kind, built-in and plugged in; imports none of them."""
    kind = _kind(kind)
    return sorted([*_files(kind), *_plugins(kind)])


def describe(kind: str, name: str) -> str:
    """First line of the method's module docstring, without importing it."""
    kind = _kind(kind)
    path = _files(kind).get(name)
    if path is None:
        return f"plug-in {_plugins(kind)[name].value}" if name in _plugins(kind) else ""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def find(kind: str, name: str) -> type:
    """The class of a method.

    Raises:
        UserError: no such name; the message has the nearest one.
        MissingExtra: its module needs a package that is not installed.
    """
    kind = _kind(kind)
    if name in _files(kind):
        module = importlib.import_module(f"archip.{kind.replace('/', '.')}.{name}")
        (public,) = module.__all__
        return getattr(module, public)
    if name in _plugins(kind):
        return _plugins(kind)[name].load()
    one = KINDS[kind].replace("ies", "y").removesuffix("s")
    raise UserError(f"unknown {one} {name!r}", right=nearest(name, names(kind)))


def validate(cls: type, options: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `cls`, its fields checked against their types.

    Raises:
        UserError: an option that does not exist, is missing, or has the wrong type or value.
    """
    from pydantic import ValidationError

    fields = {f.name for f in dataclasses.fields(cls) if f.init}
    for key in options:
        if key not in fields:
            raise UserError(f"unknown option {key!r}", str(key), nearest(key, fields))
    try:
        return _adapter(cls).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            key = str(first["loc"][-1])
            raise UserError(f"unknown option {key!r}", where, _nearest_inside(cls, first["loc"])) from None
        raise UserError(f"{first['msg']}, got {first.get('input')!r}", where) from None


@lru_cache
def _adapter(cls: type) -> Any:
    """What checks the fields of `cls`; it takes milliseconds to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _nearest_inside(cls: type, loc: tuple[int | str, ...]) -> str:
    """The hint for an unknown key of an option that has options of its own."""
    hints = typing.get_type_hints(cls)
    inner = hints.get(str(loc[0])) if len(loc) == 2 else None
    known = [f.name for f in dataclasses.fields(inner)] if dataclasses.is_dataclass(inner) else []
    return nearest(str(loc[-1]), known) if known else ""


def create(kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """The method `name` with its options, validated."""
    cls = find(kind, name)
    try:
        return validate(cls, options or {})
    except UserError as error:
        raise error.at(name) from None


def option_table(cls: type) -> list[tuple[str, str, str]]:
    """(name, type, default) of every option of a method."""
    rows = []
    for f in dataclasses.fields(cls):
        if f.init:
            default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
            rows.append((f.name, str(f.type), "required" if default is dataclasses.MISSING else repr(default)))
    return rows
