"""Deliver: the winner's networks, chip and schedule as files, each checked against what it was made from.

Of a network with bits, the float files are as ever, and a quantised ONNX file comes beside them where it can be told.
The winner gets ONNX, safetensors and PyTorch source, its ONNX files are run on the whole test split and timed; the
other finalists get safetensors and source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.errors import ArchipError, CandidateError
from archip.core.files import make_folder
from archip.core.protocols import RunContext
from archip.hardware.devices._device import Device
from archip.search.finish import Finalist, Trained
from archip.search.predicted import on_device

__all__ = ["deliver", "exported"]

_TOLERANCE = 1e-3  # largest difference of logits between torch and ONNX Runtime, float32
_ROUNDING = 0.02  # of test scores at few bits: a sum that falls on the other side of a step is carried on


def deliver(winner: Finalist, others: Sequence[Finalist], run: RunContext, folder: Path) -> dict[str, Any]:
    """Write everything under ``artifacts/``; what the summary says of networks, chip, schedule and files.

    Raises:
        ArchipError: an exported network does not compute what the trained one does.
    """
    out = make_folder(folder / "artifacts")
    artifacts: dict[str, Any] = {}
    networks = {}
    for name, net in winner.networks.items():
        files = exported(net, out / name, ("onnx", "pytorch_source", "safetensors"))
        networks[name] = _network(net) | {"onnx": _verify(net, files["onnx"])}
        if net.rounded is not None:
            networks[name]["quantized"] = _quantized(net, out / name, files)
        artifacts[name] = {kind: str(path.relative_to(folder)) for kind, path in files.items()}
    for rank, finalist in enumerate(others, 2):
        for name, net in finalist.networks.items():
            files = exported(net, out / f"finalist_{rank}" / name, ("pytorch_source", "safetensors"))
            artifacts[f"finalist_{rank}.{name}"] = {k: str(p.relative_to(folder)) for k, p in files.items()}
    chip = schedule = device = None
    if isinstance(run.target, Device):
        device = on_device(run.target, winner, networks)
    elif run.target is not None:
        from archip.evaluators.cost import plan
        from archip.export.chip_yaml import ChipYaml

        design = plan(winner.record.candidate, run)
        written = ChipYaml().write(design, out)
        chip, schedule = written.chip, written.schedule
        files = {"chip": written.chip_path, "schedule": written.schedule_path, "floor": written.floor_path}
        artifacts |= {kind: str(path.relative_to(folder)) for kind, path in files.items() if path is not None}
    return {"artifacts": artifacts, "networks": networks, "chip": chip, "schedule": schedule, "device": device}


def exported(net: Trained, folder: Path, kinds: Sequence[str]) -> dict[str, Path]:
    """Write one network in some formats; format → file."""
    from archip.export._network import Network

    scores = {f"{split}.{net.task.metric}": getattr(net, split) for split in ("val", "test")}
    as_float = {f"test.{net.task.metric}": net.float_test} if net.rounded is not None else scores
    task, data = net.task, net.task.load()
    plain = Network.of(task.name, task.space, net.genotype, net.module, data, as_float)
    rounded = replace(plain, module=net.rounded or net.module, metrics=scores)
    networks = {kind: rounded if kind == "qdq_onnx" else plain for kind in kinds}
    return {kind: registry.create("export", kind).write(network, folder) for kind, network in networks.items()}


def _quantized(net: Trained, folder: Path, files: dict[str, Path]) -> dict[str, Any]:
    """What is said of the network at its bits; its file is added to `files` where ONNX can tell these bits."""
    about = {"bits": dict(net.bits), "test": net.test, "float_test": net.float_test}
    try:
        files |= exported(net, folder, ("qdq_onnx",))
    except CandidateError as error:
        return about | {"file": None, "why_not": str(error)}
    return about | {"file": files["qdq_onnx"].name} | _verify_rounded(net, files["qdq_onnx"])


def _verify_rounded(net: Trained, path: Path) -> dict[str, Any]:
    """The file as it is written computes what the simulation did; and its test score with integer kernels."""
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    written, fused = (_onnx_score(net, path, level) for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL))
    if abs(written - net.test) > _ROUNDING:
        raise ArchipError(f"{path} differs from the network at its bits; test {written}, not {net.test}")
    return {"onnx_test": written, "integer_test": fused}


def _onnx_score(net: Trained, path: Path, level: Any) -> float:
    import onnxruntime

    from archip.train.evaluation import score

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    data, name = net.task.load(), session.get_inputs()[0].name
    x, y = data.splits["test"]
    outputs = [np.asarray(session.run(None, {name: x[i : i + 64]})[0]) for i in range(0, len(x), 64)]
    found: dict[str, float] = score(np.concatenate(outputs), y, data.task)
    return found[net.task.metric]


def _network(net: Trained) -> dict[str, Any]:
    """Genotype, sizes and layers of one network, for the summary and the report."""
    from archip.ir.workload import workload

    data = net.task.load()
    graph = net.task.space.graph(net.genotype, data.input_shape, data.n_outputs)
    work = workload(graph)
    layers = [
        [n, k, int(m), int(p)] for n, k, m, p in zip(work.names, work.kinds, work.macs_L, work.params_L, strict=True)
    ]
    return {"genotype": net.genotype, "macs": int(work.macs), "params": int(work.params), "layers": layers}


def _verify(net: Trained, path: Path) -> dict[str, Any]:
    """Run the ONNX file on the test split: difference to torch, test score, and measured latency at batch 1."""
    import onnxruntime

    from archip.export._verify import verify_onnx
    from archip.hardware.devices.onnxruntime import OnnxRuntime

    x, _ = net.task.load().splits["test"]
    name = net.module.graph.inputs[0].name  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    difference = verify_onnx(net.module, path, x[:64])
    test = _onnx_score(net, path, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    expected = net.test if net.rounded is None else net.float_test
    if difference > _TOLERANCE or abs(test - expected) > 2.0 / len(x):
        raise ArchipError(f"{path} differs from the trained network by {difference:.2g}; test {test}, not {expected}")
    return {"max_difference": difference, "test": test, **OnnxRuntime().measure(path, {name: x[:1]})}
