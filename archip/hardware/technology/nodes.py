"""The technology tables by name."""

from collections.abc import Mapping
from typing import Literal

from archip.hardware.technology._technology import Technology
from archip.hardware.technology.nm7 import NM7
from archip.hardware.technology.nm16 import NM16
from archip.hardware.technology.nm28 import NM28
from archip.hardware.technology.nm45 import NM45
from archip.hardware.technology.nm65 import NM65

__all__ = ["NODES", "Node"]

Node = Literal["nm65", "nm45", "nm28", "nm16", "nm7"]
NODES: Mapping[str, Technology] = {table.name: table for table in (NM65, NM45, NM28, NM16, NM7)}
