"""Chen et al., Eyeriss (ISCA 2016, JSSC 2017): a folding rule tells which PEs of the chip work, and its DRAM traffic.

The chip's rows stand in the data folder in a file that was written down from memory; only its totals are confirmed.
Its stated deviation, 156 PEs in conv1 to conv3 of VGG-16 where the rule gives 168, is part of the expectation.
"""

import csv

import numpy as np

from archip.hardware.models.eyeriss_folding import EyerissFolding
from claims._claim import Observed, data_file
from claims._convnets import alexnet, convolutions, vgg16, with_zeros

EXPECTED = """Active PEs 154, 135, 156, 156, 156 on AlexNet; 168 in every VGG-16 layer, equal to the chip in conv4 and
conv5 only. DRAM accesses per MAC within 2 x of 0.0029 (AlexNet, 4 images) and 0.0035 (VGG-16, 3 images), and DRAM
traffic of every layer within 2 x of the chip's. (Processing times are shown only: the model's efficiency is the chip's
mean over AlexNet.)"""
SOURCE = "JSSC 52(1), 2017, tables of measurements; card RS-MODEL; constants.md, section 6"

# Share of zeros in the inputs of each layer, as published beside the measurements (recalled).
_ZEROS = {
    "AlexNet": [0.0001, 0.387, 0.725, 0.793, 0.776],
    "VGG-16": [0.016, 0.477, 0.248, 0.387, 0.397, 0.581, 0.587, 0.643, 0.747, 0.854, 0.794, 0.874, 0.885],
}
_PER_MAC = {"AlexNet": 0.0029, "VGG-16": 0.0035}


def check() -> Observed:
    model, texts = EyerissFolding(), []
    holds: list[bool] = []
    for name, rows, batch in (("AlexNet", alexnet(), 4), ("VGG-16", vgg16(), 3)):
        work = with_zeros(convolutions(rows, batch, bits=16), _ZEROS[name])
        costs = model.evaluate(work)
        chip = _chip(name)
        pes, chip_pes = costs["active_pes"].tolist(), chip["active_pes"].astype(int).tolist()
        per_mac = costs["dram_words"].sum() / work.macs
        apart = costs["dram_words"] * 2e-6 / chip["dram_access_mb"]
        holds += [0.5 <= per_mac / _PER_MAC[name] <= 2, bool(((apart >= 0.5) & (apart <= 2)).all())]
        if name == "AlexNet":
            holds.append(pes == [154, 135, 156, 156, 156] == chip_pes)
        else:
            holds += [pes == [168] * 13, chip_pes == [156] * 7 + [168] * 6]
        texts.append(
            f"{name}: PEs {pes if name == 'AlexNet' else sorted(set(pes))}, {per_mac:.5f} DRAM accesses per MAC, layers"
            f" {apart.min():.2f} to {apart.max():.2f} x the chip's, processing"
            f" {costs['latency_s'].sum() * 1e3:.0f} ms (chip {chip['processing_ms'].sum():.0f})"
        )
    return Observed(all(holds), "; ".join(texts) + ". VGG-16 waits for the buffer on the chip, which is not modelled.")


def _chip(network: str) -> dict[str, np.ndarray]:
    with open(data_file("ref_eyeriss_jssc2017.csv"), encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["network"] == network]
    return {c: np.array([float(row[c]) for row in rows]) for c in ("active_pes", "dram_access_mb", "processing_ms")}
