"""YAML files that people write: read safely, and refused with file and line where they cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from archip.core.errors import UserError

__all__ = ["parse_yaml", "read_yaml"]

# How much larger a file may be with its aliases written out: so many times, and so many nodes in any case.
_MOST_REPEATED, _ALWAYS_ALLOWED = 10, 10_000


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of keeping the last, and scalars that their tag cannot mean."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise UserError(f"key {key!r} is given twice", f"line {key_node.start_mark.line + 1}")
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return super().construct_object(node, deep)
        shown = node.value if len(node.value) <= 40 else node.value[:40] + "…"
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):  # 2001-99-99, 0x_, !!bool maybe
            raise ConstructorError(
                None, None, f"{shown!r} is no {node.tag.rpartition(':')[2]}", node.start_mark
            ) from None
        if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            raise ConstructorError(None, None, f"{shown!r} has characters that no text has", node.start_mark)
        return value


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
        return _loaded(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"not valid YAML: {getattr(error, 'problem', error)}", f"{where}: {line}") from None
    except RecursionError:
        raise UserError("nested too deeply", str(where)) from None
    except UserError as error:
        raise error.in_file(where) from None


def _loaded(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _size(node, sizes) > _MOST_REPEATED * len(sizes) + _ALWAYS_ALLOWED:
            raise UserError("aliases repeat its parts too often", right="write out what is meant")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Nodes of what `node` stands for, with its aliases written out; `sizes`: of those seen, 0 while inside."""
    if id(node) in sizes:
        if sizes[id(node)] == 0:
            raise UserError("an alias stands inside of what it names", f"line {node.start_mark.line + 1}")
        return sizes[id(node)]
    sizes[id(node)] = 0
    parts = [] if isinstance(node, yaml.ScalarNode) else node.value
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in parts for part in pair]
    sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]
