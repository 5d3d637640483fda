"""YAML files that people write: read safely, and refused with file and line where they cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from archip.core.errors import UserError

__all__ = ["parse_yaml", "read_yaml"]


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise UserError(f"key {key!r} is given twice", f"line {key_node.start_mark.line + 1}")
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path, missing: str = "") -> Any:
    """What a YAML file holds; `missing`: what to do where there is no such file.

    Raises:
        UserError: it cannot be read, is no YAML, or gives a key twice; names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("no such file", str(path), missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", str(path)) from None
    return parse_yaml(text, path)


def parse_yaml(text: str, where: str | Path) -> Any:
    """What YAML says; `where`: what errors call it.

    Raises:
        UserError: it is no YAML, or gives a key twice; names the line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"not valid YAML: {getattr(error, 'problem', error)}", f"{where}: {line}") from None
    except RecursionError:
        raise UserError("nested too deeply", str(where)) from None
    except UserError as error:
        raise error.in_file(where) from None
