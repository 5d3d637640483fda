"""Supernet: one network that holds all networks of a task's space is trained; each takes its weights from there.

Choose it for searches of hundreds of candidates: after one training a candidate costs milliseconds. Its scores rank
networks, they are not those of a full training. A training that was interrupted goes on; a finished one is read from
the run's folder, or, with `start_from`, from that of another run.
Where bits are searched (``compress`` in a problem), a network is rounded to its bits as it is, without training.
Source: Guo et al. 2020, arXiv:1904.00420 (uniform single paths); Yu et al. 2020, arXiv:2003.11142 (shared channels,
batch-norm statistics measured for each network). How the shared weights are trained is a `rule` (`archip/train/rules`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.errors import CandidateError, UserError
from archip.core.files import digest_of
from archip.core.problem import Plug
from archip.core.protocols import Progress, RunContext, Stage, Task
from archip.core.record import Outcome
from archip.core.rng import generator, integer_seed
from archip.evaluators._accuracy import AccuracyStage

if TYPE_CHECKING:
    from torch import nn

    from archip.nets.build import GraphModule

__all__ = ["Supernet"]

_EPOCHS, _STEPS = 12, 400  # at least, where the options do not say
_TOGETHER, _BYTES = 64, 2**28  # networks that are evaluated in one pass, at most; their weights

Count = Annotated[int, Field(ge=1)]
Rule = str | dict[str, Any]


@dataclass(frozen=True)
class Supernet:
    """Weights shared between all networks of a space."""

    quantizes: ClassVar[bool] = True

    epochs: Annotated[int, Field(ge=0)] | None = None  # None: 12, on small data more: so many that there are 400 steps
    batch: Count = 64  # samples of a training step
    lr: Annotated[float, Field(gt=0)] = 1e-2  # the highest; of AdamW, with warm-up and half a cosine
    rule: Rule = "uniform"  # a training rule, by name or with options: {sandwich: {n_random: 2}}
    kernel_transforms: bool = False  # learned matrices turn kernels into smaller ones, as in once-for-all networks
    start_from: str | None = None  # a trained supernet's file; with epochs 0 it is used as it is
    calibration: Count = 2  # training batches for the batch-norm statistics of each network
    samples: Count = 1000  # of the validation split, at most

    def __post_init__(self) -> None:
        self.made_rule()  # a wrong name or option is said before the search
        if self.epochs == 0 and self.start_from is None:
            raise UserError("0 epochs train nothing", "epochs", "start_from: a trained supernet's file")

    def made_rule(self) -> Any:
        """A new rule: rules keep state while they train."""
        try:
            plug = Plug.of(self.rule)
            return registry.create("train/rules", plug.name, plug.options)
        except ValueError as error:
            raise UserError(str(error), "rule") from None
        except UserError as error:
            raise error.at("rule") from None

    def stages(self, run: RunContext) -> Sequence[Stage]:
        return [_SupernetStage(run, task, self) for task in run.tasks]


class _SupernetStage(AccuracyStage):
    def __init__(self, run: RunContext, task: Task, options: Supernet) -> None:
        start = {"start": digest_of(Path(options.start_from))} if options.start_from else {}
        super().__init__("supernet", run, task, {"fidelity": "supernet", **asdict(options), **start})
        self.options, self.quantizer = options, run.quantizer
        self.together = 1 if run.quantizer else _TOGETHER
        self.failure = ""
        x, y = self.data.splits["val"]
        rows = generator(self.seed, "samples").permutation(len(x))[: options.samples]
        self.x, self.y = x[rows], y[rows]

    def prepare(self, progress: Progress | None) -> None:
        """Train the supernet, go on with its training, or read it."""
        import torch

        from archip.nets.supernet import SuperNet
        from archip.train.calibration import batches
        from archip.train.device import device
        from archip.train.loop import Recipe, fit
        from archip.train.recipe import steps_per_epoch
        from archip.train.supernet_file import load_supernet

        o, (x, _) = self.options, self.data.splits["train"]
        fewest = max(_EPOCHS, _STEPS // steps_per_epoch(len(x), o.batch))
        epochs = fewest if o.epochs is None else o.epochs
        recipe = Recipe(epochs=epochs, batch=o.batch, lr=o.lr, keep="last")
        path = self.folder / f"{self.task.name}.safetensors"
        rule = o.made_rule()

        def make(number: int) -> SuperNet:
            seed = integer_seed(self.seed, "set", number) if number else self.seed
            return SuperNet(self.task.space, self.data.input_shape, self.data.n_outputs, seed, o.kernel_transforms)

        try:
            self.net = rule.network(make)
            if o.start_from is not None:
                load_supernet(Path(o.start_from), self.net)
            fit(self.net, self.data, recipe, self.seed, progress, path, rule)
        except CandidateError as error:
            self.failure = f"the supernet of {self.task.name}: {error}"
            return
        self.net.to(device())
        inputs = torch.from_numpy(x).to(device())
        self.batches = batches(inputs, o.batch, o.calibration, generator(self.seed, "calibration"))

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Several networks in one pass: what they have in common, such as their first layers, is computed once."""
        if self.together == 1:  # networks that are rounded have nothing in common
            return super().evaluate(candidates)
        n = self._n_together()
        return [o for start in range(0, len(candidates), n) for o in self._evaluated(candidates[start : start + n])]

    def network(self, genotype: Any) -> nn.Module:
        """The network of a genotype with weights of the trained supernet, and with statistics of its own.

        Raises:
            CandidateError: the training of the supernet failed, or it has no room for this network.
        """
        from archip.train.calibration import recalibrate

        module = self._extracted(genotype)
        recalibrate(module, self.batches)
        return module

    def _evaluated(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """In one pass; one by one, where one of them fails."""
        from archip.nets.merged import Merged
        from archip.train.calibration import recalibrate
        from archip.train.device import device, mixed_precision
        from archip.train.evaluation import evaluate_merged

        began = time.perf_counter()
        try:
            with mixed_precision(device()):
                merged = Merged([self._extracted(candidate.net[self.task.name]) for candidate in candidates])
                recalibrate(merged, self.batches)
                found = evaluate_merged(merged, self.x, self.y, self.data.task)
        except (CandidateError, RuntimeError):
            return super().evaluate(candidates)
        seconds = (time.perf_counter() - began) / len(candidates)
        name = f"{self.task.name}.{self.task.metric}"
        return [Outcome({name: metrics[self.task.metric]}, seconds=seconds) for metrics in found]

    def _n_together(self) -> int:
        """Networks whose weights fit into memory at once."""
        if not hasattr(self, "batches"):
            return 1
        each = sum(parameter.nbytes for parameter in self.net.parameters())
        return max(1, min(self.together, _BYTES // each))

    def _extracted(self, genotype: Any) -> GraphModule:
        """The network of a genotype, whose statistics are still to be measured."""
        import torch

        if not self.failure and not hasattr(self, "batches"):
            self.prepare(None)
        if self.failure:
            raise CandidateError(self.failure)
        return self.net.extract(genotype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def measure(self, genotype: Any, bits: Mapping[str, Any]) -> float:
        from archip.train.device import device, mixed_precision
        from archip.train.loop import evaluate

        with mixed_precision(device()):
            module = self.network(genotype)
            if not bits:
                return evaluate(module, self.x, self.y, self.data.task)[self.task.metric]
        rounded = self.quantizer.quantized(module, bits, self.batches)  # bfloat16 would be a second rounding
        return evaluate(rounded, self.x, self.y, self.data.task)[self.task.metric]
