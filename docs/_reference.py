"""Writes the reference of the documentation from the program itself: methods, metrics, commands, problem files.

mkdocs runs `on_files` as a hook (`mkdocs.yml`). Nothing of it is kept in a file, so it cannot be out of date.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from archip.core import registry

__all__ = ["method_page", "on_files", "pages"]

_CODE = "https://github.com/archip/archip/blob/main/"
_USE = {  # where a method of a kind is named
    "data": "`data` of a task in a problem file: `data: digits`, or `data: {npz: {path: mine.npz}}`.",
    "spaces": "`net` of a task in a problem file; `chip` is the space of `target: {chip: …}`.",
    "strategies": "`strategy` and `baselines` of a problem file, and `archip bench TABLE NAME …`.",
    "evaluators": "`evaluator` of a problem file. The stage `cost` belongs to every run by itself.",
    "evaluators/proxies": "options of the evaluator `zero_cost`.",
    "train/rules": "`rule` of the evaluator `supernet` ([supernets](../../supernets.md)).",
    "compress/quantize": "`quantizer` of `compress` in a problem file ([bits of layers](../../how-to/bits.md)).",
    "predictors": "options of strategies that have a predictor, and `archip device calibrate`.",
    "hardware/models": "`cost_model` of a chip, and Python. [Cost models](../../cost-model.md) has the equations.",
    "hardware/templates": "`dataflows` of a chip, and `accelerator: {template: {NAME: {…}}}`.",
    "hardware/mappers": "Python; [accelerators](../../accelerators.md) says what a mapping is.",
    "hardware/schedule": "`schedule` of a problem file, and Python ([scheduling](../../scheduling.md)).",
    "hardware/devices": "`target` of a problem file ([devices](../../devices.md)).",
    "export": "`archip export --format NAME`; a run writes them at its end.",
    "store": "`store` of a problem file, or `--store` ([runs](../../runs.md)).",
    "distribute": "`workers` of a problem file, or `--workers` ([workers](../../workers.md)).",
}


def on_files(files: Any, config: Any) -> Any:
    """Adds the generated pages; called by mkdocs."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Path below docs/ → Markdown, of every generated page."""
    found = {
        "reference/index.md": _index(),
        "reference/metrics.md": _metrics(),
        "reference/commands.md": _commands(),
        "reference/problem-file.md": _problem_file(),
    }
    return found | {f"reference/methods/{_slug(kind)}.md": method_page(kind) for kind in registry.KINDS}


def _slug(kind: str) -> str:
    return kind.rsplit("/", 1)[-1]


def plain(text: str) -> str:
    """Text of a docstring as Markdown that shows it as it is, but for lists and what stands in backticks."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    parts[::2] = [re.sub(r"([*\[\]_])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    return f"`{cell(text)}`" if text.strip() else ""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def _index() -> str:
    kinds = [
        (f"[{_slug(kind)}](methods/{_slug(kind)}.md)", about, str(len(registry.names(kind))))
        for kind, about in registry.KINDS.items()
    ]
    return (
        "# Reference\n\nWritten from the program itself when these pages are built.\n\n"
        "- [Commands](commands.md): every command and option\n"
        "- [Problem files](problem-file.md): every key\n"
        "- [Metrics and units](metrics.md)\n"
        "- [Python](../python.md): the public names\n"
        "- Methods, by kind:\n\n" + table(("kind", "what they are", "methods"), kinds)
    )


# Methods --------------------------------------------------------------------------------------------------------------


def method_page(kind: str) -> str:
    """All methods of a kind."""
    about = registry.KINDS[kind]
    names = registry.names(kind)
    rows = [(f"[{name}](#{name})", cell(plain(registry.describe(kind, name)))) for name in names]
    head = f"# {about[0].upper()}{about[1:]}\n\nNamed in: {_USE[kind]}\n\n{table(('name', 'what it is'), rows)}"
    return head + "".join(_method(kind, name) for name in names)


def _method(kind: str, name: str) -> str:
    cls = registry.find(kind, name)
    module = sys.modules[cls.__module__]
    text, source = _split_source(inspect.getdoc(module) or inspect.getdoc(cls) or "")
    meanings = option_meanings(cls)
    rows = [
        (code(option), code(type_), code(default), cell(plain(meanings.get(option, ""))))
        for option, type_, default in registry.option_table(cls)
    ]
    options = table(("option", "type", "default", "meaning"), rows) if rows else "No options.\n"
    path = module.__name__.replace(".", "/") + ".py"
    where = f"In `{path}`, class `{cls.__name__}`."
    return f"\n## {name} {{: #{name} }}\n\n{plain(text)}\n\n{options}\n{plain(source)}\n\n{where}\n"


def _split_source(text: str) -> tuple[str, str]:
    """A docstring without and with its last passage that begins with ``Source:``."""
    before, found, after = text.rpartition("\nSource:")
    return (before.strip(), f"Source:{after}".strip()) if found else (text, "")


def option_meanings(cls: type) -> dict[str, str]:
    """Option → what it means: the comment on its line, or its entry under Attributes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("archip."):
            text = inspect.getdoc(base) or ""
            found |= _named(text) | _attributes(text) | _comments(base)
    return found


def _named(text: str) -> dict[str, str]:
    """Name → the clause of the first passage of a docstring that has it in backticks."""
    clauses = re.split(r"[;.]\s", " ".join(text.partition("Attributes:")[0].split()))
    return {name: clause for clause in reversed(clauses) for name in re.findall(r"(?<!`)`(\w+)`(?!`)", clause)}


def _attributes(text: str) -> dict[str, str]:
    """Name → text of the section Attributes of a docstring; several names may share a line."""
    section = text.partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    last = ""
    indent = len(section) - len(section.lstrip(" "))
    for line in section.splitlines():
        if line.strip() and len(line) - len(line.lstrip(" ")) < indent:
            break
        for name, about in re.findall(r"(?:^|\. )\s*(\w+(?:, \w+)*): (.*?)(?=\. \w+(?:, \w+)*: |$)", line):
            found |= dict.fromkeys(name.split(", "), about)
            last = name
        if found and line.startswith(" " * (indent + 1)):
            found |= {n: f"{found[n]} {line.strip()}" for n in last.split(", ")}
    return found


@cache
def _comments(cls: type) -> dict[str, str]:
    """Name → the comment that stands on the lines of its field."""
    source = inspect.getsource(cls)
    source = inspect.cleandoc("\n" + source) if source.startswith(" ") else source
    at = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith(("# pyright", "# noqa", "# type"))
    }
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = [at[n] for n in range(node.lineno, (node.end_lineno or node.lineno) + 1) if n in at]
            if lines:
                found[node.target.id] = " ".join(lines)
    return found


# Metrics --------------------------------------------------------------------------------------------------------------


def _metrics() -> str:
    from archip.core.record import METRICS
    from archip.core.units import _DISPLAY, _UNITS

    goals = {1: "more", -1: "less"}
    rows = [(code(m.name), m.dimension, goals[m.goal], cell(plain(m.about))) for m in METRICS.values()]
    units = [
        (dimension, ", ".join(code(u) for u in known if u), ", ".join(code(u) for u in _DISPLAY[dimension] if u))
        for dimension, known in _UNITS.items()
    ]
    return (
        "# Metrics and units\n\nMetrics are finite numbers in SI units without prefixes (mm² is the exception). "
        "A task's own metric is written `TASK.METRIC`, e.g. `digits.accuracy`. Metrics of a table keep the names that "
        "the table gives them.\n\n"
        + table(("metric", "dimension", "better", "what it is"), rows)
        + "\n## Units\n\nWhat a problem file may write. KB, MB and GB count 1024 in sizes and 1000 in bandwidths; of a "
        "share the bare number or a percentage.\n\n" + table(("dimension", "units", "shown in"), units)
    )


# Commands -------------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """(full name, click command) of every command that does something, groups left out."""
    import typer

    from archip.cli.main import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if not getattr(command, "commands", None):
            yield name, command
        for child, inner in sorted(getattr(command, "commands", {}).items()):
            yield from walk(f"{name} {child}", inner)

    yield from walk("archip", typer.main.get_command(app))


def _commands() -> str:
    import typer

    from archip.cli.main import app

    found = list(commands())
    index = [(f"[`{name}`](#{name.replace(' ', '-')})", cell(plain(_first(c.help)))) for name, c in found]
    shared = typer.main.get_command(app).params
    text = (
        "# Commands\n\nExit codes: 0 done, 2 the input cannot be used, 3 nothing keeps all limits, 130 interrupted.\n\n"
    )
    text += table(("command", "what it does"), index) + "\n## Options before every command\n\n" + _parameters(shared)
    return text + "".join(_command(name, command) for name, command in found)


def _first(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _command(name: str, command: Any) -> str:
    about, _, examples = (command.help or "").replace("[bold]", "").replace("[/bold]", "").partition("Example")
    lines = [line.strip() for line in examples.partition("\n")[2].splitlines() if line.strip()]
    shown = "\n```console\n" + "\n".join(lines) + "\n```\n" if lines else ""
    body = f"{plain(inspect.cleandoc(about))}\n\n{_parameters(command.params)}{shown}"
    return f"\n## {name} {{: #{name.replace(' ', '-')} }}\n\n{body}"


def _type_name(annotation: Any) -> str:
    known = {str: "text", int: "integer", float: "number", Path: "path"}
    inner = next(a for a in get_args(annotation) or (annotation,) if a is not type(None))
    return _type_name(inner) if get_args(inner) else known.get(inner, getattr(inner, "__name__", str(inner)))


def _parameters(params: list[Any]) -> str:
    rows = []
    for p in params:
        name = ", ".join([*p.opts, *p.secondary_opts]) if p.opts[0].startswith("-") else p.name.upper()
        many = " …" if p.nargs == -1 or p.multiple else ""
        kind = "" if getattr(p, "is_flag", False) else _type_name(p.type_descriptor.annotation) + many
        default = "" if p.default is None or callable(p.default) or p.default is False else str(p.default)
        shown = "required" if p.required else default
        rows.append((code(name), kind, code(shown), cell(plain(getattr(p, "help", "") or ""))))
    return table(("argument or option", "type", "default", "meaning"), rows) if rows else "No options.\n"


# Problem files --------------------------------------------------------------------------------------------------------

_PLUGS = {  # keys that name a method → kind
    "data": "data",
    "net": "spaces",
    "strategy": "strategies",
    "evaluator": "evaluators",
    "baselines": "strategies",
    "quantizer": "quantize",
    "schedule": "schedule",
    "store": "store",
    "workers": "distribute",
}
_KNOWN = {  # keys that the schema describes elsewhere
    "tasks": "what is to be learnt: name of each task: its data and networks",
    "target": "what the networks are to run on; none: only parameters and MACs are counted",
    "budget": "what the search may spend",
    "finish": "what is done with the best candidates at the end",
    "seed": "of everything that is drawn at random",
}
_SECTIONS = {"tasks": "TaskSpec", "compress": "Compress", "budget": "Budget", "finish": "Finish"}


def _problem_file() -> str:
    from archip.core.problem_schema import json_schema

    schema = json_schema()
    text = (
        "# Problem files\n\n`archip init` writes one, `archip check` shows it with all defaults filled in, and "
        "`archip schema > problem.schema.json` gives the schema by which editors complete it. A method is named alone "
        "(`strategy: nsga2`) or with options (`strategy: {nsga2: {population: 64}}`).\n\n"
    )
    text += _keys("", schema["properties"], schema["required"])
    for key, name in _SECTIONS.items():
        model = schema["$defs"][name]
        prefix = "tasks.NAME." if key == "tasks" else f"{key}."
        text += f"\n## {key}\n\n{plain(_first(model['description']))}\n\n"
        text += _keys(prefix, model["properties"], model.get("required", []))
    text += "\n## limits\n\n" + _limits()
    return text + "\n## target\n\n" + _targets(schema["properties"]["target"]["anyOf"])


def _keys(prefix: str, properties: Mapping[str, Any], required: list[str]) -> str:
    rows = []
    for key, value in properties.items():
        default = "required" if key in required else _default(value)
        about = cell(plain(_KNOWN.get(key) or value.get("description", "")))
        more = f" ([below](#{key}))" if key in (*_SECTIONS, "target", "limits") and not prefix else ""
        more += f" ([{_PLUGS[key]}](methods/{_PLUGS[key]}.md))" if key in _PLUGS else ""
        rows.append((code(prefix + key), code(default), about + more))
    return table(("key", "default", "meaning"), rows)


def _limits() -> str:
    from archip.core.problem_goals import COSTS

    rows = [
        (code(name), ", ".join(f"{code(m)} ({dimension})" for dimension, m in metrics.items()))
        for name, metrics in COSTS.items()
    ]
    return (
        "Also names of `objectives`. A bound has a unit, which decides the metric where there are several; "
        "`TASK.METRIC` limits what a task reaches, and problems on a table know the table's own metrics. "
        "[Metrics](metrics.md) says what they are.\n\n" + table(("name", "metric, by unit"), rows)
    )


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "" if default is None or isinstance(default, dict) else str(default)


def _targets(schemas: list[dict[str, Any]]) -> str:
    text = "At most one of these; without one only parameters and MACs are counted.\n\n"
    pages = {"chip": ("spaces", "chip"), "accelerator": ("devices", "accelerator"), "mcu": ("devices", "mcu")}
    rows = []
    for schema in schemas[1:]:
        ((key, _),) = schema["properties"].items()
        kind, name = pages.get(key, ("devices", ""))
        rows.append((code(f"target.{key}"), f"[options](methods/{kind}.md#{name})".replace("#)", ")")))
    return text + table(("key", "its options"), rows) + "\n[Devices and targets](../devices.md) explains them.\n"
