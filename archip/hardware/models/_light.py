"""What the light models share: types of their options, their table of results, bytes of a workload's tensors."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from archip.ir.workload import Workload

__all__ = ["Count", "Floats", "Positive", "Share", "Table", "tensor_bytes"]

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]  # of a peak that is reached
Floats = NDArray[np.float64]
Table = dict[str, NDArray[Any]]  # column → [L], one number a layer


def tensor_bytes(workload: Workload) -> Floats:
    """[L, O] bytes of each layer's weight, input and output tensor."""
    return workload.moved_LO * workload.bits_LO / 8
