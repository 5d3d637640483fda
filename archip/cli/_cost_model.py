"""What ``archip cost`` is asked to price: an ONNX file, a layer table, or a torch module, read into a workload."""

from __future__ import annotations

import csv
import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archip.core.errors import UserError, nearest

if TYPE_CHECKING:
    from archip.ir.workload import Workload

__all__ = ["Read", "Source", "read_model", "with_density"]


@dataclass(frozen=True)
class Source:
    """The command line's words about the model."""

    model: str
    shapes: tuple[str, ...]
    values: tuple[str, ...]
    network: str | None
    weight_bits: int
    activation_bits: int


@dataclass(frozen=True)
class Read:
    """A model that has been read.

    Attributes:
        unsupported: nodes that are not in the workload, as ``{"node", "operator", "reason"}``.
        table: of a layer table, its path.
        labels: of a layer table, its rows that are asked for: index, network, layer, op, and how often it occurs;
            the workload has as many rows of each.
    """

    workload: Workload
    unsupported: tuple[dict[str, str], ...] = ()
    table: str | None = None
    labels: tuple[dict[str, Any], ...] = ()


def read_model(source: Source) -> Read:
    """The model as a workload.

    Raises:
        UserError: no such model, a broken one, or options that do not suit it.
    """
    from archip.ir.workload import workload

    bits = (source.weight_bits, source.activation_bits)
    if source.model.endswith(".csv"):
        return _table(source)
    if source.network is not None:
        raise UserError("only layer tables hold several networks", "--network")
    if ":" in source.model and not Path(source.model).exists():
        return Read(workload(_torch_graph(source.model, _shapes(source.shapes)), *bits))
    from archip.ir.read_onnx import read_onnx

    try:
        graph = read_onnx(source.model, _shapes(source.shapes), _numbers(source.values), allow_unknown=True)
    except UserError as error:
        if "is not complete" not in error.what:
            raise
        right = "--input NAME=1x3x224x224, or NAME=1 for a size that the file names"
        raise UserError(error.what, error.where, right) from None
    left_out = tuple(
        {"node": node.name, "operator": str(node.attrs["operator"]), "reason": str(node.attrs["reason"])}
        for node in graph.nodes
        if node.op == "opaque"
    )
    return Read(workload(graph, *bits), left_out)


def _table(source: Source) -> Read:
    from archip.ir.layer_table import from_table

    if source.shapes or source.values:
        raise UserError("a layer table has no inputs", "--input")
    work = from_table(source.model, source.network, source.weight_bits, source.activation_bits)
    with open(source.model, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [
        {"index": i, "network": row.get("network") or "", "layer": row["layer"], "op": row["op"],
         "count": int(row.get("count") or 1)}
        for i, row in enumerate(rows)
        if source.network in (None, row.get("network"))
    ]  # fmt: skip
    return Read(work, table=source.model, labels=tuple(labels))


def _shapes(texts: tuple[str, ...]) -> dict[str, int | tuple[int, ...]]:
    """``NAME=1x3x224x224`` texts as input → shape; ``NAME=1`` as the size of a dimension that the file names."""
    shapes: dict[str, int | tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.lower().split("x"))
        except ValueError:
            raise UserError(f"{text!r} is not NAME=1x3x224x224", "--input") from None
        if not name or min(shape) < 1:
            raise UserError(f"{text!r} is not NAME=1x3x224x224 with sizes from 1", "--input")
        shapes[name] = shape[0] if len(shape) == 1 else shape
    return shapes


def _numbers(texts: tuple[str, ...]) -> dict[str, float]:
    numbers = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise UserError(f"{text!r} is not NAME=16000", "--value") from None
    return numbers


def with_density(work: Workload, texts: tuple[str, ...]) -> Workload:
    """The workload with shares of weights that are not zero: ``0.5`` of all layers, ``LAYER=0.5`` of one.

    Raises:
        UserError: no share, or a layer that is not there or has no weights.
    """
    has_weights = lambda i: work.params_L[i] > 0 and work.kinds[i] != "vector"  # noqa: E731
    weighted = {name: i for i, name in enumerate(work.names) if has_weights(i)}
    density_LO = work.density_LO.copy()
    for text in sorted(texts, key=lambda text: "=" in text):  # what is said of all, then of single ones
        name, _, number = text.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise UserError(f"{text!r} is not a share", "--density", "0.5, or LAYER=0.5: more than 0, at most 1")
        if name and name not in weighted:
            raise UserError(f"no layer {name!r} with weights", "--density", nearest(name, weighted))
        density_LO[[weighted[name]] if name else list(weighted.values()), 0] = share
    return replace(work, density_LO=density_LO)


def _torch_graph(path: str, shapes: dict[str, int | tuple[int, ...]]) -> Any:
    """The graph of ``package.module:name``, a torch module or something that makes one when called."""
    module_name, _, name = path.partition(":")
    if not shapes:
        raise UserError("a torch module does not say what it takes", path, "--input 0=1x3x224x224, one for each input")
    sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot be imported: {error}", path, "package.module:name") from None
    import torch

    from archip.ir.read_torch import read_torch

    module = made if isinstance(made, torch.nn.Module) else made()
    return read_torch(module, [torch.zeros(shape) for shape in shapes.values()])
