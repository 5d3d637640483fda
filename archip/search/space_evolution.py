"""Evolution of search spaces: block type and width window of every stage, so that a device runs good networks fast.

Choose it before the training of a large quantised supernet, where each block of each stage was trained and timed
already: a space is then judged in milliseconds by networks that are put together from the table. The Q-T score is
high where the best networks within a latency lose little and networks within it are not rare.

    space = StageSpace.read()                                # or read(Path("my_stages.csv"))
    best = evolve_space(space, limits_ms=(15.0, 20.0), cycles=300, population=40)[0]
    print(best.candidate.net["space"], best.metrics["quality"])

Source: Zhang et al. 2023, arXiv:2303.08308 (SpaceEvo), section 3.3 and the authors' code: score, numbers of samples,
ageing evolution (population 500, 125 parents drawn, 5,000 cycles). Differs: stages that are not searched cost a
constant for each resolution, which the published tables do not have; its defaults are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.core.rng import generator
from archip.data._cache import find_file
from archip.data._table_file import read_columns
from archip.spaces.product import ProductSpace
from archip.strategies.regularized_evolution import RegularizedEvolution

__all__ = ["StageSpace", "evolve_space"]

_TABLE = "spaceevo_mobilew.csv.gz"
_COLUMNS = ("stage", "block", "window", "hw", "nsr_loss", "int8_ms")
_CHUNK = 500  # networks of one resolution
_BEST = 50  # networks whose mean loss is that of the space
_POWER = 0.01  # of the share of networks within the latency


@dataclass(frozen=True)
class StageSpace(KnobSpace):
    """Spaces of networks: genes ``block1 window1 block2 …``.

    Attributes:
        settings: (stage, block, window, resolution's place) → [N, 2] loss and latency in ms of the sampled stages.
        fixed_ms: latency of what is not searched, one value for each resolution, the smallest first.
    """

    settings: Mapping[tuple[int, int, int, int], np.ndarray]
    fixed_ms: tuple[float, ...] = (1.5, 2.0, 2.6)  # ours, for 160, 192 and 224 pixels

    @classmethod
    def read(cls, path: Path | None = None, fixed_ms: tuple[float, ...] = (1.5, 2.0, 2.6)) -> StageSpace:
        """The spaces of a table with columns stage, block, window, hw, nsr_loss and int8_ms; a row is a stage.

        Args:
            path: of the CSV file; by default the published one for phones, from the data folder.

        Raises:
            UserError: there is no such file or column, a stage has not as many resolutions (hw) as `fixed_ms` has
                values, or some block of a stage lacks one of its windows or resolutions.
        """
        found = path or find_file(_TABLE)
        if found is None or not found.exists():
            raise UserError("there is no such file", str(found or _TABLE), "put it into the folder ARCHIP_DATA")
        table = read_columns(found)
        stage_N, block_N, window_N, hw_N, loss_N, ms_N = (table.numbers(name) for name in _COLUMNS)
        place_N = np.zeros(len(stage_N), dtype=int)
        for stage in np.unique(stage_N):
            sizes, place_N[stage_N == stage] = np.unique(hw_N[stage_N == stage], return_inverse=True)
            if len(sizes) != len(fixed_ms):
                text = f"stage {stage:.0f} has {len(sizes)} resolutions, fixed_ms {len(fixed_ms)} values"
                raise UserError(text, str(found), "one value for each resolution")
        keys_N4, row_N = np.unique(
            np.stack([stage_N, block_N, window_N, place_N], 1).astype(int), axis=0, return_inverse=True
        )
        rows_N = np.argsort(row_N.ravel(), kind="stable")
        groups = np.split(np.stack([loss_N, ms_N], 1)[rows_N], np.cumsum(np.bincount(row_N.ravel()))[:-1])
        space = cls({tuple(key): group for key, group in zip(keys_N4.tolist(), groups, strict=True)}, fixed_ms)
        space.check(str(found))
        return space

    def check(self, where: str) -> None:
        """Refuse a table that lacks a combination.

        Raises:
            UserError: naming the first one.
        """
        for stage in self.stages:
            values = (self.knobs[f"{name}{stage}"].values for name in ("block", "window"))
            blocks, windows = values
            for key in ((stage, b, w, r) for b in blocks for w in windows for r in range(len(self.fixed_ms))):
                if key not in self.settings:
                    text = "stage {}, block {}, window {}, resolution number {} has no row".format(*key)
                    raise UserError(text, where, "rows for every block, window and resolution of a stage")

    @cached_property
    def stages(self) -> list[int]:
        """Their numbers, in order."""
        return sorted({key[0] for key in self.settings})

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {}
        for stage in self.stages:
            blocks, windows = (sorted({key[i] for key in self.settings if key[0] == stage}) for i in (1, 2))
            knobs |= {f"block{stage}": Choice(blocks, ordered=False), f"window{stage}": Choice(windows)}
        return knobs

    def networks(self, genotype: Mapping[str, int], n: int, rng: np.random.Generator) -> np.ndarray:
        """[n, 2] loss and latency in ms of random networks of one space: every stage is a random row of the table."""
        sums_N2 = np.zeros((n, 2))
        for start in range(0, n, _CHUNK):
            place, rows = int(rng.integers(len(self.fixed_ms))), min(_CHUNK, n - start)
            sums_N2[start : start + rows, 1] = self.fixed_ms[place]
            for stage in self.stages:
                group = self.settings[stage, genotype[f"block{stage}"], genotype[f"window{stage}"], place]
                sums_N2[start : start + rows] += group[rng.integers(len(group), size=rows)]
        return sums_N2

    def score(
        self,
        genotype: Mapping[str, int],
        limits_ms: Sequence[float],
        wanted: float = 0.08,
        n: int = 100_000,
        seed: int = 0,
    ) -> float:
        """Q-T score of one space, summed over the latency limits; 0 for a limit that no network keeps.

        Args:
            wanted: share of networks within a limit from which on a larger share counts no more (t in the paper).
            n: random networks.
        """
        loss_N, ms_N = self.networks(genotype, n, generator(seed, "space", canonical_json(genotype))).T
        return sum(_score(loss_N[ms_N <= limit], n, wanted) for limit in limits_ms)


def _score(loss_K: np.ndarray, n: int, wanted: float) -> float:
    if not len(loss_K):
        return 0.0
    share, best = len(loss_K) / n + 1e-5, float(np.sort(loss_K)[:_BEST].mean())
    return 1 / (max(1.0, (wanted / share) ** _POWER) * best)


def evolve_space(
    space: StageSpace,
    limits_ms: Sequence[float],
    cycles: int = 5000,
    population: int = 500,
    tournament: int | None = None,
    n: int = 100_000,
    seed: int = 0,
) -> list[Record]:
    """Ageing evolution over the spaces; all that were judged, the best first.

    Args:
        cycles: spaces judged in all.
        tournament: how many are drawn to find a parent; by default a quarter of the population, as in the paper.
        n: random networks for each space.
    """
    strategy = RegularizedEvolution(population, tournament or max(1, population // 4))
    strategy.start(ProductSpace({"net.space": space}), Goals((Objective.of("quality"),)))
    records: list[Record] = []
    while len(records) < cycles:
        batch = min(population, cycles) if not records else 1
        asked = strategy.ask(batch, generator(seed, "ask", len(records)))
        if not asked:
            break
        told = [Record(c, {"quality": space.score(c.net["space"], limits_ms, n=n, seed=seed)}) for c in asked]  # pyright: ignore[reportArgumentType]
        strategy.tell(told)
        records += told
    return sorted(records, key=lambda record: -record.metrics["quality"])
