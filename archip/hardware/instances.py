"""Accelerators by name or from a file: the YAML files in ``accelerators/``, templates with knobs, the user's own files.

A file describes the array, the memories from inside out and the dataflow, in numbers with units; energies that it
leaves out come from the table of its `node`, and so does the area. Or it names a template with its knobs. `sources`
says where numbers are from, key by key; what is said of a key holds for all below it. ``docs/accelerators.md`` lists
the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError, nearest
from archip.core.units import parse_quantity
from archip.core.yaml_file import read_yaml
from archip.hardware.accelerator import Accelerator, Dataflow, Memory, Skipping
from archip.hardware.area import area_parts
from archip.hardware.technology._technology import Technology
from archip.hardware.technology.dram import DRAM_J_PER_BIT
from archip.hardware.technology.nodes import NODES, Node

__all__ = ["describe_instance", "instance_names", "load_accelerator"]

_FOLDER = Path(__file__).parent / "accelerators"
_UNLIMITED_BITS = 2.0**50
# Where our names for things differ from the file's.
_KEYS = {"width_bits": "width", "bits": "capacity", "read_j": "read", "write_j": "write", "clock_hz": "clock"}
_KEYS |= {"multiply_j": "multiplier.multiply", "add_j": "multiplier.add", "operands": "holds", "unrollings": "unroll"}
_NUMBERS = {"int8": 8, "int16": 16, "int32": 32, "fp16": 16, "fp32": 32}


def instance_names() -> list[str]:
    """Names of the accelerators that archip ships."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def describe_instance(name: str) -> str:
    """What an accelerator that archip ships is, in one line."""
    return str(read_yaml(_FOLDER / f"{name}.yaml")["about"])


def load_accelerator(name_or_path: str | Path, **overrides: Any) -> Accelerator:
    """An accelerator by name or from a file.

    Args:
        name_or_path: a name of `instance_names`, a template (then `overrides` are its knobs, e.g. ``pes=256,
            bandwidth="16 GB/s"``), or the path of a YAML file.
        overrides: keys of the file that replace its own, e.g. ``clock="500 MHz"``; a key inside another one is
            written with dots: ``**{"memories.dram.bandwidth": "8 GB/s"}``.

    Raises:
        UserError: there is no such accelerator, or what describes it cannot be; names file, key and reason.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or name.endswith((".yaml", ".yml")) or "/" in name:
        return _from_file(Path(name_or_path), overrides)
    if name in instance_names():
        return _from_file(_FOLDER / f"{name}.yaml", overrides)
    templates = registry.names("hardware/templates")
    if name in templates:
        return _from_template({name: overrides}, "")
    known = nearest(name, [*instance_names(), *templates])
    raise UserError(f"there is no accelerator {name!r}", right=f"{known}, or the path of a .yaml file")


# --- The keys of a file ----------------------------------------------------------------------------------------------


Text = str | float  # a number with its unit; one without is told so


@dataclass(frozen=True)
class _Multiplier:
    """Energies and area are the node's where they are not given."""

    number: Literal["int8", "int16", "int32", "fp16", "fp32"] = "int8"
    sum: Literal["int16", "int32", "fp16", "fp32"] = "int32"
    multiply: Text | None = None
    add: Text | None = None
    area: Text | None = None


@dataclass(frozen=True)
class _MemoryKeys:
    """`kind` matters where energies or areas are the node's; `wire`: distance that its data go, charged per bit."""

    holds: str
    capacity: Text | None = None
    width: float | tuple[float, float] | None = None
    bandwidth: Text | None = None
    kind: str = "sram"
    read: Text | None = None
    write: Text | None = None
    ports: Literal["RW", "R+W", "4"] = "R+W"
    serves: Literal["all", "none"] | tuple[str, ...] = "all"
    wire_mm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


@dataclass(frozen=True)
class _Habits:
    """`unroll`: alternatives, each array dimension → loops; `orders`: as in `Dataflow`."""

    unroll: tuple[dict[str, tuple[str, ...] | str], ...]
    orders: tuple[str, ...]


@dataclass(frozen=True)
class _Keys:
    array: dict[str, int]
    memories: dict[str, dict[str, Any]]
    about: str = ""
    node: Node | None = None
    clock: Text = "1 GHz"
    systolic: bool = False
    multiplier: dict[str, Any] = field(default_factory=dict)
    partial_bits: int = 32
    skipping: Text | None = None
    dataflow: dict[str, Any] | None = None
    area: dict[str, Text] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


# --- From text to an accelerator -------------------------------------------------------------------------------------


def _from_file(path: Path, overrides: Mapping[str, Any]) -> Accelerator:
    value = read_yaml(path, missing=f"a file, or one of: {', '.join(instance_names())}")
    try:
        if not isinstance(value, dict):
            raise UserError("an accelerator is a mapping of keys", right="array, memories, …; docs/accelerators.md")
        for key, new in overrides.items():
            _replace(value, key, new)
        _check_sources(value)
        if "template" in value:
            return _from_template(value.pop("template"), "template", value)
        return _build(path.stem, registry.validate(_Keys, value))
    except UserError as error:
        raise error.in_file(path) from None


def _replace(value: dict[str, Any], key: str, new: Any) -> None:
    *outer, last = key.split(".")
    for part in outer:
        if not isinstance(value.get(part), dict):
            raise UserError(f"there is no key {part!r} to replace {key} in", key, nearest(part, value))
        value = value[part]
    value[last] = new


def _check_sources(value: Mapping[str, Any]) -> None:
    """Raises for a source of something that is not there."""
    sources = value.get("sources", {})
    for key in sources if isinstance(sources, dict) else ():
        inside: Any = value
        for part in str(key).split("."):
            if not isinstance(inside, dict) or part not in inside:
                raise UserError(
                    "a source of nothing", f"sources.{key}", nearest(part, inside) if isinstance(inside, dict) else ""
                )
            inside = inside[part]


def _from_template(spec: Any, where: str, rest: Mapping[str, Any] | None = None) -> Accelerator:
    """`spec`: {template: knobs}, knobs as numbers or as text with units."""
    for key in rest or {}:
        if key not in ("about", "sources"):
            raise UserError(f"key {key!r} beside a template", key, "about, sources, and knobs inside the template")
    if not isinstance(spec, dict) or len(spec) != 1 or not isinstance(next(iter(spec.values())), dict):
        raise UserError("one template with its knobs", where, "{nvdla: {pes: 256, bandwidth: 16 GB/s}}")
    ((name, knobs),) = spec.items()
    dimensions = {"bandwidth": "bandwidth", "clock_hz": "frequency"}
    try:
        numbers = {
            k: _si(v, k, dimensions[k]) if k in dimensions and isinstance(v, str) else v for k, v in knobs.items()
        }
        return registry.validate(registry.find("hardware/templates", name), numbers).accelerator()
    except UserError as error:
        raise error.at(f"{where}.{name}" if where else name) from None


def _build(name: str, keys: _Keys) -> Accelerator:
    technology = NODES[keys.node] if keys.node else None
    clock_hz = _si(keys.clock, "clock", "frequency", positive=True)
    multiplier = _inside("multiplier", _Multiplier, keys.multiplier)
    given = {key: _inside(f"memories.{key}", _MemoryKeys, value) for key, value in keys.memories.items()}
    array = tuple(keys.array)
    memories = tuple(
        _memory(key, memory, f"memories.{key}", array, clock_hz, technology, is_last=i == len(given) - 1)
        for i, (key, memory) in enumerate(given.items())
    )
    add = f"{multiplier.sum} add"
    multiply = f"{multiplier.number} multiply"
    try:
        accelerator = Accelerator(
            name=name,
            array=keys.array,
            memories=memories,
            multiply_j=_energy(
                multiplier.multiply, "multiplier.multiply", technology, lambda t: t.operations_j[multiply]
            ),
            add_j=_energy(multiplier.add, "multiplier.add", technology, lambda t: t.operations_j[add]),
            multiplier_bits=_NUMBERS[multiplier.number],
            partial_bits=keys.partial_bits,
            clock_hz=clock_hz,
            systolic=keys.systolic,
            dataflow=_dataflow(keys),
            skipping=_skipping(keys.skipping),
        )
    except UserError as error:
        raise _in_keys(error, name) from None
    return _with_area(accelerator, keys, given, multiplier, technology)


def _inside(where: str, cls: type, options: Any) -> Any:
    """The keys below `where`."""
    try:
        return registry.validate(cls, options)
    except UserError as error:
        raise error.at(where) from None


def _memory(
    name: str,
    keys: _MemoryKeys,
    where: str,
    array: tuple[str, ...],
    clock_hz: float,
    technology: Technology | None,
    is_last: bool,
) -> Memory:
    if keys.kind not in (kinds := ("register", "sram", *DRAM_J_PER_BIT)):
        raise UserError(f"unknown kind {keys.kind!r}", f"{where}.kind", nearest(keys.kind, kinds))
    narrow, wide = _width(keys, where, clock_hz)
    if keys.capacity is not None:
        bits = 8 * _si(keys.capacity, f"{where}.capacity", "size", positive=True)
    elif is_last:
        bits = _UNLIMITED_BITS
    else:
        raise UserError("no capacity", f"{where}.capacity", "e.g. 64 KiB; only the last memory may be without")
    serves = {"all": array, "none": ()}.get(keys.serves) if isinstance(keys.serves, str) else keys.serves
    access = lambda way: lambda t: _access_j(keys.kind, bits / 8, wide, t)[way]  # noqa: E731
    wire_j = technology.wire_j_per_bit_mm * keys.wire_mm * wide if technology else 0.0
    return Memory(
        name=name,
        operands=keys.holds,
        bits=bits,
        read_j=_energy(keys.read, f"{where}.read", technology, access(0)) + wire_j,
        write_j=_energy(keys.write, f"{where}.write", technology, access(1)) + wire_j,
        width_bits=(narrow, wide),
        ports=keys.ports,
        serves=tuple(serves or ()),
    )


def _width(keys: _MemoryKeys, where: str, clock_hz: float) -> tuple[float, float]:
    if keys.bandwidth is not None and keys.width is None:
        wide = 8 * _si(keys.bandwidth, f"{where}.bandwidth", "bandwidth", positive=True) / clock_hz
        return min(64.0, wide), wide
    if keys.width is None or keys.bandwidth is not None:
        raise UserError("width or bandwidth", where, "one of the two: width: 64 (bits a cycle), bandwidth: 16 GB/s")
    narrow, wide = keys.width if isinstance(keys.width, tuple) else (keys.width, keys.width)
    return narrow, wide


def _access_j(kind: str, n_bytes: float, width: float, technology: Technology) -> tuple[float, float]:
    """(read, write) energy of one access of `width` bits."""
    if kind in DRAM_J_PER_BIT:
        access_j = DRAM_J_PER_BIT[kind] * width
        return access_j, access_j
    if kind == "register":
        read_j, write_j = technology.register_j(n_bytes)
        return read_j * width / 16, write_j * width / 16
    read_j, write_j = technology.sram_j(n_bytes)
    return read_j * width / 64, write_j * width / 64


def _energy(
    text: Text | None, where: str, technology: Technology | None, otherwise: Callable[[Technology], float]
) -> float:
    if text is not None:
        return _si(text, where, "energy")
    if technology is None:
        raise UserError("no energy", where, f"e.g. 0.25 pJ, or a node whose table has it: {', '.join(NODES)}")
    return otherwise(technology)


def _skipping(text: Text | None) -> Skipping | None:
    """``'2:4'`` as two of every four; without quotes YAML reads it as 2 minutes and 4 seconds."""
    if text is None:
        return None
    n, _, m = str(text).partition(":")
    if not (n.strip().isdecimal() and m.strip().isdecimal()):
        raise UserError(f"{text!r} is not n:m", "skipping", "'2:4', in quotes: 2 of every 4 weights along C")
    return Skipping(int(n), int(m))


def _dataflow(keys: _Keys) -> Dataflow | None:
    if keys.dataflow is None:
        return None
    habits = _inside("dataflow", _Habits, keys.dataflow)
    unrollings = []
    for i, unroll in enumerate(habits.unroll):
        for dimension in unroll:
            if dimension not in keys.array:
                where = f"dataflow.unroll[{i}].{dimension}"
                raise UserError(f"unknown array dimension {dimension!r}", where, nearest(dimension, keys.array))
        loops = (unroll.get(dimension, ()) for dimension in keys.array)
        unrollings.append(tuple((names,) if isinstance(names, str) else tuple(names) for names in loops))
    return Dataflow(tuple(unrollings), habits.orders)


def _with_area(
    accelerator: Accelerator,
    keys: _Keys,
    given: Mapping[str, _MemoryKeys],
    multiplier: _Multiplier,
    technology: Technology | None,
) -> Accelerator:
    """The accelerator with the area that the file gives, or else the one that follows from its node."""
    if keys.area:
        parts = {part: _si(text, f"area.{part}", "area") for part, text in keys.area.items()}
        return replace(accelerator, area_parts=parts)
    if technology is None:
        return accelerator
    n_bytes = {"register": 0.0, "sram": 0.0}
    for memory, memory_keys in zip(accelerator.memories[:-1], given.values(), strict=False):
        if memory_keys.kind in n_bytes:
            n_bytes[memory_keys.kind] += memory.bits / 8 * _n_instances(accelerator, memory)
    shared = [m for m in accelerator.memories if set(m.serves) == set(accelerator.array)]
    unit_um2 = technology.mac_um2 if multiplier.area is None else 1e6 * _si(multiplier.area, "multiplier.area", "area")
    parts = area_parts(
        technology,
        multipliers_um2=accelerator.n_units * unit_um2,
        register_bytes=n_bytes["register"],
        sram_bytes=n_bytes["sram"],
        bus_bits=sum(m.width_bits[1] for m in shared),
    )
    return replace(accelerator, area_parts=parts)


def _n_instances(accelerator: Accelerator, memory: Memory) -> int:
    n = 1
    for dimension, size in accelerator.array.items():
        n *= 1 if dimension in memory.serves else size
    return n


def _in_keys(error: UserError, name: str) -> UserError:
    """The same error with the file's keys in place of the fields' names."""
    parts = error.where.removeprefix(f"{name}.").split(".")
    bare = [part.partition("[") for part in parts]
    return UserError(error.what, ".".join(_KEYS.get(key, key) + sep + rest for key, sep, rest in bare), error.right)


def _si(text: Text, where: str, dimension: str, positive: bool = False) -> float:
    try:
        value = parse_quantity(text, dimension).value
    except UserError as error:
        raise error.at(where) from None
    if value < 0 or (positive and value == 0):
        raise UserError(f"{text}", where, "more than 0" if positive else "0 or more")
    return value
