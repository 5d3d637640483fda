"""Device: where a training runs, in which precision and memory layout, and what happens when memory is short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

from archip.core.errors import CandidateError

__all__ = ["device", "laid_out", "mixed_precision", "out_of_memory", "repeatable"]


@cache
def device() -> torch.device:
    """CUDA where there is a device for it, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def _native_bfloat16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(k) for k in ("avx512_bf16", "amx_bf16"))


def mixed_precision(place: torch.device) -> torch.autocast:
    """A context in which convolutions and products run in bfloat16, on CUDA and on processors that have it natively."""
    return torch.autocast(place.type, torch.bfloat16, enabled=place.type == "cuda" or _native_bfloat16())


def laid_out(batch: Tensor) -> Tensor:
    """A batch of images with its channels last in memory; other batches as they are."""
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """CUDA's own choice of kernels would differ between runs; on the CPU nothing is to be done."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def out_of_memory() -> Iterator[None]:
    """Turn a lack of memory into a `CandidateError`."""
    try:
        yield
    except RuntimeError as error:  # torch has a type of its own for CUDA only, and that is a RuntimeError, too
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise CandidateError(f"out of memory in training: {str(error).splitlines()[0]}") from error
        raise
