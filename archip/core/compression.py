"""The key ``compress`` of a problem: bits of layers that are searched together with the networks."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["Compress"]

Bits = Annotated[int, Field(ge=2, le=32)]
Widths = Annotated[tuple[Bits, ...], Field(min_length=1)]


class Compress(BaseModel):
    """Choices for the bits of each layer; of what there is one choice, all layers have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight_bits: Widths = Field((8,), description="choices for the weights of each layer, growing: [4, 8]")
    activation_bits: Widths = Field((8,), description="choices for what each layer reads and writes")
    quantizer: Any = Field(
        default="uniform", validate_default=True, description="how numbers are rounded, from `archip list quantize`"
    )

    @field_validator("weight_bits", "activation_bits", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else value

    @field_validator("weight_bits", "activation_bits")
    @classmethod
    def _grows(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(a >= b for a, b in itertools.pairwise(widths)):
            raise ValueError("write growing numbers of bits, e.g. [4, 8]")
        return widths
