"""Chip report: a chip that `archip chip` found, as ``chip.yaml``, ``schedule.json``, ``floor.svg`` and a page with all.

The page ``report.html`` needs nothing else: cores, floor sketch, Gantt chart, trees of area and energy, and the proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archip.core.files import write_text
from archip.export._chip_figures import chip_figures
from archip.export._floor import floor_sketch
from archip.export._found_chip import described
from archip.export._page import page
from archip.export.chip_yaml import Written, write_chip
from archip.hardware.chip.explore import FoundChip
from archip.hardware.chip.space import ChipSpec
from archip.ir.workload import Workload

__all__ = ["ChipReport"]


@dataclass(frozen=True)
class ChipReport:
    """Writes the files of a chip and its page."""

    def write(
        self, folder: Path, networks: Mapping[str, Workload], spec: ChipSpec, found: FoundChip, proof: str = ""
    ) -> Written:
        """Write into a folder that is there.

        Args:
            networks: those that the chip was found for, in the same order.
            spec: the space it was found in.
            proof: what the certificate says, in words.
        """
        chip, schedule = described(networks, spec, found)
        written = write_chip(chip, schedule, list(networks), folder)
        about = {"chip": chip, "networks": list(networks), "proof": proof, "floor": floor_sketch(chip)}
        figures = dict(chip_figures(chip, schedule, list(networks)))
        write_text(folder / "report.html", page("chip.html.j2", figures, **about))
        return written
