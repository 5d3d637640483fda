"""DiffusionNAG (An et al. 2024): a predictor steers a diffusion model to better networks than it draws by itself.

Changed after the first runs: guidance of 4 by default (2 gave 92.48 on other seeds); 0.08 for the shares, since 0.06 is
2.9 standard errors of 256 draws, and 120 shares are looked at.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from archip.spaces.tabular import Tabular
from archip.strategies._diffusion import Diffusion
from archip.strategies._diffusion_guide import Guide
from archip.strategies.diffusion_nag import DiffusionNAG
from claims._claim import Observed, data_file

EXPECTED = """Size space of NATS-Bench, 256 networks of 3 seeds each: drawn without guidance every width has a share of
0.125 +- 0.08 and the mean accuracy is within 0.5 of the space's (91.1); guided by a predictor of 100 labels the mean is
above 92.5. NAS-Bench-201, written as 8 nodes of 7 kinds (input, 5 operators, output): more than 95 % of those drawn are
cells. Guided by 100 labels (CIFAR-10 validation), their mean is at least 3 points above that of unguided ones and of as
many random cells, and the best of them is at least the best of as many random cells."""
SOURCE = "arXiv:2305.16943, sections 4.1 and 4.3; the card's check for the size space"

SEEDS, N, LABELS = range(10, 13), 256, 100
HAS = DiffusionNAG()


def check() -> Observed:
    size = [_size(seed) for seed in SEEDS]
    cells = [_cells(seed) for seed in SEEDS]
    off, plain, guided = (fmean(column) for column in zip(*size, strict=True))
    valid, cell_plain, cell_random, cell_guided, best, best_random = (fmean(c) for c in zip(*cells, strict=True))
    holds = (
        max(row[0] for row in size) < 0.08
        and abs(plain - 91.1) < 0.5
        and guided > 92.5
        and valid > 0.95
        and cell_guided > max(cell_plain, cell_random) + 3
        and best >= best_random
    )
    text = f"""size space: shares off by {off:.3f} (mean of the worst), mean {plain:.2f} unguided, {guided:.2f} guided;
        cells: {100 * valid:.1f} % valid, mean {cell_random:.2f} random, {cell_plain:.2f} unguided, {cell_guided:.2f}
        guided, best {best_random:.2f} of random and {best:.2f} of guided ones"""
    return Observed(bool(holds), text)


def _size(seed: int) -> tuple[float, float, float]:
    """(largest difference of a share from 1/8, mean accuracy without and with guidance)."""
    space, accuracy_N = _table("nats_size", "nats_size_cifar10.csv.gz", "cifar10_test.accuracy")
    codes_NG = space.rows.keys.codes_NG.astype(np.int64)
    row_of = {tuple(codes): row for row, codes in enumerate(codes_NG.tolist())}
    accuracy = lambda codes: [float(accuracy_N[row_of[tuple(c)]]) for c in codes.tolist()]  # noqa: E731
    model, guide = _trained(codes_NG, accuracy_N, [8] * 5, seed)
    plain, guided = model.sample(N, HAS.steps), model.sample(N, HAS.steps, guide.towards(HAS.guidance))
    shares_GK = (plain[:, :, None] == np.arange(8)).mean(0)
    return float(np.abs(shares_GK - 0.125).max()), fmean(accuracy(plain)), fmean(accuracy(guided))


def _cells(seed: int) -> tuple[float, ...]:
    """(share of valid ones; mean of unguided, random and guided ones; best of guided and of random ones)."""
    space, accuracy_N = _table("nb201", "nb201.csv.gz", "cifar10_valid_200.accuracy")
    operators_NE = space.rows.keys.codes_NG.astype(np.int64)
    row_of = {tuple(codes): row for row, codes in enumerate(operators_NE.tolist())}
    codes_NV = np.pad(operators_NE, ((0, 0), (1, 1)), constant_values=((0, 0), (5, 6)))
    model, guide = _trained(codes_NV, accuracy_N, [7] * 8, seed)
    plain, guided = model.sample(N, HAS.steps), model.sample(N, HAS.steps, guide.towards(HAS.guidance))
    rows = [[row_of[tuple(c)] for c in drawn[:, 1:7].tolist() if tuple(c) in row_of] for drawn in (plain, guided)]
    is_cell_N = (plain[:, 0] == 5) & (plain[:, 7] == 6) & (plain[:, 1:7] < 5).all(1)
    random_N = accuracy_N[np.random.default_rng(1000 + seed).choice(len(accuracy_N), N, replace=False)]
    plain_N, guided_N = accuracy_N[rows[0]], accuracy_N[rows[1]]
    return is_cell_N.mean(), plain_N.mean(), random_N.mean(), guided_N.mean(), guided_N.max(), random_N.max()


def _trained(codes_NV: np.ndarray, y_N: np.ndarray, counts: list[int], seed: int) -> tuple[Diffusion, Guide]:
    """A model of 2,000 networks without labels, and a guide of 100 labels."""
    rng = np.random.default_rng(seed)
    model = Diffusion(counts, HAS.hidden, HAS.layers, seed)
    model.train(codes_NV[rng.choice(len(codes_NV), 2000, replace=False)], HAS.training, batch=64, lr=2e-3)
    rows = rng.choice(len(codes_NV), LABELS, replace=False)
    guide = Guide(model, HAS.fitting)
    guide.train(codes_NV[rows], ndtri((rankdata(y_N[rows]) - 0.5) / LABELS))
    return model, guide


def _table(name: str, file: str, metric: str) -> tuple[Tabular, np.ndarray]:
    """The space with a genotype a row, and accuracies in percent."""
    space = Tabular(name, str(data_file(file).parent), merge=False)
    return space, 100 * space.rows.metric(metric)
