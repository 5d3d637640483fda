"""Who may import whom: to the left only, and neighbours do not import each other. torch only where torch lives."""

import ast
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "archip"
LAYERS = [
    {"core"},
    {"ir", "store", "distribute"},
    {"predictors"},
    {"nets", "hardware", "data"},
    {"spaces", "compress", "train"},
    {"strategies", "evaluators"},
    {"export"},
    {"search"},
    {"testing"},
    {"dashboard"},
    {"cli"},  # its verb serve starts the dashboard
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)  # the public API and __main__ see all
HAS_TORCH = {"nets", "train", "export", "compress"}
ALL_TORCH = {"testing/elastic.py"}  # a network that tests of training rules share


def imported(nodes):
    """Modules named by the import statements among `nodes`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write absolute imports"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "archip")


def on_import(tree):
    """The nodes that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from chain([node], on_import(node))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_to_the_left(path):
    own = path.relative_to(ROOT).parts[0]
    for module in imported(ast.walk(ast.parse(path.read_text()))):
        package, _, rest = module.partition(".")
        layer = rest.partition(".")[0]
        if package == "archip" and layer in RANK and layer != own:
            assert RANK[layer] < RANK[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_is_imported_where_it_is_used(path):
    if path.relative_to(ROOT).parts[0] not in HAS_TORCH and path.relative_to(ROOT).as_posix() not in ALL_TORCH:
        modules = set(imported(on_import(ast.parse(path.read_text()))))
        assert not {m for m in modules if m.split(".")[0] in ("torch", "torchvision", "onnxscript")}
        assert not {m for m in modules if m.startswith(("archip.nets", "archip.train"))}  # which bring it in


def test_the_rules_see_every_way_to_import():
    source = """
import archip.cli.main as main
from archip import search
from archip.nets.build import build_module
if TYPE_CHECKING:
    import torch
class A:
    import torchvision
    def method(self):
        import onnxscript
"""
    tree = ast.parse(source)
    everything = {
        "archip.cli.main",
        "archip",
        "archip.search",
        "archip.nets.build",
        "torch",
        "torchvision",
        "onnxscript",
    }
    assert set(imported(ast.walk(tree))) == everything
    assert set(imported(on_import(tree))) == everything - {"torch", "onnxscript"}
