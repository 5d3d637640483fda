"""A calibrated device: latency predicted from a device file that ``archip device calibrate`` wrote.

Choose it as the target, ``target: {device: my_device.yaml}``, where the device is not at hand during the search, or
measuring every candidate would take too long. The file holds what was measured on which machine, the features, the
fitted predictor as plain numbers, and its error on measurements that it had not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from archip.core.candidate import digest
from archip.core.errors import CandidateError, UserError
from archip.core.files import write_text
from archip.hardware.devices._device import Deployed, Device
from archip.hardware.devices._features import FEATURES, features
from archip.hardware.devices._table import Encoding, Table
from archip.hardware.devices.onnxruntime import float_bytes
from archip.predictors._predictor import Predictor, from_json

__all__ = ["Fitted"]

_VERSION = 1
_NETWORK = "network"  # features of a graph, `_features.py`; the other kind are columns of a table


@dataclass
class Fitted(Device):
    """Predicts latency from a device file.

    Attributes:
        path: of the device file.
    """

    reads_bits: ClassVar[bool] = False

    path: str

    def __post_init__(self) -> None:
        self.contents = read_device(Path(self.path))

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset({"latency_s", "memory_bytes"})

    @property
    def key(self) -> Any:
        return digest(self.contents)

    @cached_property
    def predictor(self) -> Predictor:
        try:
            return from_json(self.contents["predictor"])
        except UserError as error:
            raise error.in_file(self.path) from None

    @property
    def is_for_networks(self) -> bool:
        """Whether it predicts for networks; otherwise for rows of tables such as it was calibrated from."""
        return self.contents["features"]["of"] == _NETWORK

    def costs(self, networks: Sequence[Deployed]) -> dict[str, float]:
        if not self.is_for_networks:
            raise CandidateError(f"{self.path} was calibrated from a table; it knows no networks")
        if any(network.bits for network in networks):
            raise CandidateError(f"{self.path} was calibrated with float networks; bits of a compression do not apply")
        graphs = [network.graph for network in networks]
        mean_N, _ = self.predictor.predict(np.array([features(graph) for graph in graphs]))
        if (mean_N <= 0).any():
            raise CandidateError(f"{self.path} predicts {mean_N.min():.3g} s: too far from what it was calibrated with")
        return {"latency_s": float(mean_N.sum()), "memory_bytes": float_bytes(graphs)}

    def predict_rows(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """(mean_N, std_N) [s] of the rows of a table.

        Raises:
            UserError: the file predicts for networks, or the table lacks a column or has a value that it does not know.
        """
        if self.is_for_networks:
            raise UserError("predicts for networks, not for rows of a table", self.path)
        return self.predictor.predict(Encoding.from_json(self.contents["features"]["encoding"])(table))

    def about(self) -> dict[str, Any]:
        return {"device": self.contents["device"], "made": self.contents["made"], "error": self.contents["error"]}


def network_features() -> dict[str, Any]:
    """What a device file says of features that are those of networks."""
    return {"of": _NETWORK, "names": list(FEATURES)}


def table_features(encoding: Encoding) -> dict[str, Any]:
    """What a device file says of features that are columns of a table."""
    return {"of": "table", "encoding": encoding.to_json()}


def write_device(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a device file, whole or not at all."""
    text = yaml.safe_dump({"archip_device": _VERSION, **contents}, sort_keys=False, width=120, default_flow_style=None)
    write_text(path, f"# Device file of archip; `archip device show {path.name}` tells what it holds.\n{text}")


def read_device(path: Path) -> dict[str, Any]:
    """The contents of a device file.

    Raises:
        UserError: it cannot be read, or is no device file of this version.
    """
    right = "a file that archip device calibrate wrote"
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise UserError("no such device file", str(path), right) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot be read: {str(error).partition(chr(10))[0]}", str(path), right) from None
    if not isinstance(value, Mapping) or value.get("archip_device") != _VERSION:
        raise UserError("is no device file", str(path), right)
    for key in ("device", "made", "features", "error", "predictor"):
        if key not in value:
            raise UserError("key is missing", f"{path}: {key}", right)
    if value["features"].get("of") == _NETWORK and value["features"].get("names") != list(FEATURES):
        raise UserError("has the features of another version of archip", str(path), "calibrate the device again")
    return dict(value)
