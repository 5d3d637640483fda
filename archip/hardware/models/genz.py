"""GenZ: latency, throughput, memory and energy of serving a language model on a platform of several devices.

Choose it to size a platform: how many devices, how fast a link, which number format for a time to first token (TTFT)
and a time per output token (TPOT). `prefill`, `decode`, `chunked` and `speculative` take batches of settings.
Source: Bambhaniya et al. 2024, Demystifying Platform Requirements for Diverse LLM Inference Use Cases,
arXiv:2406.01698, and its public code, PyPI `genz-llm` 0.0.16 (given the same rates, which it takes in binary units, the
two agree within 0.5 %). An operator takes the longest of its arithmetic and its traffic; an all-reduce of D bytes over
n devices takes start + 2 (n - 1) (latency + (D / n) / bandwidth), all-gather and all-to-all half of what follows the
start; power is 0.3 static, 0.4 compute, 0.2 memory, 0.1 network, each dynamic part times its share of the time.
Choices: attention is fused and computes masked scores, too. Only the last token of a prompt goes through the head, and
looking up an embedding is free (the tool multiplies all tokens with both tables). A pipeline's stages each work on
their share of the batch. In a chunked step all new tokens go through the matrices together, attention is by sequence.
Speculation accepts each drafted token independently (Leviathan et al. 2023, arXiv:2211.17192, eq. 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from archip.hardware.language_model import LanguageModel, Work
from archip.hardware.models._light import Count, Floats, Positive, Share, Table

__all__ = ["Genz"]

Format = Literal["f32", "bf16", "int8", "fp8", "fp6", "int4", "fp4", "int2"]
Tensor = Literal["weights", "activations", "cached"]

# Time of an operation relative to bf16, and bytes of an element. Source: GenZ, public code.
_FORMATS = {
    "f32": (2.0, 4.0), "bf16": (1.0, 2.0), "int8": (0.5, 1.0), "fp8": (0.5, 1.0), "fp6": (0.5, 0.75),
    "int4": (0.25, 0.5), "fp4": (0.25, 0.5), "int2": (0.125, 0.25),
}  # fmt: skip
_TENSORS = ("weights", "activations", "cached")
_STATIC, _COMPUTE, _MEMORY, _NETWORK = 0.3, 0.4, 0.2, 0.1


@dataclass(frozen=True)
class Genz:
    """A platform of equal devices; defaults are A100 80 GB by their data sheet."""

    ops_per_s: Positive = 312e12  # bf16
    bytes_per_s: Positive = 2039e9
    memory_bytes: Positive = 80e9
    link_bytes_per_s: Positive = 300e9  # NVLink, one direction
    link_latency_s: Positive = 1.9e-6
    start_s: Annotated[float, Field(ge=0)] = 5e-6  # of a collective
    power_w: Positive = 400.0
    compute_efficiency: Share = 1.0
    memory_efficiency: Share = 1.0
    network_efficiency: Share = 1.0
    tensor_parallel: Count = 1
    pipeline_parallel: Count = 1
    weight_format: Format = "bf16"
    format: Format = "bf16"  # of the arithmetic, activations and KV cache
    pinned: tuple[Tensor, ...] = ()  # tensors that live on chip
    onchip_bytes_per_s: Positive = 19.5e12  # recalled: L2 and shared memory of the device together
    onchip_bytes: Positive = 40e6

    def prefill(self, model: LanguageModel, batch: ArrayLike, prompt: ArrayLike) -> Table:
        """The step that reads whole prompts; its `latency_s` is TTFT. Columns of `_costs`."""
        batch, prompt = np.broadcast_arrays(np.asarray(batch, np.float64), np.asarray(prompt, np.float64))
        each = np.maximum(batch / self.pipeline_parallel, 1)
        return self._costs(model, each * prompt, each, [model.attention(each, prompt, 0)], batch, prompt)

    def decode(self, model: LanguageModel, batch: ArrayLike, context: ArrayLike, tokens: ArrayLike = 1) -> Table:
        """One step that adds `tokens` to every sequence; its `latency_s` is TPOT. Columns of `_costs`."""
        arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (batch, context, tokens)))
        batch, context, tokens = arrays
        each = np.maximum(batch / self.pipeline_parallel, 1)
        attention = [model.attention(each, tokens, context)]
        return self._costs(model, each * tokens, each * tokens, attention, batch, context + tokens)

    def chunked(self, model: LanguageModel, batch: int, context: int, prompt: int, chunk: int) -> tuple[float, float]:
        """(TTFT, longest TPOT) where a prompt is read a chunk at a time beside `batch` sequences that decode."""
        old = np.arange(0, prompt, chunk, dtype=np.float64)
        new = np.minimum(chunk, prompt - old)
        attention = [model.attention(1, new, old), model.attention(batch + 0 * new, 1, context)]
        steps = self._costs(model, new + batch, 1.0 + batch + 0 * new, attention, 1.0 + batch, float(context))
        return float(steps["latency_s"].sum()), float(steps["latency_s"].max())

    def speculative(
        self, model: LanguageModel, draft: LanguageModel, batch: int, context: int, n_draft: int, acceptance: float
    ) -> float:
        """TPOT where `draft` proposes `n_draft` tokens, of which each is accepted with probability `acceptance`."""
        expected = sum(acceptance**i for i in range(n_draft + 1))
        check_s = self.decode(model, batch, context, n_draft + 1)["latency_s"]
        return float(n_draft * self.decode(draft, batch, context)["latency_s"] + check_s) / expected

    def all_reduce_s(self, n_bytes: ArrayLike, n: int) -> Floats:
        """Ring all-reduce over n devices."""
        return self._rounds_s(n_bytes, n, 2)

    def all_gather_s(self, n_bytes: ArrayLike, n: int) -> Floats:
        """All-gather, or all-to-all, over n devices."""
        return self._rounds_s(n_bytes, n, 1)

    def send_s(self, n_bytes: ArrayLike) -> Floats:
        """From one device to another."""
        return self.link_latency_s + np.asarray(n_bytes, np.float64) / self._link

    @property
    def _link(self) -> float:
        return self.link_bytes_per_s * self.network_efficiency

    def _rounds_s(self, n_bytes: ArrayLike, n: int, rounds: int) -> Floats:
        """So many times around a ring of n devices, each passing on its part."""
        if n == 1:
            return np.zeros(np.shape(n_bytes))
        part = np.asarray(n_bytes, np.float64) / n
        return self.start_s + rounds * (n - 1) * (self.link_latency_s + part / self._link)

    def _costs(
        self,
        model: LanguageModel,
        tokens: Floats,
        outputs: Floats,
        attention: Sequence[Work],
        batch: ArrayLike,
        context: ArrayLike,
    ) -> Table:
        """Costs of one step; all arguments broadcast.

        Args:
            model: what is served.
            tokens: through the matrices.
            outputs: of them through the head.
            attention: of one layer.
            batch: sequences in memory.
            context: tokens of each of them in the KV cache.

        Returns:
            `latency_s`, its parts if nothing overlapped `compute_s`, `memory_s` and `network_s`, `bottleneck`,
            `tokens_per_s` of the batch (a token for each sequence), `energy_j` of all devices with full pipelines,
            `memory_bytes` of one device without what is pinned, and whether all `fits` there.
        """
        layer = [*model.matrices(tokens), *attention]
        compute, memory = np.array([self._seconds(work) for work in layer]).swapaxes(0, 1) * model.n_layers
        head = np.array(self._seconds(model.head(outputs)))
        message = tokens * model.hidden * _FORMATS[self.format][1]
        network = 2 * model.n_layers * self.all_reduce_s(message, self.tensor_parallel)
        scores = outputs * model.vocabulary * _FORMATS[self.format][1]
        network = network + self.all_gather_s(scores, self.tensor_parallel)
        network = network + (self.pipeline_parallel - 1) * self.send_s(message)
        latency = np.maximum(compute, memory).sum(0) + head.max(0) + network
        parts = np.array([compute.sum(0) + head[0], memory.sum(0) + head[1], network])
        dynamic = np.tensordot([_COMPUTE, _MEMORY, _NETWORK], parts, 1)
        n_devices = self.tensor_parallel * self.pipeline_parallel
        held, pinned = self._held_bytes(model, tokens, batch, context)
        return {
            "latency_s": latency,
            "compute_s": parts[0],
            "memory_s": parts[1],
            "network_s": network,
            "bottleneck": np.array(["compute", "memory", "network"])[parts.argmax(0)],
            "tokens_per_s": batch / latency,
            "energy_j": n_devices * self.power_w * (_STATIC * latency + dynamic),
            "memory_bytes": held,
            "fits": (held <= self.memory_bytes) & (pinned <= self.onchip_bytes),
        }

    def _seconds(self, work: Work) -> tuple[Floats, Floats]:
        """(arithmetic, traffic) time of an operator that is split over the devices of a stage."""
        relative, wide = _FORMATS[self.format]
        n_bytes = (_FORMATS[self.weight_format][1], wide, wide)
        memory = np.zeros(np.shape(work.macs))
        for tensor, elements, size in zip(_TENSORS, work[1:], n_bytes, strict=True):
            rate = self.onchip_bytes_per_s if tensor in self.pinned else self.bytes_per_s
            memory = memory + elements * size / (rate * self.memory_efficiency)
        compute = 2 * work.macs * relative / (self.ops_per_s * self.compute_efficiency)
        return compute / self.tensor_parallel, memory / self.tensor_parallel

    def _held_bytes(
        self, model: LanguageModel, tokens: Floats, batch: ArrayLike, context: ArrayLike
    ) -> tuple[Floats, Floats]:
        """(in memory, pinned on chip) weights, widest activations and KV cache of one device."""
        wide, n_stages = _FORMATS[self.format][1], self.pipeline_parallel
        n_devices = self.tensor_parallel * n_stages
        ups = (2 if model.gated else 1) * model.ffn / self.tensor_parallel
        held = {
            "weights": model.params * _FORMATS[self.weight_format][1] / n_devices,
            "activations": tokens * (2 * model.hidden + ups) * wide,
            "cached": np.asarray(batch, np.float64) * model.cached(context) * wide / n_devices,
        }
        pinned = np.zeros(np.shape(tokens)) + sum(held[tensor] for tensor in self.pinned)
        return sum(held.values()) - pinned, pinned
