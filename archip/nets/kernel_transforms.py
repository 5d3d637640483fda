"""Kernel transforms: smaller kernels of a supernet are the centre of the next larger one, mixed by learned matrices.

From 7 to 5 to 3, each step has a matrix that all channels of the layer share; all are identities at the start, which
leaves the plain centre. A layer whose kernels do not lie inside one another has none.
Source: Cai et al. 2020, arXiv:1908.09791 (once-for-all), section 3.2, elastic kernel size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from archip.nets.part import leading, view

__all__ = ["Step", "matrix_name", "transform_steps", "transformed"]

Kernel = tuple[int, ...]
Step = tuple[Kernel, Kernel]


def transform_steps(kernels: Iterable[Kernel]) -> list[Step]:
    """(from, to) of every step, the largest kernel first; none where a kernel is not inside the next larger one."""
    ordered = sorted(set(kernels), key=math.prod, reverse=True)
    found = list(itertools.pairwise(ordered))
    return found if all(x >= y for a, b in found for x, y in zip(a, b, strict=True)) else []


def matrix_name(step: Step) -> str:
    """Name of the parameter, such as ``kernel_7x7_to_5x5``."""
    return "kernel_{}_to_{}".format(*("x".join(map(str, kernel)) for kernel in step))


def transformed(weight: Tensor, steps: Sequence[Step], matrices: Mapping[str, Tensor | None], wanted: Kernel) -> Tensor:
    """The weight with the kernel `wanted`, of one with the largest kernel."""
    for step in steps:
        if math.prod(step[1]) >= math.prod(wanted) and (matrix := matrices[matrix_name(step)]) is not None:
            whole = (leading(weight.shape[0]), leading(weight.shape[1]))
            cropped = view(weight, (*whole, *step[1]))
            weight = F.linear(cropped.flatten(2), matrix).reshape(cropped.shape)
    return weight
