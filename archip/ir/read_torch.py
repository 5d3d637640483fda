"""Reads a torch module: its operators as `torch.export` finds them, each under the path of the module it stands in."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from archip.core.errors import CandidateError, MissingExtra, UserError
from archip.ir._draft import Draft, Known, Value
from archip.ir._place import Place
from archip.ir._torch_ops import ATEN, FACTORIES
from archip.ir.graph import Graph

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram
    from torch.fx import Node as FxNode

__all__ = ["read_torch"]

Shape = tuple[int, ...]
_ROUNDS = 4  # of decomposition; what torch takes apart may need to be taken apart again


def read_torch(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor]) -> Graph:
    """The graph of a module in evaluation mode; the module is left as it was.

    A layer has the path of its module as its name (``layer1.0.conv1``); functions in a module are called like
    ``layer1.0.add``. Weights are not copied, only their shapes; the inputs may lie on the meta device.

    Args:
        module: anything that `torch.export` can trace with these inputs.
        example_inputs: one tensor for each input, of the sizes that the graph shall have.

    Raises:
        MissingExtra: torch is not installed.
        UserError: a module that cannot be traced, or operators that the table lacks (all of them are named).
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "torch", "reading a torch module") from None
    where = type(module).__name__
    with _evaluation_mode(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice of torch.export to those who deploy what it exports
        try:
            program = torch.export.export(module, tuple(example_inputs))
        except (RuntimeError, TypeError, ValueError, AssertionError, AttributeError) as error:
            reason = str(error).strip().partition("\n")[0]
            right = "a module without control flow that depends on data, and inputs that fit it"
            raise UserError(f"torch.export cannot trace it: {reason}", where, right) from None
        program = _at_table_level(program)
    if missing := _unsupported(program):
        listed = ", ".join(f"{op} (node {', '.join(names[:3])})" for op, names in sorted(missing.items()))
        raise UserError(f"operators that archip does not know: {listed}", where, "operators of archip.ir.ops.OPS")
    try:
        return _Reader(program, module).graph()
    except CandidateError as error:
        raise UserError(str(error), where) from None


@contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    training = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, was in training.items():
            m.training = was


def _at_table_level(program: ExportedProgram) -> ExportedProgram:
    """The program with the operators that the table lacks taken apart, and only those."""
    import torch

    known = torch.export.default_decompositions()
    for _ in range(_ROUNDS):
        missing = {name for names in _unsupported(program).values() for name in names}
        targets = {node.target for node in program.graph.nodes if node.name in missing}
        table = {target: known[target] for target in targets if target in known}
        if not table:
            break
        program = program.run_decompositions(table)  # pyright: ignore[reportArgumentType]
    return program


def _unsupported(program: ExportedProgram) -> dict[str, list[str]]:
    """Operator → names of the nodes; operators on constants only are worked out and not counted."""
    constant = set(program.graph_signature.inputs_to_buffers) | set(
        program.graph_signature.inputs_to_lifted_tensor_constants
    )
    missing: dict[str, list[str]] = {}
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        if _op(node) in FACTORIES or (node.all_input_nodes and {n.name for n in node.all_input_nodes} <= constant):
            constant.add(node.name)
        elif "val" in node.meta and _op(node) not in (*ATEN, "getitem"):
            missing.setdefault(str(node.target).removesuffix(".default"), []).append(node.name)
    return missing


def _op(node: FxNode) -> str:
    """``aten.relu_.default`` → ``relu``."""
    name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


class _Reader:
    """Walks an exported program and writes the draft."""

    def __init__(self, program: ExportedProgram, module: torch.nn.Module) -> None:
        self._program = program
        self._leaves = {path for path, m in module.named_modules() if not any(True for _ in m.children())}
        self._named: set[str] = set()
        self._draft = Draft()
        self._values: dict[str, Any] = {}

    def graph(self) -> Graph:
        for node in self._program.graph.nodes:
            if node.op == "placeholder":
                self._values[node.name] = self._given(node)
            elif node.op == "call_function" and "val" in node.meta:
                self._values[node.name] = self._result(node)
        outputs = [self._values[name] for name in self._program.graph_signature.user_outputs if name in self._values]
        return self._draft.finish(*outputs)

    def _given(self, node: FxNode) -> Value | None:
        """An input, a weight or a constant."""
        signature = self._program.graph_signature
        if node.name in signature.inputs_to_parameters:
            return Known(signature.inputs_to_parameters[node.name], _shapes(node)[0], is_trained=True)
        lifted = {**signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
        if node.name in lifted:
            return Known(lifted[node.name], _shapes(node)[0])
        return self._draft.input(node.name, _shapes(node)[0]) if _shapes(node) else None

    def _result(self, node: FxNode) -> Any:
        if _op(node) == "getitem":
            return self._values[node.args[0].name][node.args[1]]  # pyright: ignore
        read = [self._values[n.name] for n in node.all_input_nodes]
        tensors = [v for value in read for v in (value if isinstance(value, tuple) else (value,))]
        if _op(node) in FACTORIES or all(isinstance(v, Known) and not v.is_trained for v in tensors):
            return self._constant(node)
        arguments = self._arguments(node)
        result = ATEN[_op(node)](Place(self._draft, self._name(node, tensors), _shapes(node)), arguments)
        result = result if isinstance(result, tuple) else (result,)
        if not isinstance(node.meta["val"], tuple | list):
            result = result[0]
        if str(node.target).partition(".")[2].partition(".")[0].endswith("_"):  # in place: the operand changes, too
            self._values[node.args[0].name] = result  # pyright: ignore
        return result

    def _constant(self, node: FxNode) -> Any:
        shapes = _shapes(node)
        if isinstance(node.meta["val"], tuple | list):
            return tuple(Known(f"{node.name}.{k}", shape) for k, shape in enumerate(shapes))
        number = node.args[1] if _op(node) == "full" else node.args[0] if _op(node) == "scalar_tensor" else None
        array = np.asarray(number) if isinstance(number, int | float) and math.prod(shapes[0]) == 1 else None
        return Known(node.name, shapes[0], array=None if array is None else array.reshape(shapes[0]))

    def _arguments(self, node: FxNode) -> SimpleNamespace:
        """The call's arguments under the names of its schema, defaults filled in."""
        import torch.fx

        schema = node.target._schema.arguments  # pyright: ignore
        given = dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs
        filled = {a.name: given.get(a.name, a.default_value) for a in schema}
        return SimpleNamespace(**torch.fx.map_arg(filled, lambda n: self._values[n.name]))

    def _name(self, node: FxNode, tensors: Sequence[Value]) -> str:
        """The name of the weight's owner; else the path of a leaf module; else the path and the operator."""
        for value in tensors:
            if isinstance(value, Known) and value.is_trained and value.key.endswith("weight") and _op(node) in _LAYERS:
                return value.key.removesuffix("weight").rstrip("._") or "weight"
        call, path = _path(node.meta)
        if path in self._leaves and call not in self._named and path:
            self._named.add(call)
            return path
        return f"{path}.{_op(node)}" if path else _op(node)


_LAYERS = frozenset(
    [
        *("linear", "embedding", "prelu", "convolution", "addmm", "mm"),
        *("layer_norm", "rms_norm", "group_norm", "batch_norm", "_native_batch_norm_legit_no_training"),
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    ]
)  # named like their first weight


def _path(meta: Mapping[str, Any]) -> tuple[str, str]:
    """The call of the innermost module, and the path of that module."""
    stack = meta.get("nn_module_stack", {})
    call = next(reversed(stack), "")
    return call, stack[call][0].partition("@")[0] if stack else ""


def _shapes(node: FxNode) -> list[Shape]:
    """Shapes of the node's tensors."""
    value = node.meta.get("val")
    values: Any = value if isinstance(value, tuple | list) else [value]
    return [tuple(int(d) for d in v.shape) for v in values if hasattr(v, "shape")]
