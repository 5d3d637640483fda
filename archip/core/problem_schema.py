"""JSON Schema of problem files, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from archip.core import registry
from archip.core.problem_file import ProblemFile
from archip.core.target import NOT_AS_DEVICE

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """JSON Schema of problem files with the methods that are installed, for editors that complete YAML."""
    schema = ProblemFile.model_json_schema()
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
    devices = [_one_key(shared, name, cls) for name, cls in classes.items() if name not in NOT_AS_DEVICE]
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
