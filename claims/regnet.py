"""RegNet (Radosavovic et al. 2020): a linear rule for widths gives the published networks; good spaces show in EDFs."""

from __future__ import annotations

import csv
import gzip

import numpy as np

from archip.core.populations import edf
from archip.spaces.regnet import grouped, stages_of
from claims._claim import Observed, data_file

EXPECTED = """The generator gives RegNetX-200MF and -400MF (widths and depths of table 8). The EDF tool shows on the
size space of NATS-Bench that the rule of growing widths need not transfer: their median test accuracy (792 networks)
is 91.26 %, below the whole space's 91.31 % and below that of shrinking widths, 91.53 % (each within 0.01)."""
SOURCE = "arXiv:2003.13678, eq. 2-4, table 8; medians recomputed from nats_size_cifar10.csv.gz by the card's author"

PUBLISHED = {
    (13, 24, 36.44, 2.49, 8): ([24, 56, 152, 368], [1, 1, 4, 7]),
    (22, 24, 24.48, 2.54, 16): ([32, 64, 160, 384], [1, 2, 7, 12]),
}


def check() -> Observed:
    made = {numbers: grouped(*stages_of(*numbers[:4]), numbers[4]) for numbers in PUBLISHED}
    with gzip.open(data_file("nats_size_cifar10.csv.gz"), "rt") as file:
        rows = list(csv.DictReader(file))
    widths = np.array([[int(row[f"c{stage}"]) for stage in range(1, 6)] for row in rows])
    accuracy = np.array([float(row["test_acc"]) for row in rows])
    steps = np.diff(widths, axis=1)
    growing, shrinking = (steps >= 0).all(1), (steps <= 0).all(1)
    medians = [float(np.median(accuracy[chosen])) for chosen in (growing, np.full(len(rows), True), shrinking)]
    below_9 = [edf(100 - accuracy[chosen], [9.0])[0] for chosen in (growing, shrinking)]
    near = all(abs(m - e) <= 0.01 for m, e in zip(medians, (91.26, 91.31, 91.53), strict=True))
    holds = made == PUBLISHED and int(growing.sum()) == 792 and near and below_9[0] < below_9[1]
    text = f"networks {'as published' if made == PUBLISHED else made}; {growing.sum()} growing; medians " + ", ".join(
        f"{m:.2f}" for m in medians
    )
    return Observed(
        holds, f"{text}; share with an error below 9 %: {below_9[0]:.3f} growing, {below_9[1]:.3f} shrinking"
    )
